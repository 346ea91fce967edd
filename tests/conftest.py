"""One Spark session, a new feature store per test, and the online stores that are there."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import mysql.connector
import pandas as pd
import pytest
from engines import read_and_compare
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.flows import read
from spark_fs.tables.delta.class_archive import list_archive_options
from spark_fs.tables.delta.java import find_java
from spark_fs.tables.delta.session import get_session

from servers import FOLDERS, KINDS
from standalone import FOLDER, Cluster

T = TypeVar("T")
# Tests start many JVMs for a minute each: Java's second compiler, which takes half of such a minute,
# is left out, and classes are taken from an archive where there is one.
os.environ.setdefault(
    "SPARK_SUBMIT_OPTS",
    " ".join(["-XX:TieredStopAtLevel=1", *list_archive_options(find_java())]),
)
ROOT = Path(__file__).parents[1]


def server_url(kind: str) -> str:
    """The server that the environment names, else the one that ``make mysql-up`` started; empty where there is none."""
    file = FOLDERS[kind] / "url"
    return os.environ.get(f"SPARK_FS_TEST_{kind.upper()}") or (
        file.read_text().strip() if file.exists() else ""
    )


SERVERS = {kind: url for kind, url in ((kind, server_url(kind)) for kind in KINDS) if url}
MYSQL = SERVERS.get("mysql", "")
# What costs syncs the quick suite asks of one online store, the last; the slow suite of all. MySQL makes a table in four times MariaDB's time:
# CI asks of it what needs no Spark, and syncs among faults.
ONLINE = ["sqlite", *reversed(SERVERS)]
LONG = [pytest.mark.slow, pytest.mark.long]
# Several behind one interface: "sqlite shards" are three files, each with the rows of some keys.
SHARDS = " shards"
SHARDED = [pytest.param(each + SHARDS, marks=[] if each == "sqlite" else LONG) for each in ONLINE]
SYNCED = [
    *(pytest.param(each, marks=LONG if each == "mysql9" else LONG[:1]) for each in ONLINE[:-1]),
    ONLINE[-1],
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--both-engines",
        action="store_true",
        help="read each query that the local engine can read by Spark too, and compare",
    )


@pytest.fixture(autouse=True)
def both_engines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --both-engines every query that any test reads is read by both."""
    if request.config.getoption("--both-engines"):
        monkeypatch.setattr(read, "read_query", read_and_compare)


def pytest_report_header() -> str:
    names = {"mysql": "MariaDB", "mysql9": "MySQL"}
    missing = "".join(
        f"; no {name} is up, start it with: make mysql-up"
        for kind, name in names.items()
        if kind not in SERVERS
    )
    return f"online stores: {', '.join(['sqlite', *(names[kind] for kind in SERVERS)])}{missing}"


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
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Path | None:
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
    """An empty store over an empty online store of one kind, or over three shards of it."""
    if kind.endswith(SHARDS):
        with empty_databases(kind.removesuffix(SHARDS), 3, home) as urls:
            yield spark_fs.login({"home": home, "online_url": urls}).get_feature_store()
        return
    if kind == "sqlite":
        yield spark_fs.login({"home": home}).get_feature_store()
        return
    with connected(kind) as cursor, new_database(cursor) as database:
        yield spark_fs.login(
            {"home": home, "online_url": f"{SERVERS[kind]}/{database}"}
        ).get_feature_store()


@contextmanager
def empty_databases(kind: str, count: int, folder: Path) -> Iterator[list[str]]:
    """The URLs of so many empty databases of one kind."""
    if kind == "sqlite":
        yield [f"sqlite:///{folder}/shard_{number}.db" for number in range(count)]
        return
    with connected(kind) as cursor, ExitStack() as stack:
        names = [stack.enter_context(new_database(cursor)) for _ in range(count)]
        yield [f"{SERVERS[kind]}/{name}" for name in names]


@contextmanager
def connected(kind: str) -> Iterator[Any]:
    """A cursor on a server, in no database."""
    server = urlsplit(SERVERS[kind])
    options = {
        "host": server.hostname,
        "port": server.port,
        "user": server.username,
        "password": server.password,
    }
    with mysql.connector.connect(**options) as connection, connection.cursor() as cursor:
        yield cursor


@contextmanager
def new_database(cursor: Any) -> Iterator[str]:
    """The name of an empty database, which goes at the end."""
    name = f"t_{uuid4().hex}"
    cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture(params=SYNCED)
def served(
    request: pytest.FixtureRequest, tmp_path: Path, spark: SparkSession
) -> Iterator[FeatureStore]:  # a session
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


def first_quick(cases: Sequence[T], quick: int = 1, ci: int | None = None) -> list[Any]:
    """The cases of a parametrized test: the quick suite runs the first ones, CI the first ``ci``, ``make slow`` all."""
    marked = []
    for i, case in enumerate(cases):
        costs = LONG if ci is not None and i >= ci else LONG[:1]
        values = case if isinstance(case, tuple) else (case,)
        marked.append(pytest.param(*values, marks=[] if i < quick else costs))
    return marked


def at(text: str) -> datetime:
    """An instant of 2024 in UTC, as in ``at("01-31 12:00")``."""
    return datetime.fromisoformat(f"2024-{text}").replace(tzinfo=UTC)
