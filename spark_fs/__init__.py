"""spark_fs: a batch feature store on Spark and Delta Lake.

Log in, then work with feature groups and feature views::

    import spark_fs

    fs = spark_fs.login().get_feature_store()

Every type that a user annotates and every function that a user calls is here. What would load
pyspark, or cost time that a serving process has no use for, is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spark_fs import aggregate, errors
from spark_fs.api.aggregation import Aggregation
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature import Feature, Filter
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.project import Project, login
from spark_fs.api.query import Query
from spark_fs.api.spine import Spine
from spark_fs.api.transformations import TransformationFunction, udf
from spark_fs.api.window_functions import WindowFunction

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.model import Model
    from spark_fs.api.model_registry import ModelRegistry
    from spark_fs.api.selection import Selection, select_features
    from spark_fs.base.times import Instant, parse_duration, to_utc
    from spark_fs.client.async_remote_feature_view import AsyncRemoteFeatureView
    from spark_fs.client.async_vector_client import AsyncClient
    from spark_fs.client.remote_feature_view import RemoteFeatureView
    from spark_fs.client.vector_client import Client
    from spark_fs.engine.windows import Events, rolling
    from spark_fs.flows.jobs import Job, RunningJob
    from spark_fs.flows.read_source import read_parquet
    from spark_fs.spec.comparison import DEFAULT_THRESHOLDS, DriftReport
    from spark_fs.spec.feature_statistics import FeatureStatistics, Statistics, StatisticsConfig
    from spark_fs.spec.freshness import Freshness
    from spark_fs.spec.model_schema import ModelSchema, Schema
    from spark_fs.spec.online_server import OnlineServer
    from spark_fs.spec.pipeline_run import PipelineRun
    from spark_fs.spec.training_dataset import TrainingDatasetSpec
    from spark_fs.spec.validation_report import ValidationReport
    from spark_fs.spec.verification import Verification
    from spark_fs.tables.commits import Commit
    from spark_fs.tables.delta.jars import resolve_jars

__version__ = "0.1.0"
__all__ = [
    "DEFAULT_THRESHOLDS",
    "Aggregation",
    "AsyncClient",
    "AsyncRemoteFeatureView",
    "Client",
    "Commit",
    "DriftReport",
    "Events",
    "ExternalFeatureGroup",
    "Feature",
    "FeatureGroup",
    "FeatureStatistics",
    "FeatureStore",
    "FeatureView",
    "Filter",
    "Freshness",
    "Instant",
    "Job",
    "Model",
    "ModelRegistry",
    "ModelSchema",
    "OnlineServer",
    "PipelineRun",
    "Project",
    "Query",
    "RemoteFeatureView",
    "RunningJob",
    "Schema",
    "Selection",
    "Spine",
    "Statistics",
    "StatisticsConfig",
    "TrainingDatasetSpec",
    "TransformationFunction",
    "ValidationReport",
    "Verification",
    "WindowFunction",
    "aggregate",
    "errors",
    "login",
    "parse_duration",
    "read_parquet",
    "resolve_jars",
    "rolling",
    "select_features",
    "to_utc",
    "udf",
]

# Where the names are that are loaded when they are first asked for.
_LAZY = {
    "AsyncClient": "spark_fs.client.async_vector_client",
    "AsyncRemoteFeatureView": "spark_fs.client.async_remote_feature_view",
    "Client": "spark_fs.client.vector_client",
    "Commit": "spark_fs.tables.commits",
    "DEFAULT_THRESHOLDS": "spark_fs.spec.comparison",
    "DriftReport": "spark_fs.spec.comparison",
    "Events": "spark_fs.engine.windows",
    "FeatureStatistics": "spark_fs.spec.feature_statistics",
    "FeatureView": "spark_fs.api.feature_view",
    "Freshness": "spark_fs.spec.freshness",
    "Instant": "spark_fs.base.times",
    "Job": "spark_fs.flows.jobs",
    "Model": "spark_fs.api.model",
    "ModelRegistry": "spark_fs.api.model_registry",
    "ModelSchema": "spark_fs.spec.model_schema",
    "OnlineServer": "spark_fs.spec.online_server",
    "PipelineRun": "spark_fs.spec.pipeline_run",
    "RemoteFeatureView": "spark_fs.client.remote_feature_view",
    "RunningJob": "spark_fs.flows.jobs",
    "Schema": "spark_fs.spec.model_schema",
    "Selection": "spark_fs.api.selection",
    "Statistics": "spark_fs.spec.feature_statistics",
    "StatisticsConfig": "spark_fs.spec.feature_statistics",
    "TrainingDatasetSpec": "spark_fs.spec.training_dataset",
    "ValidationReport": "spark_fs.spec.validation_report",
    "Verification": "spark_fs.spec.verification",
    "parse_duration": "spark_fs.base.times",
    "read_parquet": "spark_fs.flows.read_source",
    "resolve_jars": "spark_fs.tables.delta.jars",
    "rolling": "spark_fs.engine.windows",
    "select_features": "spark_fs.api.selection",
    "to_utc": "spark_fs.base.times",
}
# What Hopsworks' users ask the package for, and new code has no need of.
_FOR_HOPSWORKS = {
    "RestAPIError": "spark_fs.client.exceptions",
    "connection": "spark_fs.api.connection",
    "create_project": "spark_fs.api.connection",
    "disable_usage_logging": "spark_fs.api.connection",
    "get_current_project": "spark_fs.api.logins",
    "get_env_vars_api": "spark_fs.api.connection",
    "get_sdk_info": "spark_fs.compat",
    "get_secrets_api": "spark_fs.api.connection",
    "get_users_api": "spark_fs.api.connection",
    "logout": "spark_fs.api.logins",
}

if not TYPE_CHECKING:  # a type checker would take any name for one that exists

    def __getattr__(name: str) -> Any:
        """Load a name that is offered; each is loaded once."""
        if name in _FOR_HOPSWORKS:
            return getattr(import_module(_FOR_HOPSWORKS[name]), name)
        if name in _LAZY:
            value = getattr(import_module(_LAZY[name]), name)
            globals()[name] = value
            return value
        if name in ("compat", "hsfs", "hsml") or name in import_module("spark_fs.compat").MODULES:
            return import_module(f"spark_fs.{name}")
        raise AttributeError(f"module 'spark_fs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
