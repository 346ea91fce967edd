"""Feature views, under the name of Hopsworks' module."""

from spark_fs.api.feature_view import FeatureView

__all__ = ["FeatureView"]
