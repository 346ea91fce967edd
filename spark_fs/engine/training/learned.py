"""What is known of a feature of the train split, as transformations ask for it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from spark_fs.base.literals import to_literal
from spark_fs.errors import SettingsError
from spark_fs.stats.exact import UNIT_EXPONENT, ExactProfile
from spark_fs.stats.sketches.quantiles import Doubles
from spark_fs.transform.binding import Learned, Transformation
from spark_fs.transform.builtin import MAX_ONE_HOT_CATEGORIES
from spark_fs.transform.learning import CATEGORY_STATISTICS, PERCENTILES, RequiredStatistic


def check_learnable(
    transformation: Transformation, learned: Learned, profile: ExactProfile
) -> None:
    """Raise SettingsError for a feature without a value, or with too many categories."""
    name = transformation.function.name
    feature = learned.source.name
    if learned.statistic in CATEGORY_STATISTICS:
        value_count = len(profile.categories)
    else:
        value_count = profile.finite_count
    if not value_count and learned.statistic != "rows":
        raise SettingsError(
            f"Transformation {name!r} cannot learn from feature {feature!r}: of the"
            f" {profile.rows} rows of the train split none has a value (a null, NaN or an infinity"
            " does not count). Leave the feature out, or choose a train split in which it has"
            " values."
        )
    row = transformation.builtin
    output_count = len(profile.categories)
    if row is not None and row.multi_output and output_count > MAX_ONE_HOT_CATEGORIES:
        raise SettingsError(
            f"Transformation {name!r} of feature {feature!r} would make {output_count:,}"
            f" columns, one for each category; at most {MAX_ONE_HOT_CATEGORIES:,} are made. Use"
            " label_encoder, or a feature with fewer categories."
        )


class LearnedStatistics:
    """A profile as transformations ask for it."""

    def __init__(self, feature: str, profile: ExactProfile, near_values: Doubles | None) -> None:
        self.feature = feature
        self.low = profile.low
        self.high = profile.high
        self._profile = profile
        self._near_values = np.empty(0) if near_values is None else near_values

    @property
    def mean(self) -> float:
        """The mean of the finite values."""
        return self._profile.mean

    @property
    def stddev(self) -> float:
        """The deviation of the population."""
        return self._profile.stddev

    @property
    def categories(self) -> list[Any]:
        """The distinct values, sorted."""
        return sorted(self._profile.categories)

    @property
    def frequent_categories(self) -> list[Any]:
        """The distinct values, the most frequent first, of equally frequent ones the least."""
        counts = self._profile.category_counts
        return sorted(self.categories, key=lambda category: -counts[category])

    def compute_quantiles(self, shares: Sequence[float]) -> list[float]:
        """The quantiles, linearly interpolated."""
        return self._profile.compute_quantiles(shares, self._near_values)

    def describe(self, statistic: RequiredStatistic) -> dict[str, Any]:
        """All of it by Hopsworks' names, as plain JSON."""
        profile = self._profile
        value_count = profile.rows - profile.nulls
        described: dict[str, Any] = {
            "count": profile.rows,
            "num_null_values": profile.nulls,
            "num_non_null_values": value_count,
            "completeness": value_count / profile.rows if profile.rows else 0.0,
        }
        if statistic == "description":
            return described | self._describe_numbers()
        if statistic == "counts":
            return described | self._describe_categories(value_count)
        return described

    def _describe_numbers(self) -> dict[str, Any]:
        return {
            "min": self.low,
            "max": self.high,
            "sum": self._profile.total / (1 << UNIT_EXPONENT),
            "mean": self.mean,
            "std_dev": self.stddev,
            "percentiles": self.compute_quantiles(PERCENTILES),
        }

    def _describe_categories(self, value_count: int) -> dict[str, Any]:
        counts = self._profile.category_counts
        shares = [count / value_count for count in counts.values()]
        singleton_count = sum(count == 1 for count in counts.values())
        histogram: list[dict[str, Any]] = []
        for category in self.frequent_categories:
            count = counts[category]
            histogram.append(
                {"value": to_literal(category), "count": count, "ratio": count / value_count}
            )
        return {
            "approx_num_distinct_values": len(counts),
            "exact_num_distinct_values": len(counts),
            "distinctness": len(counts) / value_count,
            "uniqueness": singleton_count / value_count,
            "entropy": -math.fsum(share * math.log(share) for share in shares),
            "unique_values": list(map(to_literal, self.categories)),
            "histogram": histogram,
        }
