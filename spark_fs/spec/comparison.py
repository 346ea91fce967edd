"""What is compared for drift, by which limits, and what was found; as values that come back from JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

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
THRESHOLDS: Mapping[str, float] = {"psi": 0.2, "null_share": 0.05}


def resolve_thresholds(thresholds: Mapping[str, float] | None) -> dict[str, float]:
    """The limits that a user gives, or those of the default; NotFoundError for a measure that there is not, SettingsError for no number."""
    for name, limit in (thresholds or {}).items():
        if name not in MEASURES:
            raise NotFoundError.for_name(
                "Measure of drift", str(name), MEASURES, "Set thresholds for these."
            )
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0:
            raise SettingsError(f"Threshold {name}={limit!r} is no number from 0 up: give one.")
    return dict(THRESHOLDS if thresholds is None else thresholds)


@dataclass(frozen=True)
class FeatureDrift:
    """What was measured of one feature, and which measures crossed their thresholds (a p-value does so below its threshold)."""

    feature_name: str
    measures: Mapping[str, float]
    crossed: tuple[str, ...] = ()

    @classmethod
    def from_measures(
        cls, name: str, measures: Mapping[str, float], thresholds: Mapping[str, float]
    ) -> Self:
        """By these thresholds; mean_shift and null_share count in both directions."""
        crossed = []
        for measure, limit in thresholds.items():
            value = measures.get(measure)
            if value is not None and (
                value < limit if measure.endswith("p_value") else abs(value) > limit
            ):
                crossed.append(measure)
        return cls(name, dict(measures), tuple(crossed))


@dataclass(frozen=True)
class DriftReport:
    """What was compared with what, and how far each feature moved.

    reference, current: in words. rows: how many of each. compared_at: in UTC; None before it is
    kept. ok: whether no threshold was crossed.
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
        return sorted(
            (each for each in self.features if each.crossed),
            key=lambda each: -each.measures.get("psi", 0.0),
        )

    @property
    def ok(self) -> bool:
        """Whether no threshold was crossed."""
        return not self.crossed

    def __getitem__(self, feature_name: str) -> FeatureDrift:
        found = {each.feature_name: each for each in self.features}
        if feature_name not in found:
            raise NotFoundError.for_name(
                "Feature of this comparison", feature_name, found, "Ask for one that was compared."
            )
        return found[feature_name]

    def __str__(self) -> str:
        compared = (
            f"{self.current} ({self.rows[1]} rows) beside {self.reference} ({self.rows[0]} rows)"
        )
        if self.ok:
            return f"{compared}: no threshold crossed by {len(self.features)} features"
        told = "; ".join(
            f"{each.feature_name} "
            + ", ".join(
                f"{m} {each.measures[m]:.3g} (limit {self.thresholds[m]:g})" for m in each.crossed
            )
            for each in self.crossed
        )
        return f"{compared}: {len(self.crossed)} of {len(self.features)} features drifted: {told}"

    def at(self, compared_at: datetime) -> "DriftReport":
        """The report with its instant."""
        return replace(self, compared_at=compared_at)

    def plot(self, measure: str = "psi") -> Any:
        """A Plotly figure of one measure, the features that moved furthest first, with its threshold."""
        from spark_fs.base import plots

        found = {
            each.feature_name: each.measures[measure]
            for each in self.features
            if measure in each.measures
        }
        if not found:
            taken = {name for each in self.features for name in each.measures}
            raise NotFoundError.for_name(
                "Measure of this comparison", measure, taken, "Plot one that was taken."
            )
        most = dict(sorted(found.items(), key=lambda item: -abs(item[1]))[:_MAX_PLOTTED])
        return plots.plot_bars(
            most,
            f"{measure}: {self.current} beside {self.reference}",
            limit=self.thresholds.get(measure),
        )

    def to_pandas(self) -> Any:
        """A frame with a row for each feature: its measures, and which crossed their thresholds."""
        import pandas as pd

        rows = [
            {"feature_name": each.feature_name, **each.measures, "crossed": ", ".join(each.crossed)}
            for each in self.features
        ]
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the instant, which the catalog keeps beside it; infinities as texts."""
        features = [
            [
                each.feature_name,
                {m: v if abs(v) < float("inf") else str(v) for m, v in each.measures.items()},
                list(each.crossed),
            ]
            for each in self.features
        ]
        return with_format_version(
            type(self),
            {
                "reference": self.reference,
                "current": self.current,
                "rows": list(self.rows),
                "thresholds": dict(self.thresholds),
                "features": features,
            },
        )

    @classmethod
    def from_json(cls, compared_at: datetime, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave; UpgradeError where a newer release gave it and this one would misread it."""
        check_format(
            f"The comparison of {compared_at:%Y-%m-%d %H:%M:%S} UTC", data, get_format(cls)
        )
        features = tuple(
            FeatureDrift(name, {m: float(v) for m, v in measures.items()}, tuple(crossed))
            for name, measures, crossed, *_ in data["features"]
        )
        rows = (data["rows"][0], data["rows"][1])
        return cls(
            data["reference"], data["current"], rows, data["thresholds"], features, compared_at
        )
