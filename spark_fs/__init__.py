"""spark_fs: a batch feature store on Spark and Delta Lake.

Log in, then work with feature groups and feature views::

    import spark_fs

    fs = spark_fs.login().get_feature_store()
"""

from spark_fs import errors
from spark_fs.api.project import login
from spark_fs.api.query import Feature

__all__ = ["Feature", "errors", "login"]
