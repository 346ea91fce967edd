"""What changes requests of models that Hopsworks serves: here it is refused."""

from spark_fs.api.taken import refuse_model_serving

__all__ = ["Transformer"]

Transformer = refuse_model_serving("Transformer")
