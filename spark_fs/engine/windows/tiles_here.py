"""Tiles of events that are in this process, made by its threads, each of some entities."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.runner import Runner, iter_numbers
from spark_fs.engine.windows.blocks import BLOCK_ROWS
from spark_fs.engine.windows.rows import KeyedEvents, read_entities
from spark_fs.engine.windows.tile_columns import make_tile_schema
from spark_fs.engine.windows.tile_rows import make_tiles
from spark_fs.engine.windows.tile_spans import Stretch
from spark_fs.planning.window_plan import WindowPlan


def make_tiles_here(
    events: pa.Table, runner: Runner, plan: WindowPlan, stretch: Stretch
) -> ArrowRelation:
    """The tiles of some days, or of all time before a day*, as ``make_tiles`` has them.

    Args:
        events: All events of the stretch, and any others, in any order.
        runner: Runs the tasks in this process.
        plan: The aggregation.
        stretch: The days.
    """
    count = max(1, min(runner.parallelism, len(events) // BLOCK_ROWS))
    keyed = read_entities(events, plan)
    reader = _TileReader(events, keyed, count, plan, stretch)
    return ArrowRelation(runner.number_tasks(count), reader, make_tile_schema(plan))


@dataclass(frozen=True)
class _TileReader:
    """Takes numbers of parts, and gives the tiles of the entities in each."""

    events: pa.Table
    keyed: KeyedEvents
    count: int
    plan: WindowPlan
    stretch: Stretch

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for number in iter_numbers(batches):
            is_inside = self.keyed.codes % self.count == number
            part = self.events.filter(pa.array(is_inside))
            yield make_tiles(part, self.plan, self.stretch)
