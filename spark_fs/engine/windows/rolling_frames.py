"""Window features of DataFrames, at instants of the user's.

A sliding window of length w before the instant t holds the values known in [t - w, t): what becomes
known at t itself is not in it, so no feature sees the row that it is joined to.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple, cast

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_fs.base import arrow_types, types
from spark_fs.base.times import MICROSECOND
from spark_fs.base.types import get_base_type
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.spark_runner import SparkRows, estimate_bytes, get_frame
from spark_fs.engine.windows.relation import EventSource, InstantSource, aggregate_at
from spark_fs.errors import SchemaError, SettingsError
from spark_fs.planning.window_plan import BoundFeature, WindowPlan, find_result_type
from spark_fs.spec.window_features import Function

AGGREGATIONS: tuple[Function, ...] = (
    "count",
    "sum",
    "mean",
    "stddev",
    "min",
    "max",
    "last",
    "distinct_count",
)
_UNKNOWN_BYTES = 256 << 20  # bytes of a frame whose size Spark does not know
_ANY_TYPE_AGGREGATIONS = ("count", "min", "max", "last", "distinct_count")  # without arithmetic


class Events(NamedTuple):
    """Rows with the instant at which each became known (a timestamp) and a value."""

    frame: DataFrame
    known_at: str
    value: str


def rolling(
    events: Events,
    instants: DataFrame,
    at: str,
    by: Sequence[str],
    windows: Mapping[str, timedelta],
    aggregations: Sequence[str] = ("count", "mean", "stddev"),
) -> DataFrame:
    """Aggregations* of an entity's values over each sliding window before each instant.

    Null values are not counted, nor those of a null key. The same rows in any batches and any order
    give the same bits: sums of doubles are exact, and rounded once.

    Args:
        events: The values, and when each became known.
        instants: The instants to aggregate at, with the columns ``by`` and ``at``.
        at: The column of the instants, a timestamp; a row where it is null is no instant.
        by: The columns that identify an entity, in events and instants.
        windows: The length of each window by its name, such as ``{"4h": timedelta(hours=4)}``. The
            window of length w before t is [t - w, t).
        aggregations: Some of count, sum, mean, stddev (population), min, max, last (the value known
            last; of several at one instant the greatest) and distinct_count.

    Returns:
        A row for each of the instants, with the columns ``by``, ``at``, and
        ``<value>_<aggregation>_<window>`` for each of the windows. Where a window has no values,
        count and distinct_count are 0 and the others null.

    Raises:
        SettingsError: An aggregation is unknown, or a window is empty.
        SchemaError: The value cannot be aggregated so, or a column is not what it must be.
    """
    value_type = dict(events.frame.dtypes)[events.value]
    _check_arguments(events.value, value_type, windows, aggregations)
    needed = dict.fromkeys([*by, events.known_at, events.value])
    is_valued = F.col(events.value).isNotNull()
    frame = events.frame.filter(is_valued).select(*needed)
    plan = _build_plan(dict(frame.dtypes), events, by, windows, aggregations)
    instants = instants.select(*by, at).filter(F.col(at).isNotNull())
    instant_types = dict(instants.dtypes)
    _check_types(plan, instant_types, by, at)
    frame_bytes = estimate_bytes(frame, _UNKNOWN_BYTES)
    source = EventSource.from_rows(SparkRows(frame), plan, frame_bytes)
    ends = InstantSource(
        ArrowRelation.from_rows(SparkRows(instants), arrow_types.to_arrow_schema(instant_types)),
        tuple((name, instant_types[name]) for name in by),
        (at, instant_types[at]),
        estimate_bytes(instants, _UNKNOWN_BYTES),
    )
    features = aggregate_at(source, ends, plan)
    return get_frame(features.select(instant_types | plan.schema))


def _check_arguments(
    value: str, type_: str, windows: Mapping[str, timedelta], aggregations: Sequence[str]
) -> None:
    for name, length in windows.items():
        if length <= timedelta(0):
            raise SettingsError(
                f"Window {name!r} is {length} long: give a length above zero, such as"
                " timedelta(hours=4)."
            )
    for aggregation in aggregations:
        if aggregation not in AGGREGATIONS:
            raise SettingsError(
                f"Aggregation {aggregation!r} is not known: use {', '.join(AGGREGATIONS)}."
            )
        if not _can_aggregate(type_, aggregation):
            raise SchemaError(
                f"Column {value!r} is {type_}, which has no {aggregation}: use"
                f" {', '.join(types.NUMERIC)}, or cast it first."
            )


def _can_aggregate(type_: str, aggregation: str) -> bool:
    if types.is_number_type(type_):
        return True
    return aggregation in _ANY_TYPE_AGGREGATIONS and get_base_type(type_) not in types.NESTED


def _build_plan(
    column_types: Mapping[str, str],
    events: Events,
    by: Sequence[str],
    windows: Mapping[str, timedelta],
    aggregations: Sequence[str],
) -> WindowPlan:
    """The features of the value, window by window.

    Args:
        column_types: Of the events' columns that are needed.
        events: The values.
        by: The columns that identify an entity.
        windows: The length of each window by its name.
        aggregations: What is computed of each window.
    """
    type_ = column_types[events.value]
    features = []
    for window, length in windows.items():
        for aggregation in aggregations:
            function = cast(Function, aggregation)
            feature = BoundFeature(
                name=f"{events.value}_{function}_{window}",
                function=function,
                column=events.value,
                type=type_,
                result_type=find_result_type(function, events.value, type_),
                over=length // MICROSECOND,
                where=None,
                delay=0,
                argument=None,
            )
            features.append(feature)
    return WindowPlan(
        tuple(features),
        tuple((name, column_types[name]) for name in by),
        (events.known_at, column_types[events.known_at]),
        tuple(column_types.items()),
    )


def _check_types(
    plan: WindowPlan, instant_types: Mapping[str, str], by: Sequence[str], at: str
) -> None:
    """Refuse instants that are no times, and keys that cannot be compared."""
    known_at, known_type = plan.known_at
    for column, type_ in ((known_at, known_type), (at, instant_types[at])):
        if type_ not in types.EVENT_TIME_TYPES:
            raise SchemaError(
                f"Column {column!r} is {type_}, and an instant is one of"
                f" {', '.join(types.EVENT_TIME_TYPES)}: cast it first."
            )
    if not by:
        raise SettingsError("No column identifies an entity: give by=['id'] or the like.")
    for column, type_ in plan.keys:
        other_type = instant_types[column]
        kind = shuffle.get_key_kind(type_)
        if kind is None or kind != shuffle.get_key_kind(other_type):
            raise SchemaError(
                f"Key column {column!r} is {type_} in the events and {other_type} in the"
                " instants, which cannot be compared: cast one of them first."
            )
