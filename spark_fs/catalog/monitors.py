"""Keep the monitors of groups and views, and what their runs found."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from spark_fs.catalog.database import Database, get_kind, get_utc_now
from spark_fs.catalog.tables import MONITOR_RESULTS, MONITORS
from spark_fs.errors import AlreadyExistsError, NotFoundError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.monitoring import MonitorSpec
from spark_fs.spec.monitoring_result import FeatureMonitoringResult
from spark_fs.spec.record_format import iter_readable

Owner = GroupSpec | ViewSpec


class KeptMonitor(NamedTuple):
    """A monitor with its number."""

    id: int
    spec: MonitorSpec


class MonitorCatalog(Database):
    """The part of the catalog that keeps monitors."""

    def add_monitor(self, owner: Owner, monitor: MonitorSpec) -> int:
        """Save a new monitor of a group or a view, and return its number.

        Raises:
            AlreadyExistsError: the owner has one of its name.
        """
        row = {
            "kind": get_kind(owner),
            "name": owner.name,
            "version": owner.version,
            "monitor": monitor.name,
            "definition": monitor.to_json(),
            "created_at": get_utc_now(),
        }
        try:
            with self._begin_transaction() as connection:
                return connection.execute(insert(MONITORS).values(**row)).lastrowid
        except IntegrityError:
            raise AlreadyExistsError(
                f"{_describe(owner)} has a monitor {monitor.name!r} already: take it with"
                " get_feature_monitoring_configs(name=...), and update() or delete() it, or give"
                " this one another name."
            ) from None

    def change_monitor(self, number: int, monitor: MonitorSpec) -> None:
        """Save a monitor that was changed; NotFoundError where it was deleted."""
        values = {"definition": monitor.to_json()}
        statement = update(MONITORS).where(MONITORS.c.id == number).values(**values)
        with self._begin_transaction() as connection:
            changed = connection.execute(statement).rowcount
            if not changed:
                query = select(MONITORS.c.id).where(MONITORS.c.id == number)
                changed = connection.execute(query).scalar_one_or_none() is not None
        if not changed:
            raise NotFoundError(
                f"Monitor {monitor.name!r} was deleted: create it again with save()."
            )

    def delete_monitor(self, number: int) -> None:
        """Forget a monitor and what its runs found."""
        with self._begin_transaction() as connection:
            for table, key in ((MONITOR_RESULTS, "monitor_id"), (MONITORS, "id")):
                connection.execute(delete(table).where(table.c[key] == number))

    def delete_monitors(self, owner: Owner) -> None:
        """Forget the monitors of a group or a view."""
        for monitor in self.list_monitors(owner):
            self.delete_monitor(monitor.id)

    def list_monitors(self, owner: Owner) -> list[KeptMonitor]:
        """The monitors of a group or a view, the oldest first.

        One that only a newer release can read is left out, with a warning.
        """
        query = (
            select(MONITORS.c.id, MONITORS.c.definition)
            .where(*_make_owner_filter(owner))
            .order_by(MONITORS.c.id)
        )
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()
        return list(iter_readable(_to_monitor, rows))

    # -- what their runs found

    def add_monitor_result(
        self, number: int, result: FeatureMonitoringResult
    ) -> FeatureMonitoringResult:
        """Keep what a run of a monitor found; returns it with its number and its instant."""
        now = get_utc_now()
        row = {"monitor_id": number, "monitored_at": now, "result": result.to_json()}
        with self._begin_transaction() as connection:
            kept = connection.execute(insert(MONITOR_RESULTS).values(**row)).lastrowid
        return _complete(result, kept, number, now)

    def list_monitor_results(
        self, number: int, bounds: tuple[datetime | None, datetime | None] = (None, None)
    ) -> list[FeatureMonitoringResult]:
        """What the runs of a monitor found, the newest first.

        Args:
            number: of the monitor.
            bounds: between which instants (UTC) they ran, both included; None: open.
        """
        table = MONITOR_RESULTS.c
        filters: list[ColumnElement[bool]] = [table.monitor_id == number]
        start, end = (bound and bound.replace(tzinfo=None) for bound in bounds)
        if start is not None:
            filters.append(table.monitored_at >= start)
        if end is not None:
            filters.append(table.monitored_at <= end)
        query = select(MONITOR_RESULTS).where(*filters).order_by(table.id.desc())
        with self._begin_transaction() as connection:
            rows: Sequence[Any] = connection.execute(query).all()
        return list(iter_readable(_to_result, rows))

    def find_last_monitored(self, number: int) -> datetime | None:
        """Where the windows of a monitor's newest run ended; None before its first."""
        table = MONITOR_RESULTS.c
        newest = select(func.max(table.id)).where(table.monitor_id == number).scalar_subquery()
        with self._begin_transaction() as connection:
            row = connection.execute(select(table.result).where(table.id == newest)).one_or_none()
        return None if row is None else datetime.fromisoformat(row.result["until"])


def _to_monitor(row: Any) -> KeptMonitor:
    return KeptMonitor(row.id, MonitorSpec.from_json(row.definition))


def _to_result(row: Any) -> FeatureMonitoringResult:
    result = FeatureMonitoringResult.from_json(row.result)
    return _complete(result, row.id, row.monitor_id, row.monitored_at)


def _complete(
    result: FeatureMonitoringResult, number: int, monitor: int, at: datetime
) -> FeatureMonitoringResult:
    return replace(
        result,
        id=number,
        feature_monitoring_config_id=monitor,
        monitored_at=at.replace(tzinfo=UTC),
    )


def _describe(owner: Owner) -> str:
    return f"Feature {get_kind(owner)} {owner}"


def _make_owner_filter(owner: Owner) -> list[ColumnElement[bool]]:
    table = MONITORS.c
    return [
        table.kind == get_kind(owner),
        table.name == owner.name,
        table.version == owner.version,
    ]
