"""Tables of features by a label, and a sample, from rows that lie in files: one look, by columns or by rows, on the executors."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.engine.profile.column_states import (
    DATA_DDL,
    TaskUnits,
    narrow_scan,
    plan_tasks,
    to_batch,
)
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.stats.scores import ContingencyTables, Counts
from spark_fs.stats.state_file import from_bytes, to_bytes


def count_tables(
    spark: SparkSession, table_scan: Scan, tables: ContingencyTables
) -> tuple[DataFrame, tuple[ContingencyTables, ...]]:
    """The table of each feature by the label*, and the parts that they are of, for ``gathered``.

    A task has some columns of all rows, as in ``profile``.
    """
    groups, units, _ = plan_tasks(
        table_scan, tables.features, spark.sparkContext.defaultParallelism
    )
    parts = tuple(replace(tables, features=tuple(group)) for group in groups)
    return (
        spark.range(0, len(units), 1, max(1, len(units))).mapInArrow(
            _CountTask(table_scan, parts, units), DATA_DDL
        ),
        parts,
    )


def collect_tables(rows: pa.Table, parts: Sequence[ContingencyTables]) -> dict[str, Counts]:
    """The table of each feature that rows of ``counted`` hold."""
    found: dict[str, Counts] = {}
    for place, packed in zip(rows.column(0).to_pylist(), rows.column(1), strict=True):
        more = parts[place].split_by_feature(np.frombuffer(packed.as_buffer(), np.int64))
        found |= {
            name: found[name] + table if name in found else table for name, table in more.items()
        }
    return found


def sample_rows(
    spark: SparkSession, table_scan: Scan, columns: list[str], rows: int, seed: int
) -> DataFrame:
    """About so many rows*, drawn without regard to their values; the same for the same files and seed. ``together`` reads them."""
    narrow = narrow_scan(table_scan, columns)
    shares = tuple(narrow.list_shares())
    share = min(1.0, rows / max(1, narrow.row_count))
    return spark.range(0, len(shares), 1, max(1, len(shares))).mapInArrow(
        _SampleTask(narrow, shares, share, seed), DATA_DDL
    )


def collect_sample(sample: pa.Table, columns: list[str]) -> pa.Table:
    """The rows of ``sampled``, in the order of their files."""
    return pa.concat_tables(
        [from_bytes(packed.as_buffer()) for packed in sample.sort_by("place").column(1)]
    ).select(columns)


@dataclass(frozen=True)
class _CountTask:
    """Numbers of units in, their tables out."""

    scan: Scan
    parts: tuple[ContingencyTables, ...]
    units: TaskUnits

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                place, shares = self.units[number]
                part = self.parts[place]
                narrow = narrow_scan(
                    self.scan, [part.label.name, *(cuts.name for cuts in part.features)]
                )
                summed = sum(
                    (part.count_rows(parquet.read_share(narrow, *share)) for share in shares[1:]),
                    part.count_rows(parquet.read_share(narrow, *shares[0])),
                )
                yield to_batch(place, np.asarray(summed, np.int64).tobytes())


@dataclass(frozen=True)
class _SampleTask:
    """Numbers of shares in, some of their rows out."""

    scan: Scan
    shares: tuple[tuple[int, int, int], ...]
    fraction: float
    seed: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                table = parquet.read_share(self.scan, *self.shares[number])
                chance = np.random.default_rng([self.seed, number]).random(table.num_rows)
                yield to_batch(
                    number, to_bytes(table.take(pa.array(np.flatnonzero(chance < self.fraction))))
                )
