"""One write to a table: its rows are staged, then one commit names them.

A commit whose answer is lost, or whose caller is interrupted, may be in the log all the same. So
each attempt carries an id of its own in what it notes, and before anything is done again, told or
deleted, the log is asked for that id.
"""

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar
from urllib.parse import unquote
from uuid import uuid4

from py4j.protocol import Py4JError
from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from spark_fs.errors import ConflictError, SparkFSError, UnknownOutcomeError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.commits import Transaction
from spark_fs.tables.computed_rows import ComputedRows
from spark_fs.tables.delta import commands
from spark_fs.tables.delta.commands import is_conflict, translate_errors
from spark_fs.tables.delta.history import parse_user_metadata
from spark_fs.tables.delta.layout import build_file_layout
from spark_fs.tables.delta.log import DeltaLog
from spark_fs.tables.delta.staging import DeltaTransaction
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.staged_files import StagedFiles

T = TypeVar("T")
MAX_ATTEMPTS = 30
INTERRUPT_TIMEOUT = 20.0  # seconds that an interrupted commit has to end in


class DeltaLoggedCommit(NamedTuple):
    """A commit as the log has it: its number, what we noted in it, and Delta's figures of it."""

    version: int
    user_metadata: Mapping[str, Any]
    metrics: Mapping[str, Any]

    def count_rows(self) -> tuple[int, int]:
        """How many rows it inserted, and how many it updated."""
        inserted = self.user_metadata.get("inserted")
        updated = self.user_metadata.get("updated")
        if inserted is None:
            inserted = self.metrics["numTargetRowsInserted"]
        if updated is None:
            updated = self.metrics["numTargetRowsUpdated"]
        return int(inserted), int(updated)


class DeltaTableWrite:
    """A write to the table in a folder.

    When it ends, the files that it staged and that no commit names are deleted. is_committed:
    whether its commit is known to be in the log, by its answer or by a look. Workers write rows of
    their own only where it knows the group.
    """

    def __init__(self, spark: SparkSession, path: str, group: GroupSpec | None = None) -> None:
        self._group = group
        self._spark = spark
        self._path = path
        self.table_transaction = DeltaTransaction(spark, path)
        self._first_version = self.table_transaction.version
        self._staged: list[StagedFiles] = []
        self._call: _JvmCall[Any] | None = None
        self._is_answered = False
        self.is_committed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # a log that cannot be read, a JVM that is gone; a clean-up removes unnamed files, too
        with suppress(SparkFSError, Py4JError):
            if error and not isinstance(error, Exception) and self._call:
                version = self.committed_version
                if version is not None:
                    error.add_note(
                        f"The write to the table at {self._path} was committed before this, as"
                        f" version {version}."
                    )
            self._delete_uncommitted()

    def stage_rows(self, frame: DataFrame) -> StagedFiles:
        """Write a frame's rows, eagerly, as files that nobody reads before a commit names them."""
        staged = self.table_transaction.stage_rows(frame)
        self._staged.append(staged)
        return staged

    def stage_computed_rows(
        self, rows: ComputedRows, ingested_micros: int, schema: StructType
    ) -> StagedFiles | None:
        """Let the workers that compute rows write them, eagerly, as files that nobody reads yet.

        Args:
            rows: The rows.
            ingested_micros: When they were ingested, in microseconds.
            schema: Of the files and the partitions, as the table's rows have it.

        Returns:
            The files; None where only Spark can write those of this table.
        """
        if self._group is None or not self.table_transaction.accepts_worker_files():
            return None
        ingestion = (INGESTED_AT, ingested_micros)
        file_layout = build_file_layout(self._group, self._path, ingestion)
        if file_layout is None:
            return None
        staged = self.table_transaction.stage_tables(rows, file_layout, schema)
        self._staged.append(staged)
        return staged

    def keep_files(self, staged: StagedFiles) -> None:
        """Leave files alone that are part of the table now."""
        self._staged = [other for other in self._staged if other is not staged]

    def commit(
        self, commit: Callable[[DeltaTransaction], T], recover: Callable[[DeltaLoggedCommit], T]
    ) -> T:
        """Commit, eagerly.

        Where another writer was faster, it is tried again on a transaction that sees its rows,
        after a growing pause. ``commit`` notes the transaction's id in what it commits. ``recover``
        gives its result from the log, for a commit that is there although no answer said so. Raises
        UnknownOutcomeError where not even the log can tell.
        """
        for attempt in range(MAX_ATTEMPTS):
            with suppress(ConflictError), translate_errors(self._path, "write"):
                if attempt:
                    self.table_transaction = DeltaTransaction(self._spark, self._path)
                return self._try_commit(lambda: commit(self.table_transaction), recover)
            longest = min(2.0, 0.05 * 2**attempt)
            time.sleep(random.uniform(0, longest))  # noqa: S311 # a pause
        raise ConflictError(
            f"Other writers changed the table at {self._path} {MAX_ATTEMPTS} times while this write"
            " was tried; nothing of it was written. Run it again."
        )

    @property
    def committed_version(self) -> int | None:
        """The version that the commit made; None where there is none."""
        logged = _find_commit(self._path, self.table_transaction)
        return logged.version if logged else None

    def _try_commit(self, commit: Callable[[], T], recover: Callable[[DeltaLoggedCommit], T]) -> T:
        """One attempt, whose outcome is known when it ends, or UnknownOutcomeError.

        An interruption goes on to the caller.
        """
        self._call = _JvmCall(self._spark, commit)
        self._is_answered = False
        try:
            result: T = self._call.result()
        except BaseException as error:
            try:
                logged = self._find_outcome(error)
            except UnknownOutcomeError as unknown:
                if isinstance(error, Exception):
                    raise unknown from error
                error.add_note(str(unknown))
                raise error from None
            if logged is None:
                raise
            self.is_committed = True
            if isinstance(error, Exception):
                return recover(logged)
            raise
        self._is_answered = True
        self.is_committed = True
        return result

    def _find_outcome(self, error: BaseException) -> DeltaLoggedCommit | None:
        """What became of an attempt that did not answer."""
        assert self._call
        if not self._call.has_ended_within(INTERRUPT_TIMEOUT):
            raise self._unknown_outcome_error("it was interrupted and goes on")
        try:
            logged = _find_commit(self._path, self.table_transaction)
        except SparkFSError as unreadable:
            raise self._unknown_outcome_error(str(unreadable)) from error
        if logged is None and not self._is_final(error):
            raise self._unknown_outcome_error(
                "the log does not name it, and a store that answers late may still bring it:"
                f" {error}"
            )
        return logged

    def _is_final(self, error: BaseException) -> bool:
        """Whether a commit that the log does not name after this error will not come any more.

        An object store may have it under way.
        """
        if isinstance(error, ConflictError) or is_conflict(error):
            return True
        if isinstance(error, SparkFSError) and not error.__cause__:
            return True
        return _is_local(self._path)

    def _unknown_outcome_error(self, reason: str) -> UnknownOutcomeError:
        return UnknownOutcomeError(
            f"Whether the write to the table at {self._path} was committed is not known: {reason}."
            f" Its files were left where they are. Look for its id, {self.table_transaction.id}, in"
            " the newest files of _delta_log. An upsert, or an insert with a batch_id, can be run"
            " again whatever became of it."
        )

    def _delete_uncommitted(self) -> None:
        """Delete the staged files that no commit names; none of them while that is not known."""
        if not self._staged or (self._call and not self._call.has_ended_within(0)):
            return
        committed_names: set[str] = set()
        # with every answer known, none of what is left was committed
        if self._call and not self._is_answered:
            if not (self.is_committed or _is_local(self._path)):
                return
            committed_names = _list_added_names(self._path, self._first_version)
        for staged in self._staged:
            staged.delete_files(committed_names)


def append_once(
    rows: DataFrame, path: str, transaction: Transaction | None, metadata: Mapping[str, Any]
) -> None:
    """Append rows to a table of their own columns, made when absent, as one commit, eagerly.

    Raises ConflictError and UnknownOutcomeError.
    """

    def append(now: DeltaTransaction) -> None:
        commands.append_rows(rows, path, transaction, now.with_write_id(metadata))

    with DeltaTableWrite(rows.sparkSession, path) as write:
        write.commit(append, lambda _: None)


class _JvmCall(Generic[T]):
    """A call into the JVM in a thread of its own, where no signal reaches it.

    Its end can be awaited although its caller is interrupted.
    """

    def __init__(self, spark: SparkSession, call: Callable[[], T]) -> None:
        self._spark = spark
        self._tag = f"spark_fs-{uuid4().hex}"
        self._future: Future[T] = Future()

        def run() -> None:
            try:
                spark.sparkContext.addJobTag(self._tag)
                self._future.set_result(call())
            except BaseException as error:  # the caller learns of it
                self._future.set_exception(error)

        run_in_session = inheritable_thread_target(spark)(run)
        Thread(target=run_in_session, name="commit", daemon=True).start()

    def result(self) -> T:
        """What it returned; what it raised."""
        return self._future.result()

    def has_ended_within(self, seconds: float) -> bool:
        """Whether it has ended, or does so within some seconds, its Spark jobs cancelled.

        Those jobs that go on are cancelled, and those that begin.
        """
        until = time.monotonic() + seconds
        while not self._future.done() and time.monotonic() < until:
            with suppress(Py4JError):
                self._spark.sparkContext.cancelJobsWithTag(self._tag)
            wait([self._future], 0.2)
        return self._future.done()


def _find_commit(path: str, delta_transaction: DeltaTransaction) -> DeltaLoggedCommit | None:
    """The commit that carries a transaction's id; None where the log has none."""
    log = DeltaLog(path)
    for version in _list_versions_after(log, delta_transaction.version):
        info = log.read_commit_info(version)
        note = parse_user_metadata(info)
        if note.get("write_id") == delta_transaction.id:
            return DeltaLoggedCommit(version, note, info.get("operationMetrics") or {})
    return None


def _list_added_names(path: str, after_version: int) -> set[str]:
    """The names of the files that commits after a version added."""
    log = DeltaLog(path)
    names = set()
    for version in _list_versions_after(log, after_version):
        for action in log.read_actions(version):
            if added := action.get("add"):
                names.add(unquote(added["path"]))
    return names


def _list_versions_after(log: DeltaLog, version: int) -> list[int]:
    return sorted(later for later in log.commits if later > version)


def _is_local(path: str) -> bool:
    return "://" not in path or path.startswith("file:")
