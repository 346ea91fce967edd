"""The place of modules that Hopsworks' users import queries and conditions from."""
