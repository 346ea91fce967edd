"""The place of modules that Hopsworks' users import from its core."""
