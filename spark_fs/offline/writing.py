"""One write to a table: its rows are staged, one commit names them, and where no answer came the log says what became of it.

A commit whose answer is lost, or whose caller is interrupted, may be in the log all the same. So each attempt carries an id of its own in
what it notes, and before anything is done again, told or deleted, the log is asked for that id.
"""

import json
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

from spark_fs.errors import ConflictError, SparkFSError, UnknownOutcomeError
from spark_fs.offline import delta
from spark_fs.offline.delta import is_conflict, translated
from spark_fs.offline.log import Log
from spark_fs.offline.staging import DeltaTransaction, Staged, Transaction

T = TypeVar("T")
ATTEMPTS = 30
PATIENCE = 20.0  # seconds that an interrupted commit has to end in


class Landed(NamedTuple):
    """A commit as the log has it: its number, what we noted in it, and Delta's figures of it."""

    version: int
    note: Mapping[str, Any]
    metrics: Mapping[str, Any]


class TableWrite:
    """A write to the table in a folder. When it ends, the files that it staged and that no commit names are deleted.

    committed: whether its commit is known to be in the log, by its answer or by a look.
    """

    def __init__(self, spark: SparkSession, path: str) -> None:
        self._spark, self._path = spark, path
        self.begun = DeltaTransaction(spark, path)
        self._first = self.begun.version
        self._staged: list[Staged] = []
        self._call: _Call[Any] | None = None
        self._answered = self.committed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(SparkFSError, Py4JError):  # a log that cannot be read, a JVM that is gone; a clean-up removes unnamed files, too
            if error and not isinstance(error, Exception) and self._call and self.version is not None:
                error.add_note(f"The write to the table at {self._path} was committed before this, as version {self.version}.")
            self._discard_unnamed()

    def stage(self, frame: DataFrame) -> Staged:
        """Write a frame's rows, eagerly, as files that nobody reads before a commit names them."""
        staged = self.begun.stage(frame)
        self._staged.append(staged)
        return staged

    def keep(self, staged: Staged) -> None:
        """Leave files alone that are part of the table now."""
        self._staged = [each for each in self._staged if each is not staged]

    def commit(self, commit: Callable[[DeltaTransaction], T], recovered: Callable[[Landed], T]) -> T:
        """Commit, eagerly; where another writer was faster, again on a transaction that sees its rows, after a growing pause.

        ``commit`` notes the transaction's id in what it commits. ``recovered`` gives its result from the log, for a commit that is there
        although no answer said so. Raises UnknownOutcomeError where not even the log can tell.
        """
        for attempt in range(ATTEMPTS):
            with suppress(ConflictError), translated(self._path, "write"):
                if attempt:
                    self.begun = DeltaTransaction(self._spark, self._path)
                return self._once(lambda: commit(self.begun), recovered)
            time.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 # a pause
        raise ConflictError(
            f"Other writers changed the table at {self._path} {ATTEMPTS} times while this write was tried; nothing of it was written. "
            "Run it again."
        )

    @property
    def version(self) -> int | None:
        """The version that the commit made; None where there is none."""
        found = _landed(self._path, self.begun)
        return found.version if found else None

    def _once(self, commit: Callable[[], T], recovered: Callable[[Landed], T]) -> T:
        """One attempt, whose outcome is known when it ends, or UnknownOutcomeError; an interruption goes on to the caller."""
        self._call, self._answered = _Call(self._spark, commit), False
        try:
            result: T = self._call.result()
        except BaseException as error:
            try:
                landed = self._outcome(error)
            except UnknownOutcomeError as unknown:
                if isinstance(error, Exception):
                    raise unknown from error
                error.add_note(str(unknown))
                raise error from None
            if landed is None:
                raise
            self.committed = True
            if isinstance(error, Exception):
                return recovered(landed)
            raise
        self._answered = self.committed = True
        return result

    def _outcome(self, error: BaseException) -> Landed | None:
        """What became of an attempt that did not answer."""
        assert self._call
        if not self._call.has_ended_within(PATIENCE):
            raise self._unknown("it was interrupted and goes on")
        try:
            landed = _landed(self._path, self.begun)
        except SparkFSError as unreadable:
            raise self._unknown(str(unreadable)) from error
        if landed is None and not self._is_final(error):
            raise self._unknown(f"the log does not name it, and a store that answers late may still bring it: {error}")
        return landed

    def _is_final(self, error: BaseException) -> bool:
        """Whether a commit that the log does not name after this error will not come any more: an object store may have it under way."""
        refused = isinstance(error, ConflictError) or is_conflict(error) or (isinstance(error, SparkFSError) and not error.__cause__)
        return refused or _is_local(self._path)

    def _unknown(self, why: str) -> UnknownOutcomeError:
        return UnknownOutcomeError(
            f"Whether the write to the table at {self._path} was committed is not known: {why}. Its files were left where they are. Look "
            f"for its id, {self.begun.id}, in the newest files of _delta_log. An upsert, or an insert with a batch_id, can be run again "
            "whatever became of it."
        )

    def _discard_unnamed(self) -> None:
        """Delete the staged files that no commit names; none of them while that is not known."""
        if not self._staged or (self._call and not self._call.has_ended_within(0)):
            return
        named: set[str] = set()
        if self._call and not self._answered:  # with every answer known, none of what is left was committed
            if not (self.committed or _is_local(self._path)):
                return
            named = _named(self._path, self._first)
        for staged in self._staged:
            staged.discard(named)


def append(rows: DataFrame, path: str, transaction: Transaction | None, metadata: Mapping[str, Any]) -> None:
    """Append rows to a table of their own columns, made when absent, as one commit, eagerly; ConflictError, UnknownOutcomeError."""
    with TableWrite(rows.sparkSession, path) as write:
        write.commit(lambda now: delta.append(rows, path, transaction, now.noted(metadata)), lambda _: None)


class _Call(Generic[T]):
    """A call into the JVM in a thread of its own, where no signal reaches it: its end can be awaited although its caller is interrupted."""

    def __init__(self, spark: SparkSession, call: Callable[[], T]) -> None:
        self._spark, self._tag = spark, f"spark_fs-{uuid4().hex}"
        self._future: Future[T] = Future()

        def run() -> None:
            try:
                spark.sparkContext.addJobTag(self._tag)
                self._future.set_result(call())
            except BaseException as error:  # the caller learns of it
                self._future.set_exception(error)

        Thread(target=inheritable_thread_target(spark)(run), name="commit", daemon=True).start()

    def result(self) -> T:
        """What it returned; what it raised."""
        return self._future.result()

    def has_ended_within(self, seconds: float) -> bool:
        """Whether it has ended, or does so within some seconds, its Spark jobs cancelled: those that go on, and those that begin."""
        until = time.monotonic() + seconds
        while not self._future.done() and time.monotonic() < until:
            with suppress(Py4JError):
                self._spark.sparkContext.cancelJobsWithTag(self._tag)
            wait([self._future], 0.2)
        return self._future.done()


def _landed(path: str, begun: DeltaTransaction) -> Landed | None:
    """The commit that carries a transaction's id; None where the log has none."""
    log = Log(path)
    for version in _after(log, begun.version):
        info = log.info(version)
        note = noted(info)
        if note.get("write_id") == begun.id:
            return Landed(version, note, info.get("operationMetrics") or {})
    return None


def _named(path: str, first: int) -> set[str]:
    """The names of the files that commits after a version added."""
    log = Log(path)
    return {unquote(action["add"]["path"]) for version in _after(log, first) for action in log.actions(version) if action.get("add")}


def _after(log: Log, version: int) -> list[int]:
    return sorted(later for later in log.commits if later > version)


def committed_with(path: str, transaction: Transaction) -> dict[str, Any]:
    """What we noted in the commit of a transaction's number, by the log; nothing where there is none."""
    log = Log(path)
    for version in sorted(log.commits, reverse=True):
        if any((action.get("txn") or {}).get("appId") == transaction.app_id for action in log.actions(version)):
            return noted(log.info(version))
    return {}


def noted(info: Mapping[str, Any]) -> dict[str, Any]:
    """What we noted in a commit, by its commitInfo; nothing where another wrote it."""
    try:
        note = json.loads(info.get("userMetadata") or "{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _is_local(path: str) -> bool:
    return "://" not in path or path.startswith("file:")
