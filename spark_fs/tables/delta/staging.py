"""Rows written into a table's folder as files that no commit names yet.

A frame is evaluated once, straight into the files that the commit will hold; what must be known of
the rows is read from these files, a few columns of Parquet; then one commit names them, or they are
deleted. Neither a cache nor a second evaluation is needed, so an append that was checked costs
little more than one that was not. Writer and transaction are Delta's own, reached in the JVM
because ``DataFrame.write`` leaves no pause between the two.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from spark_fs.errors import SparkFSError
from spark_fs.tables.delta.log import resolve_file_system

MAX_CHECKED_ROWS = 2_000_000  # rows whose keys one process looks at


class Transaction(NamedTuple):
    """An id and a number committed with the data; a number not above the last one writes nothing."""

    app_id: str
    number: int


@dataclass(frozen=True)
class TableLayout:
    """How a table is made: its partition columns, and how many of its first columns files are skipped by."""

    partition_by: tuple[str, ...] = ()
    indexed_columns: int = 32

    def to_properties(self) -> dict[str, str]:
        """The properties of the Delta table. The history is kept: training data is read again from old versions."""
        return {
            "delta.enableChangeDataFeed": "true",
            "delta.logRetentionDuration": "interval 36500 days",
            "delta.dataSkippingNumIndexedCols": str(self.indexed_columns),
            "delta.enableInCommitTimestamps": (
                "true"
            ),  # the instants of commits follow their order, whatever the clocks
        }


@dataclass(frozen=True)
class StagedFiles:
    """Files of one frame: the rows* read back from them, and what their footers tell.

    paths: where they are. rows: their number. nulls: how many of them are null, per column that
    files are skipped by. bounds: the least and greatest value of a column that is not all null;
    times are texts in whole milliseconds, the least rounded down and the greatest too. partitions:
    the values of each partition column, as texts.
    """

    frame: DataFrame
    jvm_files: Any
    paths: tuple[str, ...]
    row_count: int
    null_counts: dict[str, int]
    bounds: dict[str, tuple[Any, Any]]
    partitions: dict[str, set[str | None]]

    def check_files_exist(self) -> None:
        """SparkFSError where a file is gone, by a clean-up that was forced: a commit that named it would make the table unreadable."""
        if not self.paths:
            return
        system, _ = resolve_file_system(self.paths[0])
        found = system.get_file_info([resolve_file_system(path)[1] for path in self.paths])
        if gone := next((each.path for each in found if not each.is_file), None):
            raise SparkFSError(
                f"File {gone} was to be committed and is gone: a vacuum was forced meanwhile."
                " Nothing was written. Insert the frame again."
            )

    def delete_files(self, committed_names: Collection[str] = ()) -> None:
        """Delete the files, but not those that are named, by their place in the table's folder."""
        jvm, conf = (
            _get_jvm(self.frame.sparkSession),
            self.frame.sparkSession._jsparkSession.sessionState().newHadoopConf(),
        )
        for name in self.paths:
            path = jvm.org.apache.hadoop.fs.Path(name)
            if not any(name.endswith(f"/{kept}") for kept in committed_names):
                path.getFileSystem(conf).delete(path, False)

    def has_duplicates(self, columns: Sequence[str]) -> bool | None:
        """Whether two rows are equal in these columns, from a look at the files; None when there are too many for one process.

        Of a million rows it takes 0.2 s, where a Spark job takes 1.4 s.
        """
        if (
            self.row_count > MAX_CHECKED_ROWS
            or any("://" in path for path in self.paths)
            or any(c in self.partitions for c in columns)
        ):
            return None
        if not self.row_count:
            return False
        keys = pa.concat_tables(
            [pq.read_table(path, columns=list(columns), partitioning=None) for path in self.paths]
        )
        if not all(_is_exact_type(field.type) for field in keys.schema):
            return None
        return bool(keys.group_by(list(columns)).aggregate([]).num_rows < self.row_count)


def _is_exact_type(type_: pa.DataType) -> bool:
    """Whether values of a type are equal where their bits are, which fractions are not."""
    return pa.types.is_string(type_) or (
        pa.types.is_primitive(type_) and not pa.types.is_floating(type_)
    )


class DeltaTransaction:
    """One transaction on the table in a folder, which may not exist yet. It sees the newest commit when it begins.

    id: what tells its commit from all others in the log.
    """

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.id = uuid4().hex
        self._spark, self._path, self._jvm = spark, path, _get_jvm(spark)
        self._jvm_log = self._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(
            spark._jsparkSession, path
        )
        self._jvm_transaction = self._jvm_log.startTransaction()
        self._is_creating = False

    @property
    def version(self) -> int:
        """The newest commit that it sees; below 0 before the first."""
        return int(self._jvm_transaction.snapshot().version())

    @property
    def is_new(self) -> bool:
        """Whether there is no table yet."""
        return self.version < 0

    @property
    def types(self) -> dict[str, str]:
        """The type of each column of the table that is there."""
        schema = StructType.fromJson(json.loads(self._jvm_transaction.snapshot().schema().json()))
        return {field.name: field.dataType.simpleString() for field in schema.fields}

    def with_write_id(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """What its commit is to note: this, and its id."""
        return {**metadata, "write_id": self.id}

    def create_table(self, frame: DataFrame, layout: TableLayout) -> None:
        """Let the commit make the table, with the frame's schema; a second call changes nothing."""
        if self._is_creating:
            return
        self._is_creating = True
        actions = self._jvm.org.apache.spark.sql.delta.actions
        now = self._scala_some(time.time_ns() // 1_000_000)
        metadata = actions.Metadata(
            str(uuid4()),
            None,
            None,
            actions.Format("parquet", self._to_scala_map({})),
            frame._jdf.schema().asNullable().json(),
            self._to_scala_list(layout.partition_by),
            self._to_scala_map(layout.to_properties()),
            now,
        )
        self._jvm_transaction.updateMetadataForNewTable(metadata)

    def stage_rows(self, frame: DataFrame) -> StagedFiles:
        """Write the frame's rows, eagerly, as files of the table that nobody reads yet."""
        files = self._jvm_transaction.writeFiles(frame._jdf)
        added = [json.loads(files.apply(i).json())["add"] for i in range(files.size())]
        paths = [f"{self._path}/{unquote(add['path'])}" for add in added]
        read = (
            self._spark.read.schema(frame.schema)
            .option("basePath", self._path)
            .option("__globPaths__", "false")
        )
        rows = read.parquet(*paths) if paths else self._spark.createDataFrame([], frame.schema)
        return StagedFiles(rows, files, tuple(paths), *_sum_statistics(added))

    def is_committed(self, transaction: Transaction | None) -> bool:
        """Whether the transaction has been committed before; if another commits it from now on, this one conflicts."""
        return (
            transaction is not None
            and int(self._jvm_transaction.txnVersion(transaction.app_id)) >= transaction.number
        )

    def mark_whole_table_read(self) -> None:
        """Let the commit fail when any other adds rows from now on: what is written depends on every row."""
        self._jvm_transaction.readWholeTable()

    def commit(
        self,
        jvm_files: Any,
        layout: TableLayout,
        transaction: Transaction | None,
        metadata: Mapping[str, Any],
    ) -> None:
        """Commit files (None: none) and the transaction's number, eagerly; raises Delta's conflict errors."""
        actions = jvm_files if jvm_files is not None else self._to_scala_list([])
        if transaction:
            now = self._scala_some(time.time_ns() // 1_000_000)
            number = self._jvm.java.lang.Long.valueOf(transaction.number)
            action = self._jvm.org.apache.spark.sql.delta.actions.SetTransaction(
                transaction.app_id, number, now
            )
            actions = actions.appended(action)
        write = getattr(self._jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")
        mode = self._jvm.org.apache.spark.sql.SaveMode.Append
        by, note, none = (
            self._scala_some(self._to_scala_list(layout.partition_by)),
            self._scala_some(json.dumps(self.with_write_id(metadata))),
            self._scala_none(),
        )
        self._jvm_transaction.commit(
            actions, write(mode, by, none, note, none, none, none, none, none)
        )

    # -- Scala's values

    def _scala_none(self) -> Any:
        return getattr(getattr(self._jvm.scala, "None$"), "MODULE$")

    def _scala_some(self, value: Any) -> Any:
        return self._jvm.scala.Some(value)

    def _to_scala_list(self, items: Sequence[Any]) -> Any:
        return self._jvm.org.apache.spark.api.python.PythonUtils.toSeq(list(items)).toList()

    def _to_scala_map(self, items: Mapping[str, str]) -> Any:
        return self._jvm.org.apache.spark.api.python.PythonUtils.toScalaMap(dict(items))


def _sum_statistics(
    add_actions: Sequence[Mapping[str, Any]],
) -> tuple[int, dict[str, int], dict[str, tuple[Any, Any]], dict[str, set[str | None]]]:
    """What the files' statistics say of all of them together: rows, nulls, bounds, partitions."""
    rows, nulls, partitions = 0, Counter[str](), defaultdict[str, set[str | None]](set)
    lows, highs = defaultdict[str, list[Any]](list), defaultdict[str, list[Any]](list)
    for add in add_actions:
        stats = json.loads(add["stats"])
        rows += stats["numRecords"]
        nulls.update(
            {
                name: count
                for name, count in stats.get("nullCount", {}).items()
                if isinstance(count, int)
            }
        )
        for values, bounds in (
            (stats.get("minValues", {}), lows),
            (stats.get("maxValues", {}), highs),
        ):
            for name, value in values.items():
                bounds[name].append(value)
        for name, value in add["partitionValues"].items():
            partitions[name].add(value)
            nulls.update({name: stats["numRecords"]} if value is None else {})
    bounds_ = {
        name: (min(low), max(highs[name]))
        for name, low in lows.items()
        if _is_comparable(low + highs[name])
    }
    return rows, dict(nulls), bounds_, dict(partitions)


def _is_comparable(values: Sequence[Any]) -> bool:
    """Whether the values are all texts or all numbers; those of a struct are a mapping, and an infinity is a text among numbers."""
    return (
        not isinstance(values[0], dict) and len({isinstance(value, str) for value in values}) == 1
    )


def _get_jvm(spark: SparkSession) -> Any:
    return spark._jvm
