"""Statistics, under the name of Hopsworks' module."""

from spark_fs.spec.feature_statistics import Statistics

__all__ = ["Statistics"]
