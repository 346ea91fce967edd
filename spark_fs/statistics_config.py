"""Which statistics are made, under the name of Hopsworks' module."""

from spark_fs.spec.feature_statistics import StatisticsConfig

__all__ = ["StatisticsConfig"]
