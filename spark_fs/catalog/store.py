"""Load and save definitions in the metadata database."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select, update

from spark_fs.base.times import Interval
from spark_fs.catalog.alert_states import AlertCatalog
from spark_fs.catalog.connectors import ConnectorCatalog
from spark_fs.catalog.database import get_utc_now
from spark_fs.catalog.monitors import MonitorCatalog, Owner
from spark_fs.catalog.runs import RunCatalog
from spark_fs.catalog.skews import SkewCatalog
from spark_fs.catalog.tables import BACKFILLS, FEATURE_GROUPS, VALIDATIONS
from spark_fs.catalog.views import ViewCatalog
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.record_format import iter_readable
from spark_fs.spec.validation_report import ValidationReport


class Catalog(RunCatalog, AlertCatalog, ViewCatalog, ConnectorCatalog, MonitorCatalog, SkewCatalog):
    """The definitions of one feature store, in the database at ``url``."""

    # -- feature groups

    def add_group(self, group: GroupSpec) -> None:
        """Save a new group; AlreadyExistsError when its name and version are taken."""
        remedy = "use get_feature_group or get_or_create_feature_group, or "
        self._insert_definition(FEATURE_GROUPS, f"Feature group {group}", group, remedy)

    def change_group(self, ref: GroupRef, change: Callable[[GroupSpec], GroupSpec]) -> GroupSpec:
        """Change what the catalog has of a group, and return it.

        The change is made again where another process was faster, so that no change is lost.

        Args:
            ref: the group.
            change: gives the group as it is to be from the group as it is; it may be called several
                times.
        """
        return self._change_named_definition(
            FEATURE_GROUPS, "Feature group", ref, GroupSpec.from_json, change
        )

    def reload_owner(self, owner: Owner) -> Owner:
        """A group or a view as it is now."""
        if isinstance(owner, GroupSpec):
            return self.get_group(owner.name, owner.version)
        return self.get_view(owner.name, owner.version)

    def delete_view(self, view: ViewSpec) -> None:
        """Forget a view and what is kept of it."""
        self.delete_monitors(view)
        self.delete_skew_reports(view)
        super().delete_view(view)

    def delete_group(self, ref: GroupRef) -> None:
        """Forget a group and what happened to it."""
        group = self.get_group(*ref)
        self.delete_comparisons(group)
        self.delete_monitors(group)
        with self._begin_transaction() as connection:
            connection.execute(delete(FEATURE_GROUPS).where(*_make_group_filter(ref)))
            for table in (VALIDATIONS, BACKFILLS):
                connection.execute(
                    delete(table).where(
                        table.c.group_name == ref.name, table.c.group_version == ref.version
                    )
                )

    def get_group(self, name: str, version: int | None = None) -> GroupSpec:
        """One group; None asks for version 1, with a warning where there are others."""
        definition = self._get_definition(FEATURE_GROUPS, "Feature group", name, version)
        return GroupSpec.from_json(definition)

    def get_groups(self, refs: Iterable[GroupRef]) -> dict[GroupRef, GroupSpec]:
        """The groups of these names and versions."""
        return {ref: self.get_group(*ref) for ref in set(refs)}

    def list_groups(self) -> list[GroupSpec]:
        """Every group, by name and version.

        One that only a newer release can read is left out, with a warning.
        """
        return list(iter_readable(GroupSpec.from_json, self._list_definitions(FEATURE_GROUPS)))

    def get_creation_time(self, ref: GroupRef) -> datetime:
        """When a group was created (UTC)."""
        self.get_group(*ref)  # NotFoundError where it was deleted
        query = select(FEATURE_GROUPS.c.created_at).where(*_make_group_filter(ref))
        with self._begin_transaction() as connection:
            created_at: datetime = connection.execute(query).scalar_one()
        return created_at.replace(tzinfo=UTC)

    def list_group_versions(self, name: str) -> list[int]:
        """The versions of the groups of a name, the lowest first."""
        return self._list_versions(FEATURE_GROUPS, name)

    def next_group_version(self, name: str) -> int:
        """One above the highest version of the group, 1 for a new name."""
        return self._next_version(FEATURE_GROUPS, name)

    # -- what happened to a group

    def mark_table_created(self, ref: GroupRef) -> None:
        """Remember that a commit has made the table of a group."""
        own_row = _make_group_filter(ref)
        query = select(FEATURE_GROUPS.c.has_table).where(*own_row)
        with self._begin_transaction() as connection:
            if connection.execute(query).scalar_one_or_none() == 0:
                connection.execute(update(FEATURE_GROUPS).where(*own_row).values(has_table=1))

    def find_evidence_of_rows(self, ref: GroupRef) -> str | None:
        """How one knows that rows of a group were committed, in words; None where none may be."""
        table = FEATURE_GROUPS.c
        query = select(table.created_at, table.has_table).where(*_make_group_filter(ref))
        with self._begin_transaction() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            self.get_group(*ref)  # NotFoundError, with the nearest names
            return None
        created_at, has_table = row
        if has_table:
            return "its first rows were committed"
        reader = self._find_dataset_with_rows(ref, created_at.replace(tzinfo=UTC))
        if reader:
            return reader
        if any(report.ingestion == "inserted" for report in self.list_validations(ref)):
            return "a batch was inserted that its expectation suite had validated"
        query = select(BACKFILLS.c.done_until).where(
            BACKFILLS.c.group_name == ref.name, BACKFILLS.c.group_version == ref.version
        )
        with self._begin_transaction() as connection:
            done_until = connection.execute(query).scalars().first()
        return done_until and f"a backfill of it has come to {done_until}"

    def _find_dataset_with_rows(self, ref: GroupRef, created_at: datetime) -> str | None:
        """A training dataset that read rows of a group, in words.

        created_at: of the group; an older dataset read another group of that name.
        """
        for view, dataset in self.list_training_datasets_since(created_at):
            table_version = dataset.group_versions.get(ref, -1)
            if table_version >= 0:
                return (
                    f"training dataset {dataset.version} of feature view {view} read version"
                    f" {table_version} of it"
                )
        return None

    def add_validation(self, ref: GroupRef, report: ValidationReport) -> ValidationReport:
        """Keep a report of a group; returns it with its instant."""
        now = get_utc_now()
        row = {
            "group_name": ref.name,
            "group_version": ref.version,
            "validated_at": now,
            "report": report.to_json(),
        }
        with self._begin_transaction() as connection:
            inserted = connection.execute(insert(VALIDATIONS).values(**row))
            number = inserted.lastrowid
        return replace(report, validated_at=now.replace(tzinfo=UTC), id=number)

    def list_validations(self, ref: GroupRef) -> list[ValidationReport]:
        """The reports of a group, the oldest first."""
        query = _select_validations(ref).order_by(VALIDATIONS.c.id)
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()
        return list(iter_readable(_to_report, rows))

    def get_latest_validation(self, ref: GroupRef) -> ValidationReport | None:
        """The newest report of a group; None before the first."""
        query = _select_validations(ref).order_by(VALIDATIONS.c.id.desc()).limit(1)
        with self._begin_transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _to_report(row)

    def get_backfill_progress(self, ref: GroupRef, interval: Interval) -> datetime | None:
        """How far an unfinished backfill of an interval has come; None where there is none."""
        query = select(BACKFILLS.c.done_until).where(*_make_backfill_filter(ref, interval))
        with self._begin_transaction() as connection:
            done_until = connection.execute(query).scalar_one_or_none()
        return None if done_until is None else datetime.fromisoformat(done_until)

    def record_backfill(self, ref: GroupRef, interval: Interval, done: Interval) -> None:
        """Remember that a backfill has come to the end of a chunk; the end of the whole forgets it.

        Args:
            ref: the group.
            interval: what the backfill builds.
            done: the chunk.
        """
        start, end = interval.to_json()
        row = {
            "group_name": ref.name,
            "group_version": ref.version,
            "start_at": start,
            "end_at": end,
            "done_until": done.to_json()[1],
        }
        with self._begin_transaction() as connection:
            connection.execute(delete(BACKFILLS).where(*_make_backfill_filter(ref, interval)))
            if done.end != interval.end:
                connection.execute(insert(BACKFILLS).values(**row))


def _make_group_filter(ref: GroupRef) -> list[ColumnElement[bool]]:
    table = FEATURE_GROUPS.c
    return [table.name == ref.name, table.version == ref.version]


def _select_validations(ref: GroupRef) -> Select[Any]:
    table = VALIDATIONS.c
    return select(table.id, table.validated_at, table.report).where(
        table.group_name == ref.name, table.group_version == ref.version
    )


def _to_report(row: Any) -> ValidationReport:
    return ValidationReport.from_json(row.validated_at.replace(tzinfo=UTC), row.report, row.id)


def _make_backfill_filter(ref: GroupRef, interval: Interval) -> list[ColumnElement[bool]]:
    table = BACKFILLS.c
    start, end = interval.to_json()
    return [
        table.group_name == ref.name,
        table.group_version == ref.version,
        table.start_at == start,
        table.end_at == end,
    ]
