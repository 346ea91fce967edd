"""Calls to several shards at once, whose errors say which shard it was."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from spark_fs.errors import OnlineStoreError
from spark_fs.online import forks

T = TypeVar("T")
# That wait for one shard at once, at most: as many as a store has connections by itself. Beside a
# shard that hangs, further ones wait for as long again.
_CALLS_PER_SHARD = 32


@contextmanager
def name_shard(number: int, shard_count: int) -> Iterator[None]:
    """Let an error of the store say which shard it is of.

    Args:
        number: Of the shard, from 0; the error counts from 1.
        shard_count: How many there are.
    """
    try:
        yield
    except OnlineStoreError as error:
        raise _make_shard_error(number, shard_count, error) from error


class ShardCalls:
    """Makes the calls to several shards at once, in threads that are kept.

    The first is made in the thread of the caller, so one shard alone costs no other thread. Each
    shard has threads of its own, so that calls to one that hangs hold up none to another.
    """

    def __init__(self, shard_count: int) -> None:
        self._shard_count = shard_count
        self._threads = self._make_threads()
        forks.register_holder(self)

    def _make_threads(self) -> list[ThreadPoolExecutor]:
        return [
            ThreadPoolExecutor(_CALLS_PER_SHARD, thread_name_prefix=f"spark_fs shard {number + 1}")
            for number in range(self._shard_count)
        ]

    def reset_connections(self) -> object:
        """Hold no thread, as in a forked process; returns what held them."""
        parents_threads = self._threads
        self._threads = self._make_threads()
        return parents_threads

    def call_shards(self, calls: Mapping[int, Callable[[], T]]) -> dict[int, T]:
        """Make a call to each of some shards.

        Args:
            calls: By the number of a shard, from 0.

        Returns:
            What each returned.

        Raises:
            OnlineStoreError: One failed; it names the shard. All have ended.
        """
        if len(calls) == 1:
            ((number, call),) = calls.items()
            return {number: self._call_shard(number, call)}
        if not calls:
            return {}
        first, *others = calls
        futures = {
            number: self._threads[number].submit(self._call_shard, number, calls[number])
            for number in others
        }
        try:
            results = {first: self._call_shard(first, calls[first])}
        finally:
            _wait_for(futures)
        for number, future in futures.items():
            results[number] = future.result()
        return results

    def try_shards(
        self, calls: Mapping[int, Callable[[], T]]
    ) -> tuple[dict[int, T], dict[int, OnlineStoreError]]:
        """Make a call to each of some shards, of which some may fail.

        Args:
            calls: By the number of a shard, from 0.

        Returns:
            What each returned, and the errors of those that failed; all have ended.

        Raises:
            OnlineStoreError: One alone was called, and failed.
        """
        if len(calls) == 1:
            return self.call_shards(calls), {}
        results: dict[int, T] = {}
        failures: dict[int, OnlineStoreError] = {}

        def call_one(number: int) -> None:
            try:
                results[number] = self._call_shard(number, calls[number])
            except OnlineStoreError as error:
                failures[number] = error

        self.call_shards({number: partial(call_one, number) for number in calls})
        return results, failures

    def _call_shard(self, number: int, call: Callable[[], T]) -> T:
        try:  # what ``name_shard`` does, without a generator for each look-up
            return call()
        except OnlineStoreError as error:
            raise _make_shard_error(number, self._shard_count, error) from error


def _make_shard_error(number: int, shard_count: int, error: OnlineStoreError) -> OnlineStoreError:
    return type(error)(f"Shard {number + 1} of {shard_count} of the online store: {error}")


def _wait_for(futures: Mapping[int, Future[T]]) -> None:
    for future in futures.values():
        future.exception()
