"""What every online store offers: look-ups, and sessions that sync a table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from spark_fs.errors import OnlineRefusedError, OnlineStoreError
from spark_fs.online.column_storage import Capabilities
from spark_fs.online.table_layout import OnlineTable

if TYPE_CHECKING:
    import pyarrow as pa

LookupRow = tuple[Any, ...]
LookupRows = list[LookupRow]
HEARTBEAT = "$heartbeat"  # the name of a sync state that is of no table: no group has a $
# The number of a key value of the entry, or a column of an earlier source: its number and name.
KeyChoice = int | tuple[int, str]


@dataclass(frozen=True)
class SparedColumn:
    """A column that is null in what is looked up at some instants, so that it takes no time.

    first, last: the columns of the row that say from which instant to which, in microseconds.
    """

    name: str
    first: str
    last: str


@dataclass(frozen=True)
class LookupSource:
    """One group of a look-up.

    table: its table. columns: those to return. keys: for each key column what it may equal, in
    order. spared: one of the columns, that is not always returned.
    """

    table: OnlineTable
    columns: tuple[str, ...]
    keys: Mapping[str, tuple[KeyChoice, ...]]
    spared: SparedColumn | None = None


class LackingTableError(OnlineStoreError):
    """A server answers, and lacks a table or a column; it may have all of another look-up."""


class PreparedLookup(Protocol):
    """A look-up that was prepared.

    It gives for each entry its number, then per source whether it has a row, and its columns, as
    stored.
    """

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """Find the rows of entries, in one round trip for one entry and for many.

        Args:
            entries: The key values of each, as the store holds them. None: the value is taken from
                another row.
            now: The instant (UTC) at which rows past their ttl are not found.

        Returns:
            A row for each entry; its number and an error where the part of the store fails that the
            entry lies on.

        Raises:
            OnlineStoreError: All of what was asked fails.
        """

    def warm_up(self) -> None:
        """Ask for no entry, alone and in company: a connection is made, and its statements."""

    def with_max_age(self, seconds: float) -> "PreparedLookup":
        """The same, of which no answer is older: where it reads replicas, those that may be.

        Args:
            seconds: How long ago a sync may have ended that an answer does not show.
        """


def look_up_nothing(lookup: PreparedLookup, key_count: int) -> None:
    """Ask for an entry without keys, then for two.

    Args:
        lookup: What is asked.
        key_count: How many values an entry's key has.
    """
    nothing = [None] * key_count
    for entries in ([nothing], [nothing, nothing]):
        lookup(entries, datetime.now(UTC))


@dataclass(frozen=True)
class SyncState:
    """Up to which Delta version a table has been brought.

    run_id: by which run. synced_at: when, in UTC.
    """

    version: int
    run_id: str
    synced_at: datetime


@dataclass(frozen=True)
class TableOrigin:
    """The Delta table that an online table is made from.

    table_id: the id that it was given when it was made. location: where it lies, for who reads it.
    """

    table_id: str
    location: str

    def differs_from(self, other: "TableOrigin | None") -> bool:
        """Whether an online table is known to be made from another one.

        A Delta table that has gone is known by its location alone.
        """
        if other is None or other.table_id == self.table_id:
            return False
        return bool(self.table_id) or other.location != self.location


@dataclass(frozen=True)
class MergeResult:
    """What the end of a sync did.

    skipped: rows older than those online. deleted: rows whose key is gone. expired: rows past their
    ttl.
    """

    skipped: int = 0
    deleted: int = 0
    expired: int = 0


class SyncSession(Protocol):
    """One sync of one table, while no other can begin.

    What workers loaded is seen by readers when the session says so, all at once.
    """

    last_sync: SyncState | None

    def begin_staging(self, full_refresh: bool) -> "StagingTables":
        """Make new tables for the rows of this run, and remove what a killed run left.

        Args:
            full_refresh: Whether the rows are to be the whole table.

        Returns:
            Where workers load the rows.
        """

    def swap_tables(self, staging: "StagingTables", version: int) -> None:
        """Let the loaded rows be the table from now on, and remember the version.

        Args:
            staging: Where the rows were loaded, for a full refresh.
            version: The Delta version of the rows.
        """

    def merge_rows(
        self, staging: "StagingTables", version: int, cutoff: datetime | None
    ) -> MergeResult:
        """Write the loaded rows, never over newer ones, and remember the version.

        It is one transaction.

        Keys that are gone are deleted first, rows that are past their ttl last.

        Args:
            staging: Where the rows were loaded.
            version: The Delta version that they bring the table up to.
            cutoff: The event time (UTC) before which rows are deleted. None: no row is.

        Returns:
            How many rows were skipped and deleted.
        """


@dataclass(frozen=True)
class StagingTables:
    """Where workers load the rows of a run.

    name_prefix: the beginning of the names of its tables. full_refresh: whether they will be the
    table itself.
    """

    name_prefix: str
    full_refresh: bool

    def rows_table(self, part_number: int) -> str:
        """The table of the rows of one part."""
        return f"{self.name_prefix}r{part_number}"

    @property
    def deleted_keys(self) -> str:
        """The table of the keys whose online row goes, whatever its time."""
        return f"{self.name_prefix}k"


class OnlineStore(Protocol):
    """A database that serves the latest row of each entity.

    It pickles, and connects anew where it is unpickled.

    scheme: of its URL, by which the registry has its row.
    """

    scheme: ClassVar[str]
    capabilities: Capabilities

    @property
    def address(self) -> str:
        """Where it is, without user and password."""

    def prepare_lookup(
        self, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> PreparedLookup:
        """Prepare a look-up over several groups.

        Args:
            sources: The groups; a key may be a column of an earlier one.
            key_types: The feature types of an entry's key values, in their order.
        """

    def check_connection(self) -> None:
        """Ask the database for an answer; OnlineStoreError where there is none."""

    def add_columns(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Give the table the columns that it lacks, holding nulls.

        Nothing is done where there is no table of this origin.
        """

    def drop_table(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Remove a table and what is known of its syncs.

        One that is absent, or of another origin, is no error and stays as it is.
        """

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the last sync of the table did; None before the first."""

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time in the table, decoded; None where there is none.

        It reads a column of every row.
        """

    def read_sync_states(self) -> dict[str, SyncState]:
        """What the last sync of each table did, by its name, and the heartbeat; changes nothing."""

    def write_heartbeat(self) -> None:
        """Note the time as the sync state of ``HEARTBEAT``, for replicas to show how old they are.

        OnlineStoreError before the first sync.
        """

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn the errors of its driver into ours."""


class OnlineWriter(Protocol):
    """The side of a store that is written and verified.

    It pickles, and connects anew where it is unpickled.
    """

    def open_session(
        self, table: OnlineTable, origin: TableOrigin
    ) -> AbstractContextManager[SyncSession]:
        """Begin a sync.

        Raises:
            ConflictError: Another sync of the table runs.
            OnlineRefusedError: The rows of the table are not of this origin.
        """

    def load_rows(self, table: OnlineTable, staging: StagingTables, rows: "pa.Table") -> None:
        """Add rows to the staging tables, in a worker; a row loaded twice is there once.

        Raises:
            OnlineRefusedError: A value does not fit its column.
        """

    def load_deleted_keys(
        self, table: OnlineTable, staging: StagingTables, keys: "pa.Table"
    ) -> None:
        """Add keys to those that go."""

    def compute_checksums(
        self, table: OnlineTable, bucket_count: int, cutoff: datetime | None
    ) -> dict[int, tuple[int, int]]:
        """Count the rows of each bucket of keys, and sum up their checksums.

        Args:
            table: The table.
            bucket_count: How many buckets the keys are dealt to.
            cutoff: The event time (UTC) before which rows are left out. None: no row is.

        Returns:
            By bucket the number of its rows and the sum of their checksums, for those that have
            rows.
        """

    def read_buckets(
        self,
        table: OnlineTable,
        bucket_count: int,
        bucket_numbers: Sequence[int],
        cutoff: datetime | None,
    ) -> Iterator[tuple[Any, ...]]:
        """Read the rows of some buckets.

        Args:
            table: The table.
            bucket_count: How many buckets the keys are dealt to.
            bucket_numbers: The buckets to read.
            cutoff: The event time (UTC) before which rows are left out. None: no row is.

        Returns:
            The decoded values of each row, in the order of the table's columns.
        """


def check_origin(
    store_address: str,
    table: OnlineTable,
    last_sync: SyncState | None,
    recorded: TableOrigin | None,
    expected: TableOrigin,
) -> None:
    """Check that a table that is there may be written by this feature store.

    A table that an earlier version wrote has no recorded origin, and is taken for this store's.

    Args:
        store_address: The online store, for the error.
        table: The table.
        last_sync: What is remembered of its last sync.
        recorded: The Delta table that it was made from, where that was noted.
        expected: The Delta table that it is to be made from.

    Raises:
        OnlineRefusedError: It is made from another Delta table, or no sync has made it.
    """
    remedy = (
        "Nothing was written. Name a database of its own in online_url, or, where that table is no"
        " longer needed, drop it from the database and sync again."
    )
    if expected.differs_from(recorded):
        assert recorded
        raise OnlineRefusedError(
            f"The online store {store_address} holds {table.name} of another feature store, made"
            f" from {recorded.location}; this one is at {expected.location}. {remedy}"
        )
    if last_sync is None and recorded is None:
        raise OnlineRefusedError(
            f"The online store {store_address} holds a table {table.name} that no sync has made."
            f" {remedy}"
        )
