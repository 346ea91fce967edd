"""Window features of a source, as a user declares them: values that come back from JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from spark_fs.errors import QueryError, SettingsError
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.record_format import check_format
from spark_fs.spec.window_features import Closed, WindowFeature, WindowsSpec, find_longest_reach

SECOND_MICROS = 1_000_000


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
        if len(seen) <= len(self.by):
            raise SettingsError(
                f"by={list(self.by)} and known_at={self.known_at!r} name a column twice: name each"
                " once."
            )
        for feature in self.features:
            if feature.name in seen:
                raise SettingsError(
                    f"Two columns of the aggregation are named {feature.name!r}: give one of the"
                    " features another name by name='...'."
                )
            seen.add(feature.name)

    @property
    def windows(self) -> WindowsSpec:
        """The features without their source and grid."""
        return WindowsSpec(self.features, self.by, self.known_at, self.closed)

    @property
    def longest_reach(self) -> int | None:
        """How many microseconds before an instant its oldest event may lie; None: any time."""
        return find_longest_reach(self.features)

    def with_source(self, source: QuerySpec) -> Self:
        """A copy over another source."""
        return replace(self, source=source)

    def to_query(self, columns: Sequence[str]) -> QuerySpec:
        """A query of these features of it, which is joined at the instants of a spine.

        Raises:
            QueryError: Its source is a query of several groups, its rows are on a grid, or no
                columns are given.
        """
        if not columns:
            raise QueryError(
                "No feature of the aggregation is selected: name some, or use select_all()."
            )
        if self.every is not None:
            raise QueryError(
                f"An aggregation with every={self.every / SECOND_MICROS:g} seconds has rows on a"
                " grid, and joined to a spine it has its instants instead: leave every= out, or"
                " make a feature group of the aggregation and join that."
            )
        if self.source.joins:
            groups = ", ".join(map(str, self.list_groups()))
            raise QueryError(
                f"The source of the aggregation joins several groups ({groups}), and windows at"
                " the instants of a spine are taken of the rows of one: aggregate one of them, or"
                " make a feature group of the aggregation and join that."
            )
        return replace(self.source, columns=tuple(columns), windows=self.windows)

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
