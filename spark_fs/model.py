"""Models, under the name of Hopsworks' module."""

from spark_fs.api.model import Model

__all__ = ["Model"]
