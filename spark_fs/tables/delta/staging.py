"""Rows written into a table's folder as files that no commit names yet.

A frame is evaluated once, straight into the files that the commit will hold; what must be known of
the rows is read from these files, a few columns of Parquet; then one commit names them, or they are
deleted. Neither a cache nor a second evaluation is needed, so an append that was checked costs
little more than one that was not. Writer and transaction are Delta's own, reached in the JVM
because ``DataFrame.write`` leaves no pause between the two.
"""

import json
import time
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
from spark_fs.tables.computed_rows import ComputedRows
from spark_fs.tables.delta.file_summary import sum_statistics
from spark_fs.tables.delta.log import resolve_file_system
from spark_fs.tables.delta.worker_files import ACTION_DDL, FileLayout, FileWriterTask

MAX_CHECKED_ROWS = 2_000_000  # rows whose keys one process looks at
# What a table may ask of its writers, where workers write its files: nothing of these is about the
# rows of an append.
_PLAIN_FEATURES = {"appendOnly", "changeDataFeed", "inCommitTimestamp", "invariants"}
_INVARIANT = "delta.invariants"  # in the schema of a table that has one


class Transaction(NamedTuple):
    """An id and a number that data is committed with; one not above the last writes nothing."""

    app_id: str
    number: int


@dataclass(frozen=True)
class TableLayout:
    """How a table is made: its partition columns, and how many columns have bounds per file."""

    partition_by: tuple[str, ...] = ()
    indexed_columns: int = 32

    def to_properties(self) -> dict[str, str]:
        """The properties of the Delta table.

        The history is kept: training data is read again from old versions.
        """
        return {
            "delta.enableChangeDataFeed": "true",
            "delta.logRetentionDuration": "interval 36500 days",
            "delta.dataSkippingNumIndexedCols": str(self.indexed_columns),
            # the instants of commits follow their order, whatever the clocks
            "delta.enableInCommitTimestamps": "true",
        }


@dataclass(frozen=True)
class StagedFiles:
    """Files of one frame: the rows* read back from them, and what their footers tell.

    paths: where they are. row_count: the number of their rows. null_counts: how many of them are
    null, per column that files are skipped by. bounds: the least and greatest value of a column
    that is not all null; times are strings in whole milliseconds, the least rounded down and the
    greatest too. partitions: the values of each partition column, as strings.
    """

    frame: DataFrame
    jvm_files: Any
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
        jvm = _get_jvm(spark)
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


class DeltaTransaction:
    """One transaction on the table in a folder, which may not exist yet.

    It sees the newest commit when it begins. id: what tells its commit from all others in the log.
    """

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.id = uuid4().hex
        self._spark = spark
        self._path = path
        self._jvm = _get_jvm(spark)
        delta_log = self._jvm.org.apache.spark.sql.delta.DeltaLog
        self._jvm_log = delta_log.forTable(spark._jsparkSession, path)
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
        text = self._jvm_transaction.snapshot().schema().json()
        schema = StructType.fromJson(json.loads(text))
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
        adds = [json.loads(files.apply(i).json())["add"] for i in range(files.size())]
        return self._list_staged(files, adds, frame.schema)

    def accepts_worker_files(self) -> bool:
        """Whether files that workers wrote may be committed.

        Not where only Delta's writer knows what the table asks of them: other names of columns,
        constraints, values that it makes.
        """
        protocol = json.loads(self._jvm_transaction.protocol().json())["protocol"]
        features = protocol.get("writerFeatures")
        if features is None or not set(features) <= _PLAIN_FEATURES:
            return False
        return _INVARIANT not in self._jvm_transaction.metadata().schemaString()

    def stage_tables(
        self, rows: ComputedRows, file_layout: FileLayout, schema: StructType
    ) -> StagedFiles:
        """Let the workers write rows, eagerly, as files of the table that nobody reads yet.

        Args:
            rows: The rows.
            file_layout: How the files are made.
            schema: Of the files and the partitions, as the table's rows have it.
        """
        task = FileWriterTask(rows.read_tables, file_layout)
        actions = [row.action for row in rows.source.mapInArrow(task, ACTION_DDL).collect()]
        parse = self._jvm.org.apache.spark.sql.delta.actions.Action.fromJson
        files = self._to_scala_list([parse(action) for action in actions])
        adds = [json.loads(action)["add"] for action in actions]
        staged = self._list_staged(files, adds, schema)
        self._register_metrics(
            {
                "numFiles": len(adds),
                "numOutputBytes": sum(add["size"] for add in adds),
                "numOutputRows": staged.row_count,
            }
        )
        return staged

    def _register_metrics(self, figures: Mapping[str, int]) -> None:
        """Let the commit tell these figures, as it would of files that Delta wrote."""
        context = self._spark.sparkContext._jsc.sc()
        make_metric = self._jvm.org.apache.spark.sql.execution.metric.SQLMetrics.createMetric
        metrics = {}
        for name, figure in figures.items():
            metrics[name] = make_metric(context, name)
            metrics[name].set(figure)
        session = self._spark._jsparkSession
        self._jvm_transaction.registerSQLMetrics(session, self._to_scala_map(metrics))

    def _list_staged(
        self, jvm_files: Any, adds: Sequence[Mapping[str, Any]], schema: StructType
    ) -> StagedFiles:
        paths = tuple(f"{self._path}/{unquote(add['path'])}" for add in adds)
        rows = self._read_files(paths, schema)
        statistics = sum_statistics(adds)
        return StagedFiles(rows, jvm_files, paths, *statistics)

    def _read_files(self, paths: Sequence[str], schema: StructType) -> DataFrame:
        if not paths:
            return self._spark.createDataFrame([], schema)
        reader = self._spark.read.schema(schema).option("basePath", self._path)
        return reader.option("__globPaths__", "false").parquet(*paths)

    def is_committed(self, transaction: Transaction | None) -> bool:
        """Whether the transaction has been committed before.

        If another commits it from now on, this one conflicts.
        """
        if transaction is None:
            return False
        return int(self._jvm_transaction.txnVersion(transaction.app_id)) >= transaction.number

    def mark_whole_table_read(self) -> None:
        """Let the commit fail when any other adds rows from now on.

        For a write of which every row of the table decides.
        """
        self._jvm_transaction.readWholeTable()

    def commit(
        self,
        jvm_files: Any,
        layout: TableLayout,
        transactions: Sequence[Transaction],
        metadata: Mapping[str, Any],
    ) -> None:
        """Commit files (None: none) and numbers of transactions, eagerly; may raise a conflict."""
        delta = self._jvm.org.apache.spark.sql.delta
        actions = self._to_scala_list([]) if jvm_files is None else jvm_files
        now = self._scala_some(time.time_ns() // 1_000_000)
        for transaction in transactions:
            number = self._jvm.java.lang.Long.valueOf(transaction.number)
            action = delta.actions.SetTransaction(transaction.app_id, number, now)
            actions = actions.appended(action)
        write = getattr(delta, "DeltaOperations$Write")
        mode = self._jvm.org.apache.spark.sql.SaveMode.Append
        partition_by = self._scala_some(self._to_scala_list(layout.partition_by))
        note = self._scala_some(json.dumps(self.with_write_id(metadata)))
        none = self._scala_none()
        operation = write(mode, partition_by, none, note, none, none, none, none, none)
        self._jvm_transaction.commit(actions, operation)

    # -- Scala's values

    def _scala_none(self) -> Any:
        return getattr(getattr(self._jvm.scala, "None$"), "MODULE$")

    def _scala_some(self, value: Any) -> Any:
        return self._jvm.scala.Some(value)

    def _to_scala_list(self, items: Sequence[Any]) -> Any:
        return self._jvm.org.apache.spark.api.python.PythonUtils.toSeq(list(items)).toList()

    def _to_scala_map(self, items: Mapping[str, Any]) -> Any:
        return self._jvm.org.apache.spark.api.python.PythonUtils.toScalaMap(dict(items))


def _get_jvm(spark: SparkSession) -> Any:
    return spark._jvm
