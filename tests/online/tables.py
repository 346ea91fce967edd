"""Tables of an online store that are filled without Spark, as the workers of a sync fill them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.registry import make_writer
from spark_fs.online.sqlite.store import SQLiteStore
from spark_fs.online.store import MergeResult, SyncSession, TableOrigin
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec

from conftest import SERVERS, at, connected, new_database

HERE, THERE = (
    TableOrigin("id-here", "/here/clicks_1 on one"),
    TableOrigin("id-there", "/there/clicks_1 on another"),
)


@contextmanager
def empty_store(kind: str, folder: Path) -> Iterator[MySQLStore | SQLiteStore]:
    """An online store with no table."""
    if kind == "sqlite":
        yield SQLiteStore(str(folder / "online.db"))
        return
    with connected(kind) as cursor, new_database(cursor) as database:
        yield MySQLStore(f"{SERVERS[kind]}/{database}")


def table_of(
    store: MySQLStore | SQLiteStore,
    columns: Mapping[str, str],
    name: str = "clicks",
    event_time: str | None = "at",
) -> OnlineTable:
    """The table of a group of these feature types, whose key is the column k."""
    features = tuple(FeatureSpec(name, type_) for name, type_ in columns.items())
    return build_online_table(
        GroupSpec(
            name,
            1,
            primary_key=("k",),
            event_time=event_time,
            online_enabled=True,
            features=features,
        ),
        store.capabilities,
    )


def clicks(store: MySQLStore | SQLiteStore, name: str = "clicks") -> OnlineTable:
    """A table of a key, an event time and a value."""
    return table_of(store, {"k": "bigint", "at": "timestamp", "v": "bigint"}, name)


def rows(*given: tuple[int, str, int]) -> pa.Table:
    """Rows of it."""
    times = pa.array([at(day) for _, day, _ in given], pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "k": pa.array([k for k, _, _ in given], pa.int64()),
            "at": times,
            "v": pa.array([v for _, _, v in given], pa.int64()),
        }
    )


def sync(
    store: MySQLStore | SQLiteStore,
    table: OnlineTable,
    loaded: pa.Table,
    version: int = 0,
    origin: TableOrigin = HERE,
) -> MergeResult | None:
    """Bring rows online as a sync does: the first time by swapping the table in, then by merging."""
    write: Any = make_writer(store)
    with write.open_session(table, origin) as session:
        return finish(write, session, table, loaded, version)


def finish(
    write: Any, session: SyncSession, table: OnlineTable, loaded: pa.Table, version: int
) -> MergeResult | None:
    """Load the rows of a session, and let them be online."""
    place = session.begin_staging(full_refresh=session.last_sync is None)
    write.load_rows(table, place, loaded)
    if not place.full_refresh:
        return session.merge_rows(place, version, None)
    session.swap_tables(place, version)
    return None


def values(store: MySQLStore | SQLiteStore, table: OnlineTable) -> dict[Any, Any]:
    """What is online: the last column of each key."""
    return {row[0]: row[-1] for row in make_writer(store).read_buckets(table, 1, [0], None)}
