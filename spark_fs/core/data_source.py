"""Sources of rows, under the name of Hopsworks' module."""

from spark_fs.api.data_source import DataSource

__all__ = ["DataSource"]
