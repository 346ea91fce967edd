"""Connections of a serving process to MySQL or MariaDB: shared by its threads, each with the statements that it has prepared.

The C extension's prepared statements are driven by the connection's own commands, not by a cursor, whose reset before each execution is a
second round trip: a look-up by primary key takes 174 us instead of 335 us, where the driver's plain cursor takes 251 us.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

import mysql.connector
from mysql.connector import MySQLConnection

from spark_fs.errors import OnlineStoreError
from spark_fs.online import forks

Rows = list[tuple[Any, ...]]
FAILURES: tuple[type[Exception], ...] = (mysql.connector.Error,)
if mysql.connector.HAVE_CEXT:  # what the C extension raises where the driver forgets to translate it: at a rollback, at closing
    from _mysql_connector import MySQLInterfaceError

    FAILURES = (mysql.connector.Error, MySQLInterfaceError)
_SILENT = 200.0  # seconds after which a network may have dropped a silent connection without a word, as some do after 240
LOST = {1053, 1927, 2006, 2013, 2055, 4031}  # the codes of a connection that is gone: shut down, killed, lost, idle for too long


class Connection:
    """One connection and what it has prepared. Only one thread uses it at a time."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self._prepared: dict[str, Any] = {}
        self._used = time.monotonic()
        self._run = self._by_cursor if isinstance(link, MySQLConnection) else self._by_command
        self.is_mariadb = "mariadb" in str(link.server_info).lower()

    def run(self, sql: str, parameters: Sequence[Any]) -> Rows:
        """The rows of a statement, prepared the first time."""
        rows = self._run(sql, parameters)
        self._used = time.monotonic()
        return rows

    @property
    def silent(self) -> float:
        """Seconds since it had an answer."""
        return time.monotonic() - self._used

    def _by_command(self, sql: str, parameters: Sequence[Any]) -> Rows:
        statement = self._prepared.get(sql)
        if statement is None:
            statement = self._prepared[sql] = self._link.cmd_stmt_prepare(sql.encode())
        self._link.cmd_stmt_execute(statement, *parameters)
        rows = list(iter(statement.fetch_row, None))
        statement.free_result()
        return rows

    def _by_cursor(self, sql: str, parameters: Sequence[Any]) -> Rows:  # the driver in pure Python
        cursor = self._prepared.get(sql)
        if cursor is None:
            cursor = self._prepared[sql] = self._link.cursor(prepared=True)
        cursor.execute(sql, tuple(parameters))
        return list(cursor.fetchall())

    def close(self) -> None:
        """Let the server know; one that is not there does not matter."""
        with suppress(*FAILURES, OSError):
            self._link.disconnect()


class _Slots:
    """So many slots, each given to the thread that has waited longest: a semaphore gives them to whoever runs, and starves the others."""

    def __init__(self, count: int) -> None:
        self._free, self._lock = count, Lock()
        self._waiting: deque[Any] = deque()

    def take(self, timeout: float) -> bool:
        """Wait for a slot; False when none came in time."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        return True  # it came at the last moment

    def give(self) -> None:
        """Give a slot back."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class Pool:
    """At most so many connections, opened as they are needed; a thread that finds none free waits."""

    def __init__(self, connect: Callable[[], Any], size: int, timeout: float, where: str) -> None:
        self._connect, self._size, self._timeout, self._where = connect, size, timeout, where
        self._free: deque[Connection] = deque()
        self._slots = _Slots(size)
        forks.watch(self)

    def begin_anew(self) -> object:
        """Hold no connection; returns what held them."""
        held, self._free, self._slots = self._free, deque(), _Slots(self._size)
        return held

    def run(self, ask: Callable[[Connection], tuple[str, Sequence[Any]]]) -> Rows:
        """The rows of the statement that ``ask`` gives for a connection; once more on a new one when the server had dropped it."""
        slots = self._slots
        if not slots.take(self._timeout):
            raise OnlineStoreError(
                f"All {self._size} connections to the online store {self._where} were in use for {self._timeout:g} s: let fewer "
                "threads ask at once, or raise pool_size in online_url."
            )
        try:
            connection = self._heard_of()
            if connection is None:
                return self._once(Connection(self._connect()), ask)
            began = time.monotonic()
            try:
                return self._once(connection, ask)
            except FAILURES as error:
                # An answer that does not come in time looks like a connection that is lost, and would not come the second time either.
                if getattr(error, "errno", None) not in LOST or time.monotonic() - began >= self._timeout:
                    raise
                self._drop_all()  # what one finds out of a restarted server holds for all
                return self._once(Connection(self._connect()), ask)
        finally:
            slots.give()

    def _heard_of(self) -> Connection | None:
        """A free connection that had an answer not long ago; those that had none for long are given up."""
        with suppress(IndexError):
            while True:
                connection = self._free.pop()
                if connection.silent < _SILENT:
                    return connection
                connection.close()
        return None

    def _once(self, connection: Connection, ask: Callable[[Connection], tuple[str, Sequence[Any]]]) -> Rows:
        try:
            rows = connection.run(*ask(connection))
        except BaseException:
            connection.close()
            raise
        self._free.append(connection)
        return rows

    def _drop_all(self) -> None:
        with suppress(IndexError):
            while True:
                self._free.pop().close()

