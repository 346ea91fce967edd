"""Values of pandas and Arrow frames on their way in, as Arrow tables, and out again, as pandas: unchanged, or refused with the reason."""

import datetime as dt
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import values as strategies
from hypothesis import HealthCheck, Phase, given, settings
from values import same

from spark_fs.base import pandas_frames
from spark_fs.errors import InvalidNameError, SchemaError, SparkFSError
from spark_fs.tables import arrow_frames

NEW_YORK = ZoneInfo("America/New_York")
NAN = math.nan


def objects(values: Sequence[Any]) -> pd.DataFrame:
    """A frame of one object column, with the values as they are."""
    column = np.empty(len(values), object)
    for i, value in enumerate(values):
        column[i] = value
    return pd.DataFrame({"c": pd.Series(column, dtype=object)})


def taken(values: Sequence[Any], declared: str | None = None) -> tuple[str, list[Any]]:
    """What an object column becomes: the Arrow type, and its values."""
    found = arrow_frames.to_arrow(objects(values), {"c": declared} if declared else {})
    return str(found.schema.field("c").type), found.column("c").to_pylist(maps_as_pydicts="lossy")


# -- object columns of two types

DAY, NOON, STAMP = date(2024, 1, 1), datetime(2024, 1, 2, 12, 30), pd.Timestamp("2024-01-02 12:30")
MIXED: list[tuple[list[Any], str]] = [
    (
        [DAY, NOON],
        (
            r"column 'c' holds date \(datetime.date\(2024, 1, 1\)\) and datetime"
            r" \(datetime.datetime\(2024, 1, 2, 12, 30\)\)"
        ),
    ),
    ([NOON, DAY], r"date \(.*\) and datetime \("),
    ([DAY, STAMP], r"date \(.*\) and Timestamp \("),
    ([DAY, np.datetime64("2024-01-02T12:30")], r"date \(.*\) and datetime64 \("),
    ([DAY, "2024-01-02"], r"date \(.*\) and str \("),
    ([b"a", "b"], r"bytes \(b'a'\) and str \('b'\)"),
    (["a", b"b"], r"bytes \(b'b'\) and str \('a'\)"),
    (["a", 1], r"int \(1\) and str \('a'\)"),
    ([1.5, "a"], r"float \(1.5\) and str \('a'\)"),
    ([True, 1], r"bool \(True\) and int \(1\)"),
    ([1, True], r"bool \(True\) and int \(1\)"),
    ([np.bool_(True), 1], r"bool \(.*\) and int \(1\)"),
    ([True, 0.5], r"bool \(True\) and float \(0.5\)"),
    ([Decimal("1.1"), 2.5], r"Decimal \(Decimal\('1.1'\)\) and float \(2.5\)"),
    ([Decimal("1.1"), "2"], r"Decimal \(.*\) and str"),
    ([dt.time(1), dt.timedelta(1)], r"time \(.*\) and timedelta|timedelta \(.*\) and time"),
    ([NOON, 1_700_000_000], r"datetime \(.*\) and int \(1700000000\)"),
    ([[1], {"a": 1}], r"dict \(.*\) and list \("),
    ([[1], 1], r"int \(1\) and list \("),
    ([[DAY, NOON]], r"column 'c' within its lists holds date \(.*\) and datetime \("),
    ([[DAY], [NOON]], r"column 'c' within its lists holds date"),
    ([[["a"], [b"b"]]], r"column 'c' within its lists within its lists holds bytes"),
    ([{"at": DAY}, {"at": NOON}], r"column 'c' in its field 'at' holds date"),
    (
        [[{"at": [DAY]}, {"at": [NOON]}]],
        r"column 'c' within its lists in its field 'at' within its lists holds date",
    ),
    ([("a", 1)], r"column 'c' within its lists holds int \(1\) and str"),
]


@pytest.mark.parametrize(("values", "text"), MIXED, ids=[str(i) for i in range(len(MIXED))])
def test_a_column_of_two_types_is_refused_with_one_value_of_each(
    values: list[Any], text: str
) -> None:
    with pytest.raises(
        SchemaError, match=rf"^The frame holds a column of mixed or unknown types: .*{text}"
    ):
        taken(values)
    with pytest.raises(SchemaError, match="mixed or unknown types"):
        taken([None, *values, None])


REFUSED: list[tuple[list[Any], str]] = [
    (
        [2**53 + 1, 0.5],
        (
            r"integer 9007199254740993 beside the float 0.5, which as a float would be"
            r" 9007199254740992"
        ),
    ),
    ([[2**53 + 1, 0.5]], r"Column 'c' within its lists holds the integer 9007199254740993"),
    (
        [pd.Timestamp("2024-01-01 00:00:00.123456789")],
        r"Timestamp\('2024-01-01 00:00:00.123456789'\): times are kept in whole microseconds",
    ),
    ([np.datetime64("2024-01-01T00:00:00.123456789")], "times are kept in whole microseconds"),
    (
        [[pd.Timestamp("2024-01-01 00:00:00.000000001")]],
        "within its lists holds Timestamp.*whole microseconds",
    ),
    ([np.array(["2024-01-01T00:00:00.000000001"], "datetime64[ns]")], "whole microseconds"),
    (
        [2**63],
        (
            r"holds the integer 9223372036854775808, which is past 64 bits: give such numbers as"
            r" Decimal"
        ),
    ),
    ([-1, 2**70], "holds the integer 1180591620717411303424"),
    ([Decimal("Infinity")], r"holds Decimal\('Infinity'\), which is not a decimal"),
    ([Decimal("1e40")], "holds a value that cannot be kept: .*precision 38"),
    ([dt.time(1, 2)], r"Column 'c' is of the Arrow type time64\[us\], which has no feature type"),
    ([dt.timedelta(1)], r"Arrow type duration\[us\]"),
    ([[dt.timedelta(1)]], r"Column 'c' within its lists is of the Arrow type duration\[us\]"),
    ([1j], "Column 'c' holds a value that cannot be kept: .*complex"),
    ([object()], "Column 'c' holds a value that cannot be kept"),
    (["\ud800"], "Column 'c' holds a value that cannot be kept: .*surrogates"),
    ([{1: 2}], "a dict with the key 1, and fields of a struct have strings as names"),
    ([{b"a": 2}], "a dict with the key b'a'"),
    (
        [{"First Name": "x"}],
        "Column 'c' is a struct with a field 'First Name': .* Rename it, as to 'first_name'",
    ),
    ([[{"a-b": "x"}]], "Column 'c' within its lists is a struct with a field 'a-b'"),
    ([{"": 1}], "a struct with a field ''"),
    ([{"a": 1, "A": 2}], "two fields 'a', upper and lower case aside"),
    ([{}], "Column 'c' is a struct without fields"),
    (
        [[], None],
        "Column 'c' within its lists holds only nulls, so its type is unknown: give it a type",
    ),
    ([{"a": None}], "Column 'c' in its field 'a' holds only nulls"),
    ([None, NAN], "Column 'c' holds only nulls"),
]


@pytest.mark.parametrize(("values", "text"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_a_value_that_no_column_keeps_is_refused(values: list[Any], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        taken(values)


TAKEN: list[tuple[list[Any], str, list[Any]]] = [
    ([1, None, NAN, pd.NA], "int64", [1, None, None, None]),
    ([2**53 + 1, None], "int64", [2**53 + 1, None]),
    ([np.int8(1), 2, np.uint64(3)], "int64", [1, 2, 3]),
    ([1, 2.5, np.float32(0.5)], "double", [1.0, 2.5, 0.5]),
    (["a", NAN, np.str_("b")], "string", ["a", None, "b"]),
    ([b"a", bytearray(b"b"), memoryview(b"c")], "binary", [b"a", b"b", b"c"]),
    ([True, NAN, np.bool_(False)], "bool", [True, None, False]),
    ([DAY, pd.NaT, None], "date32[day]", [DAY, None, None]),
    (
        [Decimal("1.10"), 2, np.int64(3), Decimal("NaN")],
        "decimal128(38, 2)",
        [Decimal("1.10"), Decimal(2), Decimal(3), None],
    ),
    (
        [
            NOON,
            NOON.replace(tzinfo=UTC),
            NOON.replace(tzinfo=NEW_YORK),
            pd.Timestamp(NOON, tz="Asia/Tokyo"),
            np.datetime64(NOON),
            pd.NaT,
        ],
        "timestamp[us, tz=UTC]",
        [NOON.replace(hour=h, tzinfo=UTC) for h in (12, 12, 17, 3, 12)] + [None],
    ),
    ([[2**53 + 1, None], None, []], "list<item: int64>", [[2**53 + 1, None], None, []]),
    ([[1.5, None, NAN]], "list<item: double>", [[1.5, None, NAN]]),
    ([[1, None, NAN]], "list<item: double>", [[1.0, None, NAN]]),
    ([[pd.NA, pd.NaT, 1]], "list<item: int64>", [[None, None, 1]]),
    (
        [np.array([1, 2], "uint8"), None, np.array([], "uint8")],
        "list<item: int16>",
        [[1, 2], None, []],
    ),
    (
        [np.array([0.5, NAN], "float16"), np.array([1], "float16")],
        "list<item: float>",
        [[0.5, NAN], [1.0]],
    ),
    ([np.array([1, 2]), [3, None], (4,)], "list<item: int64>", [[1, 2], [3, None], [4]]),
    ([np.array([[1, 2], [3, 4]])], "list<item: list<item: int64>>", [[[1, 2], [3, 4]]]),
    (
        [{"a": 2**53 + 1}, {"a": None, "b": NAN}, None],
        "struct<a: int64, b: double>",
        [{"a": 2**53 + 1, "b": None}, {"a": None, "b": NAN}, None],
    ),
    ([[{"größe": 1}]], "list<item: struct<größe: int64>>", [[{"größe": 1}]]),
]


@pytest.mark.parametrize(
    ("values", "type_", "wanted"), TAKEN, ids=[str(i) for i in range(len(TAKEN))]
)
def test_objects_come_in_as_they_are(values: list[Any], type_: str, wanted: list[Any]) -> None:
    found = taken(values)
    assert found[0] == type_
    assert same(found[1], wanted), found[1]


def test_a_category_is_looked_at_as_its_values_are() -> None:
    for values, type_ in (
        ([DAY, None, DAY], "date32[day]"),
        (["a", "b", None], "string"),
        ([2, 1, 2], "int64"),
        ([NOON, NOON, None], "timestamp[us, tz=UTC]"),
        ([0.5, None], "double"),
        (np.array([1, 200], "uint8"), "int16"),
    ):
        found = arrow_frames.to_arrow(
            pd.DataFrame({"c": pd.Series(values).astype("category")}), {}
        ).column("c")
        assert str(found.type) == type_
        wanted = [
            each.replace(tzinfo=UTC) if isinstance(each, datetime) else each
            for each in list(values)
        ]
        assert found.to_pylist() == wanted
    with pytest.raises(SchemaError, match=r"column 'c' holds date .* and datetime"):
        arrow_frames.to_arrow(
            pd.DataFrame(
                {"c": pd.Categorical.from_codes([0, 1], pd.Index([DAY, NOON], dtype=object))}
            ),
            {},
        )


def test_a_decimal_has_room_for_later_ones_and_takes_the_type_of_its_column() -> None:
    assert taken([Decimal("1.10")])[0] == "decimal128(38, 2)"
    assert taken([[Decimal("1.10")], [Decimal("22.205")]])[0] == "list<item: decimal128(38, 3)>"
    assert taken([Decimal("22.20")], "decimal(38,2)") == ("decimal128(38, 2)", [Decimal("22.20")])
    assert taken([[Decimal("22.2")]], "array<decimal(38,2)>") == (
        "list<item: decimal128(38, 2)>",
        [[Decimal("22.20")]],
    )
    assert (
        taken([Decimal("22.205")], "decimal(38,2)")[0] == "decimal128(5, 3)"
    )  # for the insert to refuse, not to round


def test_the_type_of_a_column_says_what_dicts_and_nulls_stand_for() -> None:
    assert taken([{"a": 1}, {"b": None}, {}, None], "map<string,bigint>") == (
        "map<string, int64>",
        [{"a": 1}, {"b": None}, {}, None],
    )
    assert taken([[("a", 1)], [["b", 2]]], "map<string,bigint>")[1] == [{"a": 1}, {"b": 2}]
    assert (
        taken([{DAY: [NAN, None]}], "map<date,array<double>>")[0]
        == "map<date32[day], list<item: double>>"
    )
    assert taken([[{"a": {1: "x"}}]], "array<struct<a:map<bigint,string>>>")[1] == [
        [{"a": {1: "x"}}]
    ]
    assert taken([{"b": 1}], "struct<a:string,b:bigint>") == (
        "struct<a: string, b: int64>",
        [{"a": None, "b": 1}],
    )
    assert taken([[], None], "array<string>")[0] == "list<item: string>"
    for wrong, text in (
        ([["x"]], "is a map, and 'x' is not a pair"),
        ([{"a": DAY}, {"a": NOON}], "column 'c' in its maps holds date"),
        ([{1: 1, "a": 2}], "keys of its maps"),
    ):
        with pytest.raises(SchemaError, match=text):
            taken(wrong, "map<string,bigint>")


U64 = 2**64 - 1
ARROW: list[tuple[pa.Array, str, list[Any]]] = [
    (pa.array(["a", None]).dictionary_encode(), "string", ["a", None]),
    (pa.array([1, None], pa.uint8()).dictionary_encode(), "int16", [1, None]),
    (pa.array([DAY]).dictionary_encode(), "date32[day]", [DAY]),
    (pa.array([NOON]).dictionary_encode(), "timestamp[us, tz=UTC]", [NOON.replace(tzinfo=UTC)]),
    (
        pa.array([["a", None]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        "list<item: string>",
        [["a", None]],
    ),
    (pa.array([[1, None]], pa.list_(pa.uint8())), "list<item: int16>", [[1, None]]),
    (pa.array([[U64]], pa.list_(pa.uint64())), "list<item: decimal128(20, 0)>", [[Decimal(U64)]]),
    (
        pa.array([[0.5, NAN, None]], pa.large_list(pa.float16())),
        "list<item: float>",
        [[0.5, NAN, None]],
    ),
    (pa.array([[1], None], pa.list_(pa.uint32(), 1)), "list<item: int64>", [[1], None]),
    (
        pa.array([{"d": DAY}], pa.struct([("d", pa.date64())])),
        "struct<d: date32[day]>",
        [{"d": DAY}],
    ),
    (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.uint16())), "map<string, int32>", [{"a": 1}]),
    (
        pa.array([[NOON]], pa.list_(pa.timestamp("ms"))),
        "list<item: timestamp[us, tz=UTC]>",
        [[NOON.replace(tzinfo=UTC)]],
    ),
    (pa.array([Decimal("1.5")], pa.decimal256(38, 2)), "decimal128(38, 2)", [Decimal("1.5")]),
    (pa.array([b"ab"], pa.binary(2)), "binary", [b"ab"]),
    (pa.array(["a"], pa.string_view()), "string", ["a"]),
]


@pytest.mark.parametrize(
    ("column", "type_", "wanted"), ARROW, ids=[str(each[0].type) for each in ARROW]
)
def test_arrow_types_that_spark_lacks_become_those_that_hold_every_value(
    column: pa.Array, type_: str, wanted: list[Any]
) -> None:
    found = arrow_frames.to_arrow(pa.table({"c": column}), {}).column("c")
    assert str(found.type) == type_
    assert same(found.to_pylist(maps_as_pydicts="strict"), wanted)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (
            pa.array([1], pa.timestamp("ns")),
            "does not fit its column 'c': .* Times are kept in whole microseconds",
        ),
        (pa.array([[1]], pa.list_(pa.timestamp("ns"))), "does not fit its column 'c'"),
        (
            pa.array([253402300800], pa.timestamp("s")),
            (
                "Column 'c' holds an instant outside the years 1 to 9999, 253402300800000000"
                " microseconds from 1970"
            ),
        ),
        (pa.array([[1]], pa.list_view(pa.int64())), r"Arrow type list_view<"),
        (
            pa.array([[1]], pa.list_(pa.duration("s"))),
            r"Column 'c' within its lists is of the Arrow type duration\[s\]",
        ),
        (pa.array([{"First Name": 1}]), "a struct with a field 'First Name'"),
        (pa.array([Decimal(1)], pa.decimal256(50, 0)), "Arrow type decimal256"),
        (pa.array([[None]]), "within its lists holds only nulls"),
    ],
)
def test_arrow_types_and_values_without_a_feature_type_are_refused(
    column: pa.Array, text: str
) -> None:
    with pytest.raises(SchemaError, match=text):
        arrow_frames.to_arrow(pa.table({"c": column}), {})


def test_a_column_that_comes_twice_is_named() -> None:
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    for frame in (twice, pa.table([pa.array([1]), pa.array([2])], ["a", "a"])):
        with pytest.raises(
            SchemaError,
            match=r"The frame names a column twice: a\. Give each column a name of its own",
        ):
            arrow_frames.to_arrow(frame, {})


def test_a_column_name_of_half_a_character_is_refused() -> None:
    with pytest.raises(InvalidNameError, match=r"Column 'a\\ud800' is not a valid name"):
        arrow_frames.to_arrow(pd.DataFrame({"a\ud800": [1]}), {})


# -- out again


def test_nested_values_come_out_as_python_objects() -> None:
    table = pa.table(
        {
            "n": pa.array([1, None], pa.int64()),
            "l": pa.array([[2**53 + 1, None], None]),
            "d": pa.array([[1.5, None, NAN], []]),
            "s": pa.array([{"a": 2**53 + 1}, {"a": None}], pa.struct([("a", pa.int64())])),
            "m": pa.array([[("x", None)], []], pa.map_(pa.string(), pa.int64())),
            "t": pa.array([[NOON], None], pa.list_(pa.timestamp("us", "UTC"))),
        }
    )
    found = pandas_frames.to_pandas(table)
    assert list(found.columns) == table.column_names
    assert str(found["n"].dtype) == "Int64"
    for name in ("l", "d", "s", "m"):
        assert same(found[name].tolist(), table.column(name).to_pylist(maps_as_pydicts="strict"))
    assert same(found["t"].tolist(), [[NOON.replace(tzinfo=UTC)], None])
    assert pandas_frames.to_pandas(table.select(["l"])).shape == (2, 1)
    assert pandas_frames.to_pandas(table.slice(0, 0)).shape == (0, 6)


def test_a_map_with_a_key_twice_is_said_to_be_one() -> None:
    with pytest.raises(
        SparkFSError,
        match=r"Column 'm' holds a map with a key twice \(.*x.*\), which pandas cannot show",
    ):
        pandas_frames.to_pandas(
            pa.table({"m": pa.array([[("x", 1), ("x", 2)]], pa.map_(pa.string(), pa.int64()))})
        )


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # shrinking takes minutes
@given(strategies.tables(more=3))
def test_a_pandas_frame_of_objects_is_the_table_that_it_was_made_of(
    drawn: tuple[dict[str, str], list[dict[str, Any]]],
) -> None:
    columns, rows = drawn
    table = strategies.to_arrow(columns, rows)
    for found in (
        pandas_frames.to_pandas(table),
        pd.DataFrame({name: objects([row[name] for row in rows])["c"] for name in columns}),
    ):
        nested = [name for name, type_ in columns.items() if "<" in type_]
        again = arrow_frames.to_arrow(found[nested], columns)
        assert again.schema == table.select(nested).schema
        for name in nested:
            kept = again.column(name).to_pylist(maps_as_pydicts="strict")
            assert all(same(one, row[name]) for one, row in zip(kept, rows, strict=True)), columns[
                name
            ]
