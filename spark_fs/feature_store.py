"""Feature stores and what they hold, under the name of Hopsworks' module."""

from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.transformations import TransformationFunction

__all__ = [
    "ExternalFeatureGroup",
    "FeatureGroup",
    "FeatureStore",
    "FeatureView",
    "TransformationFunction",
]
