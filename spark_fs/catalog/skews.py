"""Keep the comparisons of what was served of views with what training says."""

from spark_fs.catalog.database import Database
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.skew import SkewReport

_KIND = "skew"  # beside "group" and "view", which are comparisons for drift


class SkewCatalog(Database):
    """The part of the catalog that keeps reports on skew."""

    def add_skew_report(self, view: ViewSpec, report: SkewReport) -> SkewReport:
        """Keep a report on a view; returns it with its instant."""
        return self._add_report(_KIND, view, report)

    def list_skew_reports(self, view: ViewSpec) -> list[SkewReport]:
        """The reports on a view, the oldest first."""
        return self._list_reports(_KIND, view, SkewReport)

    def delete_skew_reports(self, view: ViewSpec) -> None:
        """Forget the reports on a view."""
        self._delete_reports(_KIND, view)
