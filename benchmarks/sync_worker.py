"""The memory of one worker of a first sync, as tables grow: ``benchmarks/sync_worker.py``.

One process does what a worker of Spark does, without Spark: it reads its share of a table of one
row for each key, keeps the latest rows and deals them to buckets, then it takes buckets and writes
the text that the database would load. Measured is the greatest memory above that of the process
after its imports, pages of files aside.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from memory import PeakMemory
from rich.console import Console
from rich.table import Table

from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.latest import KeyBuckets, LatestOrder, _LatestGather, _LatestScatter
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.runner import NUMBER
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.flows import latest_rows
from spark_fs.online import text_format
from spark_fs.online.mysql.store import CAPABILITIES
from spark_fs.online.table_layout import build_online_table
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec

ROWS = (500_000, 3_000_000, 12_000_000)
TYPES = {
    "k": "bigint",
    "at": "timestamp",
    "city": "string",
    **{f"f{number}": "double" for number in range(4)},
}
GROUP_ROWS = 5_390_000  # of a row group of 128 MB, as Spark writes it
PIECE_ROWS = 770_000


def write_table(path: Path, rows: int) -> None:
    """A file of so many keys, in row groups as large as Spark's."""
    generator = np.random.default_rng(0)
    with pq.ParquetWriter(path, make_rows(generator, 0, 1).schema, compression="snappy") as writer:
        for start in range(0, rows, GROUP_ROWS):
            end = min(start + GROUP_ROWS, rows)
            pieces = [
                make_rows(generator, first, min(PIECE_ROWS, end - first))
                for first in range(start, end, PIECE_ROWS)
            ]
            writer.write_table(pa.concat_tables(pieces), row_group_size=GROUP_ROWS)


def make_rows(generator: np.random.Generator, start: int, count: int) -> pa.Table:
    """So many keys at one instant."""
    keys = np.arange(start, start + count)
    instants = pa.array(np.full(count, 1_704_067_200_000_000), pa.timestamp("us", "UTC"))
    cities = pc.binary_join_element_wise("city", pa.array(keys % 1000).cast(pa.string()), " ")
    features = {f"f{number}": np.round(generator.random(count) * 100, 3) for number in range(4)}
    return pa.table({"k": keys, "at": instants, "city": cities, **features})


def run_worker(path: Path, rows: int) -> tuple[int, int]:
    """The greatest bytes of reading the table, and of giving its buckets."""
    file = ScanFile(str(path), path.stat().st_size, rows, ())
    scan = Scan.from_files([file], TYPES)
    row_bytes = latest_rows._estimate_row_bytes(scan.schema, scan)
    table_rows = latest_rows._READ_BYTES // row_bytes + 1
    read_tables = ArrowRelation.from_scan(LocalRunner(1), scan, table_rows).read_tables
    order = LatestOrder((("k", "bigint"),), ("at", "timestamp"), ())
    count = max(2, -(-rows * row_bytes // latest_rows._BUCKET_BYTES))
    bounds = tuple(int(bound) for bound in np.linspace(0, rows, count + 1)[1:-1])
    features = tuple(FeatureSpec(name, type_) for name, type_ in TYPES.items())
    group = GroupSpec("m", 1, primary_key=("k",), event_time="at", features=features)
    table = build_online_table(group, CAPABILITIES)

    def write_text(bucket: pa.Table) -> Iterator[pa.RecordBatch]:
        with Path(folder, "rows.tsv").open("wb") as file:
            for part in text_format.iter_parts(bucket):
                file.write(text_format.format_lines(part, table.columns))
        yield pa.record_batch([pa.array([bucket.num_rows])], ["written"])

    with tempfile.TemporaryDirectory() as folder:
        scatter = _LatestScatter(read_tables, order, KeyBuckets(count, bounds), folder)
        numbers = pa.record_batch([pa.array(range(len(scan.list_shares())))], [NUMBER])
        with PeakMemory() as reading:
            packed = pa.Table.from_batches(scatter([numbers]))
        gather = _LatestGather(scan.schema, order, write_text, in_files=True)
        written = 0
        with PeakMemory() as giving:
            for number in range(count):
                bucket = packed.filter(pc.equal(packed["bucket"], number))
                for batch in gather(bucket.to_batches()):
                    written += pc.sum(batch.column(0)).as_py()
    assert written == rows
    return reading.bytes, giving.bytes


def main() -> None:
    """Measure each size in a process of its own; print a table, and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(run_worker(Path(options.worker[0]), int(options.worker[1]))))
        return
    table = Table("rows", "reads and deals", "gives its buckets", title="MB of one worker")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows or ROWS:
            path = Path(folder, "rows.parquet")
            write_table(path, rows)
            command = [sys.executable, __file__, "--worker", str(path), str(rows)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            megabytes = [size >> 20 for size in json.loads(run.stdout)]
            results[rows] = dict(zip(("reading", "giving"), megabytes, strict=True))
            table.add_row(f"{rows:,}", *map(str, megabytes))
    Console().print(table)
    Path(__file__).with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
