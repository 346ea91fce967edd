"""How the events of an entity lie online, so that its windows are finished without decoding them.

One value of bytes for each entity, little-endian: a header; the gaps; the instants of the events,
in order; where each series begins; the series. Positions stand between events: what comes before
the event of that number. A series has for each position the number of its events before it, their
exact sum and that of their squares, so a window is two binary searches and two slices. Where a
function looks at values, it has the rank of each among the distinct ones, and these.

Another value has the records of ``suffix_records.py``; they are read instead at most instants.

Of an entity with many events those are left out that no window will begin or end between before
the next sync. They are a gap: its events are in the numbers and sums behind it, and of their values
those are kept that functions look at, each with the number of events that it stands for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from struct import Struct
from typing import Any

from spark_fs.base import types
from spark_fs.base.times import from_micros
from spark_fs.errors import SettingsError
from spark_fs.online.column_storage import Capabilities, OnlineColumn
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.planning.window_plan import BoundFeature, WindowPlan
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import Condition
from spark_fs.spec.window_features import Function

# No feature begins with an underscore.
EVENTS_COLUMN = "_live"
RECORDS_COLUMN = "_live_records"
# From which instant to which, in microseconds, windows are read of records.
FIRST_COLUMN = "_live_from"
LAST_COLUMN = "_live_until"
LIVE_TYPES: Mapping[str, str] = {
    EVENTS_COLUMN: "binary",
    RECORDS_COLUMN: "binary",
    FIRST_COLUMN: "bigint",
    LAST_COLUMN: "bigint",
}
TABLE_SUFFIX = "$live"  # no group has a $ in its name
FORMAT = 3
# the format, how many gaps and events, the fingerprint of the windows, since when all are there
HEADER = Struct("<BxHIIq")
WORD_BYTES = 8  # of an instant
GAP = Struct("<qq")  # no window begins or ends after the first of these instants, up to the last
# flags, the width of a rank, of a sum and of a square in bytes, the exponent of the unit of sums,
# how many values there are, and how many of them are distinct
SERIES = Struct("<BBHHxxiII")
SINCE_EVER = -(1 << 63)
# Flags of a series: what it has, where that does not follow from the positions alone.
HAS_COUNTS = 1  # the number of its events before each position
HAS_NON_FINITE = 2  # how many of these are NaN, and infinities of both signs
HAS_PLACES = 4  # the number of its values before each position
HAS_WEIGHTS = 8  # for how many events each value stands

OF_SUMS: tuple[Function, ...] = ("sum", "mean", "stddev", "variance")
OF_SQUARES: tuple[Function, ...] = ("stddev", "variance")
OF_MULTISETS: tuple[Function, ...] = ("percentile", "approx_percentile", "top_k")
OF_VALUES: tuple[Function, ...] = (
    "min",
    "max",
    "first",
    "last",
    "distinct_count",
    "approx_distinct_count",
    "last_n",
    "last_distinct_n",
    *OF_MULTISETS,
)
# The struct code of a value of fixed length; the others are bytes of any length.
FIXED_CODES: Mapping[str, str] = {
    "boolean": "b",
    "tinyint": "b",
    "smallint": "h",
    "int": "i",
    "bigint": "q",
    "float": "f",
    "double": "d",
    "date": "i",
    "timestamp": "q",
}
RANK_CODES: Mapping[int, str] = {1: "B", 2: "H", 4: "I"}
_EPOCH_DAY = date(1970, 1, 1)


def _decode_date(days: int) -> date:
    return _EPOCH_DAY + timedelta(days=days)


def _decode_decimal(digits: bytes) -> Decimal:
    return Decimal(digits.decode())


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "boolean": bool,
    "date": _decode_date,
    "timestamp": from_micros,
    "string": bytes.decode,
    "decimal": _decode_decimal,
}


def find_decoder(type_: str | None) -> Callable[[Any], Any] | None:
    """What makes a value of a type of the one that is kept; None: they are the same."""
    return _DECODERS.get(types.get_base_type(type_ or ""))


@dataclass(frozen=True)
class LiveSeries:
    """The events that one or more features count, and what these ask of them.

    column, type, where: as of the features. functions: theirs. longest_list: how many values one of
    them lists at most.
    """

    column: str | None
    type: str | None
    where: Condition | None
    functions: frozenset[Function]
    longest_list: int

    @cached_property
    def has_sums(self) -> bool:
        """Whether sums are kept."""
        return not self.functions.isdisjoint(OF_SUMS)

    @cached_property
    def has_squares(self) -> bool:
        """Whether sums of squares are kept."""
        return not self.functions.isdisjoint(OF_SQUARES)

    @cached_property
    def has_values(self) -> bool:
        """Whether values are kept."""
        return not self.functions.isdisjoint(OF_VALUES)

    @cached_property
    def has_instants(self) -> bool:
        """Whether the instant of each of its events is asked for."""
        return "time_since_last" in self.functions

    @cached_property
    def has_doubles(self) -> bool:
        """Whether values are kept as doubles too, since Python would round them otherwise."""
        is_decimal = self.type is not None and self.type.startswith("decimal")
        return is_decimal and not self.functions.isdisjoint(("percentile", "approx_percentile"))

    @cached_property
    def fixed_code(self) -> str | None:
        """The struct code of its values; None where they are bytes of any length."""
        return FIXED_CODES.get(types.get_base_type(self.type or ""))

    @cached_property
    def decode(self) -> Callable[[Any], Any] | None:
        """As ``find_decoder`` of its type."""
        return find_decoder(self.type)


SeriesKey = tuple[str | None, str]


def get_series_key(feature: BoundFeature) -> SeriesKey:
    """What features of one series have in common."""
    return feature.column, repr(feature.where)


def list_series(plan: WindowPlan) -> dict[SeriesKey, LiveSeries]:
    """The series of a plan, in the order in which its features need them first."""
    features: dict[SeriesKey, list[BoundFeature]] = {}
    for feature in plan.features:
        features.setdefault(get_series_key(feature), []).append(feature)
    return {key: _make_series(members) for key, members in features.items()}


def _make_series(features: Sequence[BoundFeature]) -> LiveSeries:
    first = features[0]
    functions = frozenset(feature.function for feature in features)
    longest_list = 0
    for feature in features:
        if feature.function in ("last_n", "last_distinct_n"):
            longest_list = max(longest_list, int(feature.argument or 0))
    return LiveSeries(first.column, first.type, first.where, functions, longest_list)


def make_live_table_name(group: GroupSpec, capabilities: Capabilities) -> str:
    """The name of that table; SettingsError where the store has no room for it."""
    name = f"{group.name}_{group.version}{TABLE_SUFFIX}"
    if len(name) > capabilities.max_identifier:
        raise SettingsError(
            f"Feature group {group} cannot be online_enabled: the table of its windows {name!r} has"
            f" {len(name)} characters and {capabilities.name} takes {capabilities.max_identifier}."
            " Choose a shorter name."
        )
    return name


def build_live_table(group: GroupSpec, capabilities: Capabilities) -> OnlineTable:
    """The table of what a group's windows need, a row for each entity.

    Args:
        group: The group of the windows.
        capabilities: What the store can do.

    Raises:
        SettingsError: The store has no room for its name.
        SchemaError: The store cannot hold the type of a key.
    """
    name = make_live_table_name(group, capabilities)
    whole = build_online_table(group, capabilities)
    columns = list(whole.key_columns)
    for column, type_ in LIVE_TYPES.items():
        columns.append(OnlineColumn(column, type_, capabilities.find_storage(type_)))
    return OnlineTable(name, tuple(columns), whole.primary_key, None, None, capabilities)
