"""What a run of a monitor found, as values that come back from JSON, with Hopsworks' names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from spark_fs.spec.feature_statistics import FeatureStatistics
from spark_fs.spec.record_format import select_known_fields, with_format_version


@dataclass(frozen=True)
class StatisticsComparisonResult:
    """One comparison: how great the difference was, None where there was none to take."""

    statistics_comparison_config_id: int | None
    metric: str
    difference: float | None
    shift_detected: bool
    threshold: float | None = None

    @property
    def id(self) -> int | None:
        """The number of the comparison within its monitor."""
        return self.statistics_comparison_config_id

    @property
    def feature_statistics_result_id(self) -> None:
        """None: results of features have no numbers here."""
        return None


@dataclass(frozen=True)
class FeatureStatisticsResult:
    """The statistics of one feature in both windows, and its comparisons."""

    feature_name: str
    detection_statistics: FeatureStatistics | None = None
    reference_statistics: FeatureStatistics | None = None
    statistics_comparison_results: tuple[StatisticsComparisonResult, ...] = ()

    @property
    def id(self) -> None:
        """None: it goes by the name of its feature, and its statistics lie in it."""
        return None

    detection_statistics_id = id
    reference_statistics_id = id

    @property
    def shifted_metric_names(self) -> set[str]:
        """What reached its threshold."""
        results = self.statistics_comparison_results
        return {result.metric for result in results if result.shift_detected}

    @property
    def shift_detected(self) -> bool:
        """Whether anything reached its threshold."""
        return bool(self.shifted_metric_names)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        detected, reference = self.detection_statistics, self.reference_statistics
        return {
            "feature_name": self.feature_name,
            "detection_statistics": detected and detected.to_json(),
            "reference_statistics": reference and reference.to_json(),
            "comparisons": [
                _write_infinities(asdict(result)) for result in self.statistics_comparison_results
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        comparisons = []
        for comparison in data["comparisons"]:
            subject = f"A comparison of {data['feature_name']!r}"
            values = select_known_fields(StatisticsComparisonResult, subject, comparison)
            if values["difference"] is not None:
                values["difference"] = float(values["difference"])
            comparisons.append(StatisticsComparisonResult(**values))
        detected, reference = data["detection_statistics"], data["reference_statistics"]
        return cls(
            data["feature_name"],
            detected and FeatureStatistics.from_json(detected),
            reference and FeatureStatistics.from_json(reference),
            tuple(comparisons),
        )


def _write_infinities(comparison: dict[str, Any]) -> dict[str, Any]:
    """The comparison, whose difference is a string where JSON has no number for it."""
    difference = comparison["difference"]
    if difference is not None and abs(difference) == float("inf"):
        comparison["difference"] = str(difference)
    return comparison


@dataclass(frozen=True, repr=False)
class FeatureMonitoringResult:
    """One run of a monitor.

    monitored_at: when it ran (UTC). until: where its windows ended, in ISO 8601.
    """

    monitor: str
    until: str
    feature_statistics_results: Sequence[FeatureStatisticsResult] = field(default_factory=tuple)
    empty_detection_window: bool = False
    empty_reference_window: bool | None = None
    raised_exception: bool = False
    feature_monitoring_config_id: int | None = None
    id: int | None = None
    monitored_at: datetime | None = None

    @property
    def monitoring_time(self) -> int | None:
        """When it ran, in milliseconds since 1970."""
        return None if self.monitored_at is None else round(self.monitored_at.timestamp() * 1_000)

    @property
    def feature_store_id(self) -> int:
        """The number of the feature store: there is one."""
        return 1

    @property
    def execution_id(self) -> int | None:
        """The number of the run."""
        return self.id

    @property
    def shifted_feature_names(self) -> set[str]:
        """The features of which something reached its threshold."""
        results = self.feature_statistics_results
        return {result.feature_name for result in results if result.shift_detected}

    @property
    def shift_detected(self) -> bool:
        """Whether anything reached its threshold."""
        return bool(self.shifted_feature_names)

    def without_statistics(self) -> Self:
        """The same, with what was compared alone."""
        results = [
            replace(result, detection_statistics=None, reference_statistics=None)
            for result in self.feature_statistics_results
        ]
        return replace(self, feature_statistics_results=tuple(results))

    def __repr__(self) -> str:
        shift = ", shift detected" if self.shift_detected else ""
        return f"FeatureMonitoringResult({self.monitor!r}, {self.until}{shift})"

    def __str__(self) -> str:
        count = len(self.feature_statistics_results)
        if self.empty_detection_window and not self.shift_detected:
            return f"monitor {self.monitor}: no rows in the detection window"
        if not self.shift_detected:
            plural = "" if count == 1 else "s"
            return f"monitor {self.monitor}: no shift in {count} feature{plural}"
        shifts = []
        for result in self.feature_statistics_results:
            for comparison in result.statistics_comparison_results:
                if comparison.shift_detected:
                    shifts.append(
                        f"{result.feature_name} {comparison.metric.lower()}"
                        f" {comparison.difference:.3g} (threshold {comparison.threshold:g})"
                    )
        return f"monitor {self.monitor}: shift of {'; '.join(shifts)}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what the catalog keeps beside it: its numbers and its instant."""
        data = {
            "monitor": self.monitor,
            "until": self.until,
            "empty_detection_window": self.empty_detection_window,
            "empty_reference_window": self.empty_reference_window,
            "raised_exception": self.raised_exception,
            "features": [result.to_json() for result in self.feature_statistics_results],
        }
        return with_format_version(type(self), data)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; UpgradeError where only a newer release can read it."""
        values = select_known_fields(cls, f"A result of monitor {data.get('monitor')!r}", data)
        features = tuple(map(FeatureStatisticsResult.from_json, data["features"]))
        return cls(**values, feature_statistics_results=features)
