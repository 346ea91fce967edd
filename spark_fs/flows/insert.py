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

from spark_fs.base import types
from spark_fs.errors import CatalogError, SchemaError, SparkFSError, UnfinishedError
from spark_fs.flows import identities, validate
from spark_fs.flows.existing_rows import ExistingRows
from spark_fs.flows.jobs import Job
from spark_fs.redact import get_safe_cause
from spark_fs.spec.expectations import ValidationOptions, ValidationReport
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import GroupRef
from spark_fs.spec.write_options import WriteOptions
from spark_fs.tables import frames
from spark_fs.tables.delta import commands, history, layout
from spark_fs.tables.delta.commands import INGESTED_AT
from spark_fs.tables.delta.staging import DeltaTransaction, StagedFiles, Transaction
from spark_fs.tables.delta.transaction import (
    LoggedCommit,
    TableWrite,
    append_once,
    find_transaction_metadata,
)

RowCounts = dict[str, int]


class GroupCatalog(Protocol):
    """Where the definition of a group and the reports on its batches are kept."""

    def change_group(self, ref: GroupRef, change: Callable[[GroupSpec], GroupSpec]) -> GroupSpec:
        """Change a group as it is by now, and return it."""

    def mark_table_created(self, ref: GroupRef) -> None:
        """Remember that the group's table was made."""

    def add_validation(self, ref: GroupRef, report: ValidationReport) -> ValidationReport:
        """Keep a report; returns it with its instant."""


def insert_rows(
    spark: SparkSession,
    group: GroupSpec,
    path: str,
    data: Any,
    catalog: GroupCatalog,
    options: WriteOptions,
    validation: ValidationOptions,
    transaction: Transaction | None = None,
) -> tuple[GroupSpec, Job, ValidationReport | None]:
    """Write the frame into the group's table, eagerly; returns the group with its schema, the job, and the suite's report.

    Upserted, a row replaces the row of the same identity, adds a new one, or, where the table holds
    the same values already, writes nothing. The schema of a first frame is kept before its rows are
    written, so a killed first insert leaves a group without rows and never rows without a schema.
    """
    if options.batch_id is not None:
        transaction = Transaction(f"spark_fs.batch.{options.batch_id}", 1)
    numbered = (
        options.keep is not None and options.order_by is None and not isinstance(data, DataFrame)
    )
    frame = frames.to_spark(spark, data, group.types, identities.ORDER_COLUMN if numbered else None)
    given = frame.drop(identities.ORDER_COLUMN) if numbered else frame
    first = not group.features
    checked = with_first_schema(group, given) if first else group
    checked = (
        checked.with_possible_duplicates()
        if options.operation == "insert" or group.keep_corrections
        else checked
    )
    rows = conform_schema(given, checked)
    dropped = 0
    try:
        if options.keep is not None:
            frame.persist(StorageLevel.MEMORY_AND_DISK)
            read = frame.count()
            rows = conform_schema(
                identities.keep_first_or_last(frame, checked, options).drop(
                    identities.ORDER_COLUMN
                ),
                checked,
            )
            dropped = read - rows.count()
        one = _Insert(spark, checked, path, options, validation, transaction, catalog, first)
        change = partial(_update_group, checked, first)
        summary = one.stage_and_commit(
            rows, lambda: catalog.change_group(group.ref, change) if checked != group else None
        )
    except (PySparkException, Py4JError, OSError) as error:
        raise SparkFSError(
            f"Nothing was inserted into feature group {group}: reading or writing the frame failed:"
            f" {commands.find_root_cause(error)}"
        ) from get_safe_cause(error)
    finally:
        with suppress(Py4JError):  # of a JVM that is gone
            frame.unpersist()
    with suppress(CatalogError):  # the rows are committed; the next insert makes this note
        catalog.mark_table_created(group.ref)
    summary["read"] += dropped
    summary["set_aside"] += dropped
    return checked, Job(f"insert {group.name}_{group.version}", summary), one.report


def with_first_schema(group: GroupSpec, frame: DataFrame) -> GroupSpec:
    """The group with the frame's schema; its declared columns must be there and its event time be a time."""
    found = frames.get_feature_types(frame)
    if unknown := [name for name, type_ in found.items() if type_ == "void"]:
        raise SchemaError(
            f"Column {unknown[0]!r} holds only nulls, so its type is unknown: give it a type."
        )
    return group.with_schema(found)


def _update_group(written: GroupSpec, is_first: bool, current: GroupSpec) -> GroupSpec:
    """The group as it is by now, with what an insert makes of it; SchemaError where another first insert gave it other columns."""
    group = current if current.features else current.with_schema(written.types)
    if is_first:
        _check_columns(current, written.types, group.types)
    return group.with_possible_duplicates() if written.may_have_duplicates else group


def _check_columns(
    group: GroupSpec, written: Mapping[str, str], existing: Mapping[str, str]
) -> None:
    """SchemaError where rows were made for other columns than the group has by now."""
    if differ := written.items() ^ existing.items():
        listed = ", ".join(f"{name!r} ({type_})" for name, type_ in sorted(differ))
        raise SchemaError(
            f"The frame does not fit feature group {group}: another first insert gave it columns at"
            f" the same time, and {listed} is only in one of the two. Nothing was written. Insert"
            " again what fits it, or create a new version of the group for the new schema."
        )


def conform_schema(frame: DataFrame, group: GroupSpec) -> DataFrame:
    """The frame* with the group's columns, in its order and types; SchemaError lists every difference."""
    found, wanted = frames.get_feature_types(frame), group.types
    wrong = [
        f"column {name!r} ({type_}) is missing"
        for name, type_ in wanted.items()
        if name not in found
    ]
    wrong += [
        f"column {name!r} ({type_}) is not in the group"
        for name, type_ in found.items()
        if name not in wanted
    ]
    wrong += [
        f"column {name!r} is {found[name]}, the group has {type_}"
        for name, type_ in wanted.items()
        if name in found and not types.can_widen(found[name], type_)
    ]
    if wrong:
        raise SchemaError(
            f"The frame does not fit feature group {group}: {'; '.join(wrong)}. Nothing was"
            " written. Correct the frame, add new columns with append_features first, or create a"
            " new version of the group for the new schema."
        )
    return frame.select(*(F.col(name).cast(types.to_ddl(type_)) for name, type_ in wanted.items()))


class _Insert:
    """One insert: its rows are staged once, then committed as often as other writers make it necessary."""

    def __init__(
        self,
        spark: SparkSession,
        group: GroupSpec,
        path: str,
        options: WriteOptions,
        validation: ValidationOptions,
        transaction: Transaction | None,
        catalog: GroupCatalog,
        is_first: bool,
    ) -> None:
        self.spark, self.group, self.path, self.is_first = spark, group, path, is_first
        self.transaction, self.checks_existing = transaction, options.operation == "upsert"
        self.commit_metadata: dict[str, Any] = {"operation": options.operation} | (
            {"batch_id": options.batch_id} if options.batch_id else {}
        )
        self.layout = layout.build_layout(group)
        self.suite = group.expectation_suite if validation.run_validation else None
        self.policy, self.catalog, self.options = validation.policy, catalog, options
        self.report: ValidationReport | None = None

    def stage_and_commit(self, rows: DataFrame, before_commit: Callable[[], object]) -> RowCounts:
        with TableWrite(self.spark, self.path) as write:
            laid_out = layout.prepare_rows(
                rows.withColumn(INGESTED_AT, self._choose_ingestion_time()), self.group
            )
            if write.delta_transaction.is_committed(self.transaction):
                self._finish_earlier_run(write, laid_out)
                return _make_counts(0)
            self._prepare_table(write.delta_transaction, laid_out)
            read, staged, repeats = self._stage_distinct(write, laid_out)
            good = self._validate_rows(write, staged) if self.suite else staged
            identities.check_staged_rows(good, self.group, self.options, repeats)
            before_commit()
            set_aside = staged.row_count - good.row_count
            self.commit_metadata |= {"set_aside": set_aside} if set_aside else {}
            try:
                summary = write.commit(
                    lambda now: self._commit_rows(write, now, good, laid_out),
                    lambda landed: _read_logged_counts(landed, good),
                )
            finally:
                if (
                    write.is_committed
                ):  # and perhaps interrupted: what belongs to the commit is done all the same
                    self._finish_commit(write, set_aside)
            equal = read - staged.row_count
            summary |= {
                "read": summary["read"] + set_aside + equal,
                "unchanged": summary["unchanged"] + equal,
            }
            return summary | {"set_aside": set_aside}

    def _stage_distinct(self, write: TableWrite, rows: DataFrame) -> tuple[int, StagedFiles, bool]:
        """The number of rows; they, staged, those that are equal in every column once; and whether identities may repeat still."""
        staged = write.stage_rows(rows)
        repeats = identities.has_repeated_identities(staged, self.group)
        once = (
            write.stage_rows(
                layout.prepare_rows(
                    identities.drop_equal_rows(staged.frame, self.group), self.group
                )
            )
            if repeats
            else staged
        )
        return staged.row_count, once, repeats

    def _prepare_table(self, delta_transaction: DeltaTransaction, rows: DataFrame) -> None:
        """Let the commit make the table where there is none; SchemaError where the one that is there has not the columns of the rows."""
        if delta_transaction.is_new:
            delta_transaction.create_table(rows, self.layout)
            return
        own = self.group.types
        there = {
            name: type_
            for name, type_ in delta_transaction.types.items()
            if not name.startswith("_") and (self.is_first or name in own)
        }
        _check_columns(self.group, own, there)

    def _choose_ingestion_time(self) -> Column:
        """The instant of ingestion: now, or just after the last commit where instants decide between rows and this clock is behind it."""
        log = history.open_log(self.path) if self.group.may_have_duplicates else None
        if log is None or log.version == history.NO_TABLE:
            return F.current_timestamp()
        return F.greatest(
            F.current_timestamp(),
            F.lit(log.get_commit_time(log.version) + timedelta(milliseconds=1)),
        )

    def _validate_rows(self, write: TableWrite, staged: StagedFiles) -> StagedFiles:
        """The staged rows, or those of them that meet the suite, staged anew; ValidationError when the policy refuses the batch."""
        self.report = validate.validate_frame(staged.frame, self.suite or {})
        if self.report.success or self.policy == "ALWAYS":
            return staged
        if self.policy == "STRICT":
            self._save_report("refused", 0)
            raise validate.make_validation_error(self.group, self.report)
        good, self.rejected = validate.split_valid_rows(staged.frame, self.report)
        return write.stage_rows(layout.prepare_rows(good, self.group))

    def _finish_commit(self, write: TableWrite, set_aside: int) -> None:
        """Set aside, after the commit, what does not meet the suite, and keep the report; UnfinishedError says what of it is missing."""
        again = (
            "the same batch_id" if self.commit_metadata.get("batch_id") else "operation='upsert'"
        )
        lost = f"the {set_aside} rows that do not meet the expectations are not in the quarantine"
        remedy = (
            f"Insert the same frame with {again} again: these rows are written then, and nothing"
            " else."
        )
        try:
            if set_aside:
                bad = self.rejected.select(*self.group.types, INGESTED_AT, validate.REASON_COLUMN)
                append_once(
                    bad,
                    commands.get_quarantine_path(self.path),
                    self.transaction,
                    self.commit_metadata,
                )
            lost, remedy = (
                "the validation report was not kept",
                "Do not insert them again; validate(df) reports on them once more.",
            )
            self._save_report("inserted", set_aside)
        except SparkFSError as error:
            version = write.committed_version
            where = (
                f" as version {version} of its table"
                if version is not None
                else ", which holds them already"
            )
            raise UnfinishedError(
                f"The rows were committed to feature group {self.group}{where}, but {lost}:"
                f" {str(error).partition('. ')[0]}. {remedy}"
            ) from error

    def _finish_earlier_run(self, write: TableWrite, laid_out: DataFrame) -> None:
        """Set aside what a run that ended between its two commits did not."""
        if not (self.suite and self.transaction and self.policy == "QUARANTINE"):
            return
        aside = commands.get_quarantine_path(self.path)
        if find_transaction_metadata(self.path, self.transaction).get(
            "set_aside"
        ) and not find_transaction_metadata(aside, self.transaction):
            _, staged, _ = self._stage_distinct(write, laid_out)
            self._finish_commit(
                write, staged.row_count - self._validate_rows(write, staged).row_count
            )

    def _save_report(self, ingestion: str, set_aside: int) -> None:
        if self.report:
            self.report = self.catalog.add_validation(
                self.group.ref, replace(self.report, ingestion=ingestion, set_aside=set_aside)
            )

    def _commit_rows(
        self,
        write: TableWrite,
        delta_transaction: DeltaTransaction,
        staged: StagedFiles,
        rows: DataFrame,
    ) -> RowCounts:
        """Commit in the one way that the rows need."""
        if delta_transaction.is_committed(self.transaction):
            return _make_counts(0)
        self._prepare_table(delta_transaction, rows)
        held = ExistingRows(self.spark, self.group, self.path)
        matched, changed = (
            held.count_overlap(staged)
            if self.checks_existing and staged.row_count and not delta_transaction.is_new
            else (0, 0)
        )
        counts = _make_counts(staged.row_count, staged.row_count - matched, changed)
        noted = self.commit_metadata | {name: counts[name] for name in ("inserted", "updated")}
        if changed and not self.group.keep_corrections:
            # Where an identity is there twice, both rows are updated, and count as the one that
            # they stand for.
            note = delta_transaction.with_write_id(
                noted if self.group.may_have_duplicates else self.commit_metadata
            )
            pruned = layout.build_prune_predicate(staged, self.group, "t.")
            merged = commands.merge_rows(
                staged.frame,
                self.path,
                self.group.identity,
                pruned,
                held.build_change_predicate(),
                self.transaction,
                note,
            )
            return (
                counts
                if self.group.may_have_duplicates
                else _make_counts(staged.row_count, *merged)
            )
        if matched < staged.row_count + changed or self.transaction or delta_transaction.is_new:
            if self.checks_existing:
                delta_transaction.mark_whole_table_read()
            fresh = write.stage_rows(held.select_new_rows(staged)) if matched else staged
            fresh.check_files_exist()
            delta_transaction.commit(
                fresh.jvm_files if fresh.row_count else None, self.layout, self.transaction, noted
            )
            write.keep_files(fresh)
        return counts


def _make_counts(read: int, inserted: int = 0, updated: int = 0) -> RowCounts:
    return {
        "read": read,
        "inserted": inserted,
        "updated": updated,
        "unchanged": read - inserted - updated,
        "set_aside": 0,
    }


def _read_logged_counts(logged: LoggedCommit, staged: StagedFiles) -> RowCounts:
    """The counts of a commit whose answer was lost, as the log has them."""
    noted, metrics = logged.user_metadata, logged.metrics
    inserted = noted["inserted"] if "inserted" in noted else metrics["numTargetRowsInserted"]
    updated = noted["updated"] if "updated" in noted else metrics["numTargetRowsUpdated"]
    return _make_counts(staged.row_count, int(inserted), int(updated))
