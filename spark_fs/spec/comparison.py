"""Comparisons for drift: measures, thresholds and reports, as values that come back from JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from spark_fs.base import plots
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.record_format import check_format, get_format, with_format_version

MEASURES = (
    "psi",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "wasserstein",
    "mean_shift",
    "null_share",
    "chi_squared",
    "chi_squared_p_value",
)
_MAX_PLOTTED = 40
DEFAULT_THRESHOLDS: Mapping[str, float] = {"psi": 0.2, "null_share": 0.05}


def resolve_thresholds(thresholds: Mapping[str, float] | None) -> dict[str, float]:
    """The limits that a user gives, or the default ones.

    Raises:
        NotFoundError: a measure does not exist.
        SettingsError: a limit is not a number from 0 up.
    """
    if thresholds is None:
        return dict(DEFAULT_THRESHOLDS)
    for name, limit in thresholds.items():
        if name not in MEASURES:
            raise NotFoundError.for_name(
                "Measure of drift", str(name), MEASURES, "Set thresholds for these."
            )
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0:
            raise SettingsError(f"Threshold {name}={limit!r} is not a number from 0 up: give one.")
    return dict(thresholds)


@dataclass(frozen=True)
class FeatureDrift:
    """What was measured of one feature, and which measures crossed their thresholds.

    A p-value crosses its threshold from above, every other measure from below.
    """

    feature_name: str
    measures: Mapping[str, float]
    crossed: tuple[str, ...] = ()

    @classmethod
    def from_measures(
        cls, name: str, measures: Mapping[str, float], thresholds: Mapping[str, float]
    ) -> Self:
        """The drift of a feature, with the thresholds that its measures crossed.

        Args:
            name: of the feature.
            measures: what was measured; mean_shift and null_share count in both directions.
            thresholds: the limit of each measure that has one.
        """
        crossed = []
        for measure, limit in thresholds.items():
            value = measures.get(measure)
            if value is None:
                continue
            is_crossed = value < limit if measure.endswith("p_value") else abs(value) > limit
            if is_crossed:
                crossed.append(measure)
        return cls(name, dict(measures), tuple(crossed))


@dataclass(frozen=True)
class DriftReport:
    """What was compared with what, and how far each feature moved.

    reference, current: in words. rows: how many of each. thresholds: the limit of each measure that
    has one. compared_at: in UTC; None before the report is kept. ok: whether no threshold was
    crossed.
    """

    reference: str
    current: str
    rows: tuple[int, int]
    thresholds: Mapping[str, float]
    features: Sequence[FeatureDrift]
    compared_at: datetime | None = None

    @property
    def crossed(self) -> list[FeatureDrift]:
        """The features of which a measure crossed its threshold, the furthest moved first."""
        drifted = [feature for feature in self.features if feature.crossed]
        return sorted(drifted, key=lambda feature: -feature.measures.get("psi", 0.0))

    @property
    def ok(self) -> bool:
        """Whether no threshold was crossed."""
        return not self.crossed

    def __getitem__(self, feature_name: str) -> FeatureDrift:
        by_name = {feature.feature_name: feature for feature in self.features}
        if feature_name not in by_name:
            remedy = "Ask for one that was compared."
            raise NotFoundError.for_name(
                "Feature of this comparison", feature_name, by_name, remedy
            )
        return by_name[feature_name]

    def __str__(self) -> str:
        reference_rows, current_rows = self.rows
        compared = (
            f"{self.current} ({current_rows} rows) beside {self.reference} ({reference_rows} rows)"
        )
        if self.ok:
            return f"{compared}: no threshold crossed by {len(self.features)} features"
        drifted = "; ".join(map(self._describe_feature, self.crossed))
        share = f"{len(self.crossed)} of {len(self.features)}"
        return f"{compared}: {share} features drifted: {drifted}"

    def _describe_feature(self, feature: FeatureDrift) -> str:
        crossed = []
        for measure in feature.crossed:
            limit = self.thresholds[measure]
            crossed.append(f"{measure} {feature.measures[measure]:.3g} (limit {limit:g})")
        return f"{feature.feature_name} {', '.join(crossed)}"

    def at(self, compared_at: datetime) -> "DriftReport":
        """The report with its instant."""
        return replace(self, compared_at=compared_at)

    def plot(self, measure: str = "psi") -> Any:
        """A Plotly figure of one measure with its threshold, the furthest moved features first."""
        values = {
            feature.feature_name: feature.measures[measure]
            for feature in self.features
            if measure in feature.measures
        }
        if not values:
            taken = {name for feature in self.features for name in feature.measures}
            raise NotFoundError.for_name(
                "Measure of this comparison", measure, taken, "Plot one that was taken."
            )
        furthest_first = sorted(values.items(), key=lambda item: -abs(item[1]))
        title = f"{measure}: {self.current} beside {self.reference}"
        limit = self.thresholds.get(measure)
        return plots.plot_bars(dict(furthest_first[:_MAX_PLOTTED]), title, limit)

    def to_pandas(self) -> Any:
        """A frame with a row for each feature: its measures, and which crossed their thresholds."""
        import pandas as pd

        rows = []
        for feature in self.features:
            crossed = ", ".join(feature.crossed)
            rows.append(
                {"feature_name": feature.feature_name, **feature.measures, "crossed": crossed}
            )
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the instant, which the catalog keeps beside it.

        Infinities are strings.
        """
        features = []
        for feature in self.features:
            measures = {
                name: value if abs(value) < float("inf") else str(value)
                for name, value in feature.measures.items()
            }
            features.append([feature.feature_name, measures, list(feature.crossed)])
        data = {
            "reference": self.reference,
            "current": self.current,
            "rows": list(self.rows),
            "thresholds": dict(self.thresholds),
            "features": features,
        }
        return with_format_version(type(self), data)

    @classmethod
    def from_json(cls, compared_at: datetime, data: Mapping[str, Any]) -> Self:
        """The report that ``to_json`` wrote.

        Args:
            compared_at: its instant.
            data: what ``to_json`` gave.

        Raises:
            UpgradeError: only a newer release can read it.
        """
        subject = f"The comparison of {compared_at:%Y-%m-%d %H:%M:%S} UTC"
        check_format(subject, data, get_format(cls))
        features = []
        for name, measures, crossed, *_ in data["features"]:
            values = {measure: float(value) for measure, value in measures.items()}
            features.append(FeatureDrift(name, values, tuple(crossed)))
        return cls(
            reference=data["reference"],
            current=data["current"],
            rows=(data["rows"][0], data["rows"][1]),
            thresholds=data["thresholds"],
            features=tuple(features),
            compared_at=compared_at,
        )
