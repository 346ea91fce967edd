"""MySQL as it ships: what its defaults are, and that a sync and a look-up work with each of them, as a user with the documented rights alone."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mysql.connector
import pyarrow as pa
import pytest
from tables import clicks, empty_store, rows, sync, table_of, values
from test_databases import a_user, global_variable, granted

from spark_fs.errors import OnlineRefusedError
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.store import LookupSource

from conftest import SERVERS, connected

pytestmark = pytest.mark.skipif("mysql9" not in SERVERS, reason="no MySQL is up: make mysql-up")
DEFAULTS = {
    "local_infile": 0,
    "require_secure_transport": 0,
    "sql_require_primary_key": 0,
    "collation_server": "utf8mb4_0900_ai_ci",
    "authentication_policy": "*,,",
}


def ask(cursor: Any, query: str) -> Any:
    """The one value that a query gives."""
    cursor.execute(query)
    ((value,),) = cursor.fetchall()
    return value


def test_the_server_of_the_tests_has_the_defaults() -> None:
    with connected("mysql9") as cursor:
        assert {name: ask(cursor, f"SELECT @@GLOBAL.{name}") for name in DEFAULTS} == DEFAULTS
        assert "STRICT_TRANS_TABLES" in ask(cursor, "SELECT @@GLOBAL.sql_mode")
        assert "mariadb" not in ask(cursor, "SELECT VERSION()").lower()
        plugin = "SELECT plugin FROM mysql.user WHERE user = 'spark_fs' AND host = '127.0.0.1'"
        assert ask(cursor, plugin) == "caching_sha2_password"


@pytest.mark.parametrize("use_pure", [False, True], ids=["C extension", "pure Python"])
def test_tls_is_spoken_unasked_and_a_password_that_is_not_cached_is_checked(
    use_pure: bool, tmp_path: Path
) -> None:
    with empty_store("mysql9", tmp_path) as store, connected("mysql9") as cursor:
        cursor.execute("FLUSH PRIVILEGES")  # caching_sha2_password forgets whom it has seen
        with store.transaction(use_pure=use_pure) as own:
            own.execute("SHOW STATUS LIKE 'Ssl_cipher'")
            assert own.fetchall()[0][1]
        wrong = MySQLStore(f"mysql://spark_fs:wrong@{store.address}")
        refused = pytest.raises(OnlineRefusedError, match=r"refused user 'spark_fs' \(1045\)")
        with refused, wrong.transaction(use_pure=use_pure):
            pass


def test_a_user_of_the_documented_rights_syncs_where_every_table_wants_a_key(
    tmp_path: Path,
) -> None:
    syncing, serving = granted()
    with (
        empty_store("mysql9", tmp_path) as store,
        global_variable("mysql9", "sql_require_primary_key", "ON"),
    ):
        table = clicks(store)
        with a_user("mysql9", store, syncing) as user:
            sync(user, table, rows((1, "01-01", 10), (2, "01-02", 20)))
            merged = sync(user, table, rows((1, "01-02", 11), (2, "01-01", 21)), version=1)
            assert merged
            assert merged.skipped == 1
        with a_user("mysql9", store, serving) as user:
            assert values(user, table) == {1: 11, 2: 20}
            with pytest.raises(OnlineRefusedError, match=r"refused user .* \(1142\)"):
                sync(user, table, rows((1, "01-03", 12)), version=2)


def test_the_database_has_another_collation_than_our_tables(tmp_path: Path) -> None:
    """utf8mb4_0900_ai_ci takes "a", "A" and "ä" for one."""
    keys = ["a", "A", "ä", "a ", ""]
    with empty_store("mysql9", tmp_path) as store:
        table = table_of(store, {"k": "string", "v": "bigint"}, event_time=None)
        sync(store, table, pa.table({"k": keys, "v": pa.array(range(5), pa.int64())}))
        source = LookupSource(table, ("v",), {"k": (0,)})
        find = store.prepare_lookup([source], ["string"])
        found = find([[key] for key in keys], datetime.now(UTC))
        assert sorted(found) == [(number, 1, number) for number in range(5)]
        assert find([["À"]], datetime.now(UTC)) == [(0, 0, None)]


def test_a_look_up_of_many_reads_no_table_whole(tmp_path: Path) -> None:
    """Also of one that the server takes for a table of one row, as it does after a sync."""
    with empty_store("mysql9", tmp_path) as store:
        sources = []
        for name, choices in (("a", (0,)), ("b", (0, (0, "k")))):
            table = table_of(store, {"k": "bigint", "v": "bigint"}, event_time=None, name=name)
            sync(store, table, pa.table({"k": [7], "v": [7]}))
            sources.append(LookupSource(table, ("v",), {"k": choices}))
        find = store.prepare_lookup(sources, ["bigint"])
        assert sorted(find([[7], [99]], datetime.now(UTC))) == [
            (0, 1, 7, 1, 7),
            (1, 0, None, 0, None),
        ]
        with store.transaction() as cursor:
            statement = find._mysql_batch_query.sql.replace("?", "'[[7], [99]]'", 1)
            cursor.execute(f"EXPLAIN FORMAT=TREE {statement}")
            ((plan,),) = cursor.fetchall()
    assert plan.count("Single-row index lookup") == 2
    assert "Table scan" not in plan


def test_a_strict_server_and_a_lax_one_refuse_alike(tmp_path: Path) -> None:
    for mode in ("'STRICT_TRANS_TABLES'", "''"):
        with empty_store("mysql9", tmp_path) as store, global_variable("mysql9", "sql_mode", mode):
            table = table_of(store, {"k": "bigint", "v": "tinyint"}, event_time=None)
            beyond = pa.table({"k": pa.array([1], pa.int64()), "v": pa.array([300], pa.int16())})
            with pytest.raises(OnlineRefusedError, match="A value does not fit its column online"):
                sync(store, table, beyond)


def test_the_driver_says_so_where_a_local_file_is_asked_for(tmp_path: Path) -> None:
    """What the fall-back to INSERT is told by, with both of the driver's ways."""
    file = tmp_path / "rows.tsv"
    file.write_text("1\n")
    with empty_store("mysql9", tmp_path) as store:
        for use_pure, codes in ((False, {3948}), (True, {-1, 3948})):
            options = {"use_pure": use_pure, "allow_local_infile_in_path": str(tmp_path)}
            with closing(store.open_connection(**options)) as connection:
                cursor = connection.cursor()
                cursor.execute("CREATE TABLE IF NOT EXISTS t (k INT PRIMARY KEY)")
                with pytest.raises(mysql.connector.Error, match=r"(?i)local") as raised:
                    cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE t")
                assert raised.value.errno in codes
