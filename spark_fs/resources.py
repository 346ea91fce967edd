"""How much a model takes that Hopsworks serves: here it is refused."""

from spark_fs.api.taken import refuse_model_serving

__all__ = ["PredictorResources", "Resources", "TransformerResources"]

PredictorResources = refuse_model_serving("PredictorResources")
Resources = refuse_model_serving("Resources")
TransformerResources = refuse_model_serving("TransformerResources")
