"""How a feature group lies in an online store: its columns, and the tables that it takes where it is too wide for one.

The columns are dealt to tables in their order; a table is full when a row of it might not fit.
Where a column lies follows from the types alone, so that a serving process knows it without a look,
and a column that is appended moves no other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from spark_fs.base import times, types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.types import ColumnStorage
from spark_fs.errors import SettingsError
from spark_fs.online import nested_json
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec

LENGTH_STEP = 100  # sized columns grow by so many characters, or bytes
MAX_LENGTH = 4_000  # characters, or bytes; a column of longer values is a long text or blob
_LONG_TYPES = {"VARCHAR": "LONGTEXT", "VARBINARY": "LONGBLOB"}
_BYTE_WIDTHS = {
    "TINYINT": 1,
    "SMALLINT": 2,
    "INT": 4,
    "BIGINT": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
    "DATE": 3,
    "DATETIME": 8,
    "DECIMAL": 20,
    "CHAR": 42,
}


@dataclass(frozen=True)
class Capabilities:
    """What a store can do.

    name: its column in the type table. max_identifier: characters of its longest table name.
    max_columns: columns of one table, and of one result, at most. row_bytes: of a row as it is
    declared. page_bytes: of a row, long values aside, which lie elsewhere. key_bytes: of a key.
    sized: whether texts and bytes are declared with their length. None: no bound.
    """

    name: str
    max_identifier: int
    max_columns: int
    row_bytes: int | None = None
    page_bytes: int | None = None
    key_bytes: int | None = None
    declares_lengths: bool = False


@dataclass(frozen=True)
class OnlineColumn:
    """One typed column: its feature type, how the store holds it, and its length where one was declared, so that it does not grow."""

    name: str
    type: str
    storage: ColumnStorage
    declared_length: int | None = None

    @property
    def variable_length(self) -> bool:
        """Whether it is as long as its longest value, and grows."""
        return self.storage.column_type in _LONG_TYPES

    @property
    def byte_width(self) -> int:
        """Bytes of a value of fixed length."""
        return _BYTE_WIDTHS.get(types.get_base_type(self.storage.column_type).upper(), 8)


@dataclass(frozen=True)
class OnlineTable:
    """The table of one group: one row per primary key, that of its greatest event time, none older than the ttl."""

    name: str
    columns: tuple[OnlineColumn, ...]
    primary_key: tuple[str, ...]
    event_time: str | None
    ttl: int | None
    limits: Capabilities

    @cached_property
    def columns_by_name(self) -> Mapping[str, OnlineColumn]:
        """The columns."""
        return {column.name: column for column in self.columns}

    @property
    def key_columns(self) -> tuple[OnlineColumn, ...]:
        """The columns of the key, in its order."""
        return tuple(self.columns_by_name[name] for name in self.primary_key)

    @cached_property
    def part_columns(self) -> tuple[tuple[OnlineColumn, ...], ...]:
        """The columns of each table; every one begins with the key and the event time."""
        common = (
            *self.key_columns,
            *((self.columns_by_name[self.event_time],) if self.event_time else ()),
        )
        found, full = [list(common)], _RowBudget(self, common)
        for column in self.columns:
            if column in common:
                continue
            if not full.add_if_fits(column):
                found.append(list(common))
                full = _RowBudget(self, common)
                full.add_if_fits(column)
            found[-1].append(column)
        return tuple(map(tuple, found))

    def part_name(self, part_number: int) -> str:
        """The name of one table; no group has a ``$`` in its name."""
        return self.name if part_number == 0 else f"{self.name}${part_number + 1}"

    @cached_property
    def part_by_column(self) -> Mapping[str, int]:
        """The number of the table that a column lies in."""
        return {
            column.name: number
            for number, part in reversed(list(enumerate(self.part_columns)))
            for column in part
        }

    def ttl_cutoff(self, now: datetime) -> datetime | None:
        """The event time before which a row is past its ttl; None where none is."""
        return (
            None if self.ttl is None or not self.event_time else now - self.ttl * times.MICROSECOND
        )

    def ttl_bounds(self, cutoff: datetime) -> tuple[Any, ...]:
        """What an event time, as the store holds it, is compared with: one bound, or for an epoch those of seconds and milliseconds."""
        column = self.columns_by_name[self.event_time or ""]
        micros = times.to_micros(cutoff)
        if types.get_base_type(column.type) in ("int", "bigint"):
            seconds = ceil_divide(micros, 1_000_000)
            millis = ceil_divide(micros, 1_000)
            return seconds, max(millis, times.MILLISECONDS_FROM)
        if column.type == "date":
            days = ceil_divide(micros, times.DAY_MICROS)
            first_day = times.from_micros(days * times.DAY_MICROS).date()
            return (column.storage.encode(first_day),)
        return (column.storage.encode(cutoff),)


def build_online_table(group: GroupSpec, capabilities: Capabilities) -> OnlineTable:
    """The table of a group; SettingsError or SchemaError where the store has no room for its name, or cannot hold a type."""
    columns = tuple(
        _build_column(feature, capabilities, feature.name in group.primary_key)
        for feature in group.features
    )
    name = make_table_name(group, capabilities)
    table = OnlineTable(
        name, columns, group.primary_key, group.event_time, group.ttl_micros, capabilities
    )
    if columns and len(table.part_name(len(table.part_columns) - 1)) > capabilities.max_identifier:
        raise SettingsError(
            f"Feature group {group} cannot be online_enabled: it takes {len(table.part_columns)}"
            f" tables, and {name!r} has no room for their numbers: {capabilities.name} takes"
            f" {capabilities.max_identifier} characters. Choose a shorter name."
        )
    return table


def make_table_name(group: GroupSpec, capabilities: Capabilities) -> str:
    """``<name>_<version>``; SettingsError when the store has no room for it."""
    name = f"{group.name}_{group.version}"
    if len(name) > capabilities.max_identifier:
        raise SettingsError(
            f"Feature group {group} cannot be online_enabled: its table {name!r} has {len(name)}"
            f" characters and {capabilities.name} takes {capabilities.max_identifier}. Choose a"
            " shorter name."
        )
    return name


def get_storage(spark_type: str, capabilities: Capabilities) -> ColumnStorage:
    """How the store holds a type."""
    if types.get_base_type(spark_type) in types.NESTED:
        return nested_json.build_storage(
            spark_type, "LONGBLOB" if capabilities.declares_lengths else "BLOB"
        )
    return types.find_storage(spark_type, capabilities.name)


def choose_column_lengths(
    table: OnlineTable, columns: Sequence[OnlineColumn], longest_values: Mapping[str, int]
) -> dict[str, int | None]:
    """How long each sized column of a part is made for values of these lengths: the next hundred above; None: a long text or blob.

    Where a row would be too long for the store, the longest columns become long ones.
    """
    found = {
        c.name: _choose_length(table, c, longest_values.get(c.name, 0))
        for c in columns
        if c.variable_length
    }
    limit = table.limits.row_bytes
    while limit is not None and _compute_row_bytes(columns, found) > limit:
        growing = (
            c
            for c in columns
            if found.get(c.name) and c.declared_length is None and c.name not in table.primary_key
        )
        longest = max(growing, key=lambda c: found[c.name] or 0)
        found[longest.name] = None
    return found


def get_column_type(column: OnlineColumn, length: int | None) -> str:
    """The column type, for a sized column with its room."""
    if not column.variable_length:
        return column.storage.column_type
    return (
        _LONG_TYPES[column.storage.column_type]
        if length is None
        else f"{column.storage.column_type}({length})"
    )


def _choose_length(table: OnlineTable, column: OnlineColumn, longest_value: int) -> int | None:
    if column.declared_length is not None:
        return column.declared_length
    room = (longest_value // LENGTH_STEP + 1) * LENGTH_STEP
    if column.name in table.primary_key and table.limits.key_bytes is not None:
        return min(room, compute_max_key_length(table, column))
    return room if room <= MAX_LENGTH else None


def compute_max_key_length(table: OnlineTable, column: OnlineColumn) -> int:
    """How long a sized column of the key may be, in characters or bytes: they share what the others leave."""
    sized = [c for c in table.key_columns if c.variable_length]
    left = (table.limits.key_bytes or 0) - sum(
        c.byte_width for c in table.key_columns if not c.variable_length
    )
    return max(1, left // len(sized) // _get_unit_bytes(column))


def _get_unit_bytes(column: OnlineColumn) -> int:
    """Bytes of a character, or of a byte."""
    return 4 if column.storage.column_type == "VARCHAR" else 1


def _compute_row_bytes(
    columns: Sequence[OnlineColumn], column_lengths: Mapping[str, int | None]
) -> int:
    def compute_column_bytes(column: OnlineColumn) -> int:
        room = column_lengths.get(column.name)
        return (
            12
            if column.variable_length and room is None
            else column.byte_width
            if room is None
            else room * _get_unit_bytes(column) + 2
        )

    return sum(map(compute_column_bytes, columns)) + len(columns) // 8 + 1


class _RowBudget:
    """How much of a table is taken, at worst."""

    def __init__(self, table: OnlineTable, common_columns: Sequence[OnlineColumn]) -> None:
        self._table, self._column_count = table, len(common_columns)
        self._page_bytes, self._row_bytes = (
            sum(of(c, table) for c in common_columns)
            for of in (_compute_inline_bytes, _compute_declared_bytes)
        )

    def add_if_fits(self, column: OnlineColumn) -> bool:
        """Whether there is room for one more, which is taken."""
        limits, columns = self._table.limits, self._column_count + 1
        page, row = (
            self._page_bytes + _compute_inline_bytes(column, self._table),
            self._row_bytes + _compute_declared_bytes(column, self._table),
        )
        nulls = columns // 8
        for taken, limit in (
            (columns, limits.max_columns),
            (page + nulls, limits.page_bytes),
            (row + nulls, limits.row_bytes),
        ):
            if limit is not None and taken > limit:
                return False
        self._column_count, self._page_bytes, self._row_bytes = columns, page, row
        return True


def _compute_declared_bytes(column: OnlineColumn, table: OnlineTable) -> int:
    """Bytes of a column as it is declared at first; a sized one of the key may grow and nothing else gives way to it."""
    if not column.variable_length:
        return column.byte_width
    if column.declared_length is not None:
        return column.declared_length * _get_unit_bytes(column) + 2
    return (
        compute_max_key_length(table, column) if column.name in table.primary_key else LENGTH_STEP
    ) * _get_unit_bytes(column) + 2


def _compute_inline_bytes(column: OnlineColumn, table: OnlineTable) -> int:
    """Bytes of a value that lie in the row itself, at most: of a long one outside the key there are forty."""
    if column.name in table.primary_key:
        return (
            compute_max_key_length(table, column) * _get_unit_bytes(column) + 2
            if column.variable_length
            else column.byte_width
        )
    return (
        42 if column.variable_length or "BLOB" in column.storage.column_type else column.byte_width
    )


def _build_column(feature: FeatureSpec, capabilities: Capabilities, is_key: bool) -> OnlineColumn:
    held = get_storage(feature.type, capabilities)
    if is_key and feature.type in ("float", "double"):  # 0.0 and -0.0 are one key
        encode = held.encode
        held = ColumnStorage(held.column_type, lambda value: encode(value + 0.0), held.decode)
    return OnlineColumn(
        feature.name,
        feature.type,
        held,
        _parse_declared_length(feature, held) if capabilities.declares_lengths else None,
    )


def _parse_declared_length(feature: FeatureSpec, column_storage: ColumnStorage) -> int | None:
    if not feature.online_type:
        return None
    match = re.fullmatch(
        r"(varchar|varbinary)\((\d+)\)", feature.online_type.lower().replace(" ", "")
    )
    if (
        match is None
        or match[1].upper() != column_storage.column_type
        or not 0 < int(match[2]) <= MAX_LENGTH
    ):
        fitting = (
            f"{column_storage.column_type}(n), n from 1 to {MAX_LENGTH},"
            if column_storage.column_type in _LONG_TYPES
            else f"none: it is always {column_storage.column_type}"
        )
        raise SettingsError(
            f"Online type {feature.online_type!r} does not fit feature {feature.name!r}"
            f" ({feature.type}): use {fitting} or leave it out."
        )
    return int(match[2])
