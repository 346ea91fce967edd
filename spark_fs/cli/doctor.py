"""The commands that look at an installation: what is missing in it, and which settings hold."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

import spark_fs
from spark_fs.api.project import login
from spark_fs.cli.shared import (
    ConfigOption,
    JsonOption,
    app,
    describe_store,
    has_catalog,
    print_table,
)
from spark_fs.errors import OnlineStoreError, SetupError, SparkFSError
from spark_fs.settings import Secret, Settings, load_settings, read_yaml
from spark_fs.urls import get_address, get_sqlite_file

_PACKAGES = ("pyspark", "delta-spark", "pandas", "pyarrow")
_EXTRAS = {  # and the module by which each is known
    "serve": "fastapi",
    "ml": "mlflow",
    "polars": "polars",
    "select": "xgboost",
}
_FREE_BYTES = 1 << 30  # what a folder of tables should have at least
Check = Callable[[], str]  # what is there; raises SparkFSError for what is missing

config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config_app, name="config")


@config_app.command("show")
def show_config(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show each setting and where it comes from.

    Passwords and tokens are not shown. Example: spark-fs config show --config conf/production.yaml
    """
    settings = load_settings(config)
    rows = []
    for field in fields(Settings):
        value = _hide_secrets(field.name, getattr(settings, field.name), settings)
        rows.append((field.name, value, _find_origin(field.name, config)))
    print_table(("setting", "value", "from"), rows, "", as_json)


def _hide_secrets(name: str, value: Any, settings: Settings) -> str:
    """A setting as it may be printed: the address of a URL, the names of Spark's settings."""
    if name == "online_url":
        return settings.online_address
    if name == "online_read_urls":
        return "; ".join(", ".join(map(get_address, urls)) for urls in settings.replica_urls)
    if value is None:
        return ""
    if name == "spark":
        return ", ".join(value)
    if not isinstance(value, Secret):
        return str(value)
    text = value.get_secret_value()
    if name.endswith("_url"):
        return get_address(text)
    return "set" if text else ""


def _find_origin(name: str, config: Any) -> str:
    """What gives a setting: a variable, a file, or nothing."""
    variable = f"SPARK_FS_{name.upper()}"
    if variable in os.environ:
        return variable
    file = config or os.environ.get("SPARK_FS_CONFIG")
    if file and name in read_yaml(Path(file), "Settings file"):
        return str(file)
    return "default"


@app.command()
def doctor(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check what spark_fs needs on this machine.

    Python, Java, packages, jars, the databases, space for tables. It starts no JVM and changes
    nothing. Exit code 1 where something is missing that reading, writing or serving needs. Example:
    spark-fs doctor
    """
    checks: dict[str, Check] = {
        "python": platform.python_version,
        "spark_fs": lambda: spark_fs.__version__,
        **{name: partial(version, name) for name in _PACKAGES},
        "java": _describe_java,
        "jars": _describe_jars,
        "archive of classes": _describe_archive,
        "store": lambda: _describe_place(config),
        "metadata database": lambda: _check_catalog(config),
        "online store": lambda: _check_online(config),
        "space for tables": lambda: _check_space(config),
    }
    rows = []
    for name, check in checks.items():
        try:
            rows.append((name, "ok", check()))
        except (SparkFSError, PackageNotFoundError) as error:
            rows.append((name, "missing", str(error)))
    for extra, module in _EXTRAS.items():
        rows.append((f"extra {extra}", *_look_for(module, extra)))
    print_table(("what", "state", "found"), rows, "", as_json)
    if any(state == "missing" for _, state, _ in rows):
        raise typer.Exit(1)


def _describe_java() -> str:
    from spark_fs.tables.delta.java import find_java

    return f"version {find_java().major}, for writing and for what the local engine does not read"


def _describe_archive() -> str:
    from spark_fs.tables.delta.class_archive import get_archive, list_archive_options
    from spark_fs.tables.delta.java import find_java

    java = find_java()
    if list_archive_options(java):
        return str(get_archive(java))
    return "none: spark-fs archive-classes makes one, with which Spark starts faster"


def _describe_jars() -> str:
    from spark_fs.tables.delta.jars import get_cache_folder

    folder = get_cache_folder()
    jars = sorted(folder.glob("*.jar"))
    if not jars:
        return f"none yet in {folder}: the first start of Spark fetches them from Maven Central"
    return f"{len(jars)} in {folder}"


def _describe_place(config: Any) -> str:
    fs = login(config).get_feature_store()
    place = describe_store(fs)
    return place if has_catalog(fs) else f"{place}, where there is none yet"


def _check_catalog(config: Any) -> str:
    fs = login(config).get_feature_store()
    if not has_catalog(fs):
        return "none yet: the first group makes it"
    groups = fs.get_feature_groups()
    views = fs.get_feature_views()
    return f"answers: feature groups {len(groups)}, feature views {len(views)}"


def _check_online(config: Any) -> str:
    fs = login(config).get_feature_store()
    settings = fs._stores.settings
    file = get_sqlite_file(settings.online_urls[0])
    if file is not None and not file.exists():
        return f"none yet: the first sync_online makes {file}"
    servers = fs.get_online_servers()
    if len(servers) == 1:
        fs.check_serving()
        return f"answers at {settings.online_address}"
    silent = [str(server) for server in servers if not server.reachable]
    if silent:
        raise OnlineStoreError(
            f"{len(silent)} of {len(servers)} servers give no answer. {' '.join(silent)}"
        )
    return "; ".join(map(str, servers))


def _check_space(config: Any) -> str:
    folder = load_settings(config).warehouse
    if "://" in folder:
        return f"{folder}, which is not asked"
    existing = Path(folder).absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < _FREE_BYTES:
        raise SetupError(f"{folder} has {free >> 20:,} MB left: make room, or set warehouse.")
    return f"{free >> 30:,} GB in {folder}"


def _look_for(module: str, extra: str) -> tuple[str, str]:
    """Whether an extra is installed, by one of its modules."""
    if find_spec(module) is not None:
        return "ok", f"{module} is installed"
    return "not installed", f"pip install 'spark_fs[{extra}]'"
