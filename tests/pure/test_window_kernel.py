"""The functions of windows over Arrow columns, beside plain Python."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import window_oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from window_values import ARGUMENTS, OTHERS, VALUES, integers_with, long_decimals

from spark_fs.base import arrow_types
from spark_fs.engine.windows.blocks import compute_windows_at
from spark_fs.engine.windows.edges import Instants
from spark_fs.errors import SchemaError
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature

GROUP = GroupRef("events", 1)
NUMBERS = ("tinyint", "int", "bigint", "float", "double", "decimal(12,3)", "decimal(38,0)")
OF_NUMBERS = ("sum", "mean", "variance", "stddev", "percentile", "approx_percentile")
OF_ALL = (
    "count",
    "min",
    "max",
    "first",
    "last",
    "distinct_count",
    "approx_distinct_count",
    "top_k",
    "last_n",
    "last_distinct_n",
    "time_since_last",
)
BITS = {"tinyint": 8, "int": 32, "bigint": 64}


def values_of(type_: str) -> st.SearchStrategy[Any]:
    """Values of a type; those of integers and long decimals have sums that do not fit."""
    if type_ in BITS:
        half = 2 ** (BITS[type_] - 1)
        return integers_with(-half, half - 1)
    return long_decimals(37) if type_ == "decimal(38,0)" else VALUES[type_]


def events_of(type_: str) -> st.SearchStrategy[list[tuple[Any, Any, Any]]]:
    """Events of entities 0 to 2: entity, instant, value; each may be null."""
    event = st.tuples(
        st.sampled_from([0, 0, 1, 2, None]),
        st.one_of(st.integers(0, 40), st.none()),
        st.one_of(values_of(type_), st.none()),
    )
    return st.lists(event, max_size=25)


def bind_features(type_: str, features: list[WindowFeature], closed: Any = "left") -> WindowPlan:
    source = QuerySpec(GROUP, ("k", "at", "x"))
    spec = AggregationSpec(source, tuple(features), ("k",), "at", closed=closed)
    return bind_aggregation(spec, {"k": "bigint", "at": "timestamp", "x": type_})


def compute(plan: WindowPlan, type_: str, events: list[Any], asked: list[Any]) -> list[list[Any]]:
    keys, micros, values = zip(*events, strict=True) if events else ((), (), ())
    table = pa.table(
        {
            "k": pa.array(keys, pa.int64()),
            "at": pa.array(micros, pa.timestamp("us", tz="UTC")),
            "x": pa.array(values, arrow_types.to_arrow_type(type_)),
        }
    )
    codes = np.array([-1 if key is None else key for key in keys], np.int64)
    instants = Instants(
        np.array([key for key, _ in asked], np.int64), np.array([at for _, at in asked], np.int64)
    )
    columns = compute_windows_at(table, codes, instants, plan)
    assert [column.type for column in columns] == [
        arrow_types.to_arrow_type(feature.result_type) for feature in plan.features
    ]
    return [column.to_pylist() for column in columns]


def expect(plan: WindowPlan, events: list[Any], asked: list[Any]) -> list[list[Any]]:
    expected = []
    for feature in plan.features:
        column = []
        for key, at in asked:
            own = [
                (micros, value)
                for entity, micros, value in events
                if entity == key
                and micros is not None
                and (feature.column is None or value is not None)
            ]
            column.append(
                window_oracle.evaluate(
                    feature.function,
                    own,
                    at,
                    feature.over,
                    feature.delay,
                    plan.closed,
                    feature.argument,
                )
            )
        expected.append(column)
    return expected


def check_column(feature: Any, actual: list[Any], expected: list[Any]) -> None:
    assert len(actual) == len(expected)
    for got, wanted in zip(actual, expected, strict=True):
        assert is_right(feature, got, wanted), (feature, got, wanted)


def is_right(feature: Any, got: Any, wanted: Any) -> bool:
    if got is None or wanted is None:
        return got is wanted
    if feature.function == "approx_percentile":
        return is_near(got, float(wanted), 0.01)
    if feature.function in ("variance", "stddev"):
        return is_near(got, wanted, 1e-14)
    is_decimal = feature.type is not None and feature.type.startswith("decimal")
    if is_decimal and feature.function in ("mean", "percentile"):
        return is_near(got, wanted, 1e-15)
    return repr(got) == repr(wanted)  # the same bits: -0.0 is not 0.0, NaN is NaN


def is_near(got: float, wanted: float, tolerance: float) -> bool:
    if math.isnan(got) or math.isinf(got) or math.isinf(wanted):
        return repr(got) == repr(wanted) or (math.isinf(wanted) and got > 1.7e308)
    return math.isclose(got, wanted, rel_tol=tolerance, abs_tol=5e-324)


LENGTHS = st.sampled_from([1, 3, 10, 41, None])


@pytest.mark.parametrize("type_", [*NUMBERS, *OTHERS])
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_function_is_what_plain_python_says(type_: str, data: st.DataObject) -> None:
    functions = [*OF_ALL, *OF_NUMBERS] if type_ in NUMBERS else list(OF_ALL)
    events = data.draw(events_of(type_))
    asked = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 60)), max_size=12))
    chosen = data.draw(st.lists(st.sampled_from(functions), min_size=1, max_size=4))
    features = []
    for number, function in enumerate(chosen):
        over = data.draw(LENGTHS)
        delay = data.draw(st.sampled_from([0, 0, 2, 7]))
        argument = ARGUMENTS.get(function)
        features.append(
            WindowFeature(f"f{number}", function, "x", over, None, delay, argument)  # type: ignore[arg-type]
        )
    plan = bind_features(type_, features, data.draw(st.sampled_from(["left", "both"])))
    expected = expect(plan, events, asked)
    if any(is_too_large(plan, column, number) for number, column in enumerate(expected)):
        with pytest.raises(SchemaError, match="too large"):
            compute(plan, type_, events, asked)
        return
    actual = compute(plan, type_, events, asked)
    for feature, got, wanted in zip(plan.features, actual, expected, strict=True):
        check_column(feature, got, wanted)


def is_too_large(plan: WindowPlan, column: list[Any], number: int) -> bool:
    """Whether a sum does not fit the type that it has."""
    feature = plan.features[number]
    if feature.function != "sum" or feature.type in ("float", "double"):
        return False
    sums = [value for value in column if value is not None]
    if feature.result_type == "bigint":
        return any(not -(2**63) <= value < 2**63 for value in sums)
    digits = int(feature.result_type.removeprefix("decimal(").split(",")[0])
    scale = int(feature.result_type.rstrip(")").split(",")[1])
    return any(abs(value) >= Decimal(10) ** (digits - scale) for value in sums)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_order_of_the_events_gives_the_same_bits(data: st.DataObject) -> None:
    events = data.draw(events_of("double"))
    shuffled = data.draw(st.permutations(events))
    asked = [(key, at) for key in range(3) for at in (5, 20, 50)]
    features = [
        WindowFeature("s", "sum", "x", 30),
        WindowFeature("v", "variance", "x", None),
        WindowFeature("f", "first", "x", 30),
        WindowFeature("l", "last_n", "x", None, argument=2),
    ]
    plan = bind_features("double", features)
    assert repr(compute(plan, "double", events, asked)) == repr(
        compute(plan, "double", list(shuffled), asked)
    )


@given(events_of("double"), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_nothing_known_from_an_instant_on_changes_what_is_said_of_it(
    events: list[Any], at: int
) -> None:
    """No leak: events at or after the instant may be moved, changed or dropped."""
    features = [
        WindowFeature(function, function, "x", 20, argument=ARGUMENTS.get(function))  # type: ignore[arg-type]
        for function in (*OF_ALL, *OF_NUMBERS)
    ]
    plan = bind_features("double", features)
    asked = [(key, at) for key in range(3)]
    earlier = [event for event in events if event[1] is None or event[1] < at]
    moved = [
        (key, micros + 7, 12345.0)
        for key, micros, _ in events
        if micros is not None and micros >= at
    ]
    assert repr(compute(plan, "double", events, asked)) == repr(
        compute(plan, "double", earlier + moved, asked)
    )


def test_a_condition_decides_which_events_count() -> None:
    condition = Comparison(GROUP, "x", ">", 1.0)
    features = [
        WindowFeature("n", "count", None, 10, condition),
        WindowFeature("s", "sum", "x", 10, condition),
        WindowFeature("all", "sum", "x", 10),
        WindowFeature("age", "time_since_last", None, None, condition),
    ]
    plan = bind_features("double", features)
    events = [(0, 1, 5.0), (0, 2, 0.5), (0, 3, None), (0, 9, 2.0), (1, 3, 7.0)]
    assert compute(plan, "double", events, [(0, 10), (0, 12), (1, 4)]) == [
        [2, 1, 1],
        [7.0, 2.0, 7.0],
        [7.5, 2.5, 7.0],
        [1e-6, 3e-6, 1e-6],
    ]


def test_times_far_apart_and_many_entities_share_one_number() -> None:
    """Codes and microseconds that do not fit 62 bits together are numbered instead."""
    codes = np.array([2**40, 2**40, 5], np.int64)
    micros = [-(2**55), 2**55, 0]
    table = pa.table(
        {
            "k": pa.array([1, 1, 2]),
            "at": pa.array(micros, pa.timestamp("us", tz="UTC")),
            "x": pa.array([1.0, 2.0, 3.0]),
        }
    )
    plan = bind_features("double", [WindowFeature("s", "sum", "x", None)])
    instants = Instants(
        np.array([2**40, 2**40, 2**40, 5, 6, -1], np.int64),
        np.array([-(2**55), -(2**55) + 1, 2**56, 1, 1, 1], np.int64),
    )
    (column,) = compute_windows_at(table, codes, instants, plan)
    assert column.to_pylist() == [None, 1.0, 3.0, 3.0, None, None]
