"""Remember what several tasks of one process need: the first computes it, the others wait for it.

A worker of Spark lives for many tasks, and keeps the last few values. In threads of this process
they go when a run ends.
"""

import threading
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_KEPT_VALUES = 4
_CACHES: "list[_Cache[object, object]]" = []


class _Cache(Generic[K, V]):
    """The last values of a function."""

    def __init__(self, compute: Callable[[K], V]) -> None:
        self._compute = compute
        self._entries: dict[K, _Entry[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> V:
        with self._lock:
            entry = self._entries.pop(key, None) or _Entry()
            self._entries[key] = entry  # now the newest
            while len(self._entries) > _KEPT_VALUES:
                del self._entries[next(iter(self._entries))]
        with entry.lock:
            if not entry.values:
                entry.values.append(self._compute(key))
        return entry.values[0]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


class _Entry(Generic[V]):
    """A value, once it is there; the lock is held while it is computed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: list[V] = []


def remember_last(compute: Callable[[K], V]) -> Callable[[K], V]:
    """A function that remembers its last values, and computes none twice at once."""
    cache = _Cache(compute)
    _CACHES.append(cache)  # type: ignore[arg-type] # they are only cleared

    @wraps(compute)
    def get(key: K) -> V:
        return cache.get(key)

    return get


def forget_all() -> None:
    """Forget every value that a function remembers."""
    for cache in _CACHES:
        cache.clear()
