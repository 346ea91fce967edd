"""Insert a frame into a feature group: check it whole, then write it as one commit, or not at all."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from spark_fs import types
from spark_fs.engine import layout
from spark_fs.errors import CatalogError, SchemaError, SparkFSError, UnfinishedError
from spark_fs.flows import identities, validate
from spark_fs.flows.held import Held
from spark_fs.flows.jobs import Job
from spark_fs.offline import delta, history, sources
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.offline.staging import DeltaTransaction, Staged, Transaction
from spark_fs.offline.writing import Landed, TableWrite, append, committed_with
from spark_fs.redact import without_secrets
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.options import WriteOptions
from spark_fs.spec.query import GroupRef
from spark_fs.spec.suites import ValidationOptions, ValidationReport

Counts = dict[str, int]


class Notes(Protocol):
    """Where the definition of a group and the reports on its batches are kept."""

    def change_group(self, ref: GroupRef, change: Callable[[GroupSpec], GroupSpec]) -> GroupSpec:
        """Change a group as it is by now, and return it."""

    def note_table(self, ref: GroupRef) -> None:
        """Remember that the group's table was made."""

    def add_validation(self, ref: GroupRef, report: ValidationReport) -> ValidationReport:
        """Keep a report; returns it with its instant."""


def insert(
    spark: SparkSession, group: GroupSpec, path: str, data: Any, notes: Notes,
    options: WriteOptions, validation: ValidationOptions, transaction: Transaction | None = None,
) -> tuple[GroupSpec, Job, ValidationReport | None]:
    """Write the frame into the group's table, eagerly; returns the group with its schema, the job, and the suite's report.

    Upserted, a row replaces the row of the same identity, adds a new one, or, where the table holds the same
    values already, writes nothing. The schema of a first frame is kept before its rows are written,
    so a killed first insert leaves a group without rows and never rows without a schema.
    """
    if options.batch_id is not None:
        transaction = Transaction(f"spark_fs.batch.{options.batch_id}", 1)
    numbered = options.keep is not None and options.order_by is None and not isinstance(data, DataFrame)
    frame = sources.to_spark(spark, data, group.types, identities.ORDER if numbered else None)
    given = frame.drop(identities.ORDER) if numbered else frame
    first = not group.features
    checked = with_first_schema(group, given) if first else group
    checked = checked.vouched_for() if options.operation == "insert" or group.keep_corrections else checked
    rows = conformed(given, checked)
    dropped = 0
    try:
        if options.keep is not None:
            frame.persist(StorageLevel.MEMORY_AND_DISK)
            read = frame.count()
            rows = conformed(identities.kept(frame, checked, options).drop(identities.ORDER), checked)
            dropped = read - rows.count()
        one = _Insert(spark, checked, path, options, validation, transaction, notes, first)
        change = partial(_noted, checked, first)
        summary = one.run(rows, lambda: notes.change_group(group.ref, change) if checked != group else None)
    except (PySparkException, Py4JError, OSError) as error:
        raise SparkFSError(
            f"Nothing was inserted into feature group {group}: reading or writing the frame failed: {delta.reason(error)}"
        ) from without_secrets(error)
    finally:
        with suppress(Py4JError):  # of a JVM that is gone
            frame.unpersist()
    with suppress(CatalogError):  # the rows are committed; the next insert makes this note
        notes.note_table(group.ref)
    summary["read"] += dropped
    summary["set_aside"] += dropped
    return checked, Job(f"insert {group.name}_{group.version}", summary), one.report


def with_first_schema(group: GroupSpec, frame: DataFrame) -> GroupSpec:
    """The group with the frame's schema; its declared columns must be there and its event time be a time."""
    found = sources.schema_of(frame)
    if unknown := [name for name, type_ in found.items() if type_ == "void"]:
        raise SchemaError(f"Column {unknown[0]!r} holds only nulls, so its type is unknown: give it a type.")
    return group.with_schema(found)


def _noted(written: GroupSpec, first: bool, now: GroupSpec) -> GroupSpec:
    """The group as it is by now, with what an insert makes of it; SchemaError where another first insert gave it other columns."""
    group = now if now.features else now.with_schema(written.types)
    if first:
        _check_columns(now, written.types, group.types)
    return group.vouched_for() if written.vouched else group


def _check_columns(group: GroupSpec, written: Mapping[str, str], there: Mapping[str, str]) -> None:
    """SchemaError where rows were made for other columns than the group has by now."""
    if differ := written.items() ^ there.items():
        listed = ", ".join(f"{name!r} ({type_})" for name, type_ in sorted(differ))
        raise SchemaError(
            f"The frame does not fit feature group {group}: another first insert gave it columns at the same time, and {listed} is only in "
            "one of the two. Nothing was written. Insert again what fits it, or create a new version of the group for the new schema."
        )


def conformed(frame: DataFrame, group: GroupSpec) -> DataFrame:
    """The frame* with the group's columns, in its order and types; SchemaError lists every difference."""
    found, wanted = sources.schema_of(frame), group.types
    wrong = [f"column {name!r} ({type_}) is missing" for name, type_ in wanted.items() if name not in found]
    wrong += [f"column {name!r} ({type_}) is not in the group" for name, type_ in found.items() if name not in wanted]
    wrong += [
        f"column {name!r} is {found[name]}, the group has {type_}"
        for name, type_ in wanted.items()
        if name in found and not types.widens(found[name], type_)
    ]
    if wrong:
        raise SchemaError(
            f"The frame does not fit feature group {group}: {'; '.join(wrong)}. Nothing was written. Correct the frame, add new "
            "columns with append_features first, or create a new version of the group for the new schema."
        )
    return frame.select(*(F.col(name).cast(types.ddl(type_)) for name, type_ in wanted.items()))


class _Insert:
    """One insert: its rows are staged once, then committed as often as other writers make it necessary."""

    def __init__(
        self, spark: SparkSession, group: GroupSpec, path: str, options: WriteOptions, validation: ValidationOptions,
        transaction: Transaction | None, notes: Notes, first: bool,
    ) -> None:
        self.spark, self.group, self.path, self.first = spark, group, path, first
        self.transaction, self.looks = transaction, options.operation == "upsert"
        self.note: dict[str, Any] = {"operation": options.operation} | ({"batch_id": options.batch_id} if options.batch_id else {})
        self.layout = layout.of(group)
        self.suite = group.expectation_suite if validation.run_validation else None
        self.policy, self.notes, self.options = validation.policy, notes, options
        self.report: ValidationReport | None = None

    def run(self, rows: DataFrame, before_first: Callable[[], object]) -> Counts:
        with TableWrite(self.spark, self.path) as write:
            laid_out = layout.laid_out(rows.withColumn(INGESTED_AT, self._ingested_at()), self.group)
            if write.begun.repeats(self.transaction):
                self._finish_repeated(write, laid_out)
                return _counted(0)
            self._fit(write.begun, laid_out)
            read, staged, repeats = self._once(write, laid_out)
            good = self._validated(write, staged) if self.suite else staged
            identities.check(good, self.group, self.options, repeats)
            before_first()
            set_aside = staged.rows - good.rows
            self.note |= {"set_aside": set_aside} if set_aside else {}
            try:
                summary = write.commit(lambda now: self._land(write, now, good, laid_out), lambda landed: _recovered(landed, good))
            finally:
                if write.committed:  # and perhaps interrupted: what belongs to the commit is done all the same
                    self._finish(write, set_aside)
            equal = read - staged.rows
            summary |= {"read": summary["read"] + set_aside + equal, "unchanged": summary["unchanged"] + equal}
            return summary | {"set_aside": set_aside}

    def _once(self, write: TableWrite, rows: DataFrame) -> tuple[int, Staged, bool]:
        """The number of rows; they, staged, those that are equal in every column once; and whether identities may repeat still."""
        staged = write.stage(rows)
        repeats = identities.repeat(staged, self.group)
        once = write.stage(layout.laid_out(identities.distinct(staged.frame, self.group), self.group)) if repeats else staged
        return staged.rows, once, repeats

    def _fit(self, begun: DeltaTransaction, rows: DataFrame) -> None:
        """Let the commit make the table where there is none; SchemaError where the one that is there has not the columns of the rows."""
        if begun.is_new:
            begun.create(rows, self.layout)
            return
        own = self.group.types
        there = {name: type_ for name, type_ in begun.types.items() if not name.startswith("_") and (self.first or name in own)}
        _check_columns(self.group, own, there)

    def _ingested_at(self) -> Column:
        """The instant of ingestion: now, or just after the last commit where instants decide between rows and this clock is behind it."""
        log = history.look(self.path) if self.group.vouched else None
        if log is None or log.newest == history.NO_TABLE:
            return F.current_timestamp()
        return F.greatest(F.current_timestamp(), F.lit(log.committed_at(log.newest) + timedelta(milliseconds=1)))

    def _validated(self, write: TableWrite, staged: Staged) -> Staged:
        """The staged rows, or those of them that meet the suite, staged anew; ValidationError when the policy refuses the batch."""
        self.report = validate.report_of(staged.frame, self.suite or {})
        if self.report.success or self.policy == "ALWAYS":
            return staged
        if self.policy == "STRICT":
            self._report("refused", 0)
            raise validate.refused(self.group, self.report)
        good, self.bad = validate.told_apart(staged.frame, self.report)
        return write.stage(layout.laid_out(good, self.group))

    def _finish(self, write: TableWrite, set_aside: int) -> None:
        """Set aside, after the commit, what does not meet the suite, and keep the report; UnfinishedError says what of it is missing."""
        again = "the same batch_id" if self.note.get("batch_id") else "operation='upsert'"
        lost = f"the {set_aside} rows that do not meet the expectations are not in the quarantine"
        remedy = f"Insert the same frame with {again} again: these rows are written then, and nothing else."
        try:
            if set_aside:
                bad = self.bad.select(*self.group.types, INGESTED_AT, validate.REASON)
                append(bad, delta.quarantine(self.path), self.transaction, self.note)
            lost, remedy = "the validation report was not kept", "Do not insert them again; validate(df) reports on them once more."
            self._report("inserted", set_aside)
        except SparkFSError as error:
            version = write.version
            where = f" as version {version} of its table" if version is not None else ", which holds them already"
            raise UnfinishedError(
                f"The rows were committed to feature group {self.group}{where}, but {lost}: {str(error).partition('. ')[0]}. {remedy}"
            ) from error

    def _finish_repeated(self, write: TableWrite, laid_out: DataFrame) -> None:
        """Set aside what a run that ended between its two commits did not."""
        if not (self.suite and self.transaction and self.policy == "QUARANTINE"):
            return
        aside = delta.quarantine(self.path)
        if committed_with(self.path, self.transaction).get("set_aside") and not committed_with(aside, self.transaction):
            _, staged, _ = self._once(write, laid_out)
            self._finish(write, staged.rows - self._validated(write, staged).rows)

    def _report(self, ingestion: str, set_aside: int) -> None:
        if self.report:
            self.report = self.notes.add_validation(self.group.ref, replace(self.report, ingestion=ingestion, set_aside=set_aside))

    def _land(self, write: TableWrite, begun: DeltaTransaction, staged: Staged, rows: DataFrame) -> Counts:
        """Commit in the one way that the rows need."""
        if begun.repeats(self.transaction):
            return _counted(0)
        self._fit(begun, rows)
        held = Held(self.spark, self.group, self.path)
        matched, changed = held.overlap(staged) if self.looks and staged.rows and not begun.is_new else (0, 0)
        counts = _counted(staged.rows, staged.rows - matched, changed)
        noted = self.note | {name: counts[name] for name in ("inserted", "updated")}
        if changed and not self.group.keep_corrections:
            # Where an identity is there twice, both rows are updated, and count as the one that they stand for.
            note = begun.noted(noted if self.group.vouched else self.note)
            pruned = layout.pruned(staged, self.group, "t.")
            merged = delta.merge(staged.frame, self.path, self.group.identity, pruned, held.differs(), self.transaction, note)
            return counts if self.group.vouched else _counted(staged.rows, *merged)
        if matched < staged.rows + changed or self.transaction or begun.is_new:
            if self.looks:
                begun.reads_all()
            fresh = write.stage(held.fresh(staged)) if matched else staged
            fresh.check_there()
            begun.commit(fresh.files if fresh.rows else None, self.layout, self.transaction, noted)
            write.keep(fresh)
        return counts


def _counted(read: int, inserted: int = 0, updated: int = 0) -> Counts:
    return {"read": read, "inserted": inserted, "updated": updated, "unchanged": read - inserted - updated, "set_aside": 0}


def _recovered(landed: Landed, staged: Staged) -> Counts:
    """The counts of a commit whose answer was lost, as the log has them."""
    noted, metrics = landed.note, landed.metrics
    inserted = noted["inserted"] if "inserted" in noted else metrics["numTargetRowsInserted"]
    updated = noted["updated"] if "updated" in noted else metrics["numTargetRowsUpdated"]
    return _counted(staged.rows, int(inserted), int(updated))
