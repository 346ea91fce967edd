"""Hopsworks' modules by our names, and on request ours by its names.

``import spark_fs as hopsworks`` is enough where code imports no more than ``hopsworks``. Code that
imports from ``hsfs``, ``hsml`` or ``hopsworks.hsfs`` runs as it is after::

    import spark_fs.compat

    spark_fs.compat.install()

Nothing calls it but you: it takes these names for the whole process.
"""

import json
import platform
import sys
from importlib import import_module
from typing import Any

import spark_fs
from spark_fs.errors import SettingsError

# The modules that Hopsworks' users import, by their names below hopsworks, hsfs or hsml.
MODULES = (
    "builtin_transformations",
    "client",
    "client.exceptions",
    "constructor",
    "constructor.filter",
    "constructor.query",
    "core",
    "core.data_source",
    "core.kafka_engine",
    "embedding",
    "expectation_suite",
    "feature",
    "feature_group",
    "feature_store",
    "feature_view",
    "ge_expectation",
    "hopsworks_udf",
    "inference_batcher",
    "inference_logger",
    "model",
    "model_registry",
    "model_schema",
    "online_config",
    "project",
    "resources",
    "scaling_config",
    "schema",
    "statistics",
    "statistics_config",
    "storage_connector",
    "tag",
    "training_dataset",
    "transformation_function",
    "transformation_statistics",
    "transformer",
    "validation_report",
)
_PACKAGES = (
    "hopsworks",
    "hopsworks_common",
    "hsfs",
    "hsml",
    "hopsworks.hsfs",
    "hopsworks.hsml",
)


def install() -> None:
    """Let ``import hopsworks``, ``hsfs`` and ``hsml`` give spark_fs, for this process.

    An installed Hopsworks is not loaded after that. A second call changes nothing.

    Raises:
        SettingsError: A package of Hopsworks is loaded already.
    """
    for package in _PACKAGES:
        if sys.modules.get(package, spark_fs) is not spark_fs:
            raise SettingsError(
                f"Package {package!r} is loaded already, and it is not spark_fs: call"
                " spark_fs.compat.install() before anything imports it."
            )
    for package in _PACKAGES:
        sys.modules[package] = spark_fs
        add_modules(package)


def add_modules(package: str) -> None:
    """Add the modules to a package by another name.

    Args:
        package: Its name, such as "hsfs".
    """
    for name in MODULES:
        sys.modules[f"{package}.{name}"] = import_module(f"spark_fs.{name}")


def get_sdk_info() -> str:
    """What this process runs, as JSON: the release, and Python's."""
    versions = {"version": spark_fs.__version__, "python": platform.python_version()}
    return json.dumps({"library": "spark_fs", **versions})


def get_attribute(name: str) -> Any:
    """An attribute of ``spark_fs``, for a package that stands for it."""
    return getattr(spark_fs, name)
