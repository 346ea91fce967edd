"""Who is told of the vectors that were handed out: off the request's path, and never in its way."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from queue import Full, Queue
from threading import Lock, Thread
from typing import Any

LOGGER = logging.getLogger("spark_fs.serve")
_MAX_WAITING = 10_000  # answers that observers were not told of yet
_MAX_WAITING_VALUES = 2_000_000  # in their vectors, which are 100 MB or so


@dataclass(frozen=True)
class ServedAnswer:
    """What one request was answered.

    training_dataset_version: by which the transformations learned; None where none did. passed:
    for each entry what the caller gave. instant: (UTC) at which rows were looked
    up.
    """

    view: str
    version: int
    training_dataset_version: int | None
    entries: Sequence[Mapping[str, Any]]
    passed: Sequence[Mapping[str, Any]]
    vectors: Sequence[Sequence[Any]]
    instant: datetime
    request_id: str

    @property
    def value_count(self) -> int:
        """How many values its vectors hold."""
        return sum(map(len, self.vectors))


# Is told of each answer, in a thread of its own.
Observer = Callable[[ServedAnswer], None]


class Observers:
    """Tells observers what was served, one answer after the other, by one thread.

    Where more than so many answers or values wait, the next ones are dropped and counted; an
    observer that fails is named in the log, and told of the next answer all the same.

    Args:
        count_dropped: called for each answer that is dropped.
    """

    def __init__(self, count_dropped: Callable[[], Any] = lambda: None) -> None:
        self.observers: list[Observer] = []
        self._count_dropped = count_dropped
        self._waiting: Queue[ServedAnswer] = Queue(_MAX_WAITING)
        self._waiting_values = 0
        self._lock = Lock()
        self._thread: Thread | None = None

    def tell(self, served: ServedAnswer) -> None:
        """Let the observers know of an answer, soon; it waits for nothing."""
        if self._thread is None:
            self._start_thread()
        if not self._add(served):
            self._count_dropped()

    def _add(self, served: ServedAnswer) -> bool:
        """Whether there is room for an answer; one that is larger than all of it waits alone."""
        values = served.value_count
        with self._lock:
            if self._waiting_values and self._waiting_values + values > _MAX_WAITING_VALUES:
                return False
            try:
                self._waiting.put_nowait(served)
            except Full:
                return False
            self._waiting_values += values
            return True

    def finish(self) -> None:
        """Wait until the observers were told of all that waits."""
        if self._thread is not None:
            self._waiting.join()

    def _start_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._tell_all, name="spark_fs-observers", daemon=True)
                self._thread.start()

    def _tell_all(self) -> None:
        while True:
            served = self._waiting.get()
            for observer in tuple(self.observers):
                _tell_observer(observer, served)
            with self._lock:
                self._waiting_values -= served.value_count
            self._waiting.task_done()


def _tell_observer(observer: Observer, served: ServedAnswer) -> None:
    try:
        observer(served)
    except Exception:  # it must not end the thread
        LOGGER.exception("An observer of served vectors failed")
