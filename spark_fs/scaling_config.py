"""How many copies of a model Hopsworks serves: here it is refused."""

from spark_fs.api.taken import refuse_model_serving

__all__ = ["PredictorScalingConfig", "ScaleMetric", "TransformerScalingConfig"]

PredictorScalingConfig = refuse_model_serving("PredictorScalingConfig")
ScaleMetric = refuse_model_serving("ScaleMetric")
TransformerScalingConfig = refuse_model_serving("TransformerScalingConfig")
