"""How a feature group lies in an online store: its columns, and its tables.

A group takes several tables where it is too wide for one.

The columns are dealt to tables in their order; a table is full when a row of it might not fit.
Where a column lies follows from the types alone, so that a serving process knows it without a look,
and a column that is appended moves no other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from spark_fs.base import times, types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.errors import SettingsError
from spark_fs.online.column_storage import Capabilities, ColumnStorage, OnlineColumn
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec

LENGTH_STEP = 100  # columns of variable length grow by so many characters, or bytes
MAX_LENGTH = 4_000  # characters, or bytes; a column of longer values is a long text or blob
_OFF_PAGE_BYTES = 42  # of a value that lies outside of its row, in the row: forty and its length
_LONG_COLUMN_BYTES = 12  # that a column of a long type counts for in the length of a declared row
_SECOND_MICROS = 1_000_000
_MILLISECOND_MICROS = 1_000


@dataclass(frozen=True)
class OnlineTable:
    """The table of one group: one row per primary key, that of its greatest event time.

    ttl: no row is older, in microseconds; None: it may be of any age.
    """

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
        common_columns = list(self.key_columns)
        if self.event_time and self.event_time not in self.primary_key:
            common_columns.append(self.columns_by_name[self.event_time])
        parts = [list(common_columns)]
        budget = _RowBudget(self, common_columns)
        for column in self.columns:
            if column in common_columns:
                continue
            if not budget.add_if_fits(column):
                parts.append(list(common_columns))
                budget = _RowBudget(self, common_columns)
                budget.add_if_fits(column)
            parts[-1].append(column)
        return tuple(map(tuple, parts))

    def part_name(self, part_number: int) -> str:
        """The name of one table; no group has a ``$`` in its name."""
        return self.name if part_number == 0 else f"{self.name}${part_number + 1}"

    @property
    def part_names(self) -> list[str]:
        """The names of all tables."""
        return [self.part_name(number) for number in range(len(self.part_columns))]

    @cached_property
    def part_by_column(self) -> Mapping[str, int]:
        """The number of the table that a column lies in; the first, for one that lies in each."""
        part_by_column: dict[str, int] = {}
        for number, columns in enumerate(self.part_columns):
            for column in columns:
                part_by_column.setdefault(column.name, number)
        return part_by_column

    def ttl_cutoff(self, now: datetime) -> datetime | None:
        """The event time before which a row is past its ttl; None where no row ever is."""
        if self.ttl is None or not self.event_time:
            return None
        return now - self.ttl * times.MICROSECOND

    def ttl_bounds(self, cutoff: datetime) -> tuple[Any, ...]:
        """What an event time, as the store holds it, is compared with.

        It is one bound, or for an epoch those of seconds and of milliseconds.
        """
        column = self.columns_by_name[self.event_time or ""]
        micros = times.to_micros(cutoff)
        if types.get_base_type(column.type) in ("int", "bigint"):
            seconds = ceil_divide(micros, _SECOND_MICROS)
            milliseconds = ceil_divide(micros, _MILLISECOND_MICROS)
            return seconds, max(milliseconds, times.MILLISECONDS_FROM)
        if column.type == "date":
            midnight = times.from_micros(ceil_divide(micros, times.DAY_MICROS) * times.DAY_MICROS)
            return (column.storage.encode(midnight.date()),)
        return (column.storage.encode(cutoff),)


def build_online_table(group: GroupSpec, capabilities: Capabilities) -> OnlineTable:
    """The table of a group in a store.

    Args:
        group: The definition of the group, with its features.
        capabilities: What the store can do.

    Returns:
        The table. No store is asked.

    Raises:
        SettingsError: The store has no room for its name, or a declared online type does not fit.
        SchemaError: The store cannot hold a type.
    """
    columns = tuple(
        _build_column(feature, capabilities, feature.name in group.primary_key)
        for feature in group.features
    )
    name = make_table_name(group, capabilities)
    table = OnlineTable(
        name, columns, group.primary_key, group.event_time, group.ttl_micros, capabilities
    )
    if columns and len(table.part_names[-1]) > capabilities.max_identifier:
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


def _build_column(feature: FeatureSpec, capabilities: Capabilities, is_key: bool) -> OnlineColumn:
    storage = capabilities.find_storage(feature.type)
    if is_key and feature.type in ("float", "double"):
        storage = _without_negative_zero(storage)
    declared_length = None
    if capabilities.declares_lengths:
        declared_length = _parse_declared_length(feature, storage)
    return OnlineColumn(feature.name, feature.type, storage, declared_length, is_key)


def _without_negative_zero(storage: ColumnStorage) -> ColumnStorage:
    """0.0 and -0.0 are one key."""
    encode = storage.encode
    return replace(storage, encode=lambda value: encode(value + 0.0))


def _parse_declared_length(feature: FeatureSpec, storage: ColumnStorage) -> int | None:
    if not feature.online_type:
        return None
    online_type = feature.online_type.lower().replace(" ", "")
    match = re.fullmatch(r"(varchar|varbinary)\((\d+)\)", online_type)
    if match is not None and match[1].upper() == storage.column_type:
        length = int(match[2])
        if 0 < length <= MAX_LENGTH:
            return length
    if storage.long_type is not None:
        remedy = f"use {storage.column_type}(n), n from 1 to {MAX_LENGTH}, or leave it out"
    else:
        remedy = f"leave it out, it is always {storage.column_type}"
    raise SettingsError(
        f"Online type {feature.online_type!r} does not fit feature {feature.name!r}"
        f" ({feature.type}): {remedy}."
    )


# -- the lengths of columns


def choose_column_lengths(
    table: OnlineTable, columns: Sequence[OnlineColumn], longest_values: Mapping[str, int]
) -> dict[str, int | None]:
    """How long each column of variable length of a part is made for values of these lengths.

    It is the next hundred above; None: a long text or blob. Where a row would be too long for the
    store, the longest columns become long ones.
    """
    lengths = {
        column.name: _choose_length(table, column, longest_values.get(column.name, 0))
        for column in columns
        if column.variable_length
    }
    limit = table.limits.row_bytes
    while limit is not None and _compute_row_bytes(columns, lengths) > limit:
        longest_name = ""
        longest = 0
        for column in columns:
            if column.declared_length is not None or column.name in table.primary_key:
                continue
            length = lengths.get(column.name) or 0
            if length > longest:
                longest_name = column.name
                longest = length
        assert longest_name, "the key and the declared lengths alone fit a row"
        lengths[longest_name] = None
    return lengths


def _choose_length(table: OnlineTable, column: OnlineColumn, longest_value: int) -> int | None:
    if column.declared_length is not None:
        return column.declared_length
    length = (longest_value // LENGTH_STEP + 1) * LENGTH_STEP
    if column.name in table.primary_key and table.limits.key_bytes is not None:
        return min(length, compute_max_key_length(table, column))
    return length if length <= MAX_LENGTH else None


def compute_max_key_length(table: OnlineTable, column: OnlineColumn) -> int:
    """How long a column of variable length in the key may be, in characters or bytes.

    Such columns share what the others leave.
    """
    bytes_left = table.limits.key_bytes or 0
    sharing_columns = 0
    for key_column in table.key_columns:
        if key_column.variable_length:
            sharing_columns += 1
        else:
            bytes_left -= key_column.storage.byte_width
    return max(1, bytes_left // sharing_columns // column.storage.unit_bytes)


def _compute_row_bytes(
    columns: Sequence[OnlineColumn], column_lengths: Mapping[str, int | None]
) -> int:
    total = len(columns) // 8 + 1  # a bit for each column that may be null
    for column in columns:
        length = column_lengths.get(column.name)
        if length is not None:
            total += _compute_varying_bytes(column, length)
        elif column.variable_length:
            total += _LONG_COLUMN_BYTES
        else:
            total += column.storage.byte_width
    return total


def _compute_varying_bytes(column: OnlineColumn, length: int) -> int:
    """Bytes of a value of such a length, with the two that hold its length."""
    return length * column.storage.unit_bytes + 2


class _RowBudget:
    """How much of a table is taken, at worst."""

    def __init__(self, table: OnlineTable, common_columns: Sequence[OnlineColumn]) -> None:
        self._table = table
        self._column_count = len(common_columns)
        self._page_bytes = sum(_compute_inline_bytes(column, table) for column in common_columns)
        self._row_bytes = sum(_compute_declared_bytes(column, table) for column in common_columns)

    def add_if_fits(self, column: OnlineColumn) -> bool:
        """Whether there is room for one more, which is taken."""
        limits = self._table.limits
        column_count = self._column_count + 1
        page_bytes = self._page_bytes + _compute_inline_bytes(column, self._table)
        row_bytes = self._row_bytes + _compute_declared_bytes(column, self._table)
        null_bytes = column_count // 8
        if (
            _exceeds(column_count, limits.max_columns)
            or _exceeds(page_bytes + null_bytes, limits.page_bytes)
            or _exceeds(row_bytes + null_bytes, limits.row_bytes)
        ):
            return False
        self._column_count = column_count
        self._page_bytes = page_bytes
        self._row_bytes = row_bytes
        return True


def _exceeds(taken: int, limit: int | None) -> bool:
    return limit is not None and taken > limit


def _compute_declared_bytes(column: OnlineColumn, table: OnlineTable) -> int:
    """Bytes of a column as it is declared at first.

    One of the key may grow and nothing else gives way to it.
    """
    if not column.variable_length:
        return column.storage.byte_width
    if column.declared_length is not None:
        return _compute_varying_bytes(column, column.declared_length)
    if column.name in table.primary_key:
        return _compute_varying_bytes(column, compute_max_key_length(table, column))
    return _compute_varying_bytes(column, LENGTH_STEP)


def _compute_inline_bytes(column: OnlineColumn, table: OnlineTable) -> int:
    """Bytes of a value that lie in the row itself, at most."""
    if column.name in table.primary_key and column.variable_length:
        return _compute_varying_bytes(column, compute_max_key_length(table, column))
    if column.storage.off_page and column.name not in table.primary_key:
        return _OFF_PAGE_BYTES
    return column.storage.byte_width
