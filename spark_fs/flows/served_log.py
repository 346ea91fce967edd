"""Keep a share of what is served, off the path of the requests: bounded, and never failing them."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import SettingsError
from spark_fs.flows.log_spool import MAX_SPOOL_BYTES, LogSpool, encode_line
from spark_fs.spec.names import GroupRef
from spark_fs.spec.serving_log import ServedVectors

LOGGER = logging.getLogger("spark_fs.serve")
MAX_PENDING = 20_000  # vectors that wait for the writer
_FLUSH_SECONDS = 5.0
_WARNING_SECONDS = 60.0  # between two warnings of one process
SyncedVersions = Callable[[GroupRef], Mapping[str, int]]


class ServedLog:
    """Takes what is served and keeps a share of it in the spools of the views.

    To take is to append to a list: a thread of its own encodes and writes, every few seconds. What
    finds no room, in memory or on disk, is dropped and counted; no caller waits or sees an error.

    Args:
        home: The home of the store.
        share: Of the requests, above 0 and up to 1.
        max_pending: How many vectors may wait for the writer.
        max_bytes: What the files of one view may take together.
        flush_seconds: How long a vector waits at most.
        find_synced: Gives the Delta version of each group of a view that is online now, by the
            group's name and version; asked by the writer alone.
        count: Called with what became of how many vectors: "logged", or "dropped_queue" (no room
            in memory), "dropped_spool" (the oldest files made room) or "dropped_error".

    Raises:
        SettingsError: The share is none.
    """

    def __init__(
        self,
        home: Path,
        share: float = 1.0,
        max_pending: int = MAX_PENDING,
        max_bytes: int = MAX_SPOOL_BYTES,
        flush_seconds: float = _FLUSH_SECONDS,
        find_synced: SyncedVersions | None = None,
        count: Callable[[str, int], Any] = lambda _outcome, _vectors: None,
    ) -> None:
        if not 0 < share <= 1:
            raise SettingsError(
                f"A share of {share!r} of what is served cannot be logged: give a number above 0"
                " and up to 1."
            )
        self.share = share
        self.counts = Counter[str]()
        self._home = home
        self._max_pending = max_pending
        self._max_bytes = max_bytes
        self._flush_seconds = flush_seconds
        self._find_synced = find_synced
        self._tell_count = count
        self._pending: list[ServedVectors] = []
        self._pending_vectors = 0
        self._changed = Condition()
        self._last_synced: dict[GroupRef, Mapping[str, int]] = {}
        self._thread: Thread | None = None
        self._is_closed = False
        self._warned_at = -_WARNING_SECONDS

    def is_sampled(self) -> bool:
        """Whether the next request is one of the share; asked before anything is made of it."""
        return self.share == 1 or random.random() < self.share  # noqa: S311 # no secret hangs on it

    def record(self, served: ServedVectors) -> None:
        """Take what a request was answered with; it never waits for a file and never raises."""
        count = len(served.vectors)
        with self._changed:
            if self._is_closed or self._pending_vectors + count > self._max_pending:
                self._count("dropped_queue", count)
                return
            self._pending.append(served)
            self._pending_vectors += count
            if self._thread is None:  # in the process that serves, which may be a fork
                self._thread = Thread(target=self._write_always, name="served-log", daemon=True)
                self._thread.start()

    def drop(self, vectors: int, error: Exception) -> None:
        """Count vectors that cannot be logged, and say why once a minute."""
        self._count("dropped_error", vectors)
        self._warn(error)

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits, and take no more; it gives up after so many seconds."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _write_always(self) -> None:
        is_closed = False
        while not is_closed:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, self._flush_seconds)
                is_closed = self._is_closed
                taken = self._pending
                self._pending = []
                self._pending_vectors = 0
            self._write_taken(taken)

    def _write_taken(self, taken: list[ServedVectors]) -> None:
        """Write a file for each view, training dataset and kind of vector."""
        by_header: dict[Any, list[ServedVectors]] = defaultdict(list)
        for served in taken:
            columns = tuple(served.columns)
            kind = (served.view, served.training_dataset_version, served.transformed, columns)
            by_header[kind].append(served)
        for requests in by_header.values():
            vectors = sum(len(served.vectors) for served in requests)
            try:
                self._write_requests(requests, vectors)
            except Exception as error:  # whatever it is, requests are served on
                self.drop(vectors, error)

    def _write_requests(self, requests: list[ServedVectors], vectors: int) -> None:
        first = requests[0]
        spool = LogSpool.of_view(self._home, first.view, self._max_bytes)
        header = {
            "kind": "served",
            "training_dataset_version": first.training_dataset_version,
            "transformed": first.transformed,
            "columns": list(first.columns),
            "synced": self._list_synced(first.view),
        }
        lines = []
        for served in requests:
            line = {
                "request_id": served.request_id,
                "at": served.instant.isoformat(),
                "entries": served.entries,
                "passed": served.passed,
                "vectors": served.vectors,
            }
            lines.append(encode_line(line))
            time.sleep(0)  # a request that waits for the interpreter comes first
        spool.write_file(header, lines, vectors, datetime.now(UTC))
        self._count("logged", vectors)
        self._count("dropped_spool", spool.drop_oldest())

    def _count(self, outcome: str, vectors: int) -> None:
        self.counts[outcome] += vectors
        self._tell_count(outcome, vectors)

    def _list_synced(self, view: GroupRef) -> list[Mapping[str, int]]:
        """What was online while the requests were answered: one state, or two around a sync."""
        before = self._last_synced.get(view)
        now: Mapping[str, int] = {}
        if self._find_synced is not None:
            try:
                now = self._find_synced(view)
            except Exception as error:  # what was served is kept all the same
                self._warn(error)
        self._last_synced[view] = now
        return [state for state in (now, before) if state and (state is now or state != now)]

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = time.monotonic()
            LOGGER.warning(
                "What is served cannot be logged now, and is served on: %s",
                escape_for_terminal(error),
            )
