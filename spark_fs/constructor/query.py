"""Queries, under the name of Hopsworks' module."""

from spark_fs.api.query import Query

__all__ = ["Query"]
