"""What a look-up over shards asks of each: the sources, and how their keys follow from an entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from spark_fs.base.python_values import UnfitError
from spark_fs.base.values import get_key_converter
from spark_fs.online.column_storage import ColumnStorage, OnlineColumn
from spark_fs.online.store import KeyChoice, LookupSource

FindStorage = Callable[[str], ColumnStorage]
Rows = Sequence[tuple[Any, ...] | None]


@dataclass(frozen=True)
class ValueChoice:
    """One place that a value of a key may come from.

    entry_key: the number of an entry's key value; None: it is of another source's row. position,
    index: which source, and where in its row. decode: of what is there.
    """

    entry_key: int | None
    position: int
    index: int
    type: str
    decode: Callable[[Any], Any]


@dataclass(frozen=True)
class KeyPart:
    """A column of a source's key.

    slot: the number of its value among those that a shard is given. choices: where the value comes
    from, the first that is there.
    """

    slot: int
    column: OnlineColumn
    choices: tuple[ValueChoice, ...]


@dataclass(frozen=True, eq=False)
class SourceKey:
    """A key, and the positions of the sources that have it: their rows lie on one shard."""

    parts: tuple[KeyPart, ...]
    positions: tuple[int, ...]

    def is_known(self, key_values: Sequence[Any], rows: Rows) -> bool:
        """Whether each of its values is known by now, null or not.

        Args:
            key_values: Those of the entry.
            rows: Of each source, None where it was not looked for yet.
        """
        for part in self.parts:
            for choice in part.choices:
                if choice.entry_key is None:
                    if rows[choice.position] is None:
                        return False
                elif key_values[choice.entry_key] is not None:
                    break
        return True

    def find_values(self, key_values: Sequence[Any], rows: Rows) -> list[Any] | None:
        """Its values, each of the type of its column; None where one is null or no such value.

        Args:
            key_values: Those of the entry, as the store holds them.
            rows: Of each source, as the store holds them.
        """
        values = []
        for part in self.parts:
            value = _find_value(part, key_values, rows)
            if value is None:
                return None
            values.append(value)
        return values

    def encode_values(self, values: Sequence[Any]) -> list[Any]:
        """Its values as the store holds them."""
        return [
            part.column.storage.encode(value)
            for part, value in zip(self.parts, values, strict=True)
        ]


def _find_value(part: KeyPart, key_values: Sequence[Any], rows: Rows) -> Any:
    for choice in part.choices:
        if choice.entry_key is not None:
            stored = key_values[choice.entry_key]
        else:
            row = rows[choice.position]
            assert row is not None
            stored = row[choice.index]
        if stored is not None:
            return _convert_value(choice.decode(stored), choice.type, part.column.type)
    return None


def _convert_value(value: Any, from_type: str, to_type: str) -> Any:
    """The value of the column's type that equals this one; None where there is none."""
    if from_type == to_type and to_type not in ("float", "double"):
        return value
    try:
        return get_key_converter(to_type)(value)
    except UnfitError:
        return None


@dataclass(frozen=True)
class LookupPlan:
    """A look-up as each shard is asked for it.

    sources: of which the shards' own are made; their keys are slots. slot_types: the types of the
    values that a shard is given. keys: the distinct keys. absent_rows: of each source the row that
    is not there. starts: where the row of each source begins in an answer.
    """

    sources: tuple[LookupSource, ...]
    slot_types: tuple[str, ...]
    keys: tuple[SourceKey, ...]
    absent_rows: tuple[tuple[Any, ...], ...]
    starts: tuple[int, ...]

    @cached_property
    def has_one_given_key(self) -> bool:
        """Whether all sources have one key, of distinct values that the entry gives."""
        if len(self.keys) != 1:
            return False
        (key,) = self.keys
        slots = [part.slot for part in key.parts]
        choices = [choice for part in key.parts for choice in part.choices]
        is_given = all(choice.entry_key is not None for choice in choices)
        return is_given and slots == list(range(len(self.slot_types)))

    def cut_row(self, position: int, columns: Sequence[Any]) -> tuple[Any, ...]:
        """The row of a source, from an answer of a shard.

        Args:
            position: Of the source.
            columns: The answer for one entry, without the entry's number.
        """
        start = self.starts[position]
        return tuple(columns[start : start + len(self.absent_rows[position])])


def build_plan(
    sources: Sequence[LookupSource], key_types: Sequence[str], find_storage: FindStorage
) -> LookupPlan:
    """Plan a look-up over shards.

    Args:
        sources: The groups; a key may be a column of an earlier one.
        key_types: The feature types of an entry's key values.
        find_storage: How the shards hold a type.
    """
    wanted = [_list_wanted_columns(sources, position) for position in range(len(sources))]
    slots: dict[_Slot, int] = {}
    for source in sources:
        for slot in _list_slots(source):
            slots.setdefault(slot, len(slots))
    positions_by_key: dict[tuple[_Slot, ...], list[int]] = {}
    for position, source in enumerate(sources):
        positions_by_key.setdefault(_list_slots(source), []).append(position)
    keys = []
    for key_slots, positions in positions_by_key.items():
        parts = []
        columns = sources[positions[0]].table.key_columns
        for slot, column in zip(key_slots, columns, strict=True):
            choices = [
                _build_choice(choice, sources, wanted, key_types, find_storage)
                for choice in slot.choices
            ]
            parts.append(KeyPart(slots[slot], column, tuple(choices)))
        keys.append(SourceKey(tuple(parts), tuple(positions)))
    absent_rows = [(False, *[None] * len(columns)) for columns in wanted]
    return LookupPlan(
        tuple(
            replace(source, columns=columns, keys=_make_slot_keys(source, slots))
            for source, columns in zip(sources, wanted, strict=True)
        ),
        tuple(slot.type for slot in slots),
        tuple(keys),
        tuple(absent_rows),
        tuple(sum(map(len, absent_rows[:position])) for position in range(len(sources))),
    )


@dataclass(frozen=True)
class _Slot:
    """A value that a shard is given: where it comes from, and its type."""

    choices: tuple[KeyChoice, ...]
    type: str


def _list_slots(source: LookupSource) -> tuple[_Slot, ...]:
    """The values of a source's key, in its order."""
    return tuple(
        _Slot(source.keys[column.name], column.type) for column in source.table.key_columns
    )


def _make_slot_keys(
    source: LookupSource, slots: Mapping[_Slot, int]
) -> dict[str, tuple[KeyChoice, ...]]:
    """By the column of a source's key the number of its value among those a shard is given."""
    key_slots = zip(source.table.primary_key, _list_slots(source), strict=True)
    return {name: (slots[slot],) for name, slot in key_slots}


def _build_choice(
    choice: KeyChoice,
    sources: Sequence[LookupSource],
    wanted: Sequence[Sequence[str]],
    key_types: Sequence[str],
    find_storage: FindStorage,
) -> ValueChoice:
    if isinstance(choice, int):
        key_type = key_types[choice]
        return ValueChoice(choice, 0, 0, key_type, find_storage(key_type).decode)
    position, name = choice
    column = sources[position].table.columns_by_name[name]
    index = 1 + wanted[position].index(name)
    return ValueChoice(None, position, index, column.type, column.storage.decode)


def _list_wanted_columns(sources: Sequence[LookupSource], position: int) -> tuple[str, ...]:
    """The columns of a source that are returned, then those that others are found by."""
    wanted = list(sources[position].columns)
    for source in sources:
        for choices in source.keys.values():
            for choice in choices:
                if isinstance(choice, tuple) and choice[0] == position and choice[1] not in wanted:
                    wanted.append(choice[1])
    return tuple(wanted)
