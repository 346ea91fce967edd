"""What shards and replicas survive: a shard that is down, a job killed between two commits, a replica that lags, stops or goes. No Spark is needed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import mysql.connector
import pytest
from loaded import loaded
from tables import HERE, clicks, rows, sync

import spark_fs
from spark_fs.errors import ConflictError, OnlineStoreError
from spark_fs.online.registry import make_writer, open_servers
from spark_fs.online.replicated.rules import ReadRules
from spark_fs.online.sharded.key_hash import choose_shard

from conftest import LONG, SERVERS, empty_databases
from servers import KINDS, Server

KEYS = 400
TRIALS = int(os.environ.get("SPARK_FS_KILLS", "20"))
# What replicas are told: where their primary is, and to begin.
FOLLOW = {
    "mysql": (
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='spark_fs',"
        " MASTER_PASSWORD='local', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos",
        "START SLAVE",
        "STOP SLAVE SQL_THREAD",
        "START SLAVE SQL_THREAD",
    ),
    "mysql9": (
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port},"
        " SOURCE_USER='spark_fs', SOURCE_PASSWORD='local', SOURCE_CONNECT_RETRY=1,"
        " GET_SOURCE_PUBLIC_KEY=1",
        "START REPLICA",
        "STOP REPLICA SQL_THREAD",
        "START REPLICA SQL_THREAD",
    ),
}


class Replica:
    """A second server that follows a first one by the replication of its own kind."""

    def __init__(self, kind: str, folder: Path) -> None:
        follow, self._begin, self._pause, self._resume = FOLLOW[kind]
        binary_log = ["--log-bin"] if kind == "mysql" else []
        self.primary = KINDS[kind](folder / "primary", "--server-id=1", *binary_log)
        self.server = KINDS[kind](folder / "replica", "--server-id=2")
        self.run(follow.format(port=self.primary.port))
        self.run(self._begin)

    def run(self, statement: str) -> None:
        """Have the replica do something."""
        options = {"host": "127.0.0.1", "port": self.server.port, "user": "spark_fs"}
        with (
            closing(mysql.connector.connect(**options, password="local")) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute(statement)

    def pause(self) -> None:
        """Let it lag from now on: what comes is taken and not done."""
        self.run(self._pause)

    def resume(self) -> None:
        """Let it catch up."""
        self.run(self._resume)

    def kill(self) -> None:
        """End both."""
        for server in (self.server, self.primary):
            server.kill()


@pytest.fixture(scope="module", params=SERVERS)
def replica(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replica]:
    found = Replica(request.param, tmp_path_factory.mktemp(request.param))
    yield found
    found.kill()


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def of_turn(turn: int, keys: int = KEYS) -> Any:
    """A row of each key that says the turn."""
    return rows(*((key, f"01-{turn + 1:02d}", turn) for key in range(keys)))


# -- replicas


def test_a_replica_that_lags_is_known_by_the_syncs_that_it_has(
    replica: Replica, tmp_path: Path
) -> None:
    settings = {
        "home": tmp_path,
        "online_url": replica.primary.url,
        "online_read_urls": [f"{replica.server.url}?connect_timeout=2"],
    }
    fs = spark_fs.login(settings).get_feature_store()
    columns = {"k": "bigint", "at": "timestamp", "v": "bigint"}
    group = loaded(fs, "clicks", columns, of_turn(1).to_pylist(), event_time="at")
    view = fs.create_feature_view("clicks", group.select(["v"]))
    strict = spark_fs.login({**settings, "replica_fallback": "error"}).get_feature_store()
    strict_view = strict.get_feature_view("clicks", 1)

    def versions() -> list[dict[str, int]]:
        return [dict(server.versions) for server in fs.get_online_servers()]

    wait_until(lambda: versions() == [{"clicks_1": 0}] * 2)
    assert strict_view.get_feature_vector({"k": 3}) == [1]

    replica.pause()
    primary = fs._stores.online.primary
    origin = type(HERE)("clicks", "clicks")
    sync(primary, clicks(primary), of_turn(2), 1, origin)
    time.sleep(0.5)
    assert versions() == [{"clicks_1": 1}, {"clicks_1": 0}]
    assert view.get_feature_vector({"k": 3}) == [1]  # no bound was asked for
    assert view.get_feature_vector({"k": 3}, max_replica_age=0.2) == [2]  # of the primary
    assert strict_view.get_feature_vector({"k": 3}, max_replica_age=3_600) == [1]
    with pytest.raises(OnlineStoreError, match=r"may be [\d.,]+ s old, and 0.2 s are allowed"):
        strict_view.get_feature_vector({"k": 3}, max_replica_age=0.2)
    lagging = fs.get_online_servers()[1]
    assert lagging.age_seconds >= 0.5

    replica.resume()
    wait_until(lambda: versions() == [{"clicks_1": 1}] * 2)
    assert strict_view.get_feature_vector({"k": 3}, max_replica_age=30) == [2]
    caught_up = fs.get_online_servers()[1]
    assert caught_up.age_seconds < lagging.age_seconds + 30

    # The primary goes: replicas serve on within the bound, by the heartbeat that they have.
    fs.write_online_heartbeat()
    beat = primary.read_sync_states()["$heartbeat"].run_id
    replica_store = fs._stores.online.replicas[0].store
    wait_until(
        lambda: any(state.run_id == beat for state in replica_store.read_sync_states().values())
    )
    replica.primary.kill()
    assert strict_view.get_feature_vector({"k": 3}, max_replica_age=3_600) == [2]
    with pytest.raises(OnlineStoreError, match=r"may be [\d.,]+ s old, and 0 s are allowed"):
        strict_view.get_feature_vector({"k": 3}, max_replica_age=0)
    replica.primary.start()

    # The replica goes while threads read: no request fails.
    failures: list[BaseException] = []
    stopped = threading.Event()

    def read() -> None:
        while not stopped.is_set():
            try:
                assert view.get_feature_vector({"k": 3}) == [2]
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    replica.server.kill()
    time.sleep(1)
    down = fs.get_online_servers()[1]
    stopped.set()
    for thread in threads:
        thread.join()
    replica.server.start()
    assert not failures
    assert not down.reachable
    assert f"127.0.0.1:{replica.server.port}/store" in down.error
    assert "local" not in down.error.replace("localhost", "")


# -- shards


@pytest.fixture(scope="module", params=SERVERS)
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """Two servers, each a shard."""
    folder = tmp_path_factory.mktemp(request.param)
    found = [KINDS[request.param](folder / str(number)) for number in range(2)]
    yield found
    for server in found:
        server.kill()


def test_a_shard_that_goes_is_named_and_the_others_serve(
    servers: list[Server], tmp_path: Path
) -> None:
    urls = [server.url for server in servers]
    fs = spark_fs.login({"home": tmp_path, "online_url": urls}).get_feature_store()
    columns = {"k": "bigint", "at": "timestamp", "v": "bigint"}
    group = loaded(fs, "clicks", columns, of_turn(1).to_pylist(), event_time="at")
    view = fs.create_feature_view("clicks", group.select(["v"]))
    entries = [{"k": key} for key in range(KEYS)]
    assert view.get_feature_vectors(entries) == [[1]] * KEYS
    store = fs._stores.online
    origin = type(HERE)("clicks", "clicks")
    servers[1].kill()
    name = rf"^Shard 2 of 2 of the online store: The online store 127.0.0.1:{servers[1].port}/store"
    for key in range(20):
        if choose_shard([key], 2) == 0:
            assert view.get_feature_vector({"k": key}) == [1]
        else:
            with pytest.raises(OnlineStoreError, match=name) as down:
                view.get_feature_vector({"k": key})
            assert "local" not in str(down.value)
    with pytest.raises(OnlineStoreError, match=name):
        view.get_feature_vectors(entries)
    with pytest.raises(OnlineStoreError, match=name):
        fs.check_serving()
    with pytest.raises(OnlineStoreError, match=name):
        sync(store, clicks(store), of_turn(2), 1, origin)
    assert [server.reachable for server in fs.get_online_servers()] == [True, False]
    servers[1].start()
    assert view.get_feature_vectors(entries) == [[1]] * KEYS  # nothing of that sync is online
    sync(store, clicks(store), of_turn(2), 1, origin)
    assert view.get_feature_vectors(entries) == [[2]] * KEYS


def test_a_shard_that_hangs_holds_its_own_keys_alone_and_is_named(
    servers: list[Server], tmp_path: Path
) -> None:
    urls = [f"{server.url}?read_timeout=3&connect_timeout=3" for server in servers]
    fs = spark_fs.login({"home": tmp_path, "online_url": urls}).get_feature_store()
    group = loaded(fs, "waits", {"k": "bigint", "v": "bigint"}, of_turn(1).to_pylist())
    view = fs.create_feature_view("waits", group.select(["v"]))
    entries = [{"k": key} for key in range(40)]
    keys: list[list[int]] = [[], []]
    for key in range(40):
        keys[choose_shard([key], 2)].append(key)
    assert view.get_feature_vectors(entries) == [[1]] * 40
    servers[1].pause()
    try:
        with ThreadPoolExecutor(17) as callers:
            asked = [callers.submit(view.get_feature_vectors, entries) for _ in range(8)]
            asked += [callers.submit(view.get_feature_vector, {"k": keys[1][0]}) for _ in range(8)]
            for key in keys[0]:
                assert view.get_feature_vector({"k": key}) == [1]
            for each in asked:
                with pytest.raises(OnlineStoreError, match=r"^Shard 2 of 2 of the online store"):
                    each.result(timeout=30)
    finally:
        servers[1].resume()
    assert view.get_feature_vectors(entries) == [[1]] * 40


def test_a_shard_that_goes_while_a_sync_runs(servers: list[Server]) -> None:
    store = open_servers([server.url for server in servers], [(), ()], "", ReadRules())
    table = clicks(store, "while_it_runs")
    sync(store, table, of_turn(1), 1)
    write: Any = make_writer(store)
    name = rf"^Shard 1 of 2 of the online store: .*127.0.0.1:{servers[0].port}/store"

    def sync_while_it_goes() -> None:
        with write.open_session(table, HERE) as session:
            staging = session.begin_staging(full_refresh=False)
            write.load_rows(table, staging, of_turn(2))
            servers[0].kill()
            session.merge_rows(staging, 2, None)

    with pytest.raises(OnlineStoreError, match=name):
        sync_while_it_goes()
    servers[0].start()
    assert store.read_sync_state(table).version == 1
    online = {row[0]: row[-1] for row in write.read_buckets(table, 1, [0], None)}
    assert online == {key: 2 if choose_shard([key], 2) == 1 else 1 for key in range(KEYS)}
    sync(store, table, of_turn(2), 2)
    assert {row[-1] for row in write.read_buckets(table, 1, [0], None)} == {2}


# A job that syncs turn after turn from where the shards are, until it is killed.
JOB = """
import sys
from spark_fs.online.registry import open_servers
from spark_fs.online.replicated.rules import ReadRules
from tables import clicks, sync
from test_shards import of_turn

store = open_servers(sys.argv[1:], [()] * len(sys.argv[1:]), "", ReadRules())
table = clicks(store, "killed")
while True:
    state = store.read_sync_state(table)
    turn = 1 if state is None else state.version % 27 + 1
    sync(store, table, of_turn(turn), turn)
    print(turn, flush=True)
"""


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=LONG if kind == "mysql9" else ()) for kind in ("sqlite", *SERVERS)],
)
def test_a_job_killed_at_any_point_leaves_each_shard_whole(kind: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    draw = random.Random(4)
    with empty_databases(kind, 3, tmp_path) as urls:
        store = open_servers(urls, [()] * 3, "", ReadRules())
        table = clicks(store, "killed")
        apart = 0
        for _ in range(max(4, TRIALS // 5)):
            with subprocess.Popen(
                [sys.executable, "-c", JOB, *urls],
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
            ) as job:
                assert job.stdout
                assert job.stdout.readline(), "the job ended by itself"
                time.sleep(draw.uniform(0.0, 0.5))
                job.send_signal(signal.SIGKILL)
            versions = []
            for number, shard in enumerate(store.shards):
                shard_table = store.make_shard_table(table, number)
                versions.append(shard.read_sync_state(shard_table).version)
                online = list(make_writer(shard).read_buckets(shard_table, 1, [0], None))
                assert {row[-1] for row in online} == {versions[-1]}  # as of one version
                expected = [key for key in range(KEYS) if choose_shard([key], 3) == number]
                assert sorted(row[0] for row in online) == expected
            apart += len(set(versions)) > 1
            assert store.read_sync_state(table).version == min(versions)
            _finish(store, table, max(versions))
        print(f"{kind}: shards were at different versions after {apart} kills")


def _finish(store: Any, table: Any, turn: int) -> None:
    """The next sync; the server may hold the lock of what was killed until its statement ends."""
    for _ in range(20):
        try:
            sync(store, table, of_turn(turn), turn)
            break
        except ConflictError:
            time.sleep(0.5)
    online = list(make_writer(store).read_buckets(table, 1, [0], None))
    assert {row[-1] for row in online} == {turn}
    assert len(online) == KEYS
