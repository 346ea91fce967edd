"""A group whose rows a caller inserts and deletes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from spark_fs.api.built_group import BuiltGroup
from spark_fs.api.taken import Refused
from spark_fs.api.write_arguments import check_storage, select_write_options, warn_of_processes
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from types import TracebackType

    from spark_fs.flows.jobs import Job
    from spark_fs.spec.expectations import ValidationOptions
    from spark_fs.spec.validation_report import ValidationReport
    from spark_fs.spec.write_options import WriteOptions
    from spark_fs.tables.commits import Transaction

    Inserted: TypeAlias = tuple[Job, ValidationReport | None]


@validate_arguments
class WrittenGroup(BuiltGroup):
    """A group that takes rows from whoever has them."""

    def insert(
        self,
        features: Any,
        overwrite: bool = False,
        operation: str = "upsert",
        storage: str | None = None,
        write_options: Mapping[str, Any] | None = None,
        validation_options: Mapping[str, Any] | None = None,
        wait: bool = False,  # noqa: ARG002 # an insert is done when it returns
        transformation_context: Mapping[str, Any] | None = None,
        transform: bool = True,
        n_processes: int | None = None,
    ) -> Inserted:
        """Insert rows, eagerly, as one commit or not at all.

        The first frame fixes the schema. Names of columns are brought to lower snake case, with a
        warning. Rows of a frame that are equal in every column are one. In a pandas frame NaN and
        NaT are null; times without a zone are UTC; a column of two types is refused
        (docs/types.md).

        Args:
            features: A Spark, pandas or polars DataFrame, an Arrow table, a list of dicts, or an
                array of two dimensions or a list of lists, with the columns col_0, col_1 and so on.
            overwrite: Whether the rows take the place of all that the group has, in the same
                commit; ``as_of`` still reads these.
            operation: "upsert": a row replaces the one of the same primary key and event time.
                "insert": rows are appended without looking for it, for callers who vouch for their
                rows; where two rows of one identity are there all the same, the one ingested last
                is the row.
            storage: "offline" or None: rows come online by ``sync_online``; "online" alone is not
                offered.
            write_options: ``keep`` ("first" or "last") with ``order_by`` (a column; the order of a
                pandas frame or an Arrow table serves without it) says which of several rows of one
                identity in the frame is the row; the others are set aside. ``batch_id``: the same
                id a second time writes nothing. Those of Hopsworks are taken, and named in a
                warning where they would change anything.
            validation_options: For a group with an expectation suite. ``policy``: "ALWAYS" (write
                the frame whatever fails, with a warning unless this says so), "STRICT" (refuse it
                whole) or "QUARANTINE" (write the rows that pass; the others are set aside, with the
                reason, for ``read_quarantine``); left out: as the suite says.
                ``run_validation=False`` leaves the suite out, ``save_report=False`` the report.
            wait: Taken for Hopsworks' sake: the rows are there when this returns.
            transformation_context: What is set of on-demand transformations for this time.
            transform: Whether on-demand columns are computed; else the frame has them.
            n_processes: Taken for Hopsworks' sake.

        Returns:
            The job, whose ``summary`` counts the rows read, inserted, updated, unchanged and
            set_aside (all 0 for a batch that was written before), and with ``overwrite`` those
            deleted; and the validation report, None without a suite.

        Raises:
            SettingsError: The group builds its rows by an aggregation.
            NotFoundError: A column that an on-demand transformation takes is missing.
            SchemaError: Columns differ from the group's; it lists every difference.
            KeyValueError: Null keys or event times, rows of one identity that differ, an event time
                in no known unit, or a map with a key twice; with a count and five examples.
            ValidationError: An expectation fails, and the policy is "STRICT".
            ConflictError: Other writers were faster time and again.
        """
        from spark_fs.spec.expectations import ValidationOptions
        from spark_fs.spec.write_options import WriteOptions

        if self._spec.aggregation is not None:
            raise SettingsError(
                f"Feature group {self._spec} builds its rows by its aggregation, and takes no"
                " others: call backfill(start, end) or run_incremental(until)."
            )
        check_storage(storage)
        warn_of_processes("insert", n_processes)
        own_options = select_write_options(write_options)
        options = WriteOptions.from_argument(operation, own_options, overwrite)
        validation = ValidationOptions.from_argument(validation_options)
        rows = self._compute_on_demand(features, transformation_context) if transform else features
        return self._insert_rows(rows, options, validation)

    def save(
        self,
        features: Any = None,
        write_options: Mapping[str, Any] | None = None,
        validation_options: Mapping[str, Any] | None = None,
        wait: bool = False,
        n_processes: int | None = None,
    ) -> Inserted | None:
        """Insert rows, eagerly, as ``insert`` does; a group is saved when it is created.

        Args:
            features: The rows; None: nothing is done.
            write_options: As in ``insert``.
            validation_options: As in ``insert``.
            wait: Taken for Hopsworks' sake.
            n_processes: Taken for Hopsworks' sake.

        Returns:
            What ``insert`` does; None without rows.
        """
        if features is None:
            return None
        return self.insert(
            features,
            write_options=write_options,
            validation_options=validation_options,
            wait=wait,
            n_processes=n_processes,
        )

    def multi_part_insert(
        self,
        features: Any = None,
        overwrite: bool = False,
        operation: str = "upsert",
        storage: str | None = None,
        write_options: Mapping[str, Any] | None = None,
        validation_options: Mapping[str, Any] | None = None,
        transformation_context: Mapping[str, Any] | None = None,
        transform: bool = True,
        n_processes: int | None = None,
    ) -> Inserted | GroupWriter:
        """Insert one of many parts, eagerly: each is a commit of its own, as by ``insert``.

        Args:
            features: The rows; None: a writer to insert parts with, as in
                ``with fg.multi_part_insert() as writer: writer.insert(df)``.
            overwrite: As in ``insert``, and so are the others.
            operation: "upsert" or "insert".
            storage: "offline" or None.
            write_options: How the rows are written.
            validation_options: How they are validated.
            transformation_context: What on-demand transformations are given.
            transform: Whether on-demand transformations are computed.
            n_processes: Taken for Hopsworks' sake.

        Returns:
            What ``insert`` does; a writer without rows.
        """
        if features is None:
            return GroupWriter(self)
        return self.insert(
            features,
            overwrite,
            operation,
            storage,
            write_options,
            validation_options,
            transformation_context=transformation_context,
            transform=transform,
            n_processes=n_processes,
        )

    def finalize_multi_part_insert(self) -> None:
        """Do nothing: every part was committed when its call returned."""

    insert_stream = Refused(
        "writes the rows of a stream as they come",
        "insert each micro-batch, as by df.writeStream.foreachBatch(lambda rows, n: fg.insert(rows,"
        " write_options={'batch_id': str(n)}))",
    )

    @property
    def materialization_job(self) -> MaterializationJob:
        """What Hopsworks runs to bring inserted rows to the offline store; here it is done."""
        return MaterializationJob(self)

    def _insert_rows(
        self,
        df: Any,
        options: WriteOptions,
        validation: ValidationOptions,
        transaction: Transaction | None = None,
        noted: Sequence[Transaction] = (),
    ) -> Inserted:
        from spark_fs.flows import insert as flows_insert

        table = self._stores.open_table(self._reload_spec())
        self._spec, job, report = flows_insert.insert_rows(
            table, df, self._stores.catalog, options, validation, transaction, noted
        )
        self._update_statistics()
        return job, report

    # -- rows out of it

    def delete_records(
        self,
        delete_df: Any,
        write_options: Mapping[str, Any] | None = None,
        storage: str | None = None,
    ) -> Job:
        """Delete rows, eagerly, as one commit.

        The job counts the distinct identities read and the rows deleted; an identity that does not
        exist deletes nothing. The next ``sync_online`` brings the deletion online.

        Args:
            delete_df: A frame as ``insert`` takes it, with the primary key, which deletes the whole
                history of each entity, or with the event time too, which deletes these rows alone;
                other columns are not looked at.
            write_options: Those of Hopsworks, as in ``insert``.
            storage: "offline" or None; "online" alone is not offered.

        Returns:
            The job.

        Raises:
            SchemaError: A key column is missing or of another type.
            KeyValueError: A key or event time is null.
            SettingsError: A write option does not exist.
        """
        from spark_fs.flows import delete
        from spark_fs.spec.write_options import WriteOptions

        check_storage(storage)
        own_options = select_write_options(write_options)
        if own_options:
            WriteOptions.from_argument("upsert", own_options)
            listed = ", ".join(map(repr, own_options))
            raise SettingsError(f"write_options {listed} are those of insert: leave them out.")
        return delete.delete_records(self._stores.open_table(self.spec), delete_df)

    remove_rows = delete_records
    commit_delete_record = delete_records


class GroupWriter:
    """Inserts parts into a group, each as a commit of its own; a context manager."""

    def __init__(self, group: WrittenGroup) -> None:
        self._group = group

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: every part is committed."""

    def insert(self, features: Any, *args: Any, **options: Any) -> Inserted | GroupWriter:
        """Insert one part, eagerly, as ``FeatureGroup.multi_part_insert`` does."""
        return self._group.multi_part_insert(features, *args, **options)


class MaterializationJob:
    """The job that Hopsworks runs after inserts: the rows are in the group when they return."""

    def __init__(self, group: WrittenGroup) -> None:
        self.name = f"{group.name}_{group.version}_offline_fg_materialization"

    def run(self, *_: Any, **__: Any) -> Self:
        """Do nothing, and return the job."""
        return self

    schedule = Refused(
        "writes inserted rows to the offline store from time to time",
        "leave it out, since the rows are in the group when insert returns",
    )
