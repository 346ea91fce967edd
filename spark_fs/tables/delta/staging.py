"""Rows written into a table's folder as files that no commit names yet.

A frame is evaluated once, straight into the files that the commit will hold; what must be known of
the rows is read from these files, a few columns of Parquet; then one commit names them, or they are
deleted. Neither a cache nor a second evaluation is needed, so an append that was checked costs
little more than one that was not. Writer and transaction are Delta's own, reached in the JVM
because ``DataFrame.write`` leaves no pause between the two.
"""

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from spark_fs.tables.commits import Transaction
from spark_fs.tables.computed_rows import ComputedRows
from spark_fs.tables.delta.file_summary import sum_statistics
from spark_fs.tables.delta.log import DeltaLog
from spark_fs.tables.delta.worker_files import ACTION_TYPES, FileLayout, FileWriterTask
from spark_fs.tables.staged_files import StagedFiles
from spark_fs.tables.table_write import TableLayout

# What a table may ask of its writers, where workers write its files: nothing of these is about the
# rows of an append.
_PLAIN_FEATURES = {"appendOnly", "changeDataFeed", "inCommitTimestamp", "invariants"}
_INVARIANT = "delta.invariants"  # in the schema of a table that has one


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
        self._removals: list[Any] = []

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
            self._to_scala_map(_list_properties(layout)),
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
        make_task = partial(FileWriterTask, layout=file_layout)
        actions = [row["action"] for row in rows.collect(make_task, ACTION_TYPES)]
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

        If another commits it from now on, this one conflicts. The log is read here: Delta's own
        ``txnVersion`` notes the same read, and lets Spark gather all of the table's files for it.
        """
        if transaction is None:
            return False
        self._jvm_transaction.readTxn().addOne(transaction.app_id)
        number = DeltaLog(self._path).find_transaction_number(transaction.app_id)
        return number is not None and number >= transaction.number

    def mark_whole_table_read(self) -> None:
        """Let the commit fail when any other adds rows from now on.

        For a write of which every row of the table decides.
        """
        self._jvm_transaction.readWholeTable()

    def remove_existing_files(self) -> None:
        """Let the commit take out every file that the table has.

        It fails when any other adds rows from now on.
        """
        self.mark_whole_table_read()
        files = self._jvm_transaction.filterFiles()
        self._removals = [files.apply(i).remove() for i in range(files.size())]

    def commit(
        self,
        staged: StagedFiles | None,
        layout: TableLayout,
        transactions: Sequence[Transaction],
        metadata: Mapping[str, Any],
    ) -> None:
        """Commit files (None: none) and numbers of transactions, eagerly; may raise a conflict."""
        delta = self._jvm.org.apache.spark.sql.delta
        actions = self._to_scala_list([]) if staged is None else staged.handle
        actions = actions.appendedAll(self._to_scala_list(self._removals))
        now = self._scala_some(time.time_ns() // 1_000_000)
        for transaction in transactions:
            number = self._jvm.java.lang.Long.valueOf(transaction.number)
            action = delta.actions.SetTransaction(transaction.app_id, number, now)
            actions = actions.appended(action)
        write = getattr(delta, "DeltaOperations$Write")
        modes = self._jvm.org.apache.spark.sql.SaveMode
        mode = modes.Overwrite if self._removals else modes.Append
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


def _list_properties(layout: TableLayout) -> dict[str, str]:
    """The properties of the Delta table.

    The history is kept: training data is read again from old versions.
    """
    return {
        "delta.enableChangeDataFeed": "true",
        "delta.logRetentionDuration": "interval 36500 days",
        "delta.dataSkippingNumIndexedCols": str(layout.indexed_columns),
        # the instants of commits follow their order, whatever the clocks
        "delta.enableInCommitTimestamps": "true",
    }
