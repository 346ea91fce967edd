"""What is compared, and of which rows, from the arguments that declare a monitor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec import monitoring
from spark_fs.spec.monitoring import MonitoringWindowConfig, StatisticsComparisonConfig

if TYPE_CHECKING:
    from spark_fs.base.times import Instant


def make_window(
    time_offset: str | None, window_length: str | None, row_percentage: float | None
) -> MonitoringWindowConfig:
    """Make a window; None stands for all rows, up to now, each of them.

    Args:
        time_offset: How long before now it begins.
        window_length: How long it is.
        row_percentage: Named in a warning where it is not 1.
    """
    share = 1.0 if row_percentage is None else row_percentage
    warn_of_share(share)
    kind = monitoring.ALL_TIME if time_offset is None else monitoring.ROLLING_TIME
    return MonitoringWindowConfig(kind, time_offset, window_length, row_percentage=share)


def warn_of_share(row_percentage: float) -> None:
    """Warn of a share of rows: all are read."""
    if row_percentage != 1.0:
        warn_user(
            f"row_percentage={row_percentage!r} changes nothing: statistics are made of all rows,"
            " so counts and sums are those of all."
        )


def build_distance(
    metric: str,
    threshold: float | None,
    strict: bool,
    binning_strategy: str | None,
    bin_count: int | None,
    smoothing_epsilon: float | None,
    custom_bin_edges: Sequence[float] | None,
) -> StatisticsComparisonConfig:
    """Say how two distributions are compared.

    Args:
        metric: The distance; the arguments are those of ``compare_on_distribution``.
        threshold: At which distance there is a shift; None: 0.2 for PSI.
        strict: Whether only above it.
        binning_strategy: How rows are put into bins.
        bin_count: How many bins; None: 10.
        smoothing_epsilon: What is added to the rows of each bin; None: 1e-6.
        custom_bin_edges: The edges of "CUSTOM_EDGES".

    Returns:
        The comparison.

    Raises:
        NotFoundError: The distance or the strategy does not exist.
        SettingsError: The threshold is missing, or a number is not valid.
    """
    distance = monitoring.check_distance(metric)
    if threshold is None and distance == "PSI":
        threshold = monitoring.DEFAULT_PSI
    comparison = StatisticsComparisonConfig(
        distribution_metric=distance,
        threshold=check_threshold(threshold),
        strict=strict,
        binning_strategy=_check_binning(binning_strategy, custom_bin_edges),
        bin_count=10 if bin_count is None else bin_count,
        smoothing_epsilon=1e-6 if smoothing_epsilon is None else smoothing_epsilon,
        custom_bin_edges=list(custom_bin_edges or ()) or None,
    )
    if comparison.bin_count < 1 or comparison.smoothing_epsilon <= 0:
        raise SettingsError(
            f"bin_count={bin_count!r} and smoothing_epsilon={smoothing_epsilon!r} must lie above 0."
        )
    return comparison


def check_threshold(threshold: float | None) -> float:
    """The threshold as a number; SettingsError where it is missing."""
    if threshold is None:
        raise SettingsError("threshold is missing: say at which difference there is a shift.")
    return float(threshold)


def _check_binning(strategy: str | None, edges: Sequence[float] | None) -> str | None:
    name = None if strategy is None else strategy.upper()
    if name is not None and name not in monitoring.BINNINGS:
        raise NotFoundError.for_name(
            "Binning strategy", str(strategy), monitoring.BINNINGS, "Use one of these."
        )
    if name == "CUSTOM_EDGES" and (edges is None or len(edges) < 2):
        raise SettingsError(
            f"custom_bin_edges={edges!r} is not a list of edges: give two or more, in order."
        )
    return name


def is_number(type_: str) -> bool:
    """Whether a column of a type holds numbers."""
    from spark_fs.stats.column_values import get_column_kind

    return get_column_kind(type_) == "number"


def to_instant(value: Instant | int | None) -> datetime | None:
    """An instant in UTC; an integer is milliseconds since 1970."""
    if value is None or value == "":
        return None
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1_000, UTC)
    from spark_fs.base.times import to_utc

    return to_utc(value)
