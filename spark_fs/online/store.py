"""What every online store offers: look-ups for serving, and sessions in which a table is brought up to its feature group."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from spark_fs.errors import OnlineRefusedError
from spark_fs.online.layout import Capabilities, OnlineTable

if TYPE_CHECKING:
    import pyarrow as pa

Found = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Source:
    """One group of a look-up: its table, its columns to return, and for each key column the expressions it may equal, in order.

    An expression is the number of a key value of the entry, or a column of an earlier source (its place and name).
    """

    table: OnlineTable
    columns: tuple[str, ...]
    keys: Mapping[str, tuple["int | tuple[int, str]", ...]]


class Lookup(Protocol):
    """A look-up that was prepared: for each entry its number, then per source whether it has a row, and its columns, as stored."""

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> Found:
        """The rows of entries, each given by its key values as the store holds them (None: to be taken from another row).

        Rows that are past their ttl at ``now`` are not found. For one entry and for many it is one round trip.
        """


@dataclass(frozen=True)
class Synced:
    """Up to which Delta version a table has been brought, by which run (a text), and when (UTC)."""

    version: int
    run: str
    at: datetime


@dataclass(frozen=True)
class Origin:
    """The Delta table that an online table is made from: the id that it was given when it was made, and where it lies, for who reads it."""

    id: str
    place: str

    def differs(self, found: "Origin | None") -> bool:
        """Whether an online table is known to be made from another one; a table that has gone is known by its place alone."""
        same = found is None or found.id == self.id or (not self.id and found.place == self.place)
        return not same


@dataclass(frozen=True)
class Merged:
    """What the end of a sync did: rows older than those online, rows deleted because their key is gone, and rows past their ttl."""

    skipped: int = 0
    deleted: int = 0
    expired: int = 0


class Session(Protocol):
    """One sync of one table, while no other can begin. What workers loaded is seen by readers when the session says so, all at once."""

    synced: Synced | None

    def begin(self, afresh: bool) -> "Place":
        """A new place for the rows of this run, what a killed run left being removed; afresh: they are to be the whole table."""

    def swap(self, place: "Place", version: int) -> None:
        """Let the loaded rows be the table from now on, and remember the version."""

    def merge(self, place: "Place", version: int, cutoff: datetime | None) -> Merged:
        """In one transaction: delete keys that are gone, write loaded rows (never over newer ones), delete what is older than the cutoff.

        The version is remembered in the same transaction.
        """


@dataclass(frozen=True)
class Place:
    """Where workers load the rows of a run: the beginning of the names of its tables, and whether they will be the table itself."""

    prefix: str
    afresh: bool

    def rows(self, part: int) -> str:
        """The table of the rows of one part."""
        return f"{self.prefix}r{part}"

    @property
    def gone(self) -> str:
        """The table of the keys whose online row goes, whatever its time."""
        return f"{self.prefix}k"


class OnlineStore(Protocol):
    """A database that serves the latest row of each entity. Pickles, and connects anew where it is unpickled."""

    capabilities: Capabilities

    def lookup(self, sources: Sequence[Source], key_types: Sequence[str]) -> Lookup:
        """Prepare a look-up over several groups."""

    def check(self) -> None:
        """Ask the database for an answer; OnlineStoreError where there is none."""

    def add_columns(self, table: OnlineTable, origin: Origin) -> None:
        """Give the table, where there is one of this origin, the columns that it lacks, holding nulls."""

    def drop(self, table: OnlineTable, origin: Origin) -> None:
        """Remove a table and what is known of its syncs; one that is absent, or of another origin, is no error and stays as it is."""

    def synced(self, table: OnlineTable) -> Synced | None:
        """What the last sync of the table did; None before the first."""


class Writer(Protocol):
    """The side of a store that is written and verified. Pickles, and connects anew where it is unpickled."""

    def session(self, table: OnlineTable, origin: Origin) -> AbstractContextManager[Session]:
        """Begin a sync; ConflictError while another one of the table runs, OnlineRefusedError where its rows are not of this origin."""

    def load(self, table: OnlineTable, place: Place, rows: "pa.Table") -> None:
        """Add rows to a place, in a worker; a row loaded twice is there once. OnlineRefusedError for a value that does not fit."""

    def load_gone(self, table: OnlineTable, place: Place, keys: "pa.Table") -> None:
        """Add keys to those that go."""

    def checksums(self, table: OnlineTable, buckets: int, cutoff: datetime | None) -> dict[int, tuple[int, int]]:
        """Of each bucket of keys how many rows it holds and the sum of their checksums, rows older than the cutoff aside."""

    def rows_of(self, table: OnlineTable, buckets: int, chosen: Sequence[int], cutoff: datetime | None) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets, decoded, in the order of the table's columns."""

    def newest(self, table: OnlineTable) -> Any:
        """The greatest event time in the table, decoded; None where there is none."""


def check_origin(where: str, table: OnlineTable, synced: Synced | None, found: Origin | None, own: Origin) -> None:
    """OnlineRefusedError where a table that is there is not this store's to write; one that an earlier version wrote is taken for it."""
    remedy = (
        "Nothing was written. Name a database of its own in online_url, or, where that table is no longer needed, drop it from the "
        "database and sync again."
    )
    if own.differs(found):
        assert found
        raise OnlineRefusedError(
            f"The online store {where} holds {table.name} of another feature store, made from {found.place}; this one is at {own.place}. "
            f"{remedy}"
        )
    if synced is None and found is None:
        raise OnlineRefusedError(f"The online store {where} holds a table {table.name} that no sync has made. {remedy}")
