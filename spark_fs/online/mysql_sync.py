"""Bring a table of MySQL or MariaDB up to its feature group: staged by LOAD DATA, merged by one transaction.

Workers load rows into tables of this run's own. The driver holds a lock of the server, on the connection by which it commits: when that
connection is lost, so is the lock, and what it had not committed. While workers load, a heartbeat keeps it from being lost.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import pyarrow as pa

from spark_fs.errors import ConflictError, OnlineStoreError
from spark_fs.online import mysql as server
from spark_fs.online import mysql_known, mysql_load, mysql_read
from spark_fs.online.heartbeat import Heartbeat, probe
from spark_fs.online.layout import OnlineColumn, OnlineTable, rooms
from spark_fs.online.mysql import PLAIN, MySQLStore
from spark_fs.online.pool import FAILURES
from spark_fs.online.store import Merged, Origin, Place, Synced, check_origin

_WAIT = 5  # seconds for another sync to end
Columns = Sequence[OnlineColumn]


class MySQLWriter:
    """The writing side of a store; pickles, and connects anew in each worker.

    beat: seconds between two words on the connection of a sync while workers load its rows. silent: seconds after which the server takes
    one that says nothing for lost, and gives its lock away.
    """

    beat: ClassVar[float] = 15.0
    silent: ClassVar[int] = 120

    def __init__(self, store: MySQLStore) -> None:
        self.store = store

    @contextmanager
    def session(self, table: OnlineTable, origin: Origin) -> Iterator["MySQLSession"]:
        """Begin a sync; ConflictError while another one of the table runs."""
        store, lock = self.store, f"spark_fs {mysql_load.digest(f'{self.store.database}.{table.name}')}"
        # The driver in pure Python shows its socket; the work of this connection is the server's.
        with store.translated(), closing(store.connect(use_pure=True)) as connection, closing(connection.cursor()) as cursor:
            probe(connection._socket.sock)
            # A host that is lost holds the lock for so long; one that lives says something while Spark works.
            cursor.execute("SET SESSION wait_timeout = %s, SESSION innodb_lock_wait_timeout = 300", (self.silent,))
            cursor.execute("SELECT GET_LOCK(%s, %s)", (lock, _WAIT))
            if cursor.fetchall() != [(1,)]:
                raise _taken(cursor, lock, f"{table.name} in {store.where}")
            mysql_known.ensure(cursor)
            session = MySQLSession(store, table, origin, connection, cursor, lock, Heartbeat(connection.cmd_ping, self.beat, FAILURES))
            try:
                yield session
            finally:
                with suppress(*FAILURES):
                    session.close()

    def load(self, table: OnlineTable, place: Place, rows: pa.Table) -> None:
        """Add rows to a place; OnlineRefusedError for a value that does not fit."""
        mysql_load.load(self.store, table, place, rows)

    def load_gone(self, table: OnlineTable, place: Place, keys: pa.Table) -> None:
        """Add keys to those that go."""
        mysql_load.load_gone(self.store, table, place, keys)

    def checksums(self, table: OnlineTable, buckets: int, cutoff: datetime | None) -> dict[int, tuple[int, int]]:
        """Of each bucket of keys how many rows it holds and the sum of their checksums."""
        return mysql_read.checksums(self.store, table, buckets, cutoff)

    def rows_of(self, table: OnlineTable, buckets: int, chosen: Sequence[int], cutoff: datetime | None) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets, decoded."""
        return mysql_read.rows_of(self.store, table, buckets, chosen, cutoff)

    def newest(self, table: OnlineTable) -> Any:
        """The greatest event time in the table."""
        return mysql_read.newest(self.store, table)


class MySQLSession:
    """One sync, on the connection that holds its lock."""

    def __init__(
        self, store: MySQLStore, table: OnlineTable, origin: Origin, connection: Any, cursor: Any, lock: str, heartbeat: Heartbeat
    ) -> None:
        self._store, self._table, self._origin, self._lock = store, table, origin, lock
        self._connection, self._cursor, self._heartbeat = connection, cursor, heartbeat
        self._run = uuid4().hex
        self.synced: Synced | None = mysql_known.synced(cursor, table.name)
        if server.found_columns(cursor, table.name):
            check_origin(store.where, table, self.synced, mysql_known.origin(cursor, table.name), origin)
        else:
            self.synced = None  # somebody dropped the table

    def begin(self, afresh: bool) -> Place:
        """A new place for the rows of this run, what a killed run left being removed."""
        self.sweep()
        place, table = Place(f"{_prefix(self._table)}{self._run[:8]}_", afresh), self._table
        statements = server.dialect(self._cursor)
        for number, part in enumerate(table.parts):
            there = server.found_columns(self._cursor, table.part_name(number)) if not afresh else {}
            room = rooms(table, part, {name: n - 1 for name, n in there.items() if n})
            room |= {name: None for name, n in there.items() if name in room and n is None}
            self._cursor.execute(statements.create(place.rows(number), part, table, room))
            if table.ttl is not None and table.event_time and afresh:
                self._cursor.execute(f"ALTER TABLE {PLAIN.name(place.rows(number))} ADD KEY _ttl ({PLAIN.name(table.event_time)})")
            if not afresh:
                server.add_missing(self._cursor, table, number, part)
        if not afresh:
            self._cursor.execute(statements.create(place.gone, table.keys, table, rooms(table, table.keys, {})))
        self._connection.commit()  # what was looked at is held no longer
        self._heartbeat.start()
        return place

    def close(self) -> None:
        """Undo what was not committed, remove what was loaded, and give the lock back."""
        self._heartbeat.stop()
        self._connection.rollback()
        self.sweep()
        self._cursor.execute("SELECT RELEASE_LOCK(%s)", (self._lock,))
        self._cursor.fetchall()

    def _resume(self) -> None:
        """Take the connection back from the heartbeat; OnlineStoreError where the lock was lost meanwhile."""
        self._heartbeat.stop()
        held = False
        with suppress(*FAILURES):
            held = bool(self._number("SELECT COALESCE(IS_USED_LOCK(%s) = CONNECTION_ID(), 0)", self._lock))
        if not held:
            raise OnlineStoreError(
                f"The sync of {self._table.name} lost its connection to {self._store.where}, and with it its lock, while rows were loaded: "
                "nothing of it is online. Sync again."
            )

    def sweep(self) -> None:
        """Remove the tables of this table's runs, killed ones among them."""
        self._heartbeat.stop()
        self._cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND LEFT(table_name, %s) = %s",
            (len(_prefix(self._table)), _prefix(self._table)),
        )
        if left := [str(name) for (name,) in self._cursor.fetchall()]:
            self._cursor.execute(PLAIN.drop(left))

    def swap(self, place: Place, version: int) -> None:
        """Let the loaded rows be the table; renaming is one step of the server, and a killed swap is made again by the next sync."""
        self._resume()
        mysql_known.claim(self._cursor, self._table.name, self._origin)  # committed by the renaming
        names = [(self._table.part_name(i), place.rows(i), f"{place.prefix}o{i}") for i in range(len(self._table.parts))]
        there = [name for name, _, _ in names if server.found_columns(self._cursor, name)]
        away = [f"{PLAIN.name(name)} TO {PLAIN.name(old)}" for name, _, old in names if name in there]
        into = [f"{PLAIN.name(new)} TO {PLAIN.name(name)}" for name, new, _ in names]
        self._cursor.execute(f"RENAME TABLE {', '.join([*away, *into])}")
        self._commit(version)

    def merge(self, place: Place, version: int, cutoff: datetime | None) -> Merged:
        """Delete what is gone, write what was loaded, delete what is past its ttl, and remember the version: one transaction."""
        self._resume()
        table, cursor = self._table, self._cursor
        for number, part in enumerate(table.parts):
            self._widen(place.rows(number), table.part_name(number), part)
        self._connection.commit()  # what was read so far was another transaction
        self._connection.start_transaction()
        deleted = self._delete_gone(PLAIN.name(place.gone), PLAIN.name(place.rows(0)))
        cursor.execute("SET @older = 0")
        for number, part in enumerate(table.parts):
            target = PLAIN.name(table.part_name(number))
            cursor.execute(
                f"INSERT INTO {target} ({PLAIN.names(part)}) SELECT {PLAIN.names(part, 's.')} FROM {PLAIN.name(place.rows(number))} s "
                f"ON DUPLICATE KEY UPDATE {_assignments(table, part, target, counted=number == 0)}"
            )
        skipped = self._number("SELECT @older")
        expired = self._expire(cutoff)
        self._commit(version)
        return Merged(skipped, deleted, expired)

    def _delete_gone(self, gone: str, rows: str) -> int:
        """Delete every key that goes; those of which another row was loaded do not count."""
        if not self._count(gone):
            return 0
        table = self._table
        absent = f"LEFT JOIN {rows} s ON {PLAIN.same_key(table, 's', 'k')} WHERE s.{PLAIN.name(table.key[0])} IS NULL"
        deleted = self._count(f"{PLAIN.name(table.name)} t JOIN {gone} k ON {PLAIN.same_key(table, 't', 'k')} {absent}")
        for number in range(len(table.parts)):
            target = PLAIN.name(table.part_name(number))
            self._cursor.execute(f"DELETE t FROM {target} t JOIN {gone} k ON {PLAIN.same_key(table, 't', 'k')}")
        return deleted

    def _count(self, rows: str) -> int:
        return self._number(f"SELECT COUNT(*) FROM {rows}")

    def _number(self, query: str, *parameters: str) -> int:
        self._cursor.execute(query, parameters)
        ((found,),) = self._cursor.fetchall()
        return int(found)

    def _expire(self, cutoff: datetime | None) -> int:
        counts = [0]
        if cutoff is not None:
            for number in range(len(self._table.parts)):
                target = PLAIN.name(self._table.part_name(number))
                self._cursor.execute(f"DELETE t FROM {target} t WHERE {PLAIN.expired(self._table, 't')}", self._table.bounds(cutoff))
                counts.append(self._cursor.rowcount)
        return max(counts)

    def _widen(self, loaded: str, target: str, part: Columns) -> None:
        """Make the table's sized columns as long as those of what was loaded."""
        wanted, there = server.found_columns(self._cursor, loaded), server.found_columns(self._cursor, target)
        found = {c.name: wanted[c.name] for c in part if c.sized and there.get(c.name) is not None}
        longer = {name: room for name, room in found.items() if room is None or room > (there[name] or 0)}
        mysql_load.resize(self._cursor, self._table, target, part, longer)

    def _commit(self, version: int) -> None:
        """Commit with the version; when the answer is lost, a new connection tells whether it was done."""
        try:
            mysql_known.remember(self._cursor, self._table.name, Synced(version, self._run, datetime.now(UTC)))
            mysql_known.claim(self._cursor, self._table.name, self._origin)
            self._connection.commit()
        except FAILURES:
            with suppress(OnlineStoreError):
                done = self._store.synced(self._table)
                if done and done.run == self._run:
                    return
            raise


def _assignments(table: OnlineTable, part: Columns, target: str, counted: bool) -> str:
    """What a write does to a row that is there: nothing to a newer one. MySQL assigns from left to right, so the time is last.

    counted: whether rows that are older are counted, in the variable of the session; to look for them first takes half as long again.
    """
    time = PLAIN.name(table.event_time) if table.event_time else None
    others = [PLAIN.name(c.name) for c in part if c.name not in table.key and PLAIN.name(c.name) != time]
    if time is None:
        return ", ".join(f"{c} = VALUES({c})" for c in others or [PLAIN.name(table.key[0])])
    newer = f"VALUES({time}) >= {target}.{time}"
    left = f"IF(@older := @older + 1, {target}.{time}, NULL)" if counted else f"{target}.{time}"
    return ", ".join([*(f"{c} = IF({newer}, VALUES({c}), {target}.{c})" for c in others), f"{time} = IF({newer}, VALUES({time}), {left})"])


# -- names


def _prefix(table: OnlineTable) -> str:
    """The beginning of the names of the tables of a table's runs; no group begins so."""
    return f"_run_{mysql_load.digest(table.name)}_"


def _taken(cursor: Any, lock: str, what: str) -> ConflictError:
    cursor.execute("SELECT ID, USER, HOST FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK(%s)", (lock,))
    by = "".join(f" (connection {number} of {user} from {host})" for number, user, host in cursor.fetchall())
    return ConflictError(f"Another sync of {what} is running{by}: nothing was written. Wait until it ends, then sync again.")


