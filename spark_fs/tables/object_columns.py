"""Python objects of one column as Arrow, each value as it is.

Arrow takes the type of the first values that it meets and forces the others into it: a datetime
behind a date loses its time, a string beside bytes becomes bytes, a Timestamp its nanoseconds. So
the types of all values are looked at first, at every depth, and a column of two types is refused.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from spark_fs.errors import SchemaError

DECIMAL_PRECISION = 38  # of decimals whose type nobody declared, so that later and larger ones fit
_NULL_TYPES = (type(None), type(pd.NA), type(pd.NaT))
_LIST_TYPES = (list, tuple, np.ndarray)
_SET_TYPES = (set, frozenset)
# The kinds of values, and the Python types of each; the first that fits is the kind.
_KIND_TYPES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("null", _NULL_TYPES),
    ("boolean", (bool, np.bool_)),
    ("integer", (int, np.integer)),
    ("float", (float, np.floating)),
    ("decimal", (Decimal,)),
    ("instant", (datetime, np.datetime64)),
    ("date", (date,)),
    ("string", (str,)),
    ("bytes", (bytes, bytearray, memoryview)),
    ("list", _LIST_TYPES),
    ("dict", (dict,)),
)
# where an integer is one of the other's values
_MIXABLE_KINDS = ({"integer", "float"}, {"integer", "decimal"})


def to_arrow(name: str, values: Sequence[Any], declared_type: pa.DataType | None) -> pa.Array:
    """The objects of a column, of which None, NaT and NA are null and NaN is a number.

    SchemaError where they are of two types, or of one that is not a feature type. declared_type:
    the column's type where its group has one. It decides whether a dict is a map, which fields a
    struct has, and how many digits a decimal.
    """
    try:
        return _build_array(values, declared_type, f"Column {name!r}")
    # whatever a value makes of it
    except (pa.ArrowException, ArithmeticError, TypeError, ValueError) as error:
        raise SchemaError(
            f"Column {name!r} holds a value that cannot be kept: {error}. Give the column values of"
            " one type."
        ) from None


def _build_array(
    values: Sequence[Any], declared_type: pa.DataType | None, location: str
) -> pa.Array:
    types = set(map(type, values))
    kinds = set(map(_get_kind, types)) - {"null"}
    is_map = declared_type is not None and pa.types.is_map(declared_type)
    if is_map and kinds and kinds <= {"list", "dict"}:
        return _build_maps(values, declared_type, location)
    kind = _find_kind(values, kinds, location)
    if kind in _NESTED_BUILDERS:
        return _NESTED_BUILDERS[kind](values, declared_type, location)
    if kind == "null":
        return pa.nulls(len(values))
    if not types.isdisjoint(_SET_TYPES):
        raise SchemaError(
            f"{location} holds a set, which has no order, so the same rows would differ from run to"
            " run: give a sorted list."
        )
    if not types.isdisjoint(_NULL_TYPES[1:]):
        values = [None if isinstance(value, _NULL_TYPES) else value for value in values]
    if kind in _SCALAR_BUILDERS:
        array = _SCALAR_BUILDERS[kind](values, location)
    else:
        array = pa.array(values)
    return _cast_to_declared(array, declared_type)


def _find_kind(values: Sequence[Any], kinds: set[str], location: str) -> str:
    """The kind of all values; SchemaError, with one of each, where there are several."""
    if len(kinds) <= 1:
        return next(iter(kinds), "null")
    if kinds in _MIXABLE_KINDS:
        return "decimal" if "decimal" in kinds else "numbers"
    examples = []
    for kind in sorted(kinds):
        value = next(value for value in values if _get_kind(type(value)) == kind)
        examples.append(f"{type(value).__name__} ({_format_short(value)})")
    raise SchemaError(
        "The frame holds a column of mixed or unknown types:"
        f" {location[0].lower()}{location[1:]} holds {' and '.join(examples)}. Give it values of"
        " one type."
    )


def _get_kind(type_: type) -> str:
    for kind, types in _KIND_TYPES:
        if issubclass(type_, types):
            return kind
    return f"{type_.__module__}.{type_.__qualname__}"


def _format_short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# -- scalars


def _build_integers(values: Sequence[Any], location: str) -> pa.Array:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        integers = (value for value in values if value is not None)
        large = next(value for value in integers if not -(1 << 63) <= value < 1 << 63)
        raise SchemaError(
            f"{location} holds the integer {_format_short(large)}, which is past 64 bits: give such"
            " numbers as Decimal."
        ) from None


def _build_floats(values: Sequence[Any], location: str) -> pa.Array:
    """Integers among floats, where each is one."""
    for value in values:
        if isinstance(value, int | np.integer) and int(float(value)) != value:
            beside = next(other for other in values if isinstance(other, float | np.floating))
            raise SchemaError(
                f"{location} holds the integer {value} beside the float {beside!r}, which as a"
                f" float would be {int(float(value))}: give all of them as int or as Decimal."
            )
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _build_decimals(values: Sequence[Any], location: str) -> pa.Array:
    for value in values:
        if isinstance(value, Decimal) and not value.is_finite():
            raise SchemaError(
                f"{location} holds {value!r}, which is not a decimal: give null in its place, or"
                " floats."
            )
    return pa.array([int(value) if isinstance(value, np.integer) else value for value in values])


def _build_timestamps(values: Sequence[Any], location: str) -> pa.Array:
    """Instants in whole microseconds, of whatever zones; one without is UTC."""
    if any(isinstance(value, np.datetime64) for value in values):
        values = list(map(_to_timestamp, values))
    for value in values:
        if isinstance(value, pd.Timestamp) and value.nanosecond:
            raise SchemaError(
                f"{location} holds {value!r}: times are kept in whole microseconds, so round it"
                " with .dt.floor('us') first."
            )
    return pa.array(values, pa.timestamp("us", "UTC"))


def _to_timestamp(value: Any) -> Any:
    return pd.Timestamp(value) if isinstance(value, np.datetime64) else value


_SCALAR_BUILDERS = {
    "integer": _build_integers,
    "numbers": _build_floats,
    "decimal": _build_decimals,
    "instant": _build_timestamps,
}


def _cast_to_declared(column: pa.Array, declared_type: pa.DataType | None) -> pa.Array:
    """The column with its declared width where every number fits, since Python's have none.

    Decimals take the greatest precision where no type is declared.
    """
    if declared_type is None:
        if pa.types.is_decimal(column.type):
            return column.cast(pa.decimal128(DECIMAL_PRECISION, column.type.scale))
        return column
    if not _is_same_number_kind(column.type, declared_type):
        return column
    try:
        cast = column.cast(declared_type)
    except pa.ArrowInvalid:  # for the insert to say that the types differ
        return column
    is_exact = cast.cast(column.type).to_pandas().equals(column.to_pandas())
    return cast if is_exact else column


def _is_same_number_kind(type_: pa.DataType, declared_type: pa.DataType) -> bool:
    for is_kind in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal):
        if is_kind(type_) and is_kind(declared_type):
            return True
    return False


# -- nested values: here NaN is a number, and None is null


def _build_lists(
    values: Sequence[Any], declared_type: pa.DataType | None, location: str
) -> pa.Array:
    lists = [value for value in values if not isinstance(value, _NULL_TYPES)]
    if _are_flat_arrays(lists):
        inside = pa.array(np.concatenate(lists))
    else:
        inner = None
        if declared_type is not None and pa.types.is_list(declared_type):
            inner = declared_type.value_type
        items = list(chain.from_iterable(_to_lists(lists)))
        inside = _build_array(items, inner, f"{location} within its lists")
    return pa.ListArray.from_arrays(_compute_offsets(values), inside, mask=_build_null_mask(values))


def _are_flat_arrays(lists: Sequence[Any]) -> bool:
    """Whether they are all arrays of one dimension and of one dtype that is not object."""
    for value in lists:
        if not isinstance(value, np.ndarray) or value.ndim != 1:
            return False
        if value.dtype == object or value.dtype != lists[0].dtype:
            return False
    return True


def _build_structs(
    values: Sequence[Any], declared_type: pa.DataType | None, location: str
) -> pa.Array:
    dicts = (value for value in values if isinstance(value, dict))
    names = list(dict.fromkeys(chain(_get_field_names(declared_type), *dicts)))
    for name in names:
        if not isinstance(name, str):
            raise SchemaError(
                f"{location} holds a dict with the key {_format_short(name)}, and fields of a"
                " struct have strings as names: give such a dict as a map, by an Arrow table or a"
                " feature declared as map<type,type>."
            )
    if not names:
        return pa.array(values, pa.struct([]))
    fields = []
    for name in names:
        field_values = [value.get(name) if isinstance(value, dict) else None for value in values]
        field_type = _get_field_type(declared_type, name)
        field_location = f"{location} in its field {name!r}"
        fields.append(_build_array(field_values, field_type, field_location))
    return pa.StructArray.from_arrays(fields, names, mask=_build_null_mask(values))


def _build_maps(values: Sequence[Any], declared_type: pa.DataType, location: str) -> pa.Array:
    maps = [_list_entries(value) for value in values]
    keys = []
    items = []
    for entry in chain.from_iterable(maps):
        if not (isinstance(entry, tuple | list) and len(entry) == 2):
            raise SchemaError(
                f"{location} is a map, and {_format_short(entry)} is not a pair of a key and value:"
                " give dicts, or lists of pairs."
            )
        keys.append(entry[0])
        items.append(entry[1])
    key_location = f"{location} in the keys of its maps"
    key_array = _build_array(keys, declared_type.key_type, key_location)
    item_array = _build_array(items, declared_type.item_type, f"{location} in its maps")
    mask = _build_null_mask(values)
    return pa.MapArray.from_arrays(_compute_offsets(maps), key_array, item_array, mask=mask)


def _list_entries(value: Any) -> list[Any]:
    if isinstance(value, _NULL_TYPES):
        return []
    return list(value.items() if isinstance(value, dict) else value)


_NESTED_BUILDERS = {"list": _build_lists, "dict": _build_structs}


def _to_lists(values: Iterable[Any]) -> Iterable[Any]:
    """Lists of Python's values; an array of numbers gives its own."""
    for value in values:
        is_numeric = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
        yield value.tolist() if is_numeric else value


def _get_field_names(declared_type: pa.DataType | None) -> list[str]:
    if declared_type is None or not pa.types.is_struct(declared_type):
        return []
    return [field.name for field in declared_type]


def _get_field_type(declared_type: pa.DataType | None, name: str) -> pa.DataType | None:
    if declared_type is not None and name in _get_field_names(declared_type):
        return declared_type.field(name).type
    return None


def _compute_offsets(values: Sequence[Any]) -> pa.Array:
    lengths = (0 if isinstance(value, _NULL_TYPES) else len(value) for value in values)
    return pa.array(accumulate(lengths, initial=0), pa.int32())


def _build_null_mask(values: Sequence[Any]) -> pa.Array:
    return pa.array([isinstance(value, _NULL_TYPES) for value in values], pa.bool_())
