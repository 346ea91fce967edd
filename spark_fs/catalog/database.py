"""The metadata database itself: it is opened, and asked for one definition or for all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError

from spark_fs.base import private_files
from spark_fs.base.user_warnings import warn_user
from spark_fs.catalog import migrations
from spark_fs.catalog.access import DatabaseConnector
from spark_fs.catalog.tables import COMPARISONS, FEATURE_VIEWS
from spark_fs.errors import (
    AlreadyExistsError,
    CatalogError,
    ConflictError,
    NotFoundError,
    SetupError,
    SparkFSError,
    get_first_line,
)
from spark_fs.spec.comparison import DriftReport
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef, check_version
from spark_fs.spec.record_format import iter_readable, merge_definition, to_json_string
from spark_fs.spec.skew import SkewReport
from spark_fs.spec.training_dataset import TrainingDatasetSpec
from spark_fs.spec.transformation import FunctionSpec

Definition = GroupSpec | ViewSpec | FunctionSpec
Spec = TypeVar("Spec", GroupSpec, ViewSpec, TrainingDatasetSpec)
Report = TypeVar("Report", DriftReport, SkewReport)
MigratePolicy = Literal["local", "always", "never"]


class Database:
    """The database at ``url``; its tables are made when absent.

    migrate: whether one that an earlier release made is brought up to this one, "local" for those
    in files of SQLite's alone. Raises SetupError where it is not, UpgradeError where a newer
    release made it.
    """

    def __init__(self, url: str, migrate: MigratePolicy = "local") -> None:
        self._access = DatabaseConnector(url)
        with _open_connection(self._access) as connection:
            current = migrations.is_current(connection)
        if not current:
            allowed = migrate == "always" or (migrate == "local" and self._access.is_local)
            with _open_connection(self._access, for_migration=True) as connection:
                migrations.upgrade_to_head(connection, allowed)
                connection.commit()

    def _insert_definition(
        self, table: Table, subject: str, spec: Definition, remedy: str = ""
    ) -> None:
        """Save a new definition.

        Args:
            table: where definitions of its kind are.
            subject: what is saved, as the error says it.
            spec: the definition.
            remedy: what else to do where its name and version are taken.

        Raises:
            AlreadyExistsError: its name and version are taken.
        """
        with self._begin_transaction() as connection:
            row = {
                "name": spec.name,
                "version": spec.version,
                "definition": spec.to_json(),
                "created_at": get_utc_now(),
            }
            try:
                connection.execute(insert(table).values(**row))
            except IntegrityError:
                raise AlreadyExistsError(
                    f"{subject} exists already: {remedy}leave version out to create the next one."
                ) from None

    def _change_definition(
        self,
        table: Table,
        filters: Sequence[ColumnElement[bool]],
        read: Callable[[Row[Any]], Spec],
        change: Callable[[Spec], Spec],
    ) -> Spec | None:
        """Change a definition and return it; None where there is none.

        The change is made of the definition as it is now, and saved only where nobody was faster;
        else it is made again of what that other one saved. So it may be called several times, and
        must do nothing beside.

        Args:
            table: where the definition is.
            filters: conditions that only its row meets.
            read: the definition of a row.
            change: the definition as it is to be, from the definition as it is.
        """
        while True:
            with self._begin_transaction() as connection:
                row = connection.execute(select(table).where(*filters)).one_or_none()
            if row is None:
                return None
            before = read(row)
            changed = change(before)
            definition = merge_definition(row.definition, before.to_json(), changed.to_json())
            if to_json_string(definition) == to_json_string(row.definition):
                return changed
            unchanged = table.c.revision == row.revision
            values = {"definition": definition, "revision": row.revision + 1}
            statement = update(table).where(*filters, unchanged).values(**values)
            with self._begin_transaction() as connection:
                if connection.execute(statement).rowcount:
                    return changed

    def _change_named_definition(
        self,
        table: Table,
        kind: str,
        ref: GroupRef,
        read: Callable[[dict[str, Any]], Spec],
        change: Callable[[Spec], Spec],
    ) -> Spec:
        """Change a definition by its name and version; NotFoundError where there is none."""
        filters = (table.c.name == ref.name, table.c.version == ref.version)
        changed = self._change_definition(table, filters, lambda row: read(row.definition), change)
        if changed is None:
            self._get_definition(table, kind, ref.name, ref.version)
            raise ConflictError(
                f"{kind} {ref} was deleted and made anew at this moment. Nothing was changed in it."
                " Do the same again."
            )
        return changed

    def _next_version(self, table: Table, name: str) -> int:
        """One above the highest version of a name, 1 for a new name."""
        return max(self._list_versions(table, name), default=0) + 1

    def _list_versions(self, table: Table, name: str) -> list[int]:
        query = select(table.c.version).where(table.c.name == name).order_by(table.c.version)
        with self._begin_transaction() as connection:
            return list(connection.scalars(query))

    def _get_definition(
        self, table: Table, kind: str, name: str, version: int | None
    ) -> dict[str, Any]:
        versions = self._list_versions(table, name)
        if not versions:
            raise NotFoundError.for_name(
                kind, name, self._list_names(table), "Ask for one that exists, or create it first."
            )
        if version is None:
            version = 1 if 1 in versions else versions[0]
            if len(versions) > 1:
                listed = ", ".join(map(str, versions))
                warn_user(
                    f"{kind} {name!r} has versions {listed}; no version was asked for, so this is"
                    f" {version}."
                )
        if check_version(kind, name, version) not in versions:
            raise NotFoundError.for_version(kind, name, version, versions)
        query = select(table.c.definition).where(table.c.name == name, table.c.version == version)
        with self._begin_transaction() as connection:
            definition: dict[str, Any] = connection.execute(query).scalar_one()
        return definition

    def check_connection(self) -> None:
        """Ask the database for an answer; CatalogError where there is none."""
        with self._begin_transaction() as connection:
            connection.execute(select(FEATURE_VIEWS.c.version).limit(1)).first()

    def _list_names(self, table: Table) -> set[str]:
        """The names that are taken, without what is defined by them."""
        with self._begin_transaction() as connection:
            return set(connection.scalars(select(table.c.name).distinct()))

    def _list_definitions(self, table: Table) -> list[dict[str, Any]]:
        """Every definition as it is stored, by name and version."""
        query = select(table.c.definition).order_by(table.c.name, table.c.version)
        with self._begin_transaction() as connection:
            return list(connection.scalars(query))

    # -- reports of comparisons: for drift of groups and views, and of what was served of views

    def add_comparison(self, spec: Definition, report: DriftReport) -> DriftReport:
        """Keep a comparison of a group or a view; returns it with its instant."""
        return self._add_report(get_kind(spec), spec, report)

    def list_comparisons(self, spec: Definition) -> list[DriftReport]:
        """The comparisons of a group or a view, the oldest first."""
        return self._list_reports(get_kind(spec), spec, DriftReport)

    def delete_comparisons(self, spec: Definition) -> None:
        """Forget the comparisons of a group or a view."""
        self._delete_reports(get_kind(spec), spec)

    def _add_report(self, kind: str, spec: Definition, report: Report) -> Report:
        """Keep a report of a kind on a definition; returns it with its instant."""
        now = get_utc_now()
        row = {
            "kind": kind,
            "name": spec.name,
            "version": spec.version,
            "compared_at": now,
            "report": report.to_json(),
        }
        with self._begin_transaction() as connection:
            connection.execute(insert(COMPARISONS).values(**row))
        return report.at(now.replace(tzinfo=UTC))

    def _list_reports(
        self, kind: str, spec: Definition, report_class: type[Report]
    ) -> list[Report]:
        """The reports of a kind on a definition, the oldest first."""
        query = (
            select(COMPARISONS.c.compared_at, COMPARISONS.c.report)
            .where(*_make_report_filter(kind, spec))
            .order_by(COMPARISONS.c.id)
        )
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()

        def read_report(row: Any) -> Report:
            return report_class.from_json(row.compared_at.replace(tzinfo=UTC), row.report)

        return list(iter_readable(read_report, rows))

    def _delete_reports(self, kind: str, spec: Definition) -> None:
        """Forget the reports of a kind on a definition."""
        with self._begin_transaction() as connection:
            connection.execute(delete(COMPARISONS).where(*_make_report_filter(kind, spec)))

    @contextmanager
    def _begin_transaction(self) -> Iterator[Connection]:
        """A transaction; CatalogError where the database fails, and nothing of it is kept then."""
        outcome = "Nothing was changed in it"
        try:
            with self._access.engine.begin() as connection:
                yield connection
                if not self._access.is_local:  # a server may commit and its answer be lost
                    outcome = "Whether the change is in it is not known"
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            if isinstance(error, StatementError) and isinstance(error.orig, SparkFSError):
                raise error.orig from None
            raise CatalogError(
                f"The metadata database at {self._access.display_url} failed:"
                f" {get_first_line(error)}. {outcome}. Check that it is there, not full and not"
                " locked, then do the same again."
            ) from None


def upgrade_database(url: str) -> tuple[str, str | None, str]:
    """Bring a database up to this release, eagerly.

    Returns:
        Where it is, its version before (None where it is new), and its version now.
    """
    access = DatabaseConnector(url)
    with _open_connection(access) as connection:
        before = migrations.get_revision(connection)
    Database(url, "always")
    return access.display_url, before, migrations.HEAD


@contextmanager
def _open_connection(
    access: DatabaseConnector, for_migration: bool = False
) -> Iterator[Connection]:
    """A connection to a database that may not be there; SetupError where it cannot be opened."""
    engine = access.create_migration_engine() if for_migration else access.engine
    try:
        if access.sqlite_file:
            private_files.make_file(access.sqlite_file)
        with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise SetupError(
            f"The metadata database at {access.display_url} cannot be opened:"
            f" {get_first_line(error)}. Check catalog_url, and that the server runs."
        ) from None
    finally:
        if for_migration:
            engine.dispose()


def get_kind(spec: Definition) -> str:
    """What a definition is of, "group" or "view"."""
    return "view" if isinstance(spec, ViewSpec) else "group"


def _make_report_filter(kind: str, spec: Definition) -> tuple[ColumnElement[bool], ...]:
    table = COMPARISONS.c
    return table.kind == kind, table.name == spec.name, table.version == spec.version


def get_utc_now() -> datetime:
    """This instant in UTC, as databases keep it."""
    return datetime.now(UTC).replace(tzinfo=None)
