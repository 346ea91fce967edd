"""Look-ups in threads; requests of one view that wait while one runs are answered by the next.

A lone request waits for nobody: it begins at once. Under load the round trip to the database, which
costs more than the rows that it brings, is shared by all that came while the one before it ran, and
each keeps its own error.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

R = TypeVar("R")
# Look-ups of one view that run at a time. With more of them batches are smaller, and the threads
# take the interpreter from each other.
_MAX_LOOKUPS = 2
_MAX_ENTRIES = 500  # of one look-up, so that no request waits for long rows of others
_MAX_ROUNDS = 20  # look-ups of one view after which others may have the thread
_THREADS = 32


@dataclass
class Waiting(Generic[R]):
    """A request that waits for its answer.

    entries: how many rows it needs at most. alone: whether it can share no look-up.
    """

    request: R
    entries: int
    alone: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    since: float


# Answers the requests of one look-up, each by what it returns for it.
AnswerBatch = Callable[[Sequence[Waiting[R]]], Sequence[Any]]


@dataclass
class ViewQueue(Generic[R]):
    """The requests of one view that wait, and how many look-ups run.

    answer_batch: called in a thread with the requests of a look-up; returns as many answers. What
    it raises is raised for each of them.
    """

    answer_batch: AnswerBatch[R]
    waiting: deque[Waiting[R]] = field(default_factory=deque)
    running: int = 0
    lock: Lock = field(default_factory=Lock)

    def add_request(self, waiting: Waiting[R], max_lookups: int) -> bool:
        """Whether a look-up has to be begun for it."""
        with self.lock:
            self.waiting.append(waiting)
            if self.running >= max_lookups:
                return False
            self.running += 1
            return True

    def take_batch(self) -> list[Waiting[R]]:
        """What the next look-up answers; nothing where nobody waits, and then it has ended."""
        batch: list[Waiting[R]] = []
        entries = 0
        with self.lock:
            while self.waiting:
                first = self.waiting[0]
                is_full = entries + first.entries > _MAX_ENTRIES or first.alone
                if batch and is_full:
                    break
                self.waiting.popleft()
                if first.future.cancelled():  # nobody waits for it any more
                    continue
                batch.append(first)
                entries += first.entries
                if first.alone:
                    break
            if not batch:
                self.running -= 1
        return batch


class VectorBatches(Generic[R]):
    """Answers requests in threads, several of one view by one look-up."""

    def __init__(self, max_lookups: int = _MAX_LOOKUPS) -> None:
        self._max_lookups = max_lookups
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="spark_fs-lookup")

    async def answer(self, queue: ViewQueue[R], request: R, entries: int, alone: bool) -> Any:
        """The answer of a request, by a look-up that it may share with others.

        Args:
            queue: of the view.
            request: what the queue's ``answer_batch`` is given.
            entries: how many rows it needs at most.
            alone: whether it must not share a look-up.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        waiting = Waiting(request, entries, alone, loop, future, time.perf_counter())
        if queue.add_request(waiting, self._max_lookups):
            self._pool.submit(self._run_lookups, queue)
        return await future

    def _run_lookups(self, queue: ViewQueue[R]) -> None:
        """Answer what waits until nothing does; now and then let another view have the thread."""
        for _ in range(_MAX_ROUNDS):
            batch = queue.take_batch()
            if not batch:
                return
            try:
                answers = queue.answer_batch(batch)
                error = None
            except BaseException as failure:
                answers = ()
                error = failure
            _deliver_answers(batch, answers, error)
        self._pool.submit(self._run_lookups, queue)


def _deliver_answers(
    batch: Sequence[Waiting[Any]], answers: Sequence[Any], error: BaseException | None
) -> None:
    """Wake up who waits: each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for place, waiting in enumerate(batch):
        answer = answers[place] if error is None else error
        by_loop.setdefault(waiting.loop, []).append((waiting.future, answer))
    for loop, results in by_loop.items():
        with suppress(RuntimeError):  # it was closed: nobody waits there
            loop.call_soon_threadsafe(_set_results, results, error is not None)


def _set_results(results: Sequence[tuple[asyncio.Future[Any], Any]], failed: bool) -> None:
    for future, result in results:
        if future.done():
            continue
        if failed:
            future.set_exception(result)
        else:
            future.set_result(result)
