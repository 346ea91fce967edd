"""Drift: a feature group compared with what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spark_fs.api.profiled import ProfiledGroup
from spark_fs.base.arguments import validate_arguments
from spark_fs.spec.comparison import DriftReport, resolve_thresholds


@validate_arguments
class MonitoredGroup(ProfiledGroup):
    """The methods of a feature group that compare its rows."""

    def detect_drift(
        self,
        current: Any,
        reference: Any,
        features: Sequence[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> DriftReport:
        """Compare rows with reference rows, feature by feature, eagerly; the report is kept.

        current, reference: ``(start, end)`` as times, for the rows of start <= event time < end
        (UTC); ``(first, last)`` as numbers of commits, for what was written after the first, up to
        the last; or a Spark or pandas DataFrame or an Arrow table. features: which columns; None:
        all but the key and the event time, and of a frame those that it has. thresholds: the limit
        of each measure, as in ``{"psi": 0.2, "null_share": 0.05}``, which are the default. The
        measures are those of ``spark_fs.stats.distances.measure_drift``. PSI of few rows is mostly
        noise: of n and m rows its mean is about 9 (1/n + 1/m) where nothing drifts. Raises
        SettingsError for a side without rows, NotFoundError for a column, measure or commit that is
        not there.
        """
        from spark_fs.flows import drift

        limits, group = resolve_thresholds(thresholds), self._load_spec()
        named = (
            [name for name in group.types if name not in group.identity]
            if features is None
            else list(features)
        )
        types = {name: group.get_column_type(name) for name in named}
        for given in (current, reference):
            if drift.is_frame(given) and features is None:
                types = {
                    name: type_
                    for name, type_ in types.items()
                    if name in drift.list_columns(given)
                }
        sides = [
            drift.resolve_sample(
                lambda: self._stores.spark, group, self._stores.find_table(group), given, types
            )
            for given in (reference, current)
        ]
        return self._stores.catalog.add_comparison(
            group, drift.compare_samples(sides[0], sides[1], limits)
        )

    def get_drift_history(self) -> list[DriftReport]:
        """The comparisons that were made, the oldest first. Starts no JVM."""
        return self._stores.catalog.list_comparisons(self._load_spec())
