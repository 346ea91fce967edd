"""Conditions, one or several combined, under the names of Hopsworks' module."""

from spark_fs.api.feature import Filter

Logic = Filter

__all__ = ["Filter", "Logic"]
