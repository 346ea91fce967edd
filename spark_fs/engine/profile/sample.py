"""A sample of rows that lie in files, drawn by tasks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from spark_fs.engine.profile.tasks import (
    DATA_TYPES,
    Share,
    narrow_scan,
    to_batch,
)
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.stats.state_file import from_bytes, to_bytes


def sample_rows(
    runner: Runner, table_scan: Scan, columns: list[str], rows: int, seed: int
) -> TaskRows:
    """Some rows*, drawn without regard to their values.

    Args:
        runner: runs the tasks.
        table_scan: the rows to draw from.
        columns: the columns to read.
        rows: about how many rows to draw.
        seed: the same files and seed give the same rows.

    Returns:
        What ``collect_sample`` reads.
    """
    narrow = narrow_scan(table_scan, columns)
    shares = tuple(narrow.list_shares())
    fraction = min(1.0, rows / max(1, narrow.row_count))
    task = _SampleTask(narrow, shares, fraction, seed)
    return runner.number_tasks(len(shares)).map_batches(task, DATA_TYPES)


def collect_sample(sample: pa.Table, columns: list[str]) -> pa.Table:
    """The rows of ``sample_rows``, in the order of their files."""
    parts = [from_bytes(data.as_buffer()) for data in sample.sort_by("place").column(1)]
    return pa.concat_tables(parts).select(columns)


@dataclass(frozen=True)
class _SampleTask:
    """Numbers of shares in, some of their rows out."""

    scan: Scan
    shares: tuple[Share, ...]
    fraction: float
    seed: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in iter_numbers(batches):
            table = parquet.read_share(self.scan, *self.shares[number])
            chances = np.random.default_rng([self.seed, number]).random(table.num_rows)
            drawn = np.flatnonzero(chances < self.fraction)
            yield to_batch(number, to_bytes(table.take(pa.array(drawn))))
