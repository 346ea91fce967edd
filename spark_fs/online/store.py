"""What every online store offers, and what the tables in it look like."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spark_fs import types
from spark_fs.errors import SettingsError
from spark_fs.spec.definitions import GroupSpec


@dataclass(frozen=True)
class Capabilities:
    """What a store can do.

    name: its column in the type table. max_identifier: characters of its longest table name. parallel_writes: whether
    many may write at once. sized_text: whether a text column is declared with its length.
    """

    name: str
    max_identifier: int
    parallel_writes: bool
    sized_text: bool


@dataclass(frozen=True)
class OnlineColumn:
    """One typed column: how the store holds it, and for text the length to make room for."""

    name: str
    storage: types.Storage
    length: int = 0


@dataclass(frozen=True)
class OnlineTable:
    """The table of one group: one row per primary key, that of its greatest event time."""

    name: str
    columns: tuple[OnlineColumn, ...]
    key: tuple[str, ...]
    event_time: str | None


class OnlineStore(Protocol):
    """A database that serves the latest row of each entity. Pickles, and connects anew where it is unpickled."""

    capabilities: Capabilities

    def ensure_table(self, table: OnlineTable) -> None:
        """Create the table, or make room for longer texts in the one that is there."""

    def upsert(self, table: OnlineTable, rows: Iterable[Sequence[Any]], over_newer: bool = False) -> None:
        """Write rows in one transaction; one older than the row that is there changes nothing, unless ``over_newer``."""

    def delete(self, table: OnlineTable, rows: Iterable[Sequence[Any]]) -> None:
        """Delete the rows of these keys (the table's columns are its key) in one transaction; an absent one deletes nothing."""

    def drop(self, table: str) -> None:
        """Remove a table and its synced version; one that is absent is no error."""

    def synced_version(self, table: str) -> int | None:
        """The Delta version that the table has been brought to; None before the first sync."""

    def set_synced_version(self, table: str, version: int) -> None:
        """Remember the Delta version that the table has been brought to."""

    def lookup_sql(self, sources: Sequence["Source"], keys: int, entries: int) -> str:
        """One statement that finds the rows of all sources for so many entries of so many key values."""

    def select(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""


@dataclass(frozen=True)
class Source:
    """One table of a look-up: its columns to return, and for each key column the expressions it may equal, in order.

    An expression is the number of a key value of the entry, or a column of an earlier source (its place and name).
    """

    table: str
    columns: tuple[str, ...]
    keys: Mapping[str, tuple["int | tuple[int, str]", ...]]


def table_name(group: GroupSpec, capabilities: Capabilities) -> str:
    """``<name>_<version>``; SettingsError when the store has no room for it."""
    name = f"{group.name}_{group.version}"
    if len(name) > capabilities.max_identifier:
        raise SettingsError(
            f"Feature group {group} cannot be online_enabled: its table {name!r} has {len(name)} characters and "
            f"{capabilities.name} takes {capabilities.max_identifier}. Choose a shorter name."
        )
    return name


def online_table(group: GroupSpec, capabilities: Capabilities, lengths: Mapping[str, int]) -> OnlineTable:
    """The table of a group; ``lengths`` holds the longest value of each text column, in characters."""
    columns = tuple(
        OnlineColumn(name, types.storage(type_, capabilities.name), lengths.get(name, 0)) for name, type_ in group.types.items()
    )
    return OnlineTable(table_name(group, capabilities), columns, group.primary_key, group.event_time)
