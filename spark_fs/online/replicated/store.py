"""The online store that is written to a primary and read from its replicas."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, ClassVar

from spark_fs.errors import OnlineRefusedError, OnlineStoreError
from spark_fs.online.column_storage import Capabilities
from spark_fs.online.replicated.rules import ReadRules
from spark_fs.online.replicated.watched_replica import WatchedReplica, choose_pause
from spark_fs.online.store import (
    LackingTableError,
    LookupRows,
    LookupSource,
    OnlineStore,
    PreparedLookup,
    SyncState,
    TableOrigin,
)
from spark_fs.online.table_layout import OnlineTable

_LOG = logging.getLogger(__name__)


class ReplicatedStore:
    """A primary and its replicas, which answer in turn.

    One that fails is left out for some seconds, and the next one is asked; one that lacks a table,
    as of a group whose first sync has not come to it yet, is left out for look-ups of that alone.
    Where none may or can answer, the primary does, or it is an error, as the rules say. One that
    refuses what its URL says is always an error, since it is one of the settings.
    """

    scheme: ClassVar[str] = "replicated"

    def __init__(
        self, primary: OnlineStore, replicas: Sequence[OnlineStore], rules: ReadRules
    ) -> None:
        self.primary = primary
        self.rules = rules
        self.capabilities: Capabilities = primary.capabilities
        self.replicas = tuple(WatchedReplica(replica, primary) for replica in replicas)
        self._turns = count()

    def __reduce__(self) -> tuple[type["ReplicatedStore"], tuple[Any, ...]]:
        stores = [replica.store for replica in self.replicas]
        return ReplicatedStore, (self.primary, stores, self.rules)

    def __repr__(self) -> str:
        return f"ReplicatedStore({self.primary!r}, {[each.store for each in self.replicas]!r})"

    @property
    def address(self) -> str:
        """Where the primary is, without user and password."""
        return self.primary.address

    # -- serving

    def prepare_lookup(
        self, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> PreparedLookup:
        """Prepare a look-up on every server."""
        return _ReplicatedLookup(
            self,
            [
                _ReplicaLookup(
                    replica.store.prepare_lookup(sources, key_types), self.rules.falls_back
                )
                for replica in self.replicas
            ],
            self.primary.prepare_lookup(sources, key_types),
            self.rules.max_age,
        )

    def check_connection(self) -> None:
        """Ask for an answer those that would answer a look-up; one does."""
        self.ask_servers(
            [replica.store.check_connection for replica in self.replicas],
            self.primary.check_connection,
            max_age=None,
        )

    def ask_servers(
        self,
        replica_calls: Sequence[Callable[[], Any]],
        primary_call: Callable[[], Any],
        max_age: float | None,
    ) -> Any:
        """What the first replica says that may and can, else the primary.

        Args:
            replica_calls: What asks each replica.
            primary_call: What asks the primary.
            max_age: Seconds; older replicas are not asked. None: they may be of any age.

        Raises:
            OnlineRefusedError: A replica takes neither the user nor the password, or not the TLS,
                that are in its URL; it is named.
            OnlineStoreError: No replica answers, and the primary may not or does not.
        """
        first = next(self._turns)
        reasons = []
        for turn in range(len(self.replicas)):
            number = (first + turn) % len(self.replicas)
            replica = self.replicas[number]
            if replica.is_paused and self.rules.falls_back:
                continue
            began = time.monotonic()
            try:
                if max_age is not None and not replica.is_within(max_age):
                    reasons.append(_describe_age(replica, max_age))
                    continue
                return replica_calls[number]()
            except OnlineRefusedError as error:  # which no other answer may hide
                raise OnlineRefusedError(
                    f"Replica {number + 1} of the online store {self.address}: {error} Its URL is"
                    " one of online_read_urls."
                ) from error
            except LackingTableError as error:  # it may have those of other look-ups
                reasons.append(str(error))
            except OnlineStoreError as error:
                replica.pause(error, time.monotonic() - began)
                reasons.append(str(error))
        if self.rules.falls_back:
            return primary_call()
        raise OnlineStoreError(
            f"No replica of the online store {self.address} answers: {' '.join(reasons)} Bring one"
            " up, allow older answers by max_replica_age, or let the primary answer by"
            " replica_fallback: primary."
        )

    # -- whole tables, which the primary has

    def add_columns(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Give the table the columns that it lacks."""
        self.primary.add_columns(table, origin)

    def drop_table(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Remove a table and what is known of its syncs."""
        self.primary.drop_table(table, origin)

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the last sync of the table did."""
        return self.primary.read_sync_state(table)

    def read_sync_states(self) -> dict[str, SyncState]:
        """What the last sync of each table did."""
        return self.primary.read_sync_states()

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time in the table."""
        return self.primary.read_newest_event_time(table)

    def write_heartbeat(self) -> None:
        """Note the time."""
        self.primary.write_heartbeat()

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn the errors of the primary's driver into ours."""
        with self.primary.translate_errors():
            yield


def _describe_age(replica: WatchedReplica, max_age: float) -> str:
    return (
        f"{replica.store.address} may be {replica.age_seconds:,.1f} s old, and {max_age:g} s are"
        " allowed."
    )


class _ReplicaLookup:
    """A look-up that was prepared on one replica.

    Where the replica lacks a table of it, it is not asked again for some seconds.

    Args:
        lookup: Of the replica.
        may_wait: Whether another server answers meanwhile.
    """

    def __init__(self, lookup: PreparedLookup, may_wait: bool) -> None:
        self._lookup = lookup
        self._may_wait = may_wait
        self._lacking = ""  # what it said
        self._asked_again_at = -math.inf

    def warm_up(self) -> None:
        """Make a connection and its statements."""
        self._lookup.warm_up()

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The rows of entries; LackingTableError where it lacks a table, or did a moment ago."""
        if time.monotonic() < self._asked_again_at:
            raise LackingTableError(self._lacking)
        try:
            return self._lookup(entries, now)
        except LackingTableError as error:
            if self._may_wait:
                pause_seconds = choose_pause(0.0)
                self._lacking = str(error)
                self._asked_again_at = time.monotonic() + pause_seconds
                _LOG.warning("A replica is not asked for %.0f s: %s", pause_seconds, error)
            raise


class _ReplicatedLookup:
    """A look-up that was prepared on every server."""

    def __init__(
        self,
        store: ReplicatedStore,
        replica_lookups: Sequence[_ReplicaLookup],
        primary_lookup: PreparedLookup,
        max_age: float | None,
    ) -> None:
        self._store = store
        self._replica_lookups = replica_lookups
        self._primary_lookup = primary_lookup
        self._max_age = max_age

    def warm_up(self) -> None:
        """Make connections to those that answer, and their statements."""
        for _ in self._store.replicas:  # each has its turn
            self._store.ask_servers(
                [lookup.warm_up for lookup in self._replica_lookups],
                self._primary_lookup.warm_up,
                max_age=None,
            )

    def with_max_age(self, seconds: float) -> "_ReplicatedLookup":
        """The same with another bound."""
        return _ReplicatedLookup(self._store, self._replica_lookups, self._primary_lookup, seconds)

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The rows of entries, in one round trip to one server."""
        rows: LookupRows = self._store.ask_servers(
            [partial(lookup, entries, now) for lookup in self._replica_lookups],
            partial(self._primary_lookup, entries, now),
            self._max_age,
        )
        return rows
