"""What Hopsworks serves models with: here it is refused."""

from spark_fs.api.taken import Refused

__all__ = [
    "InferenceBatcher",
    "InferenceLogger",
    "PredictorResources",
    "Resources",
    "ScalingConfig",
    "Transformer",
    "TransformerResources",
]

_PURPOSE = "describes how a model is served"
_REMEDY = "load the model in your own service, with vectors by spark-fs serve"
InferenceBatcher = Refused(_PURPOSE, _REMEDY, "InferenceBatcher")
InferenceLogger = Refused(_PURPOSE, _REMEDY, "InferenceLogger")
PredictorResources = Refused(_PURPOSE, _REMEDY, "PredictorResources")
Resources = Refused(_PURPOSE, _REMEDY, "Resources")
ScalingConfig = Refused(_PURPOSE, _REMEDY, "ScalingConfig")
Transformer = Refused(_PURPOSE, _REMEDY, "Transformer")
TransformerResources = Refused(_PURPOSE, _REMEDY, "TransformerResources")
