"""What is to be monitored of a group or a view, as values that come back from JSON.

They have Hopsworks' names, and can be changed in place as there; what is kept is a copy.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from spark_fs.base.cron import CronSchedule
from spark_fs.errors import InvalidNameError, NotFoundError, SettingsError
from spark_fs.spec.feature_statistics import COMPARED_FIGURES, NUMBER_FIGURES
from spark_fs.spec.record_format import select_known_fields, with_format_version

COMPUTATION = "STATISTICS_COMPUTATION"
COMPARISON = "STATISTICS_COMPARISON"
DISTRIBUTION = "DISTRIBUTION_COMPARISON"
ALL_TIME = "ALL_TIME"
ROLLING_TIME = "ROLLING_TIME"
TRAINING_DATASET = "TRAINING_DATASET"
NUMBER_DISTANCES = ("WASSERSTEIN", "KOLMOGOROV_SMIRNOV")
DISTANCES = ("PSI", "KL_DIVERGENCE", "JS_DIVERGENCE", "HELLINGER", *NUMBER_DISTANCES)
BINNINGS = ("EQUI_FREQUENCY", "EQUI_WIDTH", "CUSTOM_EDGES", "CATEGORICAL")
DEFAULT_CRON = "0 0 12 ? * * *"
DEFAULT_PSI = 0.2
_LENGTH = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?")


def parse_length(name: str, text: str) -> timedelta:
    """A length of time such as "1w2d3h"; SettingsError for anything else, and for none."""
    match = _LENGTH.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise SettingsError(
            f"{name}={text!r} is not a length of time: give weeks, days and hours, as in 1w2d3h."
        )
    weeks, days, hours = (int(count or 0) for count in match.groups())
    return timedelta(weeks=weeks, days=days, hours=hours)


@dataclass
class MonitoringWindowConfig:
    """Which rows: all of them, those of a window of time, or a training dataset.

    window_config_type: "ALL_TIME", "ROLLING_TIME" or "TRAINING_DATASET". time_offset: how long
    before now the window begins. window_length: how long it is; None: up to now. row_percentage:
    taken for Hopsworks' sake: all rows are read.
    """

    window_config_type: str = ALL_TIME
    time_offset: str | None = None
    window_length: str | None = None
    training_dataset_version: int | None = None
    row_percentage: float = 1.0
    id: int | None = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise SettingsError for a window that names no rows."""
        if self.window_length is not None and self.time_offset is None:
            raise SettingsError(
                f"window_length={self.window_length!r} has no time_offset: say how long before now"
                " the window begins, as in time_offset='1w', window_length='1d'."
            )
        for name in ("time_offset", "window_length"):
            length = getattr(self, name)
            if length is not None:
                parse_length(name, length)
        share = self.row_percentage
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise SettingsError(f"row_percentage={share!r} is not a share: give one up to 1.0.")

    def find_bounds(self, now: datetime) -> tuple[datetime | None, datetime]:
        """Where the window begins, None at the first row, and where it ends."""
        if self.time_offset is None:
            return None, now
        start = now - parse_length("time_offset", self.time_offset)
        if self.window_length is None:
            return start, now
        return start, min(now, start + parse_length("window_length", self.window_length))


@dataclass
class StatisticsComparisonConfig:
    """What is compared of a feature: a figure, or how far two distributions lie apart.

    threshold: at which difference there is a shift, with ``strict`` above which. relative: whether
    a difference is a share of the reference. specific_value: what a figure is compared with, in the
    place of the reference window.
    """

    metric: str | None = None
    threshold: float | None = None
    relative: bool = False
    strict: bool = False
    specific_value: float | None = None
    id: int | None = None
    distribution_metric: str | None = None
    binning_strategy: str | None = None
    bin_count: int = 10
    smoothing_epsilon: float = 1e-6
    custom_bin_edges: Sequence[float] | None = None

    @property
    def measure(self) -> str:
        """The name of what is compared, in capitals."""
        return str(self.metric or self.distribution_metric)

    def is_shift(self, difference: float | None) -> bool:
        """Whether a difference is a shift."""
        if difference is None or self.threshold is None:
            return False
        return difference > self.threshold if self.strict else difference >= self.threshold

    def compute_difference(self, detected: Any, reference: Any) -> float | None:
        """How far a figure lies from its reference; None where there is one of them only."""
        if self.specific_value is not None:
            reference = self.specific_value
        if detected is None or reference is None:
            return None
        difference = abs(float(detected) - float(reference))
        if not self.relative:
            return difference
        return difference / abs(float(reference)) if reference else float("inf")


@dataclass
class FeatureStatisticsConfig:
    """A feature that is monitored, and what is compared of it."""

    feature_name: str
    statistics_comparison_configs: list[StatisticsComparisonConfig] = field(default_factory=list)
    id: int | None = None


@dataclass
class JobSchedule:
    """When a monitor is due: at the instants of a cron expression (UTC), from a start to an end.

    The instants are strings in ISO 8601; None leaves a side open.
    """

    cron_expression: str = DEFAULT_CRON
    start_date_time: str | None = None
    end_date_time: str | None = None
    enabled: bool = True
    id: int | None = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise SettingsError for an expression that is not valid."""
        CronSchedule.parse(self.cron_expression)

    @property
    def _cron_expression(self) -> str:
        """The expression, under the name that Hopsworks' tutorials set it by."""
        return self.cron_expression

    @_cron_expression.setter
    def _cron_expression(self, cron_expression: str) -> None:
        self.cron_expression = cron_expression

    def is_due(self, last: datetime | None, now: datetime) -> bool:
        """Whether an instant of the schedule has come since the last run, or since the start."""
        start = _parse_instant(self.start_date_time)
        end = _parse_instant(self.end_date_time)
        if not self.enabled or (end is not None and now >= end):
            return False
        since = last
        if start is not None and (last is None or last < start):
            since = start - timedelta(seconds=1)
        if since is None:
            return True
        due = CronSchedule.parse(self.cron_expression).find_next(since)
        return due is not None and due <= now


def _parse_instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass
class MonitorSpec:
    """A monitor: which rows are described or compared, of which features, and when."""

    name: str
    description: str = ""
    feature_monitoring_type: str = COMPUTATION
    detection_window_config: MonitoringWindowConfig | None = None
    reference_window_config: MonitoringWindowConfig | None = None
    feature_statistics_configs: list[FeatureStatisticsConfig] = field(default_factory=list)
    job_schedule: JobSchedule = field(default_factory=JobSchedule)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w{1,63}", self.name):
            raise InvalidNameError(
                f"Monitor {self.name!r} is not a valid name: use letters, digits and underscores,"
                " 63 characters at most."
            )

    @property
    def feature_names(self) -> list[str]:
        """The features that are monitored; none: all."""
        return [config.feature_name for config in self.feature_statistics_configs]

    @property
    def has_distances(self) -> bool:
        """Whether distributions are compared."""
        return any(
            comparison.distribution_metric
            for config in self.feature_statistics_configs
            for comparison in config.statistics_comparison_configs
        )

    def add_comparison(self, feature_name: str, comparison: StatisticsComparisonConfig) -> None:
        """Compare something of a feature; SettingsError where just that is compared already."""
        own = [c for c in self.feature_statistics_configs if c.feature_name == feature_name]
        if not own:
            own = [FeatureStatisticsConfig(feature_name)]
            self.feature_statistics_configs += own
        if comparison in own[0].statistics_comparison_configs:
            raise SettingsError(
                f"Monitor {self.name!r} compares {comparison.measure} of {feature_name!r} so"
                " already: leave one of the two out."
            )
        own[0].statistics_comparison_configs.append(comparison)

    def number_parts(self) -> None:
        """Give each window, feature and comparison its number within the monitor."""
        windows = (self.detection_window_config, self.reference_window_config)
        parts: list[Any] = [window for window in windows if window is not None]
        for config in self.feature_statistics_configs:
            parts += [config, *config.statistics_comparison_configs]
        for number, part in enumerate([self.job_schedule, *parts], start=1):
            part.id = number

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return with_format_version(type(self), asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; UpgradeError where only a newer release can read it."""
        subject = f"Monitor {data.get('name')!r}"
        values = select_known_fields(cls, subject, data)
        for name in ("detection_window_config", "reference_window_config"):
            if values.get(name) is not None:
                window = select_known_fields(MonitoringWindowConfig, subject, values[name])
                values[name] = MonitoringWindowConfig(**window)
        configs = []
        for config in values["feature_statistics_configs"]:
            comparisons = [
                StatisticsComparisonConfig(
                    **select_known_fields(StatisticsComparisonConfig, subject, comparison)
                )
                for comparison in config["statistics_comparison_configs"]
            ]
            configs.append(
                FeatureStatisticsConfig(config["feature_name"], comparisons, config.get("id"))
            )
        values["feature_statistics_configs"] = configs
        schedule = select_known_fields(JobSchedule, subject, values["job_schedule"])
        values["job_schedule"] = JobSchedule(**schedule)
        return cls(**values)


def check_metric(metric: str) -> str:
    """A figure in capitals; NotFoundError with the nearest ones for one that does not exist."""
    name = metric.lower()
    if name not in COMPARED_FIGURES:
        raise NotFoundError.for_name("Figure", metric, COMPARED_FIGURES, "Compare one of these.")
    return name.upper()


def check_distance(metric: str) -> str:
    """A distance in capitals; NotFoundError with the nearest ones for one that does not exist."""
    if metric.upper() not in DISTANCES:
        raise NotFoundError.for_name("Distance", metric, DISTANCES, "Compare by one of these.")
    return metric.upper()


def needs_number(measure: str) -> bool:
    """Whether a figure or a distance is of numbers alone."""
    is_number_figure = measure.lower() in NUMBER_FIGURES and measure.lower() != "count"
    return is_number_figure or measure in NUMBER_DISTANCES
