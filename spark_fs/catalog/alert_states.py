"""Keep what receivers of alerts were told of and is not over, so that each is told once."""

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from spark_fs.catalog.database import Database
from spark_fs.catalog.tables import ALERTS
from spark_fs.spec.pipeline_alert import OpenAlert
from spark_fs.spec.record_format import iter_readable


class AlertCatalog(Database):
    """The part of the catalog that keeps open alerts."""

    def save_alert(self, alert: OpenAlert) -> None:
        """Keep an alert as it is now, in the place of the one before."""
        same = _make_filter(alert.pipeline, alert.subject, alert.target)
        statement = update(ALERTS).where(*same).values(alert=alert.to_json())
        key = {"pipeline": alert.pipeline, "subject": alert.subject, "target": alert.target}
        try:
            with self._begin_transaction() as connection:
                connection.execute(insert(ALERTS).values(**key, alert=alert.to_json()))
        except IntegrityError:
            with self._begin_transaction() as connection:
                connection.execute(statement)

    def list_alerts(self, pipeline: str | None = None) -> list[OpenAlert]:
        """The open alerts of a pipeline; None asks for those of every pipeline."""
        query = select(ALERTS.c.alert).order_by(ALERTS.c.pipeline, ALERTS.c.subject)
        if pipeline is not None:
            query = query.where(ALERTS.c.pipeline == pipeline)
        with self._begin_transaction() as connection:
            records = connection.execute(query).scalars().all()
        return list(iter_readable(OpenAlert.from_json, records))

    def drop_alert(self, alert: OpenAlert) -> None:
        """Forget an alert: it is over."""
        same = _make_filter(alert.pipeline, alert.subject, alert.target)
        with self._begin_transaction() as connection:
            connection.execute(delete(ALERTS).where(*same))


def _make_filter(pipeline: str, subject: str, target: str) -> tuple[ColumnElement[bool], ...]:
    columns = ALERTS.c
    return columns.pipeline == pipeline, columns.subject == subject, columns.target == target
