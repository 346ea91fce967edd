"""The columns of what a model takes or gives, under the name of Hopsworks' module."""

from spark_fs.spec.model_schema import Schema

__all__ = ["Schema"]
