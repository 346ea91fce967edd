"""What changes requests of models that Hopsworks serves: here it is refused."""

from spark_fs.api.taken import Refused

__all__ = ["Transformer"]

Transformer = Refused(
    "describes how a model is served",
    "load the model in your own service, with vectors by spark-fs serve",
    "Transformer",
)
