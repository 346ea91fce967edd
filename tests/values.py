"""Hypothesis strategies for feature types and their values, and when two values are the same: for every mapper and every store.

A value is a Python object as Arrow's ``to_pylist`` gives it: a list, a dict for a struct and for a map, None for null, an aware ``datetime`` in
UTC. ``tables`` gives many columns of all types at once, so that one trip through Spark or a database covers them all.
"""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from spark_fs.base import arrow_types, types

# What writers of JSON, CSV, SQL and logs stumble over, beside whatever hypothesis thinks of.
TEXTS = st.sampled_from(
    [
        "",
        " ",
        " a ",
        "null",
        "NULL",
        "None",
        "NaN",
        "true",
        "0",
        "-0",
        "1e5",
        "\\N",
        "\\",
        "'",
        '"',
        "`",
        "\x00",
        "\t",
        "\n",
        "\r\n",
        "\u0085",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\ufffe",
        "naïve 🙂",
        "e\u0301",
        "a,b",
        "%s",
        "${HOME}",
        "__HIVE_DEFAULT_PARTITION__",
        "2024-01-01",
        "{}",
        "[]",
        "\U0001d4b3" * 40,
    ]
) | st.text(max_size=12)
DOUBLES = (
    st.sampled_from(
        [
            0.0,
            -0.0,
            math.nan,
            math.inf,
            -math.inf,
            5e-324,
            1.7976931348623157e308,
            0.1,
            2.0**53,
            1e16,
            1e22,
        ]
    )
    | st.floats()
)
FLOATS = st.sampled_from(
    [0.0, -0.0, math.nan, math.inf, -math.inf, 16777216.0, 1.401298464324817e-45]
) | st.floats(width=32)
INSTANTS = (
    st.sampled_from(
        [
            datetime(1, 1, 1),
            datetime(9999, 12, 31, 23, 59, 59, 999999),
            datetime(1969, 12, 31, 23, 59, 59, 999999),
            datetime(1582, 10, 4, 12),
            datetime(1883, 11, 18, 12, 3, 58, 1),
            datetime(2024, 3, 10, 2, 30),
            datetime(2024, 11, 3, 1, 30, 0, 5),
            datetime(1677, 9, 21),
            datetime(2262, 4, 12),
        ]
    )
    | st.datetimes()
)
DATES = (
    st.sampled_from(
        [date(1, 1, 1), date(1582, 10, 4), date(1582, 10, 15), date(1970, 1, 1), date(9999, 12, 31)]
    )
    | st.dates()
)


def whole(bits: int) -> st.SearchStrategy[int]:
    """Integers of so many bits, their ends and what a double cannot hold among them."""
    least, greatest = -(1 << bits - 1), (1 << bits - 1) - 1
    ends = [
        n
        for n in (least, least + 1, -1, 0, 1, greatest - 1, greatest, (1 << 53) + 1, -(1 << 53) - 1)
        if least <= n <= greatest
    ]
    return st.sampled_from(ends) | st.integers(least, greatest)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    """Decimals that fill the type, with as many digits behind the point as it has."""
    most = 10**precision - 1
    return (st.sampled_from([-most, -1, 0, 1, most]) | st.integers(-most, most)).map(
        lambda n: Decimal(n).scaleb(-scale, EXACT)
    )


EXACT = Context(prec=80)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "tinyint": whole(8),
    "smallint": whole(16),
    "int": whole(32),
    "bigint": whole(64),
    "float": FLOATS,
    "double": DOUBLES,
    "timestamp": INSTANTS.map(lambda when: when.replace(tzinfo=UTC)),
    "date": DATES,
    "string": TEXTS,
    "binary": st.binary(max_size=12),
}
DECIMALS = ("decimal(1,0)", "decimal(10,2)", "decimal(20,0)", "decimal(38,18)", "decimal(38,38)")
SCALAR_TYPES = (*SCALARS, *DECIMALS)
KEY_TYPES = tuple(name for name in SCALAR_TYPES if name not in ("float", "double", "boolean"))
MAP_KEYS = ("string", "bigint", "date", "decimal(10,2)", "boolean", "timestamp")
# One of each kind of nesting, so that no example is without it.
NESTED_TYPES = (
    "array<bigint>",
    "array<double>",
    "array<string>",
    "array<array<bigint>>",
    "array<binary>",
    "array<timestamp>",
    "array<decimal(10,2)>",
    "struct<a:bigint,b:string,c:double>",
    "struct<at:timestamp,day:date,raw:binary>",
    "array<struct<n:bigint,t:timestamp>>",
    "map<string,bigint>",
    "map<bigint,array<double>>",
    "map<date,string>",
    "struct<m:map<string,timestamp>,l:array<decimal(38,18)>>",
)
ALL_TYPES = (*SCALAR_TYPES, *NESTED_TYPES)


def feature_types(depth: int = 2) -> st.SearchStrategy[str]:
    """The text of a feature type, nested at most so deep."""
    plain = st.sampled_from(SCALAR_TYPES)
    if not depth:
        return plain
    inner = feature_types(depth - 1)
    fields = st.lists(inner, min_size=1, max_size=3).map(
        lambda found: ",".join(f"f{i}:{each}" for i, each in enumerate(found))
    )
    return (
        plain
        | inner.map("array<{}>".format)
        | fields.map("struct<{}>".format)
        | st.tuples(st.sampled_from(MAP_KEYS), inner).map(lambda pair: f"map<{pair[0]},{pair[1]}>")
    )


def values(type_: str, nulls: bool = True) -> st.SearchStrategy[Any]:
    """The values of a type; nulls: None among them and, at every depth, within them."""
    found = _values(type_, nulls)
    return st.none() | found if nulls else found


def _values(type_: str, nulls: bool) -> st.SearchStrategy[Any]:
    kind, inside = (
        types.get_base_type(type_),
        types.split_types(type_.partition("<")[2].removesuffix(">")),
    )
    if kind == "array":
        return st.lists(values(inside[0], nulls), max_size=4)
    if kind == "map":
        return st.dictionaries(values(inside[0], nulls=False), values(inside[1], nulls), max_size=3)
    if kind == "struct":
        return st.fixed_dictionaries(
            {
                name: values(inner, nulls)
                for name, _, inner in (part.partition(":") for part in inside)
            }
        )
    if kind == "decimal":
        precision, scale = type_[len("decimal(") : -1].split(",")
        return decimals(int(precision), int(scale))
    return SCALARS[type_]


@st.composite
def tables(
    draw: st.DrawFn, of: Sequence[str] = ALL_TYPES, rows: int = 6, more: int = 0, nulls: bool = True
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The types of columns ``c0``, ``c1``, ..., one of each of these types and ``more`` drawn ones, and so many rows of their values."""
    drawn = [*of, *(draw(feature_types()) for _ in range(more))]
    columns = {f"c{i}": type_ for i, type_ in enumerate(drawn)}
    return columns, [
        {name: draw(values(type_, nulls)) for name, type_ in columns.items()} for _ in range(rows)
    ]


def to_arrow(columns: dict[str, str], rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of exactly these types; dicts stand for maps and for structs."""
    schema = arrow_types.to_arrow_schema(columns)
    return pa.table(
        [pa.array([row[field.name] for row in rows], field.type) for field in schema], schema
    )


def same(found: Any, wanted: Any) -> bool:
    """Whether one value is the other: NaN is NaN and no null, -0.0 is not 0.0, 1 is neither 1.0 nor True, an instant has a zone.

    A datetime and a pandas Timestamp of one instant are the same, and so are decimals of one value.
    """
    if isinstance(wanted, list):
        return (
            isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
        )
    if isinstance(wanted, dict):
        return isinstance(found, dict) and _pairs(found, wanted)
    if isinstance(wanted, float):
        return isinstance(found, float) and (
            (found != found and wanted != wanted)
            or (found, math.copysign(1, found)) == (wanted, math.copysign(1, wanted))
        )
    if isinstance(wanted, datetime):
        return isinstance(found, datetime) and found.tzinfo is not None and found == wanted
    return type(found) is type(wanted) and bool(found == wanted)


def _pairs(found: dict[Any, Any], wanted: dict[Any, Any]) -> bool:
    return found.keys() == wanted.keys() and all(
        same(found[key], each) for key, each in wanted.items()
    )
