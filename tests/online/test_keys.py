"""Keys are found by value, and what is online comes back as it went in, on every store; no Spark is needed for that."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from loaded import loaded, rows_of

from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import KeyValueError, NotFoundError, SchemaError, SparkFSError
from spark_fs.spec.names import GroupRef

from conftest import ONLINE, SHARDED, online_store

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module", params=[*ONLINE, *SHARDED])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureStore]:
    """One store for the module, over each online store in turn."""
    with online_store(request.param, tmp_path_factory.mktemp("keys")) as found:
        yield found


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose clocks stand in New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def asked(store: FeatureStore, name: str, entry: dict[str, Any], **options: Any) -> list[Any]:
    """The vector of an entry, which is the same asked for alone and beside another."""
    view = store.get_or_create_feature_view(
        f"v_{name}", store.get_feature_group(name, 1).select(["v"]), version=1
    )
    one = view.get_feature_vector(entry, **options)
    both = view.get_feature_vectors([entry, entry], **options)
    assert both == [one, one]
    return one  # type: ignore[no-any-return] # return_type is "list"


BY_VALUE: dict[str, tuple[str, Any, list[Any]]] = {
    "whole": ("bigint", 1, [1, 1.0, np.int8(1), np.float64(1), Decimal("1.00"), np.array(1)]),
    "small": ("tinyint", -128, [-128, -128.0, np.int64(-128)]),
    "big": ("bigint", 2**53 + 1, [2**53 + 1, Decimal(2**53 + 1)]),
    "amount": (
        "decimal(10,2)",
        Decimal("1.10"),
        [Decimal("1.1"), Decimal("1.10"), Decimal("1.1000"), Decimal("11E-1"), 1.1],
    ),
    "tiny": (
        "decimal(38,18)",
        Decimal("1E-18"),
        [Decimal("1E-18"), Decimal("0.000000000000000001"), 1e-18],
    ),
    "nothing": (
        "decimal(38,18)",
        Decimal("0E-18"),
        [0, Decimal("0"), Decimal("-0.0"), 0.0, Decimal("0E+5")],
    ),
    "moment": (
        "timestamp",
        NOON,
        [
            NOON,
            datetime(2024, 1, 1, 12),
            pd.Timestamp("2024-01-01 12:00"),
            pd.Timestamp("2024-01-01 07:00", tz="America/New_York"),
            NOON.astimezone(timezone(timedelta(hours=-9))),
            *(np.datetime64("2024-01-01T12", unit) for unit in ("h", "m", "s", "ms", "us", "ns")),
        ],
    ),
    "midnight": (
        "timestamp",
        NOON.replace(hour=0),
        [
            date(2024, 1, 1),
            np.datetime64("2024-01-01"),
            datetime(2024, 1, 1),
            pd.Timestamp("2024-01-01"),
        ],
    ),
    "early": (
        "timestamp",
        datetime(1, 1, 1, tzinfo=UTC),
        [datetime(1, 1, 1), date(1, 1, 1), np.datetime64("0001-01-01T00:00:00")],
    ),
    "day": (
        "date",
        date(2024, 1, 1),
        [
            date(2024, 1, 1),
            datetime(2024, 1, 1),
            NOON.replace(hour=0),
            pd.Timestamp("2024-01-01"),
            np.datetime64("2024-01-01", "ns"),
        ],
    ),
    "word": ("string", "ä🙂", ["ä🙂", np.str_("ä🙂")]),
    "raw": ("binary", b"\x00\xff", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")]),
    "flag": ("boolean", True, [True, np.True_]),
    "ratio": ("double", 0.5, [0.5, Decimal("0.5"), np.float32(0.5)]),
    "third": ("double", 1 / 3, [1 / 3, np.float64(1 / 3)]),
    "huge": ("double", 1.7976931348623157e308, [1.7976931348623157e308]),
    "least": ("double", 5e-324, [5e-324]),
    "single": ("float", 0.10000000149011612, [0.1, np.float32(0.1)]),
    "zero": ("double", -0.0, [0.0, -0.0, 0]),
}


@pytest.mark.parametrize("name", BY_VALUE)
def test_a_key_is_found_by_value(store: FeatureStore, name: str, in_new_york: None) -> None:
    type_, key, others = BY_VALUE[name]
    loaded(store, name, {"k": type_, "v": "bigint"}, [{"k": key, "v": 7}])
    for other in others:
        assert asked(store, name, {"k": other}) == [7], other


def test_a_composite_key_is_found_by_each_value(store: FeatureStore, in_new_york: None) -> None:
    columns = {"a": "decimal(12,3)", "b": "timestamp", "c": "int", "v": "bigint"}
    loaded(
        store,
        "composite",
        columns,
        [
            {"a": Decimal("2.500"), "b": NOON, "c": 3, "v": 1},
            {"a": Decimal("2.500"), "b": NOON + timedelta(hours=5), "c": 3, "v": 2},
        ],
        "abc",
    )
    for a, b, c in product(
        [Decimal("2.5"), 2.5],
        [datetime(2024, 1, 1, 12), np.datetime64("2024-01-01T12:00", "ns")],
        [3.0, np.int16(3)],
    ):
        assert asked(store, "composite", {"a": a, "b": b, "c": c}) == [1]
    assert asked(store, "composite", {"a": 2.5, "b": datetime(2024, 1, 1, 17), "c": 3}) == [2]
    assert asked(
        store, "composite", {"a": 2.5, "b": datetime(2024, 1, 1, 13), "c": 3}, allow_missing=True
    ) == [None]


NONE_OF_THE_TYPE: list[tuple[str, Any]] = [
    ("bigint", 2**70),
    ("bigint", -(2**63) - 1),
    ("bigint", 10**5000),
    ("bigint", 1.5),
    ("bigint", math.nan),
    ("bigint", math.inf),
    ("bigint", True),
    ("bigint", "1"),
    ("bigint", [1]),
    ("bigint", {"a": 1}),
    ("int", 2**31),
    ("decimal(10,2)", Decimal("1.101")),
    ("decimal(10,2)", 2**70),
    ("decimal(10,2)", Decimal("NaN")),
    ("double", math.nan),
    ("double", 2**53 + 1),
    ("timestamp", "2024-01-01"),
    ("timestamp", 0),
    ("timestamp", pd.Timestamp(1)),
    ("date", NOON),
    ("string", "\ud800"),
    ("string", b"x"),
    ("binary", "x"),
    ("boolean", 1),
    ("timestamp", datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))),
    ("bigint", np.array([1, 2])),
]


def test_what_equals_no_value_of_the_type_is_refused_and_said(store: FeatureStore) -> None:
    for number, type_ in enumerate(dict.fromkeys(type_ for type_, _ in NONE_OF_THE_TYPE)):
        loaded(store, f"strict{number}", {"k": type_, "v": "bigint"}, [])
        for key in [key for each, key in NONE_OF_THE_TYPE if each == type_]:
            with pytest.raises(
                KeyValueError,
                match=r"Key 'k' is .*, but its type is .*: give a value of that type, .+\.",
            ) as raised:
                asked(store, f"strict{number}", {"k": key}, allow_missing=True)
            assert len(str(raised.value)) < 500
    for missing in (None, pd.NA, pd.NaT, np.datetime64("NaT")):
        with pytest.raises(
            KeyValueError, match=r"lacks 'k', by which feature group 'strict0' version 1 is found"
        ):
            asked(store, "strict0", {"k": missing})


def test_a_key_of_any_size_is_found_or_absent(store: FeatureStore) -> None:
    loaded(store, "sized", {"k": "string", "v": "bigint"}, [{"k": "x" * 700, "v": 1}])
    assert asked(store, "sized", {"k": "x" * 700}) == [1]
    for size in (699, 768, 769, 5_000, 70_000):
        assert asked(store, "sized", {"k": "x" * size}, allow_missing=True) == [None]
    with pytest.raises(NotFoundError, match="has no online row"):
        asked(store, "sized", {"k": "y"})


def test_decimals_of_two_scales_join_by_value(store: FeatureStore) -> None:
    left = loaded(
        store,
        "orders",
        {"id": "bigint", "price": "decimal(10,1)", "v": "bigint"},
        [{"id": 1, "price": Decimal("1.5"), "v": 1}],
        ["id"],
    )
    right = loaded(
        store,
        "prices",
        {"price": "decimal(20,6)", "band": "string"},
        [
            {"price": Decimal("1.500000"), "band": "low"},
            {"price": Decimal("0.000000"), "band": "free"},
        ],
        ["price"],
    )
    view = store.create_feature_view(
        "priced",
        left.select(["v"]).join(right.select(["band"]), left_on=["price"], right_on=["price"]),
    )
    assert view.get_feature_vector({"id": 1}) == [1, "low"]
    assert view.get_feature_vectors(
        [{"id": 1, "price": 0}, {"id": 1, "price": 1.5}, {"id": 1}]
    ) == [[1, "free"], [1, "low"], [1, "low"]]


def test_several_decimals_are_bound_again_and_again(store: FeatureStore) -> None:
    """Two of them in one prepared statement broke the memory of the process, in the driver's C extension."""
    columns = {"a": "decimal(38,0)", "b": "decimal(38,30)", "c": "decimal(10,2)", "v": "bigint"}
    rows = [
        {
            "a": Decimal(10**38 - 1 - n),
            "b": Decimal(n).scaleb(-30),
            "c": Decimal(n).scaleb(-2),
            "v": n,
        }
        for n in range(20)
    ]
    loaded(store, "several", columns, rows, "abc")
    for _ in range(20):
        for row in rows:
            assert asked(store, "several", {name: row[name] for name in "abc"}) == [row["v"]]
    assert asked(
        store,
        "several",
        {**{name: rows[3][name] for name in "ab"}, "c": Decimal("0.04")},
        allow_missing=True,
    ) == [None]


def test_a_long_key_that_is_given_goes_before_the_stored_one(store: FeatureStore) -> None:
    left = loaded(
        store,
        "visits",
        {"id": "bigint", "page": "string", "v": "bigint"},
        [{"id": 1, "page": "a", "v": 1}],
        ["id"],
    )
    right = loaded(
        store, "pages", {"page": "string", "w": "bigint"}, [{"page": "a", "w": 5}], ["page"]
    )
    view = store.create_feature_view(
        "visited", left.select(["v"]).join(right.select(["w"]), on=["page"])
    )
    assert view.get_feature_vectors(
        [{"id": 1}, {"id": 1, "page": "b" * 900}], allow_missing=True
    ) == [[1, 5], [1, None]]


def test_what_an_earlier_sqlite_store_holds_is_found(tmp_path: Path) -> None:
    """Decimals were always written with all digits of their scale, and are looked up with these now."""
    with online_store("sqlite", tmp_path) as store:
        group = loaded(
            store,
            "old",
            {"k": "decimal(10,2)", "at": "timestamp", "v": "double"},
            [{"k": Decimal("9.90"), "at": NOON, "v": 1.0}],
        )
        with store._stores.online.transaction() as connection:  # type: ignore[attr-defined] # as that version wrote rows
            connection.execute("INSERT INTO old_1 VALUES ('1.10', 1704110400000000, 0.25)")
        assert asked(store, "old", {"k": Decimal("1.1")}) == [0.25]
        assert sorted(rows_of(store, group)) == [
            (Decimal("1.10"), NOON, 0.25),
            (Decimal("9.90"), NOON, 1.0),
        ]


PASSED_WRONG: list[tuple[str, Any]] = [
    ("n", "abc"),
    ("n", [1]),
    ("n", True),
    ("n", {"a": 1}),
    ("i", 1.5),
    ("i", 2**70),
    ("i", "1"),
    ("s", "\ud800"),
    ("s", 1),
    ("l", ["x"]),
    ("l", 5),
    ("at", "soon"),
    ("at", 5),
    ("m", {"a": "x"}),
    ("d", Decimal("1.001")),
    ("d", "1"),
]
FEATURES = {
    "k": "bigint",
    "n": "double",
    "i": "bigint",
    "s": "string",
    "l": "array<bigint>",
    "at": "timestamp",
    "m": "map<string,double>",
    "d": "decimal(5,2)",
}


def test_a_passed_feature_is_a_value_of_its_type_or_refused(
    store: FeatureStore, in_new_york: None
) -> None:
    group = loaded(
        store,
        "passing",
        FEATURES,
        [
            {
                "k": 1,
                "n": 1.0,
                "i": 1,
                "s": "a",
                "l": [1],
                "at": NOON,
                "m": {"a": 1.0},
                "d": Decimal("1.00"),
            }
        ],
    )
    scaler = store.get_transformation_function("log_transform")
    view = store.create_feature_view(
        "passing", group.select_features(), transformation_functions=[scaler("n")]
    )
    for name, value in PASSED_WRONG:
        with pytest.raises(
            SchemaError,
            match=(
                rf"Passed feature '{name}' is .*, but its type is .*: pass a value of that type,"
                r" .+\."
            ),
        ):
            view.get_feature_vector({"k": 1}, passed_features={name: value})
    passed = {
        "n": np.float32(1),
        "i": 2.0,
        "s": np.str_("b"),
        "l": np.array([2]),
        "at": datetime(2024, 1, 1, 12),
        "m": {"b": 2},
        "d": 1.5,
    }
    assert view.get_feature_vector({"k": 1}, passed_features=passed) == [
        0.0,
        2,
        "b",
        [2],
        NOON,
        {"b": 2.0},
        Decimal("1.50"),
    ]
    assert view.get_feature_vector({"k": 1}, passed_features=dict.fromkeys(passed)) == [None] * 7


def test_nothing_that_is_asked_ends_in_a_foreign_error(store: FeatureStore) -> None:
    loaded(store, "any", {"k": "bigint", "v": "bigint"}, [])
    for key in (
        object(),
        1j,
        {1},
        b"",
        "",
        (),
        np.zeros(3),
        pd.Series([1]),
        float,
        None,
        "\udfff",
        -0.0,
    ):
        with pytest.raises(SparkFSError, match=r"(Key|The entry|Feature group) .+\."):
            asked(store, "any", {"k": key})
    for entry in ({"\ud800": 1}, {"k\0": 1}, {"": 1}):
        with pytest.raises(NotFoundError, match=r"Key .* does not exist"):
            asked(store, "any", entry)
    assert store._stores.catalog.get_group(*GroupRef("any", 1)).online_enabled
