"""Rows of an aggregation by threads of this process: the same as by one, whatever the partitions."""

import numpy as np
import pyarrow as pa
import pytest

from spark_fs.base.times import Interval, from_micros
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.windows import rows_here
from spark_fs.engine.windows.rows import compute_event_rows
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature

HOUR = 3_600_000_000
SOURCE = QuerySpec(GroupRef("events", 1), ("k", "s", "at", "x"))


def bind(**declared: int) -> WindowPlan:
    features = (
        WindowFeature("n", "count", None, 6 * HOUR),
        WindowFeature("spread", "stddev", "x", 20 * HOUR),
        WindowFeature("newest", "last", "x", 2 * HOUR),
    )
    spec = AggregationSpec(SOURCE, features, ("k", "s"), "at", **declared)
    return bind_aggregation(spec, {"k": "bigint", "s": "string", "at": "timestamp", "x": "double"})


def draw_events(count: int, hot: float) -> pa.Table:
    draw = np.random.default_rng(3)
    keys = draw.integers(-4, 9, count)
    keys[draw.random(count) < hot] = 5
    nulls = draw.random(count) < 0.1
    return pa.table(
        {
            "k": pa.array(keys, pa.int64(), mask=nulls),
            "s": pa.array(np.array(["a", "b"])[draw.integers(0, 2, count)]),
            "at": pa.array(draw.integers(0, 100 * HOUR, count), pa.timestamp("us", "UTC")),
            "x": draw.lognormal(0, 9, count),
        }
    )


@pytest.mark.parametrize(("count", "hot"), [(0, 0.0), (1, 0.0), (900, 0.0), (900, 0.7)])
@pytest.mark.parametrize("declared", [{}, {"every": 5 * HOUR}], ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_give_the_rows_that_one_gives(
    count: int, hot: float, declared: dict[str, int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_here, "BLOCK_ROWS", 100)
    plan = bind(**declared)
    events = draw_events(count, hot)
    interval = Interval(from_micros(20 * HOUR), from_micros(70 * HOUR))
    found = rows_here.aggregate_here(events, LocalRunner(threads=threads), plan, interval)
    in_order = [("k", "ascending"), ("s", "ascending"), ("at", "ascending")]
    rows = found.select(dict(plan.row_schema)).collect().sort_by(in_order)
    assert rows.num_rows or count < 2
    assert rows.equals(compute_event_rows(events, plan, interval).sort_by(in_order))
