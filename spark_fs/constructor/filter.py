"""Conditions, under the name of Hopsworks' module."""

from spark_fs.api.feature import Filter

__all__ = ["Filter"]
