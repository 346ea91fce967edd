"""One window feature, and those that a query takes of its group, as a user declares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, get_args

from spark_fs.errors import SettingsError
from spark_fs.spec.names import check_name
from spark_fs.spec.predicates import Condition, parse_condition
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
FUNCTIONS_OF_EVENTS: tuple[Function, ...] = ("count", "time_since_last")  # or of a column
Closed = Literal["left", "both"]


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
        if self.function not in get_args(Function):
            raise SettingsError(
                f"Window feature {self.name!r} is of the function {self.function!r}, which is not"
                f" known: use {', '.join(get_args(Function))}."
            )
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
class WindowsSpec:
    """Window features of the rows of a query's group.

    features: by their names, which are the columns of the query. by: the columns that identify an
    entity. known_at: the column that tells from when a row counts. closed: whether it counts at
    the very instant at which it becomes known ("both").
    """

    features: tuple[WindowFeature, ...]
    by: tuple[str, ...]
    known_at: str
    closed: Closed = "left"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "features": [feature.to_json() for feature in self.features],
            "by": list(self.by),
            "known_at": self.known_at,
            "closed": self.closed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        check_format("The windows of a query", data)
        return cls(
            features=tuple(map(WindowFeature.from_json, data["features"])),
            by=tuple(data["by"]),
            known_at=data["known_at"],
            closed=data["closed"],
        )


class _Windowed(Protocol):
    @property
    def over(self) -> int | None: ...
    @property
    def delay(self) -> int: ...


def find_longest_reach(features: Sequence[_Windowed]) -> int | None:
    """How many microseconds before an instant its oldest event may lie; None: any time."""
    reaches = []
    for feature in features:
        if feature.over is None:
            return None
        reaches.append(feature.over + feature.delay)
    return max(reaches, default=0)
