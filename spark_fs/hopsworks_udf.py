"""Users' transformation functions, under the name that Hopsworks' module has."""

from spark_fs.api.transformations import TransformationFunction, udf

HopsworksUdf = TransformationFunction

__all__ = ["HopsworksUdf", "udf"]
