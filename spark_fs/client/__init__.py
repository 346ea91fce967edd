"""The place of Hopsworks' client, of which only the errors are here."""

from spark_fs.client import exceptions

__all__ = ["exceptions"]
