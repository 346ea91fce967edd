"""What a transformation function asks to be told of the train split."""

from spark_fs.transform.statistics import FeatureTransformationStatistics, TransformationStatistics

__all__ = ["FeatureTransformationStatistics", "TransformationStatistics"]
