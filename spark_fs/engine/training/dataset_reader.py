"""Read files of training data by tasks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.runner import Runner, iter_numbers
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.tables import arrow_dataset_files
from spark_fs.tables.dataset_files import WrittenBytes


@dataclass(frozen=True)
class _FileReader:
    """Takes numbers of files, and gives their rows.

    types: the columns, and their feature types.
    """

    file_format: str
    paths: tuple[str, ...]
    types: tuple[tuple[str, str], ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for number in iter_numbers(batches):
            path = self.paths[number]
            yield arrow_dataset_files.read_file(self.file_format, path, dict(self.types))


def read_dataset_files(
    runner: Runner, file_format: str, files: Sequence[WrittenBytes], types: Mapping[str, str]
) -> ArrowRelation:
    """The rows of files*, with these columns and feature types."""
    if file_format == "parquet":
        scan_files = [ScanFile(file.path, file.bytes, 0, ()) for file in files]
        return ArrowRelation.from_scan(runner, Scan.from_files(scan_files, types))
    paths = tuple(file.path for file in files)
    reader = _FileReader(file_format, paths, tuple(types.items()))
    return ArrowRelation(runner.number_tasks(len(paths)), reader, to_arrow_schema(types))
