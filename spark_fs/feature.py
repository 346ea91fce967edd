"""Columns, under the name of Hopsworks' module."""

from spark_fs.api.feature import Feature

__all__ = ["Feature"]
