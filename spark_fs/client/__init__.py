"""A client of ``spark-fs serve``, and the errors of Hopsworks' client.

Hopsworks has a module of this name, of which only the errors are here.
"""

from spark_fs.client import exceptions

__all__ = ["exceptions"]
