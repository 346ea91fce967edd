"""Profile rows: in files that workers read, in a DataFrame, or in Arrow tables that are here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base import arrow_types
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.profile import associations, column_states
from spark_fs.engine.profile.column_states import ColumnStates, TableProfile
from spark_fs.engine.profile.tasks import narrow_scan
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.engine.spark_runner import SparkRows, SparkRunner, get_frame
from spark_fs.flows import group_rows
from spark_fs.flows.spark_reads import translate_spark_errors
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.stats.association import DesignMatrix, Sums
from spark_fs.stats.describe import ExactDistinct
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.table import GroupTable

SparkProvider = Callable[[], SparkSession]
_COLUMNS_PER_JOB = 20  # columns whose distinct values one job of Spark's counts


@dataclass(frozen=True)
class RowSource:
    """Rows to profile: a scan that workers read, a DataFrame*, or an Arrow table that is here."""

    get_spark: SparkProvider
    types: Mapping[str, str]
    scan: Scan | None = None
    get_frame: Callable[[], DataFrame] | None = None
    table: pa.Table | None = None

    @classmethod
    def from_table(cls, table: GroupTable, version: int, types: Mapping[str, str]) -> "RowSource":
        """The rows of a version of a group's table.

        Where corrections are kept it is the last ingested of several rows of one identity.
        """
        with_duplicates = not table.group.keep_corrections
        if with_duplicates:
            source = cls.from_files(table, table.list_files(version), types)
            if source:
                return source
        columns = [f"`{name}`" for name in types]

        def read_frame() -> DataFrame:
            rows = group_rows.read_group(table, version, with_duplicates)
            return rows.select(*columns)

        return cls(lambda: table.spark, types, get_frame=read_frame)

    @classmethod
    def from_files(
        cls, table: GroupTable, files: Sequence[DataFile], types: Mapping[str, str]
    ) -> "RowSource | None":
        """The rows of some of a table's data files; None where only Spark reads them."""
        group = table.group
        if not parquet.is_scannable(files, group.types, group.partition_key, None):
            return None
        scan = Scan.from_files(parquet.to_scan_files(files), types)
        return cls(lambda: table.spark, types, scan)

    @property
    def _is_small(self) -> bool:
        if self.scan is None:
            return False
        return sum(file.bytes for file in self.scan.files) <= column_states.LOCAL_BYTES

    def compute_profile(self, config: StatisticsConfig) -> TableProfile:
        """The profile of the rows, eagerly; of few rows without Spark."""
        local_states = self._profile_locally()
        if local_states is not None:
            return column_states.describe_states(local_states, config)
        runner = SparkRunner(self.get_spark())
        with translate_spark_errors():
            if self.scan:
                states = column_states.profile_scan(runner, self.scan, self.types, config)
            else:
                states = column_states.profile_relation(self._to_relation(), self.types, config)
            return column_states.collect_profile(states.collect(), self.types, config)

    def compute_states(self) -> ColumnStates:
        """The states of the columns alone, eagerly."""
        local_states = self._profile_locally()
        if local_states is not None:
            return local_states
        return self.compute_profile(StatisticsConfig(histograms=False)).states

    def _profile_locally(self) -> ColumnStates | None:
        """The states of rows that are few enough for this process."""
        if self.table is not None:
            return column_states.profile_tables([self.table], self.types)
        if self.scan and self._is_small:
            return column_states.profile_locally(self.scan, self.types)
        return None

    def compute_sums(self, matrix: DesignMatrix) -> Sums:
        """The sums that associations follow from, eagerly."""
        if self.table is not None:
            return matrix.compute_sums(self.table.select(list(matrix.features)))
        if self.scan and self._is_small:
            return associations.sum_locally(self.scan, matrix)
        runner = SparkRunner(self.get_spark())
        with translate_spark_errors():
            if self.scan:
                sums = associations.sum_scan(runner, self.scan, matrix)
            else:
                sums = associations.sum_relation(self._to_relation(), matrix)
            return associations.collect_sums(sums.collect(), matrix)

    def count_exactly(self, names: Sequence[str]) -> dict[str, ExactDistinct]:
        """Count the values of columns one by one, eagerly.

        Returns:
            Of each column how many distinct values it has, how many come once, and their entropy.
        """
        if not names:
            return {}
        table = self._read_locally(names)
        if table is not None:
            return {name: _count_values_locally(table.column(name)) for name in names}
        counts: dict[str, ExactDistinct] = {}
        frame = self._to_frame()
        for start in range(0, len(names), _COLUMNS_PER_JOB):
            job_names = names[start : start + _COLUMNS_PER_JOB]
            counts |= _count_columns(frame, job_names)
        return counts

    def _read_locally(self, names: Sequence[str]) -> pa.Table | None:
        """These columns, where they are few enough for this process."""
        if self.scan is None or not self._is_small:
            return self.table
        narrow = narrow_scan(self.scan, names)
        return pa.concat_tables([narrow.schema.empty_table(), *parquet.iter_tables(narrow)])

    def _to_frame(self) -> DataFrame:
        if self.get_frame:
            return self.get_frame()
        if self.scan:
            relation = ArrowRelation.from_scan(SparkRunner(self.get_spark()), self.scan)
            return get_frame(relation.select(self.types))
        return self.get_spark().createDataFrame(self.table)

    def _to_relation(self) -> ArrowRelation:
        return ArrowRelation.from_rows(
            SparkRows(self._to_frame()), arrow_types.to_arrow_schema(self.types)
        )


def _count_columns(frame: DataFrame, names: Sequence[str]) -> dict[str, ExactDistinct]:
    """Count the values of columns in one job, eagerly."""
    counts = [_count_values(frame, name) for name in names]
    with translate_spark_errors():
        rows = reduce(DataFrame.unionAll, counts).collect()
    return {name: (distinct, singletons, entropy) for name, distinct, singletons, entropy in rows}


def _count_values(frame: DataFrame, name: str) -> DataFrame:
    """One row*: the column's name, its distinct values, those that come once, and the entropy."""
    value = F.col(f"`{name}`").alias("value")
    values = frame.select(value).dropna(how="all")
    counts = values.groupBy("value").agg(F.count("*").alias("rows"))
    rows = F.col("rows")
    total = F.sum("rows")
    weighted_logs = F.sum(rows * F.log("rows"))
    entropy = F.log(total) - weighted_logs / total
    singletons = F.count_if(rows == 1)
    return counts.agg(F.lit(name), F.count("*"), singletons, F.coalesce(entropy, F.lit(0.0)))


def _count_values_locally(column: pa.ChunkedArray) -> ExactDistinct:
    rows = pc.value_counts(column.drop_null()).field("counts").to_numpy()
    entropy = 0.0
    if len(rows):
        total = rows.sum()
        weighted_logs = (rows * np.log(rows)).sum()
        entropy = float(np.log(total) - weighted_logs / total)
    singletons = float((rows == 1).sum())
    return len(rows), singletons, max(0.0, entropy)
