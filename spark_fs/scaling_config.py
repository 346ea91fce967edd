"""How many copies of a model Hopsworks serves: here it is refused."""

from spark_fs.api.taken import Refused

__all__ = ["PredictorScalingConfig", "ScaleMetric", "TransformerScalingConfig"]

_PURPOSE = "describes how a model is served"
_REMEDY = "load the model in your own service, with vectors by spark-fs serve"
PredictorScalingConfig = Refused(_PURPOSE, _REMEDY, "PredictorScalingConfig")
ScaleMetric = Refused(_PURPOSE, _REMEDY, "ScaleMetric")
TransformerScalingConfig = Refused(_PURPOSE, _REMEDY, "TransformerScalingConfig")
