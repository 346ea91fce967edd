"""One Spark session, a new feature store per test, and the online stores that are there."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import mysql.connector
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.project import FeatureStore
from spark_fs.offline.session import get_session

from standalone import FOLDER, Cluster

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
URL_FILE = ROOT / ".mysql" / "url"
MYSQL = os.environ.get("SPARK_FS_TEST_MYSQL") or (URL_FILE.read_text().strip() if URL_FILE.exists() else "")
ONLINE = ["sqlite", "mysql"] if MYSQL else ["sqlite"]
# What costs syncs the quick suite asks of one online store, the one that production has where it is up; the slow suite of both.
SYNCED = [*(pytest.param(each, marks=pytest.mark.slow) for each in ONLINE[:-1]), ONLINE[-1]]


def pytest_report_header() -> str:
    return "online stores: sqlite" + (", mysql" if MYSQL else "; no MariaDB is up, start it with: make mysql-up")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("SPARK_FS_") and n != "SPARK_FS_JARS"]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = get_session({"spark.driver.memory": "3g"})
    yield session
    session.stop()


@pytest.fixture(scope="module")
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path | None:
    """A store that the module's ``fill(fs, group)`` filled once for all of its tests; None where there is no such function."""
    fill = getattr(request.module, "fill", None)
    if fill is None:
        return None
    home = tmp_path_factory.mktemp("filled")
    store = spark_fs.login({"home": home}).get_feature_store()
    fill(store, maker(store))
    return home


@pytest.fixture
def fs(filled: Path | None, tmp_path: Path) -> FeatureStore:
    """A store over SQLite: empty, or a copy of the one that the module filled."""
    if filled:
        shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return spark_fs.login({"home": tmp_path}).get_feature_store()


@contextmanager
def online_store(kind: str, home: Path) -> Iterator[FeatureStore]:
    """An empty store over an empty online store of one kind."""
    if kind == "sqlite":
        yield spark_fs.login({"home": home}).get_feature_store()
        return
    database = f"t_{uuid4().hex}"
    server = urlsplit(MYSQL)
    options = {"host": server.hostname, "port": server.port, "user": server.username, "password": server.password}
    with mysql.connector.connect(**options) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {database}")
        yield spark_fs.login({"home": home, "online_url": f"{MYSQL}/{database}"}).get_feature_store()
        cursor.execute(f"DROP DATABASE {database}")


@pytest.fixture(params=SYNCED)
def served(request: pytest.FixtureRequest, tmp_path: Path, spark: SparkSession) -> Iterator[FeatureStore]:  # a session
    """An empty store over each online store in turn."""
    with online_store(request.param, tmp_path) as store:
        yield store


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of ``make cluster-up`` where it is up, else one of this run's own."""
    found = Cluster(FOLDER)
    if found.facts:
        yield found
        return
    own = Cluster(tmp_path_factory.mktemp("cluster") / "cluster")
    own.up()
    yield own
    own.down()


@pytest.fixture
def group(fs: FeatureStore) -> Callable[..., FeatureGroup]:
    """Make a feature group of a pandas frame: ``group("a", frame, primary_key=["k"], event_time="t")``."""
    return maker(fs)


def maker(fs: FeatureStore) -> Callable[..., FeatureGroup]:
    """The same for a store of one's own."""

    def make(name: str, frame: pd.DataFrame, **declared: object) -> FeatureGroup:
        made = fs.create_feature_group(name, **declared)  # type: ignore[arg-type] # the test's own arguments
        made.insert(frame)
        return made

    return make


def first_quick(cases: Sequence[T], quick: int = 1) -> list[Any]:
    """The cases of a parametrized test, of which the quick suite runs only the first ones."""
    return [case if i < quick else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow) for i, case in enumerate(cases)]


def at(text: str) -> datetime:
    """An instant of 2024 in UTC, as in ``at("01-31 12:00")``."""
    return datetime.fromisoformat(f"2024-{text}").replace(tzinfo=UTC)
