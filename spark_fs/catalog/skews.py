"""Keep the comparisons of what was served of views with what training says."""

from datetime import UTC
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select

from spark_fs.catalog.database import Database, get_utc_now
from spark_fs.catalog.tables import COMPARISONS
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.record_format import iter_readable
from spark_fs.spec.skew import SkewReport

_KIND = "skew"  # beside "group" and "view", which are comparisons for drift


class SkewCatalog(Database):
    """The part of the catalog that keeps reports on skew."""

    def add_skew_report(self, view: ViewSpec, report: SkewReport) -> SkewReport:
        """Keep a report on a view; returns it with its instant."""
        now = get_utc_now()
        row = {
            "kind": _KIND,
            "name": view.name,
            "version": view.version,
            "compared_at": now,
            "report": report.to_json(),
        }
        with self._begin_transaction() as connection:
            connection.execute(insert(COMPARISONS).values(**row))
        return report.at(now.replace(tzinfo=UTC))

    def list_skew_reports(self, view: ViewSpec) -> list[SkewReport]:
        """The reports on a view, the oldest first."""
        query = (
            select(COMPARISONS.c.compared_at, COMPARISONS.c.report)
            .where(*_make_filter(view))
            .order_by(COMPARISONS.c.id)
        )
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()
        return list(iter_readable(_to_report, rows))

    def delete_skew_reports(self, view: ViewSpec) -> None:
        """Forget the reports on a view."""
        with self._begin_transaction() as connection:
            connection.execute(delete(COMPARISONS).where(*_make_filter(view)))


def _to_report(row: Any) -> SkewReport:
    return SkewReport.from_json(row.compared_at.replace(tzinfo=UTC), row.report)


def _make_filter(view: ViewSpec) -> tuple[ColumnElement[bool], ...]:
    table = COMPARISONS.c
    return table.kind == _KIND, table.name == view.name, table.version == view.version
