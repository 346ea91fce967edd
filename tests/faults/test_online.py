"""What the online store survives: killed servers and jobs, lost answers, readers beside a sync. After each, ``verify`` finds no difference."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from proxy import Proxy
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from test_tls import certificate

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import ConflictError, OnlineStoreError
from spark_fs.flows.jobs import RunningJob

from conftest import ONLINE, SERVERS, online_store
from servers import KINDS, Server

PIPELINE = str(Path(__file__).with_name("pipeline.py"))
TRIALS = int(os.environ.get("SPARK_FS_KILLS", "20"))
KEYS = 60_000


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    found = KINDS[request.param](tmp_path_factory.mktemp(request.param))
    yield found
    found.kill()


def store(home: Path, url: str) -> FeatureStore:
    return spark_fs.login({"home": home, "online_url": url}).get_feature_store()


def of_turn(spark: SparkSession, turn: int, keys: int = KEYS) -> DataFrame:
    """A row of each key whose features all say the turn."""
    at = (F.to_timestamp(F.lit("2024-01-01")) + F.make_dt_interval(F.lit(turn))).alias("at")
    return spark.range(keys).select(
        F.col("id").alias("k"), at, *(F.lit(turn).cast("bigint").alias(f"f{i}") for i in range(6))
    )


def group_of(fs: FeatureStore) -> FeatureGroup:
    return fs.get_or_create_feature_group(
        "turns", primary_key=["k"], event_time="at", online_enabled=True
    )


def synced(group: FeatureGroup) -> None:
    """Bring it online; a sync that was killed on the server's side may hold the lock until its statement ends."""
    for _ in range(12):
        try:
            group.sync_online()
            break
        except ConflictError:
            time.sleep(1)
    assert group.verify_online().ok


def changed(spark: SparkSession, group: FeatureGroup, turn: int) -> None:
    """A commit or two: new rows for all keys, and now and then deleted ones."""
    group.insert(of_turn(spark, turn))
    if turn % 2:
        group.delete_records(spark.range(turn * 10, turn * 10 + 500).withColumnRenamed("id", "k"))


def test_a_server_killed_in_the_middle_of_a_sync(
    spark: SparkSession, tmp_path: Path, server: Server
) -> None:
    group = group_of(store(tmp_path, server.url))
    changed(spark, group, 0)
    synced(group)
    changed(spark, group, 1)
    began = time.monotonic()
    synced(group)
    seconds = time.monotonic() - began
    draw, failed = random.Random(2), 0
    for turn in range(2, 2 + max(4, TRIALS // 3)):
        changed(spark, group, turn)
        job = RunningJob("sync", group.sync_online)
        time.sleep(draw.uniform(0.05, 0.9) * seconds)
        server.kill()
        job.wait()
        server.start()
        failed += job.state == "failed"
        if job.state == "failed":
            assert isinstance(job.error, OnlineStoreError)
            assert job.error.retryable
        assert group.verify_online(synced=True).ok  # as it was, or whole
        synced(group)
    assert failed


def test_a_job_killed_at_any_point(spark: SparkSession, tmp_path: Path, server: Server) -> None:
    fs = store(tmp_path, server.url)
    group = fs.create_feature_group(
        "killed", primary_key=["k"], event_time="at", online_enabled=True
    )
    draw, seconds, before = random.Random(1), 0.0, 0
    for turn in range(TRIALS + 1):
        changed(spark, group, turn)
        run = subprocess.Popen(
            [sys.executable, PIPELINE, "sync", str(tmp_path), server.url, "killed"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert run.stdout
        assert run.stdout.readline() == "ready\n"
        began = time.monotonic()
        if turn:
            time.sleep(draw.uniform(0.0, 1.0) * seconds)
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            done = fs._stores.online.read_sync_state(table_of(group))
            before += done is not None and done.version < group.commit_details(1)[0].version
            assert group.verify_online(synced=True).ok
        else:  # undisturbed, to know how long it takes
            run.communicate()
            assert run.returncode == 0
            seconds = time.monotonic() - began
        synced(group)
    assert before  # some were killed before their end


def table_of(group: FeatureGroup) -> object:
    from spark_fs.online.table_layout import build_online_table  # noqa: PLC0415 # only here

    return build_online_table(group.spec, group._stores.online.capabilities)


@pytest.mark.parametrize("pass_on", [True, False], ids=["after the commit", "before the commit"])
def test_a_connection_lost_at_the_commit(
    spark: SparkSession, tmp_path: Path, server: Server, pass_on: bool
) -> None:
    name = "lost_after" if pass_on else "lost_before"
    group = store(tmp_path, server.url).create_feature_group(
        name, primary_key=["k"], event_time="at", online_enabled=True
    )
    group.insert(of_turn(spark, 0, 100))
    group.sync_online()
    group.insert(of_turn(spark, 1, 100))
    done, own = b"REPLACE INTO _spark_fs_synced", certificate(tmp_path, "between", "IP:127.0.0.1")
    proxy = Proxy(
        server.port,
        lambda data, said: data.lower().endswith(b"commit") and done in said,
        pass_on,
        own,
    )
    through = store(
        tmp_path, server.url.replace(str(server.port), str(proxy.port))
    ).get_feature_group(name, 1)
    if pass_on:  # it was done, and the job finds that out
        job = through.sync_online()
        assert (job.summary["written"], job.summary["to_version"]) == (100, 1)
        assert group.verify_online().ok
    else:
        with pytest.raises(OnlineStoreError, match=r"gave no answer|failed"):
            through.sync_online()
        assert not group.verify_online().ok
        assert group.verify_online(synced=True).ok
    assert proxy.cuts == 1
    proxy.close()
    assert group.sync_online().summary["written"] == (0 if pass_on else 100)
    assert group.verify_online().ok


def test_a_serving_process_goes_on_when_the_server_is_there_again(
    spark: SparkSession, tmp_path: Path, server: Server
) -> None:
    fs = store(tmp_path, server.url + "?read_timeout=2&connect_timeout=2")
    group = fs.create_feature_group(
        "served", primary_key=["k"], event_time="at", online_enabled=True
    )
    group.insert(of_turn(spark, 3, 10))
    group.sync_online()
    view = fs.create_feature_view("served", group.select_features())
    for _ in range(2):
        assert view.get_feature_vector({"k": 1}) == [3] * 6
        server.kill()
        with pytest.raises(
            OnlineStoreError, match=r"The online store 127.0.0.1:\d+/store failed|gave no answer"
        ):
            view.get_feature_vector({"k": 1})
        server.start()
        assert (
            view.get_feature_vector({"k": 1}) == [3] * 6
        )  # no call is lost to a connection that was
        server.kill()
        server.start()


@pytest.mark.parametrize("kind", ONLINE)
def test_fifty_readers_beside_a_sync_see_no_torn_and_no_older_row(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    with online_store(kind, tmp_path) as fs:
        online = fs._stores.online
        online.capabilities = replace(
            online.capabilities, max_columns=4
        )  # so that a row lies in three tables
        group, keys = group_of(fs), 2_000
        group.insert(of_turn(spark, 0, keys))
        group.sync_online()
        view = fs.create_feature_view("turns", group.select_features())
        view.init_serving()
        over, seen, wrong = threading.Event(), [0] * 50, []

        def read(number: int) -> None:
            draw, newest = random.Random(number), dict.fromkeys(range(keys), 0)
            while not over.is_set() and not wrong:
                asked = [draw.randrange(keys) for _ in range(1 if number % 2 else 20)]
                try:
                    found = view.get_feature_vectors([{"k": k} for k in asked])
                except Exception as error:
                    wrong.append(repr(error))
                    return
                for k, vector in zip(asked, found, strict=True):
                    if len(set(vector)) != 1 or vector[0] < newest[k]:
                        wrong.append((k, vector, newest[k]))
                    newest[k] = max(newest[k], vector[0])
                seen[number] += 1

        readers = [threading.Thread(target=read, args=(number,)) for number in range(50)]
        for reader in readers:
            reader.start()
        for turn in range(1, 6):
            group.insert(of_turn(spark, turn, keys))
            group.sync_online(full=turn == 3)
        over.set()
        for reader in readers:
            reader.join()
        assert not wrong
        assert min(seen) > 0
        assert group.verify_online().ok
