"""Insert a frame into a feature group: check it whole, then write it as one commit or not."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.storagelevel import StorageLevel

from spark_fs.errors import CatalogError, SparkFSError
from spark_fs.flows import identities, validate
from spark_fs.flows.commit_batch import BatchInsert, GroupCatalog
from spark_fs.flows.jobs import Job
from spark_fs.redact import get_safe_cause
from spark_fs.spec.expectations import ValidationOptions
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.validation_report import ValidationReport
from spark_fs.spec.write_options import WriteOptions
from spark_fs.tables import spark_frames
from spark_fs.tables.commits import Transaction
from spark_fs.tables.computed_rows import ComputedRows
from spark_fs.tables.group_schema import conform_schema, with_first_schema, with_written_schema
from spark_fs.tables.spark_errors import find_root_cause
from spark_fs.tables.table import GroupTable


def insert_rows(
    table: GroupTable,
    data: Any,
    catalog: GroupCatalog,
    options: WriteOptions,
    validation: ValidationOptions,
    transaction: Transaction | None = None,
    noted: Sequence[Transaction] = (),
) -> tuple[GroupSpec, Job, ValidationReport | None]:
    """Write the frame into the group's table, eagerly.

    Upserted, a row replaces the row of the same identity, adds a new one, or, where the table holds
    the same values already, writes nothing. The schema of a first frame is kept before its rows are
    written, so a killed first insert leaves a group without rows and never rows without a schema.
    ``ComputedRows`` are written by the workers that compute them, where the table allows it.

    Args:
        table: Where the rows go.
        data: The frame.
        catalog: Where the definition and the reports are kept.
        options: How the rows are written.
        validation: How they are validated.
        transaction: Where its number is committed already nothing is written; else it is committed
            with the rows.
        noted: Numbers of other transactions, which are committed with the rows too, but where rows
            are changed: Delta's MERGE carries one number.

    Returns:
        The group with its schema, the job, and the suite's report.
    """
    group = table.group
    if options.batch_id is not None:
        transaction = Transaction(f"spark_fs.batch.{options.batch_id}", 1)
    frame = _to_spark(data, table, options)
    columns = frame.drop(identities.ORDER_COLUMN) if _is_numbered(data, options) else frame
    is_first = not group.features
    written = with_first_schema(group, columns) if is_first else group
    if options.operation == "insert" or group.keep_corrections:
        written = written.with_possible_duplicates()
    rows = conform_schema(columns, written)

    def save_group() -> None:
        if written != group:
            catalog.change_group(
                group.ref, lambda current: with_written_schema(written, is_first, current)
            )

    dropped = 0
    try:
        if options.keep is not None:
            rows, dropped = _keep_one_per_identity(frame, written, options)
        written_table = table.with_group(written)
        insert = BatchInsert(
            written_table, options, validation, transaction, noted, catalog, is_first
        )
        computed = None
        if isinstance(data, ComputedRows) and options.keep is None:
            computed = data
        summary = insert.stage_and_commit(rows, save_group, computed)
    except (PySparkException, Py4JError, OSError) as error:
        raise SparkFSError(
            f"Nothing was inserted into feature group {group}: reading or writing the frame failed:"
            f" {find_root_cause(error)}"
        ) from get_safe_cause(error)
    finally:
        with suppress(Py4JError):  # of a JVM that is gone
            frame.unpersist()
    with suppress(CatalogError):  # the rows are committed; the next insert makes this note
        catalog.mark_table_created(group.ref)
    summary["read"] += dropped
    summary["set_aside"] += dropped
    report = insert.report
    if report and not report.success and insert.policy == "ALWAYS" and validation.policy is None:
        validate.warn_of_failures(group, report)
    return written, Job(f"insert {group.name}_{group.version}", summary), report


def _to_spark(data: Any, table: GroupTable, options: WriteOptions) -> DataFrame:
    if isinstance(data, ComputedRows):
        data = data.to_frame()
    order_column = identities.ORDER_COLUMN if _is_numbered(data, options) else None
    return spark_frames.to_spark(table.spark, data, table.group.types, order_column)


def _is_numbered(data: Any, options: WriteOptions) -> bool:
    """Whether the rows are kept by the order that they have in the frame."""
    needs_order = options.keep is not None and options.order_by is None
    return needs_order and not isinstance(data, DataFrame)


def _keep_one_per_identity(
    frame: DataFrame, group: GroupSpec, options: WriteOptions
) -> tuple[DataFrame, int]:
    """The rows of the frame, cached, without those that others of their identity stand for.

    Also the number of those that are left out.
    """
    frame.persist(StorageLevel.MEMORY_AND_DISK)
    read = frame.count()
    kept = identities.keep_first_or_last(frame, group, options).drop(identities.ORDER_COLUMN)
    rows = conform_schema(kept, group)
    return rows, read - rows.count()
