"""spark_fs: a batch feature store on Spark and Delta Lake.

Log in, then work with feature groups and feature views::

    import spark_fs

    fs = spark_fs.login().get_feature_store()
"""

from spark_fs import errors
from spark_fs.api.project import login
from spark_fs.api.query import Feature
from spark_fs.api.selection import select_features
from spark_fs.api.transformations import udf
from spark_fs.spec.model import ModelSchema, Schema

__version__ = "0.1.0"
__all__ = ["Feature", "ModelSchema", "Schema", "errors", "login", "select_features", "udf"]
