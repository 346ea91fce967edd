"""Connections of a serving process to MySQL or MariaDB, shared by its threads.

Each keeps the statements that it has prepared.

The C extension's prepared statements are driven by the connection's own commands, not by a cursor,
whose reset before each execution is a second round trip: a look-up by primary key takes 174 us
instead of 335 us, where the driver's plain cursor takes 251 us.
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

ResultRows = list[tuple[Any, ...]]
FAILURES: tuple[type[Exception], ...] = (mysql.connector.Error,)
# What the C extension raises where the driver forgets to translate it: at a rollback, at closing.
if mysql.connector.HAVE_CEXT:
    from _mysql_connector import MySQLInterfaceError

    FAILURES = (mysql.connector.Error, MySQLInterfaceError)
# Seconds after which a network may have dropped a silent connection without a word, as some do
# after 240.
_MAX_IDLE_SECONDS = 200.0
# The codes of a connection that is gone: shut down, killed, lost, idle for too long.
LOST_CODES = {1053, 1927, 2006, 2013, 2055, 4031}


class PooledConnection:
    """One connection and what it has prepared. Only one thread uses it at a time."""

    def __init__(self, driver_connection: Any) -> None:
        self._driver_connection = driver_connection
        self._prepared: dict[str, Any] = {}
        self._last_used = time.monotonic()
        self._run_prepared = (
            self._run_by_cursor
            if isinstance(driver_connection, MySQLConnection)
            else self._run_by_command
        )
        self.is_mariadb = "mariadb" in str(driver_connection.server_info).lower()

    def run_statement(self, sql: str, parameters: Sequence[Any]) -> ResultRows:
        """The rows of a statement, prepared the first time."""
        rows = self._run_prepared(sql, parameters)
        self._last_used = time.monotonic()
        return rows

    @property
    def idle_seconds(self) -> float:
        """Seconds since it had an answer."""
        return time.monotonic() - self._last_used

    def _run_by_command(self, sql: str, parameters: Sequence[Any]) -> ResultRows:
        statement = self._prepared.get(sql)
        if statement is None:
            statement = self._driver_connection.cmd_stmt_prepare(sql.encode())
            self._prepared[sql] = statement
        self._driver_connection.cmd_stmt_execute(statement, *parameters)
        rows = list(iter(statement.fetch_row, None))
        statement.free_result()
        return rows

    def _run_by_cursor(self, sql: str, parameters: Sequence[Any]) -> ResultRows:
        """By the driver in pure Python."""
        cursor = self._prepared.get(sql)
        if cursor is None:
            cursor = self._driver_connection.cursor(prepared=True)
            self._prepared[sql] = cursor
        cursor.execute(sql, tuple(parameters))
        return list(cursor.fetchall())

    def close(self) -> None:
        """Let the server know; one that is not there does not matter."""
        with suppress(*FAILURES, OSError):
            self._driver_connection.disconnect()


# The statement, with its parameters, that is to be run on a connection.
BuildQuery = Callable[[PooledConnection], tuple[str, Sequence[Any]]]


class _FairSemaphore:
    """So many slots, each given to the thread that has waited longest.

    A semaphore gives them to whoever runs, and starves the others.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = Lock()
        self._waiting: deque[Any] = deque()

    def acquire_slot(self, timeout: float) -> bool:
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

    def release_slot(self) -> None:
        """Give a slot back."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class ConnectionPool:
    """At most so many connections, opened as they are needed.

    A thread that finds none free waits.
    """

    def __init__(
        self, open_connection: Callable[[], Any], size: int, timeout: float, address: str
    ) -> None:
        self._open_connection = open_connection
        self._size = size
        self._timeout = timeout
        self._address = address
        self._free: deque[PooledConnection] = deque()
        self._slots = _FairSemaphore(size)
        forks.register_holder(self)

    def reset_connections(self) -> object:
        """Hold no connection; returns what held them."""
        parents_connections = self._free
        self._free = deque()
        self._slots = _FairSemaphore(self._size)
        return parents_connections

    def run_query(self, build_query: BuildQuery) -> ResultRows:
        """Run the statement that is built for a connection.

        It is run once more, on a new connection, when the server had dropped the first.

        Args:
            build_query: Gives the statement and its parameters for a connection.

        Returns:
            The rows of the statement.

        Raises:
            OnlineStoreError: No connection became free within the timeout.
        """
        slots = self._slots
        if not slots.acquire_slot(self._timeout):
            raise OnlineStoreError(
                f"All {self._size} connections to the online store {self._address} were in use for"
                f" {self._timeout:g} s: let fewer threads ask at once, or raise pool_size in"
                " online_url."
            )
        try:
            connection = self._take_live_connection()
            if connection is None:
                return self._run_once(PooledConnection(self._open_connection()), build_query)
            began = time.monotonic()
            try:
                return self._run_once(connection, build_query)
            except FAILURES as error:
                lost = getattr(error, "errno", None) in LOST_CODES
                # An answer that does not come in time looks like a connection that is lost, and
                # would not come the second time either.
                timed_out = time.monotonic() - began >= self._timeout
                if not lost or timed_out:
                    raise
                self._close_all()  # what one connection shows of a restarted server holds for all
                return self._run_once(PooledConnection(self._open_connection()), build_query)
        finally:
            slots.release_slot()

    def _take_live_connection(self) -> PooledConnection | None:
        """A free connection that had an answer not long ago.

        Those that had none for long are closed.
        """
        with suppress(IndexError):
            while True:
                connection = self._free.pop()
                if connection.idle_seconds < _MAX_IDLE_SECONDS:
                    return connection
                connection.close()
        return None

    def _run_once(self, connection: PooledConnection, build_query: BuildQuery) -> ResultRows:
        try:
            rows = connection.run_statement(*build_query(connection))
        except BaseException:
            connection.close()
            raise
        self._free.append(connection)
        return rows

    def _close_all(self) -> None:
        with suppress(IndexError):
            while True:
                self._free.pop().close()
