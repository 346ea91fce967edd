"""One replica: whether it answers, and how old it may be."""

import logging
import math
import threading
import time
from datetime import UTC, datetime

from spark_fs.errors import OnlineStoreError
from spark_fs.online import forks
from spark_fs.online.store import OnlineStore, SyncState

_PAUSE_SECONDS = 5.0  # that one which failed is not asked again, at least
_PAUSE_FACTOR = 10  # and so many times what the failure took: a server that hangs is not waited for
_LOG = logging.getLogger(__name__)


class WatchedReplica:
    """A replica beside its primary.

    How old it may be is known from the tables in which both note their syncs, which travel with
    replication. Where the replica has all that the primary has, it is as of this instant. Where it
    lacks one, or the primary gives no answer, it is as of the newest sync or heartbeat that it has,
    since what was committed before that one came before it.
    """

    def __init__(self, store: OnlineStore, primary: OnlineStore) -> None:
        self.store = store
        self._primary = primary
        self._lock = threading.Lock()
        self._failure: OnlineStoreError | None = None  # the last one of asking for its age
        forks.register_holder(self)
        self._as_of = -math.inf  # the instant whose syncs it has, of the monotonic clock
        self._newest_held: datetime | None = None
        self._paused_until = -math.inf
        self._primary_paused_until = -math.inf

    def reset_connections(self) -> object:
        """Be asked anew in a forked process, where nobody would release the lock."""
        parents_lock = self._lock
        self._lock = threading.Lock()
        return parents_lock

    @property
    def is_paused(self) -> bool:
        """Whether it failed a moment ago."""
        return time.monotonic() < self._paused_until

    def pause(self, error: OnlineStoreError, seconds_lost: float) -> None:
        """Ask others for a while, after a failure.

        Args:
            error: The failure.
            seconds_lost: What it took.
        """
        pause_seconds = choose_pause(seconds_lost)
        self._paused_until = time.monotonic() + pause_seconds
        _LOG.warning("A replica is not asked for %.0f s: %s", pause_seconds, error)

    def is_within(self, max_age: float) -> bool:
        """Whether it has every sync that ended longer ago; it is asked where that is not known.

        One thread asks, and where it gets no answer, those that waited for it have none either:
        each of them would wait as long.

        Args:
            max_age: Seconds.

        Raises:
            OnlineStoreError: It does not answer.
        """
        if self.age_seconds <= max_age:
            return True
        failure_before = self._failure
        with self._lock:
            failure = self._failure
            if failure is not None and failure is not failure_before:
                raise type(failure)(str(failure))
            if self.age_seconds > max_age:
                self._measure_or_note()
        return self.age_seconds <= max_age

    def _measure_or_note(self) -> None:
        try:
            self.measure_age()
        except OnlineStoreError as failure:
            self._failure = failure
            raise

    @property
    def age_seconds(self) -> float:
        """How long ago a sync may have ended that it was not seen to have; infinite at first."""
        return time.monotonic() - self._as_of

    def measure_age(self) -> float:
        """Ask it, and its primary, what they have; returns its age in seconds.

        OnlineStoreError where it does not answer.
        """
        asked_at = time.monotonic()
        expected = self._read_expected()
        held = self.store.read_sync_states()
        newest_held = max((state.synced_at for state in held.values()), default=None)
        if expected is not None and _holds_all(held, expected):
            as_of = asked_at
        elif newest_held is None:
            as_of = -math.inf
        else:
            as_of = asked_at - max(0.0, (datetime.now(UTC) - newest_held).total_seconds())
            if self._newest_held is not None and newest_held >= self._newest_held:
                as_of = max(as_of, self._as_of)  # it had more once, and did not go back
        self._newest_held = newest_held
        self._as_of = as_of
        return time.monotonic() - as_of

    def _read_expected(self) -> dict[str, SyncState] | None:
        """What the primary has; None where it gives no answer, or gave none a while ago."""
        began = time.monotonic()
        if began < self._primary_paused_until:
            return None
        try:
            return self._primary.read_sync_states()
        except OnlineStoreError:
            failed_at = time.monotonic()
            self._primary_paused_until = failed_at + choose_pause(failed_at - began)
            return None


def choose_pause(seconds_lost: float) -> float:
    """For how many seconds a server is not asked after a failure that took so many."""
    return max(_PAUSE_SECONDS, _PAUSE_FACTOR * seconds_lost)


def _holds_all(held: dict[str, SyncState], expected: dict[str, SyncState]) -> bool:
    """Whether a replica has each sync that its primary had, or a later one."""
    for name, state in expected.items():
        held_state = held.get(name)
        if held_state is None:
            return False
        is_same = held_state.run_id == state.run_id
        if not is_same and held_state.synced_at <= state.synced_at:
            return False
    return True
