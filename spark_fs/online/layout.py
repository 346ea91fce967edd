"""How a feature group lies in an online store: its columns, and the tables that it takes where it is too wide for one.

The columns are dealt to tables in their order; a table is full when a row of it might not fit. Where a column lies follows from the types
alone, so that a serving process knows it without a look, and a column that is appended moves no other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from spark_fs import types
from spark_fs.errors import SettingsError
from spark_fs.online import nested
from spark_fs.spec.definitions import FeatureSpec, GroupSpec
from spark_fs.types import Storage

STEP = 100  # sized columns grow by so many characters, or bytes
LONGEST = 4_000  # characters, or bytes; a column of longer values is a long text or blob
_LONG = {"VARCHAR": "LONGTEXT", "VARBINARY": "LONGBLOB"}
_WIDTHS = {"TINYINT": 1, "SMALLINT": 2, "INT": 4, "BIGINT": 8, "FLOAT": 4, "DOUBLE": 8, "DATE": 3, "DATETIME": 8, "DECIMAL": 20, "CHAR": 42}


@dataclass(frozen=True)
class Capabilities:
    """What a store can do.

    name: its column in the type table. max_identifier: characters of its longest table name. max_columns: columns of one table, and of one
    result, at most. row_bytes: of a row as it is declared. page_bytes: of a row, long values aside, which lie elsewhere. key_bytes: of a
    key. sized: whether texts and bytes are declared with their length. None: no bound.
    """

    name: str
    max_identifier: int
    max_columns: int
    row_bytes: int | None = None
    page_bytes: int | None = None
    key_bytes: int | None = None
    sized: bool = False


@dataclass(frozen=True)
class OnlineColumn:
    """One typed column: its feature type, how the store holds it, and its length where one was declared, so that it does not grow."""

    name: str
    type: str
    storage: Storage
    fixed: int | None = None

    @property
    def sized(self) -> bool:
        """Whether it is as long as its longest value, and grows."""
        return self.storage.column in _LONG

    @property
    def width(self) -> int:
        """Bytes of a value of fixed length."""
        return _WIDTHS.get(types.base(self.storage.column).upper(), 8)


@dataclass(frozen=True)
class OnlineTable:
    """The table of one group: one row per primary key, that of its greatest event time, none older than the ttl."""

    name: str
    columns: tuple[OnlineColumn, ...]
    key: tuple[str, ...]
    event_time: str | None
    ttl: int | None
    limits: Capabilities

    @cached_property
    def by_name(self) -> Mapping[str, OnlineColumn]:
        """The columns."""
        return {column.name: column for column in self.columns}

    @property
    def keys(self) -> tuple[OnlineColumn, ...]:
        """The columns of the key, in its order."""
        return tuple(self.by_name[name] for name in self.key)

    @cached_property
    def parts(self) -> tuple[tuple[OnlineColumn, ...], ...]:
        """The columns of each table; every one begins with the key and the event time."""
        common = (*self.keys, *((self.by_name[self.event_time],) if self.event_time else ()))
        found, full = [list(common)], _Fullness(self, common)
        for column in self.columns:
            if column in common:
                continue
            if not full.takes(column):
                found.append(list(common))
                full = _Fullness(self, common)
                full.takes(column)
            found[-1].append(column)
        return tuple(map(tuple, found))

    def part_name(self, part: int) -> str:
        """The name of one table; no group has a ``$`` in its name."""
        return self.name if part == 0 else f"{self.name}${part + 1}"

    @cached_property
    def part_of(self) -> Mapping[str, int]:
        """The number of the table that a column lies in."""
        return {column.name: number for number, part in reversed(list(enumerate(self.parts))) for column in part}

    def cutoff(self, now: datetime) -> datetime | None:
        """The event time before which a row is past its ttl; None where none is."""
        return None if self.ttl is None or not self.event_time else now - self.ttl * types.MICROSECOND

    def bounds(self, cutoff: datetime) -> tuple[Any, ...]:
        """What an event time, as the store holds it, is compared with: one bound, or for an epoch those of seconds and milliseconds."""
        column = self.by_name[self.event_time or ""]
        micros = types.to_micros(cutoff)
        if types.base(column.type) in ("int", "bigint"):
            return -(-micros // 1_000_000), max(-(-micros // 1_000), types.MILLISECONDS_FROM)
        if column.type == "date":
            days = -(-micros // 86_400_000_000)
            return (column.storage.encode(types.from_micros(days * 86_400_000_000).date()),)
        return (column.storage.encode(cutoff),)


def online_table(group: GroupSpec, capabilities: Capabilities) -> OnlineTable:
    """The table of a group; SettingsError or SchemaError where the store has no room for its name, or cannot hold a type."""
    columns = tuple(_column(feature, capabilities, feature.name in group.primary_key) for feature in group.features)
    name = table_name(group, capabilities)
    table = OnlineTable(name, columns, group.primary_key, group.event_time, group.ttl, capabilities)
    if columns and len(table.part_name(len(table.parts) - 1)) > capabilities.max_identifier:
        raise SettingsError(
            f"Feature group {group} cannot be online_enabled: it takes {len(table.parts)} tables, and {name!r} has no room for their "
            f"numbers: {capabilities.name} takes {capabilities.max_identifier} characters. Choose a shorter name."
        )
    return table


def table_name(group: GroupSpec, capabilities: Capabilities) -> str:
    """``<name>_<version>``; SettingsError when the store has no room for it."""
    name = f"{group.name}_{group.version}"
    if len(name) > capabilities.max_identifier:
        raise SettingsError(
            f"Feature group {group} cannot be online_enabled: its table {name!r} has {len(name)} characters and "
            f"{capabilities.name} takes {capabilities.max_identifier}. Choose a shorter name."
        )
    return name


def storage(spark_type: str, capabilities: Capabilities) -> Storage:
    """How the store holds a type."""
    if types.base(spark_type) in types.NESTED:
        return nested.storage(spark_type, "LONGBLOB" if capabilities.sized else "BLOB")
    return types.storage(spark_type, capabilities.name)


def rooms(table: OnlineTable, part: Sequence[OnlineColumn], lengths: Mapping[str, int]) -> dict[str, int | None]:
    """How long each sized column of a part is made for values of these lengths: the next hundred above; None: a long text or blob.

    Where a row would be too long for the store, the longest columns become long ones.
    """
    found = {c.name: _room(table, c, lengths.get(c.name, 0)) for c in part if c.sized}
    limit = table.limits.row_bytes
    while limit is not None and _row_bytes(part, found) > limit:
        growing = (c for c in part if found.get(c.name) and c.fixed is None and c.name not in table.key)
        longest = max(growing, key=lambda c: found[c.name] or 0)
        found[longest.name] = None
    return found


def column_type(column: OnlineColumn, room: int | None) -> str:
    """The column type, for a sized column with its room."""
    if not column.sized:
        return column.storage.column
    return _LONG[column.storage.column] if room is None else f"{column.storage.column}({room})"


def _room(table: OnlineTable, column: OnlineColumn, length: int) -> int | None:
    if column.fixed is not None:
        return column.fixed
    room = (length // STEP + 1) * STEP
    if column.name in table.key and table.limits.key_bytes is not None:
        return min(room, longest_key(table, column))
    return room if room <= LONGEST else None


def longest_key(table: OnlineTable, column: OnlineColumn) -> int:
    """How long a sized column of the key may be, in characters or bytes: they share what the others leave."""
    sized = [c for c in table.keys if c.sized]
    left = (table.limits.key_bytes or 0) - sum(c.width for c in table.keys if not c.sized)
    return max(1, left // len(sized) // _unit(column))


def _unit(column: OnlineColumn) -> int:
    """Bytes of a character, or of a byte."""
    return 4 if column.storage.column == "VARCHAR" else 1


def _row_bytes(part: Sequence[OnlineColumn], rooms_: Mapping[str, int | None]) -> int:
    def of(column: OnlineColumn) -> int:
        room = rooms_.get(column.name)
        return 12 if column.sized and room is None else column.width if room is None else room * _unit(column) + 2

    return sum(map(of, part)) + len(part) // 8 + 1


class _Fullness:
    """How much of a table is taken, at worst."""

    def __init__(self, table: OnlineTable, common: Sequence[OnlineColumn]) -> None:
        self._table, self._columns = table, len(common)
        self._page, self._row = (sum(of(c, table) for c in common) for of in (_inline, _first_bytes))

    def takes(self, column: OnlineColumn) -> bool:
        """Whether there is room for one more, which is taken."""
        limits, columns = self._table.limits, self._columns + 1
        page, row = self._page + _inline(column, self._table), self._row + _first_bytes(column, self._table)
        nulls = columns // 8
        for taken, limit in ((columns, limits.max_columns), (page + nulls, limits.page_bytes), (row + nulls, limits.row_bytes)):
            if limit is not None and taken > limit:
                return False
        self._columns, self._page, self._row = columns, page, row
        return True


def _first_bytes(column: OnlineColumn, table: OnlineTable) -> int:
    """Bytes of a column as it is declared at first; a sized one of the key may grow and nothing else gives way to it."""
    if not column.sized:
        return column.width
    if column.fixed is not None:
        return column.fixed * _unit(column) + 2
    return (longest_key(table, column) if column.name in table.key else STEP) * _unit(column) + 2


def _inline(column: OnlineColumn, table: OnlineTable) -> int:
    """Bytes of a value that lie in the row itself, at most: of a long one outside the key there are forty."""
    if column.name in table.key:
        return longest_key(table, column) * _unit(column) + 2 if column.sized else column.width
    return 42 if column.sized or "BLOB" in column.storage.column else column.width


def _column(feature: FeatureSpec, capabilities: Capabilities, is_key: bool) -> OnlineColumn:
    held = storage(feature.type, capabilities)
    if is_key and feature.type in ("float", "double"):  # 0.0 and -0.0 are one key
        encode = held.encode
        held = Storage(held.column, lambda value: encode(value + 0.0), held.decode)
    return OnlineColumn(feature.name, feature.type, held, _declared(feature, held) if capabilities.sized else None)


def _declared(feature: FeatureSpec, held: Storage) -> int | None:
    if not feature.online_type:
        return None
    match = re.fullmatch(r"(varchar|varbinary)\((\d+)\)", feature.online_type.lower().replace(" ", ""))
    if match is None or match[1].upper() != held.column or not 0 < int(match[2]) <= LONGEST:
        fitting = f"{held.column}(n), n from 1 to {LONGEST}," if held.column in _LONG else f"none: it is always {held.column}"
        raise SettingsError(
            f"Online type {feature.online_type!r} does not fit feature {feature.name!r} ({feature.type}): use {fitting} or leave it out."
        )
    return int(match[2])
