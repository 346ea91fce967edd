"""Projects, under the name of Hopsworks' module."""

from spark_fs.api.project import Project

__all__ = ["Project"]
