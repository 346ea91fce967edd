"""Load and save definitions in the metadata database."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, create_engine, delete, insert, make_url, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from spark_fs.catalog.tables import BACKFILLS, FEATURE_GROUPS, FEATURE_VIEWS, METADATA, TRAINING_DATASETS, VALIDATIONS
from spark_fs.errors import AlreadyExistsError, NotFoundError, SetupError
from spark_fs.spec.definitions import GroupSpec, TrainingDatasetSpec, ViewSpec, check_version
from spark_fs.spec.query import GroupRef
from spark_fs.spec.suites import ValidationReport
from spark_fs.times import Interval

_DRIVERS = {"mysql": "mysql+mysqlconnector"}


class Catalog:
    """The definitions of one feature store, in the database at ``url`` (its tables are made when absent)."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
            if parsed.get_backend_name() == "sqlite" and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(parsed)
            METADATA.create_all(self._engine)
        except (SQLAlchemyError, OSError) as error:
            shown = make_url(url).render_as_string(hide_password=True)
            raise SetupError(
                f"The metadata database at {shown} cannot be opened: {_first_line(error)}. Check catalog_url, and that the server runs."
            ) from None

    # -- feature groups

    def add_group(self, group: GroupSpec) -> None:
        """Save a new group; AlreadyExistsError when its name and version are taken."""
        with self._begin() as connection:
            try:
                connection.execute(insert(FEATURE_GROUPS).values(**_named(group)))
            except IntegrityError:
                raise AlreadyExistsError(
                    f"Feature group {group} exists already: use get_feature_group or get_or_create_feature_group, "
                    "or leave version out to create the next one."
                ) from None

    def save_group(self, group: GroupSpec) -> None:
        """Save what changed of an existing group: its schema, what is noted of it."""
        table = FEATURE_GROUPS.c
        with self._begin() as connection:
            connection.execute(
                update(FEATURE_GROUPS)
                .where(table.name == group.name, table.version == group.version)
                .values(definition=group.to_json())
            )

    def change_group(self, ref: GroupRef, change: Callable[[GroupSpec], GroupSpec]) -> GroupSpec:
        """Change what the catalog has of a group, and return it."""
        changed = change(self.group(*ref))
        self.save_group(changed)
        return changed

    def delete_group(self, ref: GroupRef) -> None:
        """Forget a group and what happened to it."""
        table = FEATURE_GROUPS.c
        with self._begin() as connection:
            connection.execute(delete(FEATURE_GROUPS).where(table.name == ref.name, table.version == ref.version))
            for about in (VALIDATIONS, BACKFILLS):
                connection.execute(delete(about).where(about.c.group_name == ref.name, about.c.group_version == ref.version))

    def group(self, name: str, version: int | None = None) -> GroupSpec:
        """One group; None asks for version 1, with a warning where there are others."""
        return GroupSpec.from_json(self._one(FEATURE_GROUPS, "Feature group", name, version))

    def groups(self, refs: Iterable[GroupRef]) -> dict[GroupRef, GroupSpec]:
        """The groups of these names and versions."""
        return {ref: self.group(*ref) for ref in set(refs)}

    def all_groups(self) -> list[GroupSpec]:
        """Every group, by name and version."""
        return list(map(GroupSpec.from_json, self._all(FEATURE_GROUPS)))

    def next_group_version(self, name: str) -> int:
        """One above the highest version of the group, 1 for a new name."""
        return max(self._versions(FEATURE_GROUPS, name), default=0) + 1

    # -- what happened to a group

    def add_validation(self, ref: GroupRef, report: ValidationReport) -> ValidationReport:
        """Keep a report; returns it with its instant."""
        now = _now()
        row = {"group_name": ref.name, "group_version": ref.version, "validated_at": now, "report": report.to_json()}
        with self._begin() as connection:
            connection.execute(insert(VALIDATIONS).values(**row))
        return replace(report, validated_at=now.replace(tzinfo=UTC))

    def validations(self, ref: GroupRef) -> list[ValidationReport]:
        """The reports of a group, the oldest first."""
        table = VALIDATIONS.c
        own = (table.group_name == ref.name, table.group_version == ref.version)
        query = select(table.validated_at, table.report).where(*own).order_by(table.id)
        with self._begin() as connection:
            return [ValidationReport.from_json(at.replace(tzinfo=UTC), data) for at, data in connection.execute(query)]

    def backfilled_until(self, ref: GroupRef, interval: Interval) -> datetime | None:
        """How far a backfill of this interval has come that was not finished; None when there is none."""
        query = select(BACKFILLS.c.done_until).where(*_of_backfill(ref, interval))
        with self._begin() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else datetime.fromisoformat(found)

    def record_backfill(self, ref: GroupRef, interval: Interval, done: Interval) -> None:
        """Remember that a backfill has come to the end of a chunk; the end of the whole forgets it."""
        start, end = interval.to_json()
        row = {"group_name": ref.name, "group_version": ref.version, "start_at": start, "end_at": end, "done_until": done.to_json()[1]}
        with self._begin() as connection:
            connection.execute(delete(BACKFILLS).where(*_of_backfill(ref, interval)))
            if done.end != interval.end:
                connection.execute(insert(BACKFILLS).values(**row))

    # -- feature views

    def add_view(self, view: ViewSpec) -> None:
        """Save a new view; AlreadyExistsError when its name and version are taken."""
        with self._begin() as connection:
            try:
                connection.execute(insert(FEATURE_VIEWS).values(**_named(view)))
            except IntegrityError:
                raise AlreadyExistsError(
                    f"Feature view {view} exists already: use get_feature_view, or leave version out to create the next one."
                ) from None

    def view(self, name: str, version: int | None = None) -> ViewSpec:
        """One view; None asks for version 1, with a warning where there are others."""
        return ViewSpec.from_json(self._one(FEATURE_VIEWS, "Feature view", name, version))

    def all_views(self) -> list[ViewSpec]:
        """Every view, by name and version."""
        return list(map(ViewSpec.from_json, self._all(FEATURE_VIEWS)))

    def views_of(self, ref: GroupRef) -> list[ViewSpec]:
        """The views whose query reads a group, by name and version."""
        return [view for view in self.all_views() if ref in view.query.groups()]

    def next_view_version(self, name: str) -> int:
        """One above the highest version of the view, 1 for a new name."""
        return max(self._versions(FEATURE_VIEWS, name), default=0) + 1

    # -- training datasets

    def add_training_dataset(self, view: ViewSpec, dataset: TrainingDatasetSpec) -> None:
        """Save a new training dataset of the view."""
        row = {"view_name": view.name, "view_version": view.version, "version": dataset.version}
        with self._begin() as connection:
            connection.execute(
                insert(TRAINING_DATASETS).values(**row, definition=dataset.to_json(), created_at=_now())
            )

    def training_datasets(self, view: ViewSpec) -> list[TrainingDatasetSpec]:
        """The training datasets of the view, the oldest first."""
        table = TRAINING_DATASETS.c
        query = (
            select(table.version, table.created_at, table.definition)
            .where(table.view_name == view.name, table.view_version == view.version)
            .order_by(table.version)
        )
        with self._begin() as connection:
            rows = connection.execute(query).all()
        return [TrainingDatasetSpec.from_json(v, at.replace(tzinfo=UTC), data) for v, at, data in rows]

    def pinned_versions(self, ref: GroupRef) -> dict[str, int]:
        """The Delta versions of a group that feature views and training datasets read, by the reader's name."""
        pinned: dict[str, int] = {}
        for view in self.views_of(ref):
            kept = [query.as_of for query in view.query.walk() if query.group == ref and query.as_of is not None]
            pinned |= {f"feature view {view}": min(kept)} if kept else {}
            for dataset in self.training_datasets(view):
                read = [*kept, dataset.group_versions[ref]] if ref in dataset.group_versions else kept
                pinned[f"training dataset {dataset.version} of feature view {view}"] = min(read)
        return pinned

    # -- the two look-ups behind all of them

    def _versions(self, table: Table, name: str) -> list[int]:
        with self._begin() as connection:
            return list(connection.scalars(select(table.c.version).where(table.c.name == name).order_by(table.c.version)))

    def _one(self, table: Table, kind: str, name: str, version: int | None) -> dict[str, Any]:
        versions = self._versions(table, name)
        if not versions:
            known = {data["name"] for data in self._all(table)}
            raise NotFoundError.named(kind, name, known, "Ask for one that exists, or create it first.")
        if version is None:
            version = versions[0] if 1 not in versions else 1
            if len(versions) > 1:
                listed = ", ".join(map(str, versions))
                warnings.warn(f"{kind} {name!r} has versions {listed}; no version was asked for, so this is {version}.", stacklevel=4)
        if check_version(kind, name, version) not in versions:
            raise NotFoundError.version(kind, name, version, versions)
        query = select(table.c.definition).where(table.c.name == name, table.c.version == version)
        with self._begin() as connection:
            found: dict[str, Any] = connection.execute(query).scalar_one()
        return found

    def _all(self, table: Table) -> list[dict[str, Any]]:
        with self._begin() as connection:
            return list(connection.scalars(select(table.c.definition).order_by(table.c.name, table.c.version)))

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection


def _of_backfill(ref: GroupRef, interval: Interval) -> list[ColumnElement[bool]]:
    table = BACKFILLS.c
    start, end = interval.to_json()
    return [table.group_name == ref.name, table.group_version == ref.version, table.start_at == start, table.end_at == end]


def _named(spec: GroupSpec | ViewSpec) -> dict[str, Any]:
    return {"name": spec.name, "version": spec.version, "definition": spec.to_json(), "created_at": _now()}


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
