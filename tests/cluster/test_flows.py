"""Whole flows by spark-submit, on this machine alone and on a cluster, give the same: tables, training data, models, what is online."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mysql.connector
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from credit_card_fraud import demo as fraud
from flights import demo as flights

from conftest import MYSQL
from oracles import same_rows
from standalone import Alone, Cluster, Place, run

FLOWS = {
    "flights": (flights.steps_of, {}, ["late_arrivals"]),
    "fraud": (
        lambda home: fraud.steps_of(home, 500),
        {"FRAUD_SOURCE": "{home}/source"},
        ["cc_fraud", "cc_fraud_plain"],
    ),
}


@pytest.fixture
def databases() -> Iterator[list[str]]:
    """The URLs of two empty databases."""
    if not MYSQL:
        pytest.fail(
            "The executors write to MariaDB here and none is up: start it with make mysql-up."
        )
    server = urlsplit(MYSQL)
    names = ["cluster_test_local", "cluster_test_cluster"]
    reached = {
        "host": server.hostname,
        "port": server.port,
        "user": server.username,
        "password": server.password,
    }
    with closing(_connected(reached)) as connection, closing(connection.cursor()) as cursor:
        for name in names:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}")
        yield [f"{MYSQL}/{name}" for name in names]
        for name in names:
            cursor.execute(f"DROP DATABASE {name}")


def _connected(options: dict[str, Any]) -> Any:
    return mysql.connector.connect(**options)


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_gives_the_same_on_a_cluster(
    flow: str, cluster: Cluster, databases: list[str], tmp_path: Path, spark: SparkSession
) -> None:
    steps_of, more, views = FLOWS[flow]
    homes = [tmp_path / "local", tmp_path / "cluster"]
    places: list[Place] = [Alone(), cluster]
    for home, url, place in zip(homes, databases, places, strict=True):
        home.mkdir()
        env = {
            "SPARK_FS_HOME": str(home),
            "SPARK_FS_ONLINE_URL": url,
            **{n: v.format(home=home) for n, v in more.items()},
        }
        for title, job in steps_of(home).items():
            done = run(place, job, env)
            assert done.returncode == 0, f"{title}: {done.stdout[-3_000:]}\n{done.stderr[-3_000:]}"
    local, there = (
        spark_fs.login({"home": home, "online_url": url}).get_feature_store()
        for home, url in zip(homes, databases, strict=True)
    )
    compared = 0
    for group in local.get_feature_groups():
        other = there.get_feature_group(group.name, group.version)
        rows = group.read("pandas")
        same_rows(
            other.read("pandas"),
            rows,
            [*group.primary_key, *([group.event_time] if group.event_time else [])],
        )
        compared += len(rows)
        assert group.watermark == other.watermark
    assert compared > 100_000
    for name in views:
        mine, theirs = (
            fs.get_feature_view(name, 1).get_train_test_split(1) for fs in (local, there)
        )
        for one, another in zip(mine, theirs, strict=True):
            pd.testing.assert_frame_equal(one, another)  # in order, to the last bit
    figures = [json.loads((home / "figures.json").read_text()) for home in homes]
    assert figures[0] == figures[1]
    assert all(
        found.ok
        for fs in (local, there)
        for found in fs.verify_online(now="2024-02-14T03:00" if flow == "fraud" else None)
    )
    assert _online(databases[0]) == _online(databases[1])


def _online(url: str) -> dict[str, list[Any]]:
    """Every row of every table of a database, but what tells of the runs."""
    parts = urlsplit(url)
    reached = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path[1:],
    }
    with closing(_connected(reached)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SHOW TABLES")
        names = [name for (name,) in cursor.fetchall() if not name.startswith("_")]
        found = {}
        for name in names:
            cursor.execute(f"SELECT * FROM `{name}` ORDER BY 1, 2")
            found[name] = sorted(cursor.fetchall(), key=repr)
    assert found
    return found
