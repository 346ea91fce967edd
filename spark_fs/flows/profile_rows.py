"""Profile rows: in files that tasks read, in Arrow tables of this process, or in DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from spark_fs.engine.engines import EngineChoice, Engines
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.profile import associations, column_states, distinct_counts
from spark_fs.engine.profile.column_states import ColumnStates, TableProfile
from spark_fs.engine.profile.tasks import RowBlocks, ScanBlocks, TableBlocks
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.stats.association import DesignMatrix, Sums
from spark_fs.stats.describe import ExactDistinct, RowCounts, summarize_counts
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.table import GroupTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_fs.engine.join.columnar import ArrowRelation

T = TypeVar("T")


@dataclass(frozen=True)
class RowSource:
    """Rows to profile: a scan that tasks read, an Arrow table that is here, or a DataFrame*.

    engines: what may read them. types: the columns, with their types.
    """

    engines: Engines
    types: Mapping[str, str]
    scan: Scan | None = None
    table: pa.Table | None = None
    get_frame: Callable[[], DataFrame] | None = None

    @classmethod
    def from_table(
        cls, engines: Engines, table: GroupTable, version: int, types: Mapping[str, str]
    ) -> RowSource:
        """The rows of a version of a group's table.

        Where corrections are kept it is the last ingested of several rows of one identity.
        """
        with_duplicates = not table.group.keep_corrections
        if with_duplicates:
            source = cls.from_files(engines, table, table.list_files(version), types)
            if source:
                return source
        columns = [f"`{name}`" for name in types]

        def read_frame() -> DataFrame:
            from spark_fs.flows import group_rows

            rows = group_rows.read_group(table, version, with_duplicates)
            return rows.select(*columns)

        return cls(engines, types, get_frame=read_frame)

    @classmethod
    def from_files(
        cls,
        engines: Engines,
        table: GroupTable,
        files: Sequence[DataFile],
        types: Mapping[str, str],
    ) -> RowSource | None:
        """The rows of some of a table's data files; None where only Spark reads them."""
        group = table.group
        if not parquet.is_scannable(files, group.types, group.partition_key, None):
            return None
        return cls(engines, types, Scan.from_files(parquet.to_scan_files(files), types))

    def compute_profile(self, config: StatisticsConfig) -> TableProfile:
        """The profile of the rows, eagerly."""

        def profile(runner: Runner) -> TableProfile:
            if self.get_frame is None:
                blocks = self._cut_blocks(len(self.types), column_states.FOLD_ROWS)
                states = column_states.profile_blocks(runner, blocks, self.types, config)
            else:
                states = column_states.profile_relation(self._to_relation(), self.types, config)
            return column_states.collect_profile(states.collect(), self.types, config)

        return self._run(profile)

    def compute_states(self) -> ColumnStates:
        """The states of the columns alone, eagerly."""
        return self.compute_profile(StatisticsConfig(histograms=False)).states

    def compute_sums(self, matrix: DesignMatrix) -> Sums:
        """The sums that associations follow from, eagerly."""

        def sum_rows(runner: Runner) -> Sums:
            if self.get_frame is None:
                blocks = self._cut_blocks(1, associations.BLOCK_ROWS)
                sums = associations.sum_blocks(runner, blocks, matrix)
            else:
                sums = associations.sum_relation(self._to_relation(), matrix)
            return associations.collect_sums(sums.collect(), matrix)

        return self._run(sum_rows)

    def count_exactly(self, estimated_counts: Mapping[str, int]) -> dict[str, ExactDistinct]:
        """Count the values of columns one by one, eagerly.

        Args:
            estimated_counts: The columns, and about how many distinct values each has.

        Returns:
            Of each column how many distinct values it has, how many come once, and their entropy.
        """
        if not estimated_counts:
            return {}
        names = list(estimated_counts)

        def count(runner: Runner) -> Mapping[str, RowCounts]:
            if self.get_frame is not None:
                from spark_fs.flows.spark_profile import count_columns

                return count_columns(self.get_frame(), names)
            blocks = self._cut_blocks(1, column_states.FOLD_ROWS)
            counted = distinct_counts.count_values(runner, blocks, estimated_counts)
            return distinct_counts.collect_counts(counted.collect(), names)

        counts = self._run(count)
        return {name: summarize_counts(row_counts) for name, row_counts in counts.items()}

    def _run(self, work: Callable[[Runner], T]) -> T:
        """What a function makes with what runs the tasks, eagerly."""

        def work_in_our_words(runner: Runner) -> T:
            with runner.translate_errors():
                return work(runner)

        if self.table is not None:
            return work_in_our_words(LocalRunner())
        return self.engines.run(self._choose_engine(), work_in_our_words)

    def _choose_engine(self) -> EngineChoice:
        if self.scan is None:
            return self.engines.choose("Spark alone reads the rows", 0)
        return self.engines.choose(None, sum(file.bytes for file in self.scan.files))

    def _cut_blocks(self, column_count: int, min_rows: int) -> RowBlocks:
        """The rows in blocks, of the files or of the table."""
        if self.table is not None:
            return TableBlocks(self.table, min_rows)
        assert self.scan is not None
        return ScanBlocks.from_scan(self.scan, column_count, min_rows)

    def _to_relation(self) -> ArrowRelation:
        from spark_fs.flows.spark_profile import to_relation

        assert self.get_frame is not None
        return to_relation(self.get_frame(), self.types)
