"""Stores that are full, locked, or gone: refused with what to do, nothing half written, and the same call goes through when they are back."""

import ast
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.errors import CatalogError, SetupError, SparkFSError
from spark_fs.pipelines import load, run

from conftest import ROOT, SERVERS
from servers import KINDS
from toy import groups

ROWS = pd.DataFrame(
    {"k": [1, 2], "t": pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True), "v": [1.0, 2.0]}
)


def test_a_full_disk_under_every_store(tmp_path: Path, spark: SparkSession) -> None:
    """In a file system of its own of 24 MB: what is done on it is in ``pipeline.full``."""
    mounted = 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"'
    command = [sys.executable, str(Path(__file__).with_name("pipeline.py")), "full", str(tmp_path)]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, str(tmp_path), *command],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [ast.literal_eval(line) for line in done.stdout.splitlines() if line.startswith("(")]
    assert done.returncode == 0, done.stderr[-2_000:]
    assert [what for what, *_ in said] == [
        "insert",
        "statistics",
        "training data",
        "sync",
        "catalog",
        "again",
    ]
    for what, ours, message in said[:-1]:
        assert ours, f"{what}: {message}"
        assert "went through" not in message, what
    assert "No space left" in said[0][2]
    assert "another sync" not in said[3][2].lower()
    assert said[-1] == ("again", True, "all rows, 200 online, 1 dataset")


def test_a_locked_metadata_database_is_waited_for_then_refused_and_nothing_is_half_done(
    tmp_path: Path, spark: SparkSession
) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    group = fs.create_feature_group("cards", primary_key=["k"], event_time="t")
    with closing(sqlite3.connect(tmp_path / "catalog.db", check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            CatalogError,
            match=(
                r"The metadata database at sqlite:.*catalog.db failed: .*database is locked.*"
                r" Nothing was changed in it"
            ),
        ) as refused:
            group.insert(ROWS)
        assert refused.value.retryable
        threading.Timer(1.0, other.rollback).start()
        assert group.insert(ROWS)[0].summary["inserted"] == 2  # it waits a few seconds
    assert len(group.read("pandas")) == 2


def test_a_run_whose_metadata_database_is_locked_for_a_while_goes_on(
    tmp_path: Path, spark: SparkSession
) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    pipeline = load(ROOT / "tests" / "toy" / "hourly.yaml")
    assert run(fs, pipeline, "2024-01-01T01:00").state == "finished"
    with closing(sqlite3.connect(tmp_path / "catalog.db", check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        threading.Timer(2.0, other.rollback).start()
        assert run(fs, pipeline, "2024-01-01T02:00").state == "finished"


def test_a_metadata_database_that_is_gone_or_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(
        SetupError,
        match=(
            r"The metadata database at sqlite:.*catalog.db cannot be opened: .*file is not a"
            r" database.* Check catalog_url"
        ),
    ):
        spark_fs.login({"home": tmp_path}).get_feature_store().get_feature_groups()
    with pytest.raises(
        SetupError,
        match=(
            r"The metadata database at mysql.*:\*\*\*@127.0.0.1:9/x cannot be opened: .*Check"
            r" catalog_url, and that the server runs"
        ),
    ):
        spark_fs.login(
            {"home": tmp_path, "catalog_url": "mysql://u:secret@127.0.0.1:9/x"}
        ).get_feature_store().get_feature_groups()
    with pytest.raises(
        SetupError, match="The metadata database at a URL that cannot be read cannot be opened"
    ):
        spark_fs.login(
            {"home": tmp_path, "catalog_url": "no url"}
        ).get_feature_store().get_feature_groups()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_restarted_under_metadata_and_online_store(
    kind: str, tmp_path: Path, spark: SparkSession
) -> None:
    server = KINDS[kind](tmp_path / "server")
    fs = spark_fs.login(
        {"home": tmp_path, "catalog_url": server.url, "online_url": server.url}
    ).get_feature_store()
    pipeline = load(ROOT / "tests" / "toy" / "hourly.yaml")
    assert run(fs, pipeline, "2024-01-01T01:00").state == "finished"
    view = fs.create_feature_view("served", groups.readings(fs).select(["v0", "v1"]))
    wanted = view.get_feature_vector({"meter": 1})
    server.kill()
    with pytest.raises(
        CatalogError,
        match=(
            r"The metadata database at mysql.*spark_fs:\*\*\*@.* failed: .*Nothing was changed"
            r" in it"
        ),
    ):
        fs.get_feature_groups()
    with pytest.raises(SparkFSError, match=r"metadata database|online store"):
        run(fs, pipeline, "2024-01-01T02:00")
    server.start()
    assert (
        run(fs, pipeline, "2024-01-01T02:00").state == "finished"
    )  # the same objects, on new connections
    assert view.get_feature_vector({"meter": 1}) != wanted
    assert all(found.ok for found in fs.verify_online(now="2024-01-01T02:00"))
    server.kill()
