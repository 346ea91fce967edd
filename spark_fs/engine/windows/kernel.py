"""Window features in memory: events and instants in, a column for each feature out.

Without Spark, so that any worker, any test and the user's own process give the same answer.
"""

from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import arrow_types
from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.join.matching import MISSING, Ints
from spark_fs.engine.scan.filters import evaluate_condition
from spark_fs.engine.windows.aggregate_functions import FUNCTIONS
from spark_fs.engine.windows.edges import Instants, OrderedEvents, WindowEdges, Windows
from spark_fs.engine.windows.series import Mask, Series, SeriesWindows
from spark_fs.planning.window_plan import BoundFeature, WindowPlan
from spark_fs.spec.predicates import Condition


def compute_windows(
    events: pa.Table, codes: Ints, micros: Ints, instants: Instants, plan: WindowPlan
) -> list[pa.ChunkedArray]:
    """The features of a plan at each of the instants.

    A window of length w at t holds the events of the entity known in [t - w, t), or up to t and
    with it where the plan is closed on both sides; a delay moves both ends back. An event without
    an entity counts nowhere. The events may be in any order: the result is the same
    to the last bit. ``blocks.compute_windows_at`` takes instants in any order too.

    Args:
        events: The columns that the functions and conditions of the plan look at.
        codes: The entity of each event, equal for equal ones, ``MISSING`` where it counts nowhere.
        micros: When each becomes known.
        instants: Where windows end, sorted by entity and time.
        plan: What is computed.

    Returns:
        For each feature of the plan a column of its type, with a value for each instant.
    """
    ordered_events = OrderedEvents(codes, micros)
    edges = WindowEdges(ordered_events, instants, plan.closed == "both")
    source = WindowSource(events, ordered_events, edges, plan)
    columns = []
    for feature in plan.features:
        columns.append(pa.chunked_array([source.compute(feature)]))
    return columns


def get_known_micros(events: pa.Table, codes: Ints, plan: WindowPlan) -> tuple[Ints, Ints]:
    """When each event became known, and the codes, ``MISSING`` where that is null too.

    Args:
        events: The events.
        codes: The entity of each.
        plan: What is computed of them.
    """
    name, type_ = plan.known_at
    known = to_event_micros(events.column(name), type_)
    if known.null_count:
        codes = np.where(known.is_null().to_numpy(), MISSING, codes)
        known = pc.fill_null(known, 0)
    return known.to_numpy(), codes


class Edges(Protocol):
    """Where windows begin and end."""

    def find_windows(self, over: int | None, delay: int) -> Windows:
        """The windows of a length and a delay."""


class WindowSource:
    """The windows of features; those of one column, condition, length and delay share them.

    Args:
        events: The columns that the plan needs.
        ordered_events: Their order.
        edges: Where windows lie in it.
        plan: What is computed.
    """

    def __init__(
        self,
        events: pa.Table,
        ordered_events: OrderedEvents,
        edges: Edges,
        plan: WindowPlan,
    ) -> None:
        self._events = events
        self._ordered_events = ordered_events
        self._edges = edges
        self._types = dict(plan.types)
        self._windows: dict[tuple[Any, ...], SeriesWindows] = {}
        self._series: dict[tuple[Any, ...], Series] = {}
        self._masks: dict[str, Mask] = {}

    def compute(self, feature: BoundFeature) -> pa.Array:
        """A feature in each of its windows."""
        column = FUNCTIONS[feature.function](self.find_windows(feature), feature)
        return column.cast(arrow_types.to_arrow_type(feature.result_type))

    def find_windows(self, feature: BoundFeature) -> SeriesWindows:
        """The windows of a feature among the events that it counts."""
        key = (feature.column, repr(feature.where), feature.over, feature.delay)
        if key not in self._windows:
            windows = self._edges.find_windows(feature.over, feature.delay)
            self._windows[key] = SeriesWindows(self._find_series(feature), windows)
        return self._windows[key]

    def _find_series(self, feature: BoundFeature) -> Series:
        key = (feature.column, repr(feature.where))
        if key not in self._series:
            column = None
            if feature.column is not None:
                column = self._events.column(feature.column)
            mask = None
            if feature.where is not None:
                mask = self._evaluate(feature.where)
            self._series[key] = Series(self._ordered_events, column, feature.type, mask)
        return self._series[key]

    def _evaluate(self, condition: Condition) -> Mask:
        """Which events meet a condition."""
        name = repr(condition)
        if name not in self._masks:
            columns = {column: self._events.column(column) for column in self._types}
            is_met = evaluate_condition(condition, columns, self._types)
            self._masks[name] = pc.fill_null(is_met, False).to_numpy()
        return self._masks[name]
