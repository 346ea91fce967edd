"""What functions give of an entity's events from one on to the newest: windows of most requests.

A window of a request most often ends behind the newest event that is online: all that is asked then
is where it begins. So a record is kept for each event with which one may begin: how many events of
each series follow, and what functions give of these, as the kernel of windows computed it.

One value of bytes for each entity, little-endian: a header; the instants of these events, in order;
their records; the record of all events, where a window begins with the first; padding to words.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from struct import Struct
from typing import Any, NamedTuple

from spark_fs.base import types
from spark_fs.base.types import FLOATS
from spark_fs.online.live.byte_layout import (
    FIXED_CODES,
    SeriesKey,
    get_series_key,
    list_series,
)
from spark_fs.planning.window_plan import BoundFeature, WindowPlan
from spark_fs.spec.window_features import Function

_OF_DOUBLES: tuple[Function, ...] = (
    "mean",
    "stddev",
    "variance",
    "percentile",
    "approx_percentile",
)
OF_COUNTS: tuple[Function, ...] = ("count", "distinct_count", "approx_distinct_count")
OF_SINGLE_VALUES: tuple[Function, ...] = ("min", "max", "first", "last")
# the format of the bytes, flags, the fingerprint of the windows, how many records there are, and
# from which instant to which windows are read of them
RECORDS_HEADER = Struct("<BBxxIIxxxxqq")
HAS_FULL_RECORDS = 1  # a flag: each record is of events of every series
FieldKey = tuple[SeriesKey, Function, float | int | None]


class SuffixField(NamedTuple):
    """A number of a record: its struct code, and the feature that it is the value of."""

    code: str
    feature: BoundFeature


@dataclass(frozen=True)
class SuffixLayout:
    """How a record lies.

    fields: in their order; the counts of all series are the first. reaches: how far before an
    instant windows begin, ascending. has_whole: whether one begins with the first event ever, of
    which there is a record behind the others.
    """

    fields: Mapping[FieldKey, SuffixField]
    reaches: tuple[int, ...]
    has_whole: bool

    @cached_property
    def struct(self) -> Struct:
        """A record."""
        codes = [field.code for field in self.fields.values()]
        return Struct("<" + "".join(codes))

    @cached_property
    def empty(self) -> tuple[Any, ...]:
        """The record of no events: counts of 0, and nulls."""
        functions = [function for _, function, _ in self.fields]
        return tuple(0 if function in OF_COUNTS else None for function in functions)

    @cached_property
    def series_count(self) -> int:
        """How many of the fields count the events of a series."""
        return len({key for key, _, _ in self.fields})

    def find_field(self, feature: BoundFeature) -> int | None:
        """The number of the field of a feature, of whatever length; None where it has none."""
        return self._numbers.get(_get_field_key(feature))

    def put_nulls(self, record: tuple[Any, ...]) -> tuple[Any, ...]:
        """A record where what functions give of a series without events is null."""
        values = []
        for number, value, empty in zip(self._count_numbers, record, self.empty, strict=True):
            values.append(value if record[number] else empty)
        return tuple(values)

    @cached_property
    def _count_numbers(self) -> list[int]:
        """For each field the number of the one that counts the events of its series."""
        return [self._numbers[series_key, "count", None] for series_key, _, _ in self.fields]

    @cached_property
    def _numbers(self) -> dict[FieldKey, int]:
        """The place of each field in a record."""
        return {key: number for number, key in enumerate(self.fields)}


def build_suffix_layout(plan: WindowPlan) -> SuffixLayout:
    """How the records of an aggregation lie: functions of one value of fixed length are in them."""
    features = [_make_count(feature) for feature in plan.features]
    fields: dict[FieldKey, SuffixField] = {}
    for feature in (*features, *plan.features):
        code = _find_code(feature)
        if code is not None:
            fields.setdefault(_get_field_key(feature), SuffixField(code, feature))
    reaches = {find_reach(feature) for feature in plan.features}
    finite = sorted(reach for reach in reaches if reach is not None)
    return SuffixLayout(fields, tuple(finite), None in reaches)


def find_reach(feature: BoundFeature) -> int | None:
    """How far before an instant the window of a feature begins; None: with the first event."""
    return None if feature.over is None else feature.delay + feature.over


def make_fingerprint(plan: WindowPlan) -> int:
    """A number by which bytes tell of which windows they are: a group may be made anew."""
    layout = build_suffix_layout(plan)
    described: list[Any] = [layout.reaches, layout.has_whole]
    for series in list_series(plan).values():
        where = None if series.where is None else series.where.to_json()
        functions = sorted(series.functions)
        described.append([series.column, series.type, where, functions, series.longest_list])
    for (series_key, function, argument), field in layout.fields.items():
        described.append([*series_key, function, argument, field.code])
    return zlib.crc32(json.dumps(described, default=str).encode())


def _make_count(feature: BoundFeature) -> BoundFeature:
    """The number of events that a feature counts."""
    return replace(feature, function="count", result_type="bigint", argument=None)


def _get_field_key(feature: BoundFeature) -> FieldKey:
    return get_series_key(feature), feature.function, feature.argument


def _find_code(feature: BoundFeature) -> str | None:
    """The struct code of what a feature gives; None where it is not of fixed length."""
    if feature.function in _OF_DOUBLES:
        return "d"
    if feature.function == "sum":  # of other types it may have any length
        return "d" if feature.type in FLOATS else None
    if feature.function in OF_COUNTS:
        return "I"
    if feature.function == "time_since_last":  # the instant of the newest event
        return "q"
    if feature.function in OF_SINGLE_VALUES:
        return FIXED_CODES.get(types.get_base_type(feature.type or ""))
    return None
