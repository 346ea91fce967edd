"""How requests of models are gathered that Hopsworks serves: here it is refused."""

from spark_fs.api.taken import refuse_model_serving

__all__ = ["InferenceBatcher"]

InferenceBatcher = refuse_model_serving("InferenceBatcher")
