"""The statistics of a feature group: made on each insert or on demand, and kept by commit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.online import ServedGroup
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.spec.feature_statistics import StatisticsConfig

if TYPE_CHECKING:
    from spark_fs.base.times import Instant
    from spark_fs.spec.feature_statistics import Statistics
    from spark_fs.tables.delta.history import Commit


@validate_arguments
class ProfiledGroup(ServedGroup):
    """The methods of a feature group that has statistics."""

    @property
    def location(self) -> str:
        """The folder or URI of the Delta table."""
        return self._stores.get_table_path(self._spec)

    @property
    def _table_path(self) -> str:
        """The same, of a table that is there, or was never begun; NotFoundError where it has gone."""
        return self._stores.find_table(self._spec)

    @property
    def statistics_config(self) -> StatisticsConfig:
        """Which statistics are made: on each insert at all (``enabled``), with what, of which columns."""
        return self._load_spec().parsed_statistics_config

    def update_statistics_config(self, statistics_config: Any) -> Self:
        """Choose other statistics, eagerly, from the next insert or ``compute_statistics`` on; those that are kept stay as they are.

        True, False, or a mapping of ``enabled``, ``histograms``, ``correlations``,
        ``exact_uniqueness`` and ``columns``. Raises NotFoundError for a field or a column that
        there is not, SettingsError for a value that is not one of its field.
        """
        config = StatisticsConfig.from_argument(statistics_config)
        return self._update_spec(lambda spec: replace(spec, statistics_config=config.to_json()))

    @property
    def statistics_are_current(self) -> bool:
        """Whether there are statistics of the newest commit that changed rows, or no such commit yet. Starts no JVM."""
        from spark_fs.tables import statistics_files
        from spark_fs.tables.delta import history

        place = self._table_path
        made = max(
            statistics_files.list_commits(statistics_files.get_statistics_folder(place)),
            default=history.NO_TABLE,
        )
        log = history.open_log(place)
        since = history.list_commits(log, max(0, log.version - made))
        return not any(commit.changes_rows for commit in since)

    def compute_statistics(self) -> Statistics:
        """Make the statistics of the newest commit from all its rows, eagerly, and keep them in the place of those that it has.

        Few rows (files of up to 32 MB) are looked at without Spark. Raises SettingsError before the
        first insert.
        """
        from spark_fs.flows import statistics

        group = self._load_spec()
        found = statistics.compute_group_statistics(
            lambda: self._stores.spark,
            group,
            self._table_path,
            group.parsed_statistics_config,
            rescan=True,
        )
        if found is None:
            raise SettingsError(
                f"Feature group {group} has no rows yet: insert its first rows, then make their"
                " statistics."
            )
        return found

    def get_statistics(
        self,
        as_of: Instant | int | Commit | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> Statistics | None:
        """The newest statistics, or those that were the newest as of an instant (UTC), a version or a commit. Starts no JVM.

        Their ``.commit`` says of which commit they are: an insert that changes rows of a table of
        more than 32 MB makes none. feature_names: of these features only. None where no statistics
        were made up to then. Raises NotFoundError for a version that does not exist and for an
        instant before the first commit.
        """
        from spark_fs.flows.statistics import load_commit_statistics
        from spark_fs.tables import statistics_files
        from spark_fs.tables.delta import history

        place = self._table_path
        version = None if as_of is None else history.resolve_table_version(place, as_of)
        return load_commit_statistics(
            statistics_files.get_statistics_folder(place), version, feature_names
        )

    def head(self, n: int = 20) -> Any:
        """Some rows of the newest commit, as pandas, in no order; without Spark where files can be read as they are."""
        from spark_fs.flows import head

        return head.read_first_rows(
            lambda: self._stores.spark, self._load_spec(), self._table_path, n
        )

    def report(self, path: str | Path | None = None) -> Path:
        """Write a page about the group, eagerly: one HTML file that needs nothing else; returns where. Starts no JVM.

        Its schema, statistics with histograms and correlations, some rows, commits, validation
        reports, comparisons for drift, lineage. path: None: ``<name>_<version>.html`` in the
        working folder.
        """
        from spark_fs.api.pages import render_group_page, write_page

        place = Path(path or f"{self.name}_{self.version}.html")
        return write_page(place, render_group_page(self._stores, self._load_spec()))

    def _update_statistics(self) -> None:
        """Bring the statistics up to what was just inserted; the rows are in whatever becomes of it."""
        from spark_fs.flows import statistics

        if not self._spec.parsed_statistics_config.enabled:
            return
        try:
            statistics.compute_group_statistics(
                lambda: self._stores.spark,
                self._spec,
                self._table_path,
                self._spec.parsed_statistics_config,
            )
        except Exception as error:  # of whatever kind: an error would say that nothing was inserted
            said = error if isinstance(error, SparkFSError) else f"{type(error).__name__}: {error}."
            warnings.warn(
                f"The rows are in feature group {self._spec}, and its statistics could not be made:"
                f" {said} Then run compute_statistics().",
                stacklevel=5,
            )
