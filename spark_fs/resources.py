"""How much a model takes that Hopsworks serves: here it is refused."""

from spark_fs.api.taken import Refused

__all__ = ["PredictorResources", "Resources", "TransformerResources"]

_PURPOSE = "describes how a model is served"
_REMEDY = "load the model in your own service, with vectors by spark-fs serve"
PredictorResources = Refused(_PURPOSE, _REMEDY, "PredictorResources")
Resources = Refused(_PURPOSE, _REMEDY, "Resources")
TransformerResources = Refused(_PURPOSE, _REMEDY, "TransformerResources")
