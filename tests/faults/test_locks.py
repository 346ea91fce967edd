"""The lock of a sync while workers load its rows: kept from a host that lives, given away by one that is lost, missed before the commit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tables import HERE, clicks, empty_store, finish, rows, sync, values

from spark_fs.errors import ConflictError, OnlineStoreError
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.writer import MySQLWriter

from conftest import ROOT, SERVERS

pytestmark = pytest.mark.skipif(not SERVERS, reason="no server is up: make mysql-up")
LOST = (
    r"The sync of clicks_1 lost its connection to .*, and with it its lock, while rows were loaded:"
    r" nothing of it is online. Sync again."
)


@pytest.fixture(params=SERVERS or ["mysql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with empty_store(request.param, tmp_path) as found:
        yield found


def writer(store: MySQLStore, beat: float) -> MySQLWriter:
    """One whose connection the server gives up after a second of silence."""
    found: Any = MySQLWriter(store)
    found.heartbeat_seconds, found.idle_timeout = beat, 1
    return found


def test_a_lock_is_kept_while_workers_load(store: MySQLStore) -> None:
    write = writer(store, beat=0.2)
    with write.open_session(clicks(store), HERE) as session:
        place = session.begin_staging(full_refresh=True)
        write.load_rows(clicks(store), place, rows((1, "01-01", 10)))
        time.sleep(3)
        with pytest.raises(ConflictError, match="Another sync of clicks_1"):
            sync(store, clicks(store), rows((1, "01-01", 99)))
        session.swap_tables(place, 0)
    assert values(store, clicks(store)) == {1: 10}


def test_a_lock_that_was_lost_is_missed_before_the_commit(store: MySQLStore) -> None:
    sync(store, clicks(store), rows((1, "01-01", 10)))
    write = writer(store, beat=100)
    with write.open_session(clicks(store), HERE) as session:
        place = session.begin_staging(full_refresh=False)
        write.load_rows(clicks(store), place, rows((1, "01-02", 20), (2, "01-02", 20)))
        time.sleep(2)
        with pytest.raises(OnlineStoreError, match=LOST) as raised:
            session.merge_rows(place, 1, None)
    assert raised.value.retryable
    assert values(store, clicks(store)) == {1: 10}
    sync(store, clicks(store), rows((1, "01-02", 20)), version=1)  # its tables are swept


def test_a_connection_that_was_killed_takes_its_sync_with_it(store: MySQLStore) -> None:
    """And the heartbeat that finds it first says nothing: whoever uses the connection is told."""
    sync(store, clicks(store), rows((1, "01-01", 10)))
    write = writer(store, beat=0.1)
    with write.open_session(clicks(store), HERE) as session:
        place = session.begin_staging(full_refresh=False)
        with store.transaction() as cursor:
            cursor.execute(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <>"
                " CONNECTION_ID()"
            )
            for (number,) in cursor.fetchall():
                cursor.execute(f"KILL {number}")
        time.sleep(0.5)
        sync(store, clicks(store), rows((1, "01-03", 30)), version=2)  # another takes its turn
        with pytest.raises(OnlineStoreError, match=LOST):
            session.merge_rows(place, 1, None)
    assert values(store, clicks(store)) == {1: 30}
    done = store.read_sync_state(clicks(store))
    assert done
    assert done.version == 2


HOST = """
import sys
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.writer import MySQLWriter
from tables import HERE, clicks, rows

store = MySQLStore(sys.argv[1])
write = MySQLWriter(store)
write.heartbeat_seconds, write.idle_timeout = 0.3, 2
try:
    with write.open_session(clicks(store), HERE) as session:
        place = session.begin_staging(full_refresh=False)
        write.load_rows(clicks(store), place, rows((1, "01-05", 50)))
        print("loaded", flush=True)
        sys.stdin.readline()
        session.merge_rows(place, 1, None)
        print("merged", flush=True)
except Exception as error:
    print(type(error).__name__, flush=True)
"""


def test_a_lost_host_gives_its_lock_away_and_writes_nothing_when_it_is_back(
    store: MySQLStore,
) -> None:
    table = clicks(store)
    sync(store, table, rows((1, "01-01", 10)))
    url = store._constructor_arguments[0]
    paths = os.pathsep.join(
        str(ROOT / each) for each in (".", "tests", "tests/online", "tests/cluster")
    )
    env = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(
        [sys.executable, "-c", HOST, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as host:
        assert host.stdin
        assert host.stdout
        assert host.stdout.readline() == "loaded\n"
        time.sleep(3)  # longer than it may be silent: it is not
        with (
            pytest.raises(ConflictError, match="Another sync of clicks_1"),
            MySQLWriter(store).open_session(table, HERE),
        ):
            pass
        host.send_signal(
            signal.SIGSTOP
        )  # as a host that the network lost: it says nothing, and its connection is not closed
        began = time.monotonic()
        write: Any = MySQLWriter(store)
        with write.open_session(table, HERE) as session:
            waited = time.monotonic() - began
            finish(write, session, table, rows((1, "01-03", 30), (2, "01-03", 30)), 2)
        host.send_signal(signal.SIGCONT)
        host.stdin.write("\n")
        host.stdin.flush()
        assert host.stdout.readline() == "OnlineStoreError\n"
    assert waited < 5
    assert values(store, table) == {1: 30, 2: 30}
