"""Files of a table that no commit names yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from spark_fs.base.file_systems import resolve_file_system
from spark_fs.errors import SparkFSError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MAX_CHECKED_ROWS = 2_000_000  # rows whose keys one process looks at


@dataclass(frozen=True)
class StagedFiles:
    """Files of one frame: the rows* read back from them, and what their footers tell.

    handle: what a commit of the table's format takes of them. paths: where they are. row_count: the
    number of their rows. null_counts: how many of them are null, per column that files are skipped
    by. bounds: the least and greatest value of a column that is not all null; times are strings in
    whole milliseconds, the least rounded down and the greatest too. partitions: the values of each
    partition column, as strings.
    """

    frame: DataFrame
    handle: Any
    paths: tuple[str, ...]
    row_count: int
    null_counts: dict[str, int]
    bounds: dict[str, tuple[Any, Any]]
    partitions: dict[str, set[str | None]]

    def check_files_exist(self) -> None:
        """SparkFSError where a file is gone, by a clean-up that was forced.

        A commit that named it would make the table unreadable.
        """
        if not self.paths:
            return
        system, _ = resolve_file_system(self.paths[0])
        for entry in system.get_file_info([resolve_file_system(path)[1] for path in self.paths]):
            if not entry.is_file:
                raise SparkFSError(
                    f"File {entry.path} was to be committed and is gone: a vacuum was forced"
                    " meanwhile. Nothing was written. Insert the frame again."
                )

    def delete_files(self, committed_names: Collection[str] = ()) -> None:
        """Delete the files, but not those that are named, by their place in the table's folder."""
        spark = self.frame.sparkSession
        jvm: Any = spark._jvm
        conf = spark._jsparkSession.sessionState().newHadoopConf()
        for name in self.paths:
            path = jvm.org.apache.hadoop.fs.Path(name)
            if not any(name.endswith(f"/{committed}") for committed in committed_names):
                path.getFileSystem(conf).delete(path, False)

    def has_duplicates(self, columns: Sequence[str]) -> bool | None:
        """Whether two rows are equal in these columns, from a look at the files.

        None when there are too many for one process. Of a million rows it takes 0.2 s, where a
        Spark job takes 1.4 s.
        """
        if (
            self.row_count > MAX_CHECKED_ROWS
            or any("://" in path for path in self.paths)
            or any(column in self.partitions for column in columns)
        ):
            return None
        if not self.row_count:
            return False
        names = list(columns)
        tables = [pq.read_table(path, columns=names, partitioning=None) for path in self.paths]
        keys = pa.concat_tables(tables)
        if not all(_is_exact_type(field.type) for field in keys.schema):
            return None
        distinct = keys.group_by(names).aggregate([])
        return bool(distinct.num_rows < self.row_count)


def _is_exact_type(type_: pa.DataType) -> bool:
    """Whether values of a type are equal where their bits are, which fractions are not."""
    if pa.types.is_string(type_):
        return True
    return bool(pa.types.is_primitive(type_) and not pa.types.is_floating(type_))
