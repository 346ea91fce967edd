"""What each online store does as a database, looked at without Spark: whose tables are whose, locks, forks, TLS, and how rows get in."""

import decimal
import math
import os
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tables import HERE, THERE, clicks, empty_store, finish, rows, sync, table_of, values

from spark_fs.errors import ConflictError, OnlineRefusedError, OnlineStoreError, SettingsError
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.registry import make_writer
from spark_fs.online.sqlite.store import SQLiteStore
from spark_fs.online.statements import ORIGIN_TABLE

from conftest import ONLINE, ROOT, SERVERS, connected

Store = MySQLStore | SQLiteStore
on_servers = pytest.mark.skipif(not SERVERS, reason="no server is up: make mysql-up")


@pytest.fixture(params=ONLINE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with empty_store(request.param, tmp_path) as found:
        yield found


@pytest.fixture(params=SERVERS or ["mysql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(store: Store, statement: str) -> None:
    """A statement of somebody else's."""
    with store.transaction() as cursor:
        cursor.execute(statement)


# -- two stores, one database


def test_rows_of_another_store_are_not_overwritten(store: Store) -> None:
    table = clicks(store)
    sync(store, table, rows((1, "01-01", 10)))
    with pytest.raises(
        OnlineRefusedError,
        match=(
            r"holds clicks_1 of another feature store, made from /here/clicks_1 on one; this one is"
            r" at /there/clicks_1 on another. Nothing was written. Name a database of its own in"
            r" online_url, or, where that table is no longer needed, drop it"
        ),
    ):
        sync(store, table, rows((1, "01-02", 99)), origin=THERE)
    more = table_of(store, {"k": "bigint", "at": "timestamp", "v": "bigint", "w": "bigint"})
    store.add_columns(more, THERE)
    store.drop_table(table, THERE)  # the other store deletes its group
    assert values(store, table) == {1: 10}
    sync(store, table, rows((2, "01-01", 20)), version=1)
    assert values(store, table) == {1: 10, 2: 20}
    with pytest.raises(OnlineStoreError, match=r"lacks a (column|table)"):
        store.prepare_lookup([_source(more, "w")], ["bigint"])([[1]], datetime.now(UTC))


def _source(table: Any, column: str) -> Any:
    from spark_fs.online.store import LookupSource  # noqa: PLC0415 # only here

    return LookupSource(table, (column,), {"k": (0,)})


def test_groups_of_other_names_share_a_database(store: Store) -> None:
    sync(store, clicks(store), rows((1, "01-01", 10)))
    sync(store, clicks(store, "visits"), rows((1, "01-01", 11)), origin=THERE)
    assert [values(store, clicks(store, name)) for name in ("clicks", "visits")] == [
        {1: 10},
        {1: 11},
    ]


def test_a_database_of_an_earlier_version_belongs_to_the_first_that_comes(store: Store) -> None:
    table = clicks(store)
    sync(store, table, rows((1, "01-01", 10)))
    run(store, f"DROP TABLE {ORIGIN_TABLE}")  # as earlier versions left it
    sync(store, table, rows((1, "01-02", 20)), version=1, origin=THERE)
    with pytest.raises(
        OnlineRefusedError,
        match="made from /there/clicks_1 on another; this one is at /here/clicks_1 on one",
    ):
        sync(store, table, rows((1, "01-03", 30)), version=2)
    assert values(store, table) == {1: 20}


def test_a_table_that_was_dropped_may_be_made_by_another_store(store: Store) -> None:
    table = clicks(store)
    sync(store, table, rows((1, "01-01", 10)))
    run(store, "DROP TABLE clicks_1")
    sync(store, table, rows((2, "01-01", 20)), origin=THERE)
    assert values(store, table) == {2: 20}
    store.drop_table(table, THERE)
    sync(store, table, rows((3, "01-01", 30)))
    assert values(store, table) == {3: 30}


def test_a_table_that_no_sync_made_is_left_alone(store: Store) -> None:
    run(store, "CREATE TABLE clicks_1 (k INTEGER PRIMARY KEY)")
    run(store, "INSERT INTO clicks_1 VALUES (7)")
    with pytest.raises(
        OnlineRefusedError,
        match=r"holds a table clicks_1 that no sync has made. Nothing was written.",
    ):
        sync(store, clicks(store), rows((1, "01-01", 10)))
    with store.transaction() as cursor:
        asked: Any = (
            cursor.execute("SELECT k FROM clicks_1") or cursor
        )  # SQLite's is a connection, whose cursor is new
        assert asked.fetchall() == [(7,)]


# -- locks and forks


def test_a_lock_is_of_one_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from spark_fs.online.mysql import writer as mysql_writer  # noqa: PLC0415 # to shorten its wait
    from spark_fs.online.sqlite import writer as sqlite_writer  # noqa: PLC0415

    monkeypatch.setattr(mysql_writer, "_LOCK_TIMEOUT", 0)
    monkeypatch.setattr(sqlite_writer, "_LOCK_TIMEOUT", 0.1)
    write: Any = make_writer(store)
    table, other = clicks(store), clicks(store, "visits")
    with write.open_session(table, HERE) as session:
        sync(store, other, rows((1, "01-01", 1)))
        with pytest.raises(
            ConflictError, match=r"Another sync of clicks_1 in .* is running.*: nothing was written"
        ):
            sync(store, table, rows((1, "01-01", 2)))
        finish(write, session, table, rows((1, "01-01", 3)), 0)
    assert (values(store, table), values(store, other)) == ({1: 3}, {1: 1})


FORK = """
import os, sys, threading
from datetime import UTC, datetime
from spark_fs.online.{module} import {name}

store = {name}(sys.argv[1])

def asked():
    {asked}

mine = asked()
held = {held}
child = os.fork()
if not child:
    if sys.argv[2] == "asks":
        print("child", asked() != mine, {held} is not held, flush=True)
    sys.exit(0)  # by way of the interpreter's end, which frees what is left
print("ended", os.waitpid(child, 0)[1], flush=True)
print("parent", asked() == mine, {held} is held, flush=True)
"""
FORKED = {
    "mysql": {
        "module": "mysql.store",
        "name": "MySQLStore",
        "asked": "return store.run_query(lambda _: ('SELECT CONNECTION_ID()', ()))",
        "held": "store._pool._free[-1]",
    },
    "sqlite": {
        "module": "sqlite.store",
        "name": "SQLiteStore",
        "asked": "return id(store.get_connection()) + store.check_connection()",
        "held": "store.get_connection()",
    },
}


@on_servers
@pytest.mark.parametrize("child", ["asks", "ends"])
def test_a_server_s_connection_is_the_parent_s_alone(kind: str, child: str) -> None:
    said = _forked("mysql", f"{SERVERS[kind]}/{'mysql'}", child)
    assert said == ([["child", "True", "True"]] if child == "asks" else []) + [
        ["ended", "0"],
        ["parent", "True", "True"],
    ]


def test_a_file_s_connection_is_the_parent_s_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "online.db")
    sync(SQLiteStore(path), clicks(SQLiteStore(path)), rows((1, "01-01", 10)))
    script = FORK.format(**{**FORKED["sqlite"], "asked": "return store.get_connection()"})
    done = subprocess.run(
        [sys.executable, "-c", script, path, "asks"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["child", "True", "True"],
        ["ended", "0"],
        ["parent", "True", "True"],
    ]


def _forked(name: str, where: str, child: str) -> list[list[str]]:
    script = FORK.format(**FORKED[name])
    done = subprocess.run(
        [sys.executable, "-c", script, where, child],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return [line.split() for line in done.stdout.splitlines()]


@on_servers
def test_a_connection_that_was_silent_for_long_is_not_asked(kind: str, tmp_path: Path) -> None:
    """What lies between may have dropped it without a word; an answer would be waited for in vain."""
    with empty_store(kind, tmp_path) as store:

        def number() -> Any:
            return store.run_query(lambda _: ("SELECT CONNECTION_ID()", ()))

        first = number()
        assert number() == first
        store._pool._free[-1]._last_used -= 201
        second = number()
        assert second != first
        assert number() == second


# -- rights


@contextmanager
def a_user(kind: str, store: MySQLStore, rights: str) -> Iterator[MySQLStore]:
    """The same database, as a user with these rights in it alone."""
    name = f"u{store.database[-12:]}"
    with connected(kind) as cursor:
        cursor.execute(f"CREATE USER '{name}'@'127.0.0.1' IDENTIFIED BY 'its-own'")
        try:
            cursor.execute(f"GRANT {rights} ON {store.database}.* TO '{name}'@'127.0.0.1'")
            yield MySQLStore(
                f"mysql://{name}:its-own@{SERVERS[kind].split('@')[1]}/{store.database}"
            )
        finally:
            cursor.execute(f"DROP USER '{name}'@'127.0.0.1'")


def granted() -> list[str]:
    """The rights that the documentation names: those of the user that syncs, and of the one that serves."""
    return re.findall(r"GRANT (.+) ON ", ROOT.joinpath("docs", "online.md").read_text())


@on_servers
def test_the_documented_rights_are_enough(kind: str, tmp_path: Path) -> None:
    syncing, serving = granted()
    with empty_store(kind, tmp_path) as store:
        whole = table_of(store, {"k": "bigint", "at": "timestamp", "text": "string"})
        given = [
            rows((1, "01-01", 1), (2, "01-01", 2))
            .select(["k", "at"])
            .append_column("text", pa.array(texts))
            for texts in (["a", "b"], ["a" * 500, "b"])
        ]
        with a_user(kind, store, syncing) as user:
            write: Any = make_writer(user)
            sync(user, whole, given[0])
            sync(user, whole, given[1], version=1)  # whose texts make a column wider
            with write.open_session(whole, HERE) as session:
                place = session.begin_staging(full_refresh=False)
                write.load_deleted_keys(whole, place, given[0].select(["k"]).slice(1))
                assert session.merge_rows(place, 2, None).deleted == 1
            user.add_columns(
                table_of(
                    store, {"k": "bigint", "at": "timestamp", "text": "string", "more": "double"}
                ),
                HERE,
            )
        with a_user(kind, store, serving) as user:
            ((_, found, text),) = user.prepare_lookup([_source(whole, "text")], ["bigint"])(
                [[1]], datetime.now(UTC)
            )
            assert (found, bytes(text)) == (1, b"a" * 500)
            assert values(user, whole) == {1: "a" * 500}
            assert user.read_sync_state(whole)
            with pytest.raises(
                OnlineRefusedError,
                match=r"refused user 'u\w+' \(1142\): .* or what the user may do",
            ):
                sync(user, whole, given[0], version=3)
        with a_user(kind, store, syncing) as user:
            user.drop_table(whole, HERE)


@on_servers
def test_a_reader_of_an_empty_database_is_told_of_no_sync(kind: str, tmp_path: Path) -> None:
    with empty_store(kind, tmp_path) as store, a_user(kind, store, granted()[1]) as user:
        assert user.read_sync_state(clicks(user)) is None


# -- the driver


def said_by(code: str) -> str:
    """What a new process says."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.stdout + done.stderr


def test_the_driver_s_c_extension_is_loaded_before_pandas(tmp_path: Path) -> None:
    """As in a process that serves a view whose transformations need pandas."""
    login = (
        f"import spark_fs; spark_fs.login({{'home': {str(tmp_path)!r}, 'online_url':"
        " 'mysql://me@127.0.0.1:9/db'})"
    )
    assert (
        said_by(f"{login}; import pandas; import mysql.connector; print(mysql.connector.HAVE_CEXT)")
        == "True\n"
    )


def test_a_process_that_serves_without_the_c_extension_says_so() -> None:
    code = (
        "import sys; sys.modules['_mysql_connector'] = None; from spark_fs.online.mysql.store"
        " import MySQLStore; MySQLStore('mysql://me@127.0.0.1:9/db')._pool"
    )
    assert (
        said_by(code).strip()
        == "mysql-connector-python runs without its C extension, and look-ups take four times as"
        " long: import spark_fs and log in, or import mysql.connector, before pandas and"
        " pyarrow."
    )


# -- TLS


@contextmanager
def a_server_without_tls() -> Iterator[tuple[int, list[bytes]]]:
    """Greets as MySQL does, all but TLS on offer, and keeps what clients say."""
    said: list[bytes] = []
    body = (
        b"\x0a8.0.99\0"
        + struct.pack("<I", 7)
        + b"saltsalt\0"
        + struct.pack("<HBHH", 0xF7DF, 255, 2, 0x81BF)
        + bytes([21])
        + bytes(10)
        + b"saltsaltsalt\0mysql_native_password\0"
    )

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(1)
                client.sendall(len(body).to_bytes(3, "little") + b"\0" + body)
                try:
                    while heard := client.recv(1 << 12):
                        said.append(heard)
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], said


@pytest.mark.parametrize("pure", [False, True], ids=["the C extension", "pure Python"])
@pytest.mark.parametrize(
    "options",
    [
        "ssl_verify_cert=false",
        "ssl_verify_cert=true",
        "ssl_verify_identity=true",
        "ssl_ca={ca}",
        "ssl_ca={ca}&ssl_verify_cert=false",
        "ssl_ca={ca}&ssl_verify_identity=false",
        "ssl_verify_identity=false",
        "ssl_ca={ca}&ssl_verify_cert=false&ssl_verify_identity=true",
    ],
)
def test_a_server_without_tls_is_told_no_user_and_no_password(options: str, pure: bool) -> None:
    ca = "/etc/ssl/certs/ca-certificates.crt"
    with a_server_without_tls() as (port, said):
        store = MySQLStore(f"mysql://somebody:secret@127.0.0.1:{port}/db?{options.format(ca=ca)}")
        store._connect_options["use_pure"] = pure
        with pytest.raises(
            OnlineRefusedError,
            match=(
                r"TLS.* which online_url asks for|by the TLS that online_url asks for.*No user and"
                r" no password was sent"
            ),
        ):
            store.check_connection()
    assert said == []


@pytest.mark.parametrize("text", ["yes", "on", "", "flase"])
def test_an_option_of_tls_that_is_neither_true_nor_false_is_refused(text: str) -> None:
    with pytest.raises(
        SettingsError,
        match=(
            rf"Option ssl_verify_cert='{text}' of online_url is neither true nor false: give one of"
            r" these"
        ),
    ):
        MySQLStore(f"mysql://me@127.0.0.1:9/db?ssl_verify_cert={text}")


def test_a_server_without_tls_is_spoken_to_where_none_is_asked_for() -> None:
    with (
        a_server_without_tls() as (port, said),
        pytest.raises(OnlineStoreError, match=r"failed|gave no answer"),
    ):
        MySQLStore(f"mysql://somebody:secret@127.0.0.1:{port}/db").check_connection()
    assert b"somebody" in said[0]


# -- how rows get in

HARD = [
    "it's",
    '"q"; DROP TABLE x; --',
    "trailing ",
    "trailing",
    "tab\there",
    "line\nbreak",
    "cr\rlf",
    "back\\slash",
    "\\N",
    "NULL",
    "🙂",
    "A",
    "a",
    "nul\0l",
    "\x1a",
    "Ünïcode",
    "",
    "',(",
    "%s",
    "\u2028",
]
NUMBERS = [
    0.1,
    None,
    1e300,
    5e-324,
    1e-7,
    -1.5,
    0.0,
    1e15,
    1.7976931348623157e308,
    0.000000000000001234567890123,
    2**53 + 0.0,
    math.pi,
    -1e-300,
]
MIXED = {
    "k": ("string", pa.string(), HARD),
    "at": (
        "timestamp",
        pa.timestamp("us", "UTC"),
        [
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
            datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
        ],
    ),
    "raw": ("binary", pa.binary(), [text.encode() for text in HARD] + [bytes(range(256)), None]),
    "big": ("bigint", pa.int64(), [-(2**63), 2**63 - 1, 2**53 + 1, 0, None]),
    "tiny": ("tinyint", pa.int8(), [-128, 127, None]),
    "x": ("double", pa.float64(), NUMBERS),
    "f": (
        "float",
        pa.float32(),
        [0.5, None, 3.4028234663852886e38, 1.401298464324817e-45, -16777217.0],
    ),
    "flag": ("boolean", pa.bool_(), [True, False, None]),
    "on": ("date", pa.date32(), [date(1, 1, 1), date(9999, 12, 31), None]),
    "money": (
        "decimal(38,18)",
        pa.decimal128(38, 18),
        [
            decimal.Decimal("12345678901234567890.123456789012345678"),
            decimal.Decimal("-0.000000000000000001"),
            None,
        ],
    ),
    "tags": ("array<string>", pa.list_(pa.string()), [[text, None] for text in HARD] + [None, []]),
}


def mixed() -> pa.Table:
    """A row for each hard text, and in each column its values over and over."""
    return pa.table(
        {
            name: pa.array([given[i % len(given)] for i in range(len(HARD))], type_)
            for name, (_, type_, given) in MIXED.items()
        }
    )


@on_servers
@pytest.mark.parametrize("local_infile", ["OFF", "ON"])
def test_every_value_gets_in_with_and_without_files(
    kind: str, local_infile: str, tmp_path: Path
) -> None:
    """LOAD DATA and INSERT bring the same values in, and these are the ones that were given."""
    given = mixed()
    with empty_store(kind, tmp_path) as store, global_variable(kind, "local_infile", local_infile):
        table = table_of(store, {name: type_ for name, (type_, _, _) in MIXED.items()})
        sync(store, table, given)
        found = sorted(make_writer(store).read_buckets(table, 1, [0], None))
    wanted = sorted(zip(*(column.to_pylist() for column in given.columns), strict=True))
    assert found == wanted
    assert [tuple(map(type, row)) for row in found] == [tuple(map(type, row)) for row in wanted]


@on_servers
def test_rows_of_many_statements_get_in(kind: str, tmp_path: Path) -> None:
    """More than one packet of them, and a packet that is far smaller than a statement would be."""
    count = 40_000
    texts = [f"it's \\ {i % 97} " * 8 for i in range(count)]
    given = pa.table({"k": pa.array(range(count), pa.int64()), "text": texts})
    with (
        empty_store(kind, tmp_path) as store,
        global_variable(kind, "local_infile", "OFF"),
        global_variable(kind, "max_allowed_packet", str(1 << 20)),
    ):
        table = table_of(store, {"k": "bigint", "text": "string"}, event_time=None)
        sync(store, table, given)
        sync(store, table, given.slice(count // 2), version=1)  # and over those that are there
        assert values(store, table) == dict(enumerate(texts))


@on_servers
@pytest.mark.parametrize("local_infile", ["OFF", "ON"])
def test_a_value_that_does_not_fit_is_refused_and_nothing_of_it_is_online(
    kind: str, local_infile: str, tmp_path: Path
) -> None:
    with empty_store(kind, tmp_path) as store, global_variable(kind, "local_infile", local_infile):
        table = table_of(store, {"k": "bigint", "on": "date"}, event_time=None)
        declared = replace(
            table, columns=(table.columns[0], replace(table.columns[1], type="string"))
        )  # texts, into a column of dates
        with pytest.raises(
            OnlineRefusedError,
            match=(
                r"A value does not fit its column online: .*Incorrect date value: 'no date'.*"
                r" Nothing of this sync is online"
            ),
        ):
            sync(
                store,
                declared,
                pa.table({"k": pa.array([1, 2], pa.int64()), "on": ["2024-01-01", "no date"]}),
            )
        with store.transaction() as cursor:
            cursor.execute("SHOW TABLES LIKE 'clicks_1'")
            assert cursor.fetchall() == []


@on_servers
def test_every_table_has_a_primary_key_where_the_server_wants_one(
    kind: str, tmp_path: Path
) -> None:
    if kind == "mysql":
        pytest.skip("MariaDB has no sql_require_primary_key")
    with (
        empty_store(kind, tmp_path) as store,
        global_variable(kind, "sql_require_primary_key", "ON"),
    ):
        table = clicks(store)
        sync(store, table, rows((1, "01-01", 10), (2, "01-02", 20)))
        merged = sync(store, table, rows((1, "01-02", 11), (2, "01-01", 21)), version=1)
        assert merged
        assert (merged.skipped, values(store, table)) == (1, {1: 11, 2: 20})


@contextmanager
def global_variable(kind: str, name: str, value: str) -> Iterator[None]:
    """A setting of the server, which connections that are made from then on have."""
    with connected(kind) as cursor:
        cursor.execute(f"SELECT @@GLOBAL.{name}")
        ((before,),) = cursor.fetchall()
        cursor.execute(f"SET GLOBAL {name} = {value}")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL {name} = %s", (before,))


def test_a_file_that_an_earlier_version_synced_is_gone_on_with(tmp_path: Path) -> None:
    """The tables as that version made them, by its own statements."""
    path = tmp_path / "online.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE _spark_fs_synced (name TEXT PRIMARY KEY, delta_version INTEGER NOT NULL,"
            " run TEXT NOT NULL, synced_at TEXT NOT NULL)"
        )
        old.execute(
            "INSERT INTO _spark_fs_synced VALUES ('clicks_1', 3, 'abc', '2024-01-01T00:00:00')"
        )
        old.execute(
            'CREATE TABLE "clicks_1" ("k" INTEGER NOT NULL, "at" INTEGER, "v" INTEGER, PRIMARY KEY'
            ' ("k"))'
        )
    store = SQLiteStore(str(path))
    write: Any = make_writer(store)
    with write.open_session(clicks(store), HERE) as session:
        assert session.last_sync.version == 3
        finish(write, session, clicks(store), rows((1, "01-01", 10)), 4)
    assert values(store, clicks(store)) == {1: 10}
