"""Join tables with right sides that every process reads once, without a shuffle."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from spark_fs.engine.join.stages import JoinStage, StageIndex
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.engine.task_cache import remember_last
from spark_fs.engine.threads import map_in_threads
from spark_fs.tables.computed_rows import TableReader


@dataclass(frozen=True)
class BroadcastRights:
    """The right sides of a stage as the tasks of a process share them.

    scans: of each side, with the index of its node. threads: how many read them and put them in
    order.
    """

    stage: JoinStage
    scans: tuple[tuple[int, Scan], ...]
    threads: int


@dataclass(frozen=True)
class BroadcastJoin:
    """Takes tables, and gives them joined with right sides."""

    read_tables: TableReader
    rights: BroadcastRights

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        """Give each table with its matches."""
        index = _build_index(self.rights)
        for table in self.read_tables(batches):
            yield index.join(table)


@remember_last
def _build_index(rights: BroadcastRights) -> StageIndex:
    """The right sides in order; they are remembered for the tasks that come."""
    tables = _read_sides(rights)
    run_all = partial(map_in_threads, count=rights.threads)
    return StageIndex.build(rights.stage, tables, run_all)


def _read_sides(rights: BroadcastRights) -> Mapping[int, pa.Table]:
    """The rows of each side, by the index of its node."""
    scans = dict(rights.scans)
    shares = []
    for node, scan in scans.items():
        shares += [(node, *share) for share in scan.list_shares()]

    def read_share(share: tuple[int, int, int, int]) -> tuple[int, pa.Table]:
        node, *numbers = share
        return node, parquet.read_share(scans[node], *numbers)

    tables: dict[int, list[pa.Table]] = {node: [] for node in scans}
    for node, table in map_in_threads(read_share, shares, rights.threads):
        tables[node].append(table)
    sides = {}
    for node, scan in scans.items():
        parts = tables[node] or [scan.schema.empty_table()]
        sides[node] = pa.concat_tables(parts).combine_chunks()
    return sides
