"""What a model takes and gives, under the name of Hopsworks' module."""

from spark_fs.spec.model_schema import ModelSchema

__all__ = ["ModelSchema"]
