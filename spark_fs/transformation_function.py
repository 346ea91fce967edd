"""Transformation functions, under the name that Hopsworks' module has."""

from spark_fs.api.transformations import TransformationFunction, TransformationType

__all__ = ["TransformationFunction", "TransformationType"]
