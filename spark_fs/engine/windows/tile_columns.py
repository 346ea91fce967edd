"""What a tile holds: for each series of events, what its functions need of them, a column each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.planning.window_plan import BoundFeature, WindowPlan
from spark_fs.spec.predicates import Condition
from spark_fs.spec.window_features import Function

TILE = (
    "_tile"  # the column of the day, in microseconds since 1970; null: all time before the others
)
LAST_AT = "_last_at"  # that of the last event of the tile, whether it counts for a feature or not
Facet = Literal["moments", "extremes", "ends", "recent", "distinct", "frequencies", "cells"]

FACETS: Mapping[Function, Facet] = {
    "count": "moments",
    "sum": "moments",
    "mean": "moments",
    "variance": "moments",
    "stddev": "moments",
    "min": "extremes",
    "max": "extremes",
    "first": "ends",
    "last": "ends",
    "time_since_last": "ends",
    "last_n": "recent",
    "distinct_count": "distinct",
    "approx_distinct_count": "distinct",
    "last_distinct_n": "distinct",
    "percentile": "frequencies",
    "top_k": "frequencies",
    "approx_percentile": "cells",
}
# Which powers of the values the moments have that these need; others need the least, counts.
_DEGREES: Mapping[Function, int] = {"sum": 1, "mean": 1, "variance": 2, "stddev": 2}
_PARTS = "array<struct<value:double,exponent:int>>"
_MOMENTS = f"struct<count:bigint,specials:array<bigint>,sums:{_PARTS},squares:{_PARTS}>"


@dataclass(frozen=True)
class TileColumn:
    """What tiles keep of a series of events.

    name: of the column. facet: what kind of thing it is. column, type, where: of the series, as
    features name them. size: how many events are recent, or the greatest power that moments have.
    features: those that are computed from it, by their places in the plan.
    """

    name: str
    facet: Facet
    column: str | None
    type: str | None
    where: Condition | None
    size: int
    features: tuple[int, ...]

    @property
    def value_type(self) -> str | None:
        """The type of the values that it keeps; None where these are none."""
        return "double" if self.facet == "cells" else self.type

    @property
    def state_type(self) -> str:
        """Its own type."""
        if self.facet == "moments":
            return _MOMENTS
        value = "" if self.type is None else f"value:{self.value_type},"
        return f"array<struct<{value}at:bigint,count:bigint>>"


def list_tile_columns(plan: WindowPlan) -> tuple[TileColumn, ...]:
    """The columns of the tiles of a plan, besides the key and the day."""
    columns: dict[tuple[str, str | None, str], TileColumn] = {}
    for place, feature in enumerate(plan.features):
        facet = FACETS[feature.function]
        identity = (facet, feature.column, repr(feature.where))
        size = _get_size(feature)
        known = columns.get(identity)
        if known is None:
            name = f"_{facet}_{len(columns)}"
            known = TileColumn(name, facet, feature.column, feature.type, feature.where, size, ())
        columns[identity] = replace(
            known, size=max(known.size, size), features=(*known.features, place)
        )
    return tuple(columns.values())


def make_tile_types(plan: WindowPlan) -> dict[str, str]:
    """The name and type of each column of the tiles of a plan."""
    types = {**dict(plan.keys), TILE: "bigint", LAST_AT: "bigint"}
    for column in list_tile_columns(plan):
        types[column.name] = column.state_type
    return types


def make_tile_schema(plan: WindowPlan) -> pa.Schema:
    """The schema of the tiles of a plan."""
    return arrow_types.to_arrow_schema(make_tile_types(plan))


def _get_size(feature: BoundFeature) -> int:
    if FACETS[feature.function] == "moments":
        return _DEGREES.get(feature.function, 0)
    return int(feature.argument or 0)
