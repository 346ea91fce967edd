"""What callers give as a value of a feature is the value of its type that equals it, or is refused; plain Python says which."""

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import values as strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_fs.base.json_values import from_json, to_json
from spark_fs.base.python_values import UnfitError, format_value, to_python
from spark_fs.base.times import to_utc
from spark_fs.base.values import get_key_converter, to_canonical
from spark_fs.errors import SchemaError, SettingsError

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
UNITS = ("h", "m", "s", "ms", "us", "ns")

EQUAL: list[tuple[str, Any, Any]] = [
    ("bigint", 1.0, 1),
    ("bigint", np.int8(1), 1),
    ("bigint", np.float32(1), 1),
    ("bigint", Decimal("1.00"), 1),
    ("bigint", -(2**63), -(2**63)),
    ("tinyint", np.uint64(127), 127),
    ("bigint", np.array(7), 7),
    ("bigint", pd.NA, None),
    ("timestamp", pd.NaT, None),
    ("date", np.datetime64("NaT"), None),
    ("double", 2**53, 9007199254740992.0),
    ("double", Decimal("0.5"), 0.5),
    ("double", np.float32(0.1), 0.10000000149011612),
    ("double", np.int64(3), 3.0),
    ("float", 0.1, 0.10000000149011612),
    ("float", math.inf, math.inf),
    ("decimal(10,2)", Decimal("1.1"), Decimal("1.10")),
    ("decimal(10,2)", 1, Decimal("1.00")),
    ("decimal(10,2)", 1.1, Decimal("1.10")),
    ("decimal(10,2)", Decimal("1E+2"), Decimal("100.00")),
    ("decimal(10,2)", Decimal("-0.000"), Decimal("0.00")),
    ("decimal(38,38)", Decimal("1E-38"), Decimal("1E-38")),
    ("timestamp", datetime(2024, 1, 1, 12), NOON),
    ("timestamp", pd.Timestamp("2024-01-01 12:00"), NOON),
    ("timestamp", pd.Timestamp("2024-01-01 07:00", tz="America/New_York"), NOON),
    ("timestamp", datetime(2024, 1, 1, 7, tzinfo=ZoneInfo("America/New_York")), NOON),
    *(
        ("timestamp", np.datetime64("2024-01-01T12:00:00").astype(f"datetime64[{unit}]"), NOON)
        for unit in UNITS
    ),
    ("timestamp", date(2024, 1, 1), NOON.replace(hour=0)),
    ("timestamp", np.datetime64("2024-01-01"), NOON.replace(hour=0)),
    (
        "timestamp",
        np.datetime64("9999-12-31T23:59:59.999999"),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ),
    ("date", datetime(2024, 1, 1), date(2024, 1, 1)),
    ("date", pd.Timestamp("2024-01-01"), date(2024, 1, 1)),
    ("date", np.datetime64("2024-01-01", "ns"), date(2024, 1, 1)),
    ("date", datetime(2024, 1, 1, 5, tzinfo=timezone(timedelta(hours=5))), date(2024, 1, 1)),
    ("string", np.str_("ä🙂"), "ä🙂"),
    ("binary", bytearray(b"\xff\0"), b"\xff\0"),
    ("binary", memoryview(b"x"), b"x"),
    ("boolean", np.True_, True),
    ("array<bigint>", np.array([1, 2]), [1, 2]),
    ("array<timestamp>", (pd.Timestamp("2024-01-01 12:00"), None), [NOON, None]),
    (
        "struct<a:int,at:timestamp>",
        {"a": 1.0, "at": datetime(2024, 1, 1, 12)},
        {"a": 1, "at": NOON},
    ),
    ("struct<a:int,b:int>", {"a": 1}, {"a": 1, "b": None}),
    ("map<string,decimal(3,1)>", {"x": 1}, {"x": Decimal("1.0")}),
    ("map<bigint,string>", [(1.0, "x")], {1: "x"}),
]


@pytest.mark.parametrize(("type_", "given_", "wanted"), EQUAL, ids=lambda each: format_value(each))
def test_a_value_is_the_one_of_its_type_that_equals_it(
    type_: str, given_: Any, wanted: Any
) -> None:
    found = to_canonical(type_, given_)
    assert strategies.same(found, wanted)
    if isinstance(wanted, Decimal):
        assert found.as_tuple() == wanted.as_tuple()


REFUSED: list[tuple[str, Any, str]] = [
    ("bigint", 1.5, "an integer"),
    ("bigint", 2**70, "an integer from -9223372036854775808 to 9223372036854775807"),
    ("bigint", 10**5000, "an integer from"),
    ("bigint", True, "an integer"),
    ("bigint", np.True_, "an integer"),
    ("bigint", "1", "an integer"),
    ("bigint", math.inf, "an integer"),
    ("bigint", math.nan, "an integer"),
    ("bigint", Decimal("1E+999999"), "an integer"),
    ("bigint", Decimal("sNaN"), "an integer"),
    ("bigint", np.uint64(2**63), "an integer from"),
    ("bigint", [1], "an integer"),
    ("tinyint", 128, "an integer from -128 to 127"),
    ("int", 2**31, "an integer from"),
    ("bigint", np.array([1, 2]), "an integer"),
    ("bigint", 1 + 0j, "an integer"),
    ("double", 2**53 + 1, "a number that a double holds, such as 9007199254740992.0"),
    ("double", 10**5000, "a number that a double holds"),
    ("double", "abc", "a number"),
    ("double", Decimal("NaN"), "a number"),
    ("double", True, "a number"),
    ("float", 1e300, "a number that a float of 32 bits holds"),
    (
        "decimal(10,2)",
        Decimal("1.101"),
        "a Decimal of at most 10 digits, 2 of them behind the point",
    ),
    ("decimal(10,2)", 10**9, "a Decimal of at most 10"),
    ("decimal(10,2)", 0.1 + 0.2, "a Decimal of at most"),
    ("decimal(10,2)", Decimal("1E+999999999"), "a Decimal of at most"),
    ("decimal(10,2)", math.nan, "a decimal or an integer"),
    ("decimal(10,2)", Decimal("sNaN"), "a decimal or an integer"),
    ("decimal(10,2)", "1.1", "a decimal or an integer"),
    ("decimal(10,2)", True, "a decimal or an integer"),
    ("timestamp", 1704110400, "a datetime"),
    ("timestamp", "2024-01-01", "a datetime"),
    ("timestamp", pd.Timestamp(1), "of whole microseconds"),
    ("timestamp", np.datetime64(1, "ns"), "of whole microseconds"),
    ("timestamp", np.datetime64(10**6, "Y"), "a datetime"),
    ("timestamp", np.datetime64(2**62, "ms"), "a datetime"),
    (
        "timestamp",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        "an instant of the years 1 to 9999 in UTC",
    ),
    ("timestamp", np.timedelta64(1, "s"), "a datetime"),
    ("date", datetime(2024, 1, 1, 1), "a date, or its midnight in UTC"),
    ("date", datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5))), "a date, or its midnight"),
    ("string", "\ud800", "a string without lone surrogates"),
    ("string", 1, "a string"),
    ("string", b"x", "a string"),
    ("binary", "x", "bytes"),
    ("boolean", 1, "True or False"),
    ("array<bigint>", "ab", "a list"),
    ("array<bigint>", {1: 2}, "a list"),
    ("array<bigint>", [1.5], "an integer"),
    ("array<string>", ["\udfff"], "a string without"),
    ("struct<a:int>", {"b": 1}, "a mapping of a"),
    ("struct<a:int>", [1], "a mapping of a"),
    ("map<string,int>", [("a", 1), ("a", 2)], "each key once"),
    ("map<string,int>", {None: 1}, "none of them null"),
    ("map<string,int>", 5, "a mapping"),
]


@pytest.mark.parametrize(("type_", "given_", "text"), REFUSED, ids=lambda each: format_value(each))
def test_what_equals_no_value_of_the_type_is_refused(type_: str, given_: Any, text: str) -> None:
    with pytest.raises(UnfitError, match=text):
        to_canonical(type_, given_)
    assert len(format_value(given_)) < 250  # which never fails, and never fills a log


def test_equal_keys_are_one_and_what_is_not_a_number_is_none() -> None:
    for type_ in ("double", "float"):
        assert math.copysign(1, get_key_converter(type_)(-0.0)) == 1
        assert math.copysign(1, to_canonical(type_, -0.0)) == -1
        with pytest.raises(UnfitError, match="NaN equals no key"):
            get_key_converter(type_)(math.nan)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # the first draw builds all strategies
@given(data=st.data(), type_=st.sampled_from(strategies.ALL_TYPES))
def test_every_value_is_itself_and_comes_back_from_json(data: st.DataObject, type_: str) -> None:
    value = data.draw(strategies.values(type_, nulls=True))
    assert strategies.same(to_canonical(type_, value), value)
    sent = json.loads(json.dumps(to_json(value)))
    assert strategies.same(to_canonical(type_, from_json(type_, sent)), value)


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.complex_numbers()
)
NONSENSE = st.recursive(
    ANYTHING,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(type_=strategies.feature_types(), value=NONSENSE)
def test_no_value_ends_in_a_foreign_error(type_: str, value: Any) -> None:
    for convert in (
        lambda: to_canonical(type_, value),
        lambda: to_canonical(type_, from_json(type_, value)),
    ):
        try:
            found = convert()
        except (UnfitError, SchemaError):
            continue
        assert strategies.same(to_canonical(type_, found), found)


@settings(deadline=None)  # the first value of NumPy's may take long on a busy machine
@given(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.sampled_from(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]),
)
def test_a_datetime64_is_its_instant_or_none(number: int, unit: str) -> None:
    value = np.datetime64(number, unit)
    try:
        found = to_canonical("timestamp", value)
    except UnfitError:
        return
    assert np.datetime64(found.replace(tzinfo=None)).astype(f"datetime64[{unit}]") == value
    seconds = {"W": 604_800, "D": 86_400, "h": 3_600, "m": 60, "s": 1}.get(unit)
    if seconds:
        assert found == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number * seconds)


FROM_JSON: list[tuple[str, Any, Any]] = [
    ("decimal(10,2)", "1.1", Decimal("1.10")),
    ("decimal(10,2)", 1.1, Decimal("1.10")),
    ("decimal(10,2)", 1, Decimal("1.00")),
    ("bigint", 1.0, 1),
    ("timestamp", "2024-01-01T12:00:00", NOON),
    ("timestamp", "2024-01-01T12:00:00Z", NOON),
    ("timestamp", "2024-01-01T17:30:00+05:30", NOON),
    ("timestamp", "2024-01-01", NOON.replace(hour=0)),
    ("timestamp", "2024-01-01T12:00:00.000000000", NOON),
    ("date", "2024-01-01T00:00:00Z", date(2024, 1, 1)),
    ("double", "-Infinity", -math.inf),
    ("binary", "00ff", b"\x00\xff"),
    ("map<boolean,int>", {"True": 1}, {True: 1}),
    ("map<bigint,date>", {"-7": "2024-01-01"}, {-7: date(2024, 1, 1)}),
]


@pytest.mark.parametrize(
    ("type_", "sent", "wanted"), FROM_JSON, ids=lambda each: format_value(each)
)
def test_json_says_a_value_in_several_ways(type_: str, sent: Any, wanted: Any) -> None:
    assert strategies.same(to_canonical(type_, from_json(type_, sent)), wanted)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("timestamp", "2024-01-01T12:00:00.0000001"),
        ("timestamp", "soon"),
        ("timestamp", "9999-12-31T23:59:59-05:00"),
        ("date", "2024-01-01T01:00:00"),
        ("decimal(5,2)", "1_0"),
        ("decimal(5,2)", "NaN"),
        ("decimal(5,2)", "\u0661"),
        ("double", "1_0"),
        ("double", "abc"),
        ("binary", "0"),
        ("date", "\ud800"),
    ],
)
def test_a_text_that_is_none_of_the_type_is_refused(type_: str, text: str) -> None:
    with pytest.raises(SchemaError, match="does not spell a"):
        from_json(type_, text)


def test_bounds_are_instants_in_utc_whatever_they_are_given_as() -> None:
    for given_ in (
        datetime(2024, 1, 1, 12),
        pd.Timestamp("2024-01-01 12:00"),
        np.datetime64("2024-01-01T12"),
        "2024-01-01T12:00",
        "2024-01-01T07:00-05:00",
    ):
        assert to_utc(given_) == NOON  # type: ignore[arg-type] # pandas' and NumPy's too
    for wrong in (
        "9999-12-31T23:59:59-05:00",
        "2024-01-01T12:00:00.0000001",
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
        pd.NaT,
    ):
        with pytest.raises(SettingsError, match="is not a time: give a datetime"):
            to_utc(wrong)  # type: ignore[arg-type] # as above


def test_a_plain_value_stays_as_it_is() -> None:
    value = object()
    assert to_python(value) is value
    assert format_value(10**5000) == "<int>"
