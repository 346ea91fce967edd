"""The log of models that Hopsworks serves: here it is refused."""

from spark_fs.api.taken import refuse_model_serving

__all__ = ["InferenceLogger"]

InferenceLogger = refuse_model_serving("InferenceLogger")
