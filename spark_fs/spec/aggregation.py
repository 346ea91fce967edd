"""Window features, as a user declares them: frozen values that come back from JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from spark_fs.errors import SettingsError
from spark_fs.spec.names import check_name
from spark_fs.spec.query import Condition, GroupRef, QuerySpec, parse_condition
from spark_fs.spec.record_format import check_format, select_known_fields

Function = Literal[
    "count",
    "sum",
    "mean",
    "stddev",
    "variance",
    "min",
    "max",
    "first",
    "last",
    "distinct_count",
    "approx_distinct_count",
    "percentile",
    "approx_percentile",
    "top_k",
    "last_n",
    "last_distinct_n",
    "time_since_last",
]
Closed = Literal["left", "both"]
SECOND_MICROS = 1_000_000


@dataclass(frozen=True)
class WindowFeature:
    """One feature: a function of the values that an entity had in a window of time.

    name: the column that it becomes. column: of the source; None: the events themselves. over: the
    length of the window in microseconds; None: all history. where: which events count at all.
    delay: by how many microseconds both ends of the window lie further back. argument: the share
    of a percentile, or how many values of ``top_k``, ``last_n`` and ``last_distinct_n``.
    """

    name: str
    function: Function
    column: str | None = None
    over: int | None = None
    where: Condition | None = None
    delay: int = 0
    argument: float | int | None = None

    def __post_init__(self) -> None:
        check_name("Window feature", self.name)
        if self.over is not None and self.over <= 0:
            raise SettingsError(
                f"Window feature {self.name!r} has a window of {self.over} microseconds: give"
                " over= a length above zero, such as '4h', or None for all history."
            )
        if self.delay < 0:
            raise SettingsError(
                f"Window feature {self.name!r} has a delay of {self.delay} microseconds: give a"
                " length from zero up, such as '7d'; below zero it would look into the future."
            )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "function": self.function,
            "column": self.column,
            "over": self.over,
            "where": self.where and self.where.to_json(),
            "delay": self.delay,
            "argument": self.argument,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        fields = select_known_fields(cls, "A window feature", dict(data))
        fields["where"] = data["where"] and parse_condition(data["where"])
        return cls(**fields)


@dataclass(frozen=True)
class AggregationSpec:
    """Window features of one source.

    source: the events. by: the columns that identify an entity. known_at: the column that tells
    from when an event counts. every: rows are on a grid of so many microseconds since 1970; None:
    there is one for each entity and instant at which an event becomes known. closed: whether an
    event counts at the very instant at which it becomes known ("both").
    """

    source: QuerySpec
    features: tuple[WindowFeature, ...]
    by: tuple[str, ...]
    known_at: str
    every: int | None = None
    closed: Closed = "left"

    def __post_init__(self) -> None:
        self._check_names()
        if self.closed not in ("left", "both"):
            raise SettingsError(
                f"closed={self.closed!r} is not known: use 'left', for events before the instant,"
                " or 'both', for those at it too."
            )
        if self.every is not None and (self.every <= 0 or self.every % SECOND_MICROS):
            raise SettingsError(
                f"every={self.every / SECOND_MICROS:g} seconds is not a grid: give whole seconds"
                " above zero, such as '1h'."
            )

    def _check_names(self) -> None:
        if not self.features:
            raise SettingsError(
                "An aggregation has no features: give some, as in [agg.count(over='4h')]."
            )
        if not self.by:
            raise SettingsError(
                "An aggregation names no entity: give by=[...], the columns that identify it."
            )
        seen: set[str] = {*self.by, self.known_at}
        for feature in self.features:
            if feature.name in seen:
                raise SettingsError(
                    f"Two columns of the aggregation are named {feature.name!r}: give one of the"
                    " features another name by name='...'."
                )
            seen.add(feature.name)

    @property
    def longest_reach(self) -> int | None:
        """How many microseconds before an instant its oldest event may lie; None: any time."""
        reaches = []
        for feature in self.features:
            if feature.over is None:
                return None
            reaches.append(feature.over + feature.delay)
        return max(reaches)

    def with_source(self, source: QuerySpec) -> Self:
        """A copy over another source."""
        return replace(self, source=source)

    def list_groups(self) -> tuple[GroupRef, ...]:
        """Every group that the source reads."""
        return tuple(self.source.iter_groups())

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "source": self.source.to_json(),
            "features": [feature.to_json() for feature in self.features],
            "by": list(self.by),
            "known_at": self.known_at,
            "every": self.every,
            "closed": self.closed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        check_format("An aggregation", dict(data))
        return cls(
            source=QuerySpec.from_json(data["source"]),
            features=tuple(map(WindowFeature.from_json, data["features"])),
            by=tuple(data["by"]),
            known_at=data["known_at"],
            every=data["every"],
            closed=data["closed"],
        )
