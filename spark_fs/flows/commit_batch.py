"""Commit one batch to a group's table: staged once, checked there, then committed or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base.times import EPOCH, to_micros
from spark_fs.errors import SparkFSError, UnfinishedError
from spark_fs.flows import identities, validate
from spark_fs.flows.existing_rows import ExistingRows
from spark_fs.flows.row_counts import RowCounts, count_rows, make_counts, read_logged_counts
from spark_fs.spec.expectations import ValidationOptions
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.validation_report import ValidationReport
from spark_fs.spec.write_options import WriteOptions
from spark_fs.tables.commits import NO_TABLE, Transaction
from spark_fs.tables.computed_rows import ComputedRows
from spark_fs.tables.group_schema import check_columns
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.staged_files import StagedFiles
from spark_fs.tables.table import GroupTable
from spark_fs.tables.table_write import TableTransaction, TableWrite


class GroupCatalog(Protocol):
    """Where the definition of a group and the reports on its batches are kept."""

    def change_group(self, ref: GroupRef, change: Callable[[GroupSpec], GroupSpec]) -> GroupSpec:
        """Change a group as it is by now, and return it."""

    def mark_table_created(self, ref: GroupRef) -> None:
        """Remember that the group's table was made."""

    def add_validation(self, ref: GroupRef, report: ValidationReport) -> ValidationReport:
        """Keep a report; returns it with its instant."""


class BatchInsert:
    """One insert: its rows are staged once, then committed as often as other writers demand.

    transaction: what writes nothing where its number is committed already. noted: numbers that are
    committed beside it, but for a commit that changes rows, which carries one number alone.
    """

    def __init__(
        self,
        table: GroupTable,
        options: WriteOptions,
        validation: ValidationOptions,
        transaction: Transaction | None,
        noted: Sequence[Transaction],
        catalog: GroupCatalog,
        is_first: bool,
    ) -> None:
        self.table = table
        self.group = table.group
        self.is_first = is_first
        self.transaction = transaction
        self.noted = noted
        self.options = options
        self.checks_existing = options.operation == "upsert"
        operation = "overwrite" if options.overwrite else options.operation
        self.commit_metadata: dict[str, Any] = {"operation": operation}
        if options.batch_id:
            self.commit_metadata["batch_id"] = options.batch_id
        self.layout = table.build_layout()
        self.suite = validation.choose_suite(self.group.expectation_suite)
        self.policy = validation.choose_policy(self.suite or {})
        self.validation = validation
        self.catalog = catalog
        self.report: ValidationReport | None = None

    def stage_and_commit(
        self,
        rows: DataFrame,
        before_commit: Callable[[], object],
        computed: ComputedRows | None = None,
    ) -> RowCounts:
        """Write the rows, eagerly, as one commit.

        Args:
            rows: The rows.
            before_commit: Called when they have been checked.
            computed: The same rows as workers have them, which then write them where they can.

        Returns:
            What became of the rows.
        """
        with self.table.begin_write() as write:
            stamped = rows.withColumn(INGESTED_AT, self._choose_ingestion_time())
            laid_out = self.table.prepare_rows(stamped)
            if write.table_transaction.is_committed(self.transaction):
                self._finish_earlier_run(write, laid_out)
                return make_counts(0)
            self._prepare_table(write.table_transaction, laid_out)
            read, staged, repeats = self._stage_distinct(write, laid_out, computed)
            valid = self._validate_rows(write, staged) if self.suite else staged
            identities.check_staged_rows(valid, self.group, self.options, repeats)
            before_commit()
            set_aside = staged.row_count - valid.row_count
            if set_aside:
                self.commit_metadata["set_aside"] = set_aside
            try:
                summary = write.commit(
                    lambda now: self._commit_rows(write, now, valid, laid_out),
                    lambda logged: read_logged_counts(logged, valid),
                )
            finally:
                # perhaps interrupted: what belongs to the commit is done all the same
                if write.is_committed:
                    self._finish_commit(write, set_aside)
            repeated = read - staged.row_count
            summary["read"] += set_aside + repeated
            summary["unchanged"] += repeated
            summary["set_aside"] = set_aside
            return summary

    def _stage_distinct(
        self, write: TableWrite, rows: DataFrame, computed: ComputedRows | None = None
    ) -> tuple[int, StagedFiles, bool]:
        """The number of rows; they, staged, without repeats; whether identities may repeat still.

        Of rows that are equal in every column one is staged.
        """
        staged = self._stage(write, rows, computed)
        row_count = staged.row_count
        if computed is not None and computed.is_distinct:
            return row_count, staged, False
        repeats = identities.has_repeated_identities(staged, self.group)
        if repeats:
            distinct = identities.drop_equal_rows(staged.frame, self.group)
            staged = write.stage_rows(self.table.prepare_rows(distinct))
        return row_count, staged, repeats

    def _stage(
        self, write: TableWrite, rows: DataFrame, computed: ComputedRows | None
    ) -> StagedFiles:
        if computed is not None:
            now = max(datetime.now(UTC), self._find_earliest_ingestion())
            staged = write.stage_computed_rows(computed, to_micros(now), rows.schema)
            if staged is not None:
                return staged
        return write.stage_rows(rows)

    def _prepare_table(self, table_transaction: TableTransaction, rows: DataFrame) -> None:
        """Let the commit make the table where there is none.

        SchemaError where the one that is there has not the columns of the rows.
        """
        if table_transaction.is_new:
            table_transaction.create_table(rows, self.layout)
            return
        own = self.group.types
        existing = {}
        for name, type_ in table_transaction.types.items():
            if not name.startswith("_") and (self.is_first or name in own):
                existing[name] = type_
        check_columns(self.group, own, existing)

    def _choose_ingestion_time(self) -> Column:
        """The instant of ingestion: now, or the earliest that it can be."""
        return F.greatest(F.current_timestamp(), F.lit(self._find_earliest_ingestion()))

    def _find_earliest_ingestion(self) -> datetime:
        """Just after the last commit, where instants decide between rows.

        This clock may be behind it.
        """
        if not self.group.may_have_duplicates or self.table.version == NO_TABLE:
            return EPOCH
        return self.table.get_commit_time(self.table.version) + timedelta(milliseconds=1)

    def _validate_rows(self, write: TableWrite, staged: StagedFiles) -> StagedFiles:
        """The staged rows, or those of them that meet the suite, staged anew.

        ValidationError when the policy refuses the batch.
        """
        # without the hidden columns: a suite may say which columns there are
        rows = staged.frame.select(*(f"`{name}`" for name in self.group.types))
        self.report = validate.validate_frame(rows, self.suite or {})
        if self.report.success or self.policy == "ALWAYS":
            return staged
        if self.policy == "STRICT":
            self._save_report("refused", 0)
            raise validate.make_validation_error(self.group, self.report)
        valid, self.rejected = validate.split_valid_rows(staged.frame, self.report)
        return write.stage_rows(self.table.prepare_rows(valid))

    def _finish_commit(self, write: TableWrite, set_aside: int) -> None:
        """Set aside, after the commit, what does not meet the suite, and keep the report.

        UnfinishedError says what of it is missing.
        """
        try:
            if set_aside:
                self._write_to_quarantine()
        except SparkFSError as error:
            has_batch_id = self.commit_metadata.get("batch_id")
            again = "the same batch_id" if has_batch_id else "operation='upsert'"
            raise self._unfinished_error(
                write,
                f"the {set_aside} rows that do not meet the expectations are not in the quarantine",
                error,
                f"Insert the same frame with {again} again: these rows are written then, and"
                " nothing else.",
            ) from error
        try:
            self._save_report("inserted", set_aside)
        except SparkFSError as error:
            raise self._unfinished_error(
                write,
                "the validation report was not kept",
                error,
                "Do not insert them again; validate(df, save_report=True) reports on them.",
            ) from error

    def _write_to_quarantine(self) -> None:
        rows = self.rejected.select(*self.group.types, INGESTED_AT, validate.REASON_COLUMN)
        self.table.quarantine.append_rows(rows, self.transaction, self.commit_metadata)

    def _unfinished_error(
        self, write: TableWrite, lost: str, error: SparkFSError, remedy: str
    ) -> UnfinishedError:
        version = write.committed_version
        if version is None:
            where = ", which holds them already"
        else:
            where = f" as version {version} of its table"
        reason = str(error).partition(". ")[0]
        return UnfinishedError(
            f"The rows were committed to feature group {self.group}{where}, but {lost}: {reason}."
            f" {remedy}"
        )

    def _finish_earlier_run(self, write: TableWrite, laid_out: DataFrame) -> None:
        """Set aside what a run that ended between its two commits did not."""
        if not (self.suite and self.transaction and self.policy == "QUARANTINE"):
            return
        if not self.table.find_transaction_metadata(self.transaction).get("set_aside"):
            return
        if self.table.quarantine.find_transaction_metadata(self.transaction):
            return
        _, staged, _ = self._stage_distinct(write, laid_out)
        valid = self._validate_rows(write, staged)
        self._finish_commit(write, staged.row_count - valid.row_count)

    def _save_report(self, ingestion: str, set_aside: int) -> None:
        if self.report:
            self.report = replace(self.report, ingestion=ingestion, set_aside=set_aside)
            if self.validation.save_report:
                self.report = self.catalog.add_validation(self.group.ref, self.report)

    def _commit_rows(
        self,
        write: TableWrite,
        table_transaction: TableTransaction,
        staged: StagedFiles,
        rows: DataFrame,
    ) -> RowCounts:
        """Commit in the one way that the rows need."""
        if table_transaction.is_committed(self.transaction):
            return make_counts(0)
        self._prepare_table(table_transaction, rows)
        if self.options.overwrite:
            return self._replace_table(write, table_transaction, staged)
        existing = ExistingRows(self.table.refresh())
        matched = 0
        changed = 0
        if self.checks_existing and staged.row_count and not table_transaction.is_new:
            matched, changed = existing.count_overlap(staged)
        counts = make_counts(staged.row_count, staged.row_count - matched, changed)
        if changed and not self.group.keep_corrections:
            return self._merge_rows(table_transaction, staged, existing, counts)
        has_new_rows = matched < staged.row_count + changed
        transactions = list(self.noted)
        if self.transaction:
            transactions.append(self.transaction)
        if has_new_rows or transactions or table_transaction.is_new:
            if self.checks_existing:
                table_transaction.mark_whole_table_read()
            fresh = write.stage_rows(existing.select_new_rows(staged)) if matched else staged
            fresh.check_files_exist()
            table_transaction.commit(
                fresh if fresh.row_count else None,
                self.layout,
                transactions,
                self._with_counts(counts),
            )
            write.keep_files(fresh)
        return counts

    def _replace_table(
        self, write: TableWrite, table_transaction: TableTransaction, staged: StagedFiles
    ) -> RowCounts:
        """Commit the rows in the place of all that are there."""
        deleted = 0
        if not table_transaction.is_new:
            deleted = count_rows(self.table.refresh())
            table_transaction.remove_existing_files()
        staged.check_files_exist()
        counts = {**make_counts(staged.row_count, staged.row_count), "deleted": deleted}
        transactions = list(self.noted)
        if self.transaction:
            transactions.append(self.transaction)
        metadata = {**self._with_counts(counts), "deleted": deleted}
        rows = staged if staged.row_count else None
        table_transaction.commit(rows, self.layout, transactions, metadata)
        write.keep_files(staged)
        return counts

    def _merge_rows(
        self,
        table_transaction: TableTransaction,
        staged: StagedFiles,
        existing: ExistingRows,
        counts: RowCounts,
    ) -> RowCounts:
        # Where an identity is there twice, both rows are updated, and count as the one that they
        # stand for: Delta's own counts are of both.
        uses_own_counts = self.group.may_have_duplicates
        metadata = self._with_counts(counts) if uses_own_counts else self.commit_metadata
        inserted, updated = self.table.merge_rows(
            staged.frame,
            self.table.build_prune_predicate(staged, "t."),
            existing.build_change_predicate(),
            self.transaction,
            table_transaction.with_write_id(metadata),
        )
        return counts if uses_own_counts else make_counts(staged.row_count, inserted, updated)

    def _with_counts(self, counts: RowCounts) -> dict[str, Any]:
        written = {"inserted": counts["inserted"], "updated": counts["updated"]}
        return self.commit_metadata | written
