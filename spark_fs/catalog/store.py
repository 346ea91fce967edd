"""Load and save definitions in the metadata database."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select, update

from spark_fs.base.times import Interval
from spark_fs.catalog.database import get_utc_now
from spark_fs.catalog.runs import RunCatalog
from spark_fs.catalog.tables import BACKFILLS, FEATURE_GROUPS, VALIDATIONS
from spark_fs.catalog.views import ViewCatalog
from spark_fs.spec.expectations import ValidationReport
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import GroupRef
from spark_fs.spec.record_format import iter_readable


class Catalog(RunCatalog, ViewCatalog):
    """The definitions of one feature store, in the database at ``url``."""

    # -- feature groups

    def add_group(self, group: GroupSpec) -> None:
        """Save a new group; AlreadyExistsError when its name and version are taken."""
        self._insert_definition(
            FEATURE_GROUPS,
            f"Feature group {group}",
            group,
            "use get_feature_group or get_or_create_feature_group, or ",
        )

    def change_group(self, ref: GroupRef, change: Callable[[GroupSpec], GroupSpec]) -> GroupSpec:
        """Change what the catalog has of a group, and return it; made again where another process was faster, so that no change is lost.

        change: gives the group as it is to be from the group as it is; it may be called several
        times.
        """
        return self._change_named_definition(
            FEATURE_GROUPS, "Feature group", ref, GroupSpec.from_json, change
        )

    def delete_group(self, ref: GroupRef) -> None:
        """Forget a group and what happened to it."""
        table = FEATURE_GROUPS.c
        self.delete_comparisons(self.get_group(*ref))
        with self._begin_transaction() as connection:
            connection.execute(
                delete(FEATURE_GROUPS).where(table.name == ref.name, table.version == ref.version)
            )
            for about in (VALIDATIONS, BACKFILLS):
                connection.execute(
                    delete(about).where(
                        about.c.group_name == ref.name, about.c.group_version == ref.version
                    )
                )

    def get_group(self, name: str, version: int | None = None) -> GroupSpec:
        """One group; None asks for version 1, with a warning where there are others."""
        return GroupSpec.from_json(
            self._get_definition(FEATURE_GROUPS, "Feature group", name, version)
        )

    def get_groups(self, refs: Iterable[GroupRef]) -> dict[GroupRef, GroupSpec]:
        """The groups of these names and versions."""
        return {ref: self.get_group(*ref) for ref in set(refs)}

    def list_groups(self) -> list[GroupSpec]:
        """Every group, by name and version; one that only a newer release can read is left out, with a warning."""
        return list(iter_readable(GroupSpec.from_json, self._list_definitions(FEATURE_GROUPS)))

    def next_group_version(self, name: str) -> int:
        """One above the highest version of the group, 1 for a new name."""
        return self._next_version(FEATURE_GROUPS, name)

    # -- what happened to a group

    def mark_table_created(self, ref: GroupRef) -> None:
        """Remember that a commit has made the table of a group."""
        table = FEATURE_GROUPS.c
        own = (table.name == ref.name, table.version == ref.version)
        with self._begin_transaction() as connection:
            if connection.execute(select(table.has_table).where(*own)).scalar_one_or_none() == 0:
                connection.execute(update(FEATURE_GROUPS).where(*own).values(has_table=1))

    def find_evidence_of_rows(self, ref: GroupRef) -> str | None:
        """How one knows that rows of a group were committed, in words; None where nothing is known of any."""
        self.get_group(*ref)  # NotFoundError where it was deleted
        table = FEATURE_GROUPS.c
        query = select(table.created_at, table.has_table).where(
            table.name == ref.name, table.version == ref.version
        )
        with self._begin_transaction() as connection:
            made, has_table = connection.execute(query).one()
        if has_table:
            return "its first rows were committed"
        for view in self.list_views_of_group(ref):
            for dataset in self.list_training_datasets(view):
                since = dataset.created_at is not None and dataset.created_at >= made.replace(
                    tzinfo=UTC
                )  # not of another of that name
                if since and dataset.group_versions.get(ref, -1) >= 0:
                    return (
                        f"training dataset {dataset.version} of feature view {view} read version"
                        f" {dataset.group_versions[ref]} of it"
                    )
        if any(report.ingestion == "inserted" for report in self.list_validations(ref)):
            return "a batch was inserted that its expectation suite had validated"
        own = BACKFILLS.c.group_name == ref.name, BACKFILLS.c.group_version == ref.version
        with self._begin_transaction() as connection:
            done = connection.execute(select(BACKFILLS.c.done_until).where(*own)).scalars().first()
        return done and f"a backfill of it has come to {done}"

    def add_validation(self, ref: GroupRef, report: ValidationReport) -> ValidationReport:
        """Keep a report; returns it with its instant."""
        at = get_utc_now()
        row = {
            "group_name": ref.name,
            "group_version": ref.version,
            "validated_at": at,
            "report": report.to_json(),
        }
        with self._begin_transaction() as connection:
            connection.execute(insert(VALIDATIONS).values(**row))
        return replace(report, validated_at=at.replace(tzinfo=UTC))

    def list_validations(self, ref: GroupRef) -> list[ValidationReport]:
        """The reports of a group, the oldest first."""
        with self._begin_transaction() as connection:
            rows = connection.execute(_select_validations(ref).order_by(VALIDATIONS.c.id)).all()
        return list(iter_readable(_to_report, rows))

    def get_latest_validation(self, ref: GroupRef) -> ValidationReport | None:
        """The newest report of a group; None before the first."""
        with self._begin_transaction() as connection:
            row = connection.execute(
                _select_validations(ref).order_by(VALIDATIONS.c.id.desc()).limit(1)
            ).one_or_none()
        return None if row is None else _to_report(row)

    def get_backfill_progress(self, ref: GroupRef, interval: Interval) -> datetime | None:
        """How far a backfill of this interval has come that was not finished; None when there is none."""
        query = select(BACKFILLS.c.done_until).where(*_make_backfill_filter(ref, interval))
        with self._begin_transaction() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else datetime.fromisoformat(found)

    def record_backfill(self, ref: GroupRef, interval: Interval, done: Interval) -> None:
        """Remember that a backfill has come to the end of a chunk; the end of the whole forgets it."""
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


def _select_validations(ref: GroupRef) -> Select[Any]:
    table = VALIDATIONS.c
    return select(table.validated_at, table.report).where(
        table.group_name == ref.name, table.group_version == ref.version
    )


def _to_report(row: Any) -> ValidationReport:
    return ValidationReport.from_json(row.validated_at.replace(tzinfo=UTC), row.report)


def _make_backfill_filter(ref: GroupRef, interval: Interval) -> list[ColumnElement[bool]]:
    table = BACKFILLS.c
    start, end = interval.to_json()
    return [
        table.group_name == ref.name,
        table.group_version == ref.version,
        table.start_at == start,
        table.end_at == end,
    ]
