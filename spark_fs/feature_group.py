"""Feature groups, under the name of Hopsworks' module."""

from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.spine import Spine as SpineGroup

__all__ = ["ExternalFeatureGroup", "FeatureGroup", "SpineGroup"]
