"""The model registry, under the name of Hopsworks' module."""

from spark_fs.api.model_registry import ModelRegistry

__all__ = ["ModelRegistry"]
