"""What was served beside what training says of the same entity and instant, as values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError
from spark_fs.spec.record_format import check_format, get_format, with_format_version

LATE_DATA = "late data"
STALE_SYNC = "stale sync"
CHANGED_VERSION = "changed version"
PASSED_FEATURE = "passed feature"
UNKNOWN = "unknown"
# Why a served value may differ, each with what it means.
REASONS: Mapping[str, str] = {
    LATE_DATA: "the table did not hold the row yet when the vector was served",
    STALE_SYNC: "the table held the row, and the online table was of an earlier version",
    CHANGED_VERSION: "the vector was made by another training dataset",
    PASSED_FEATURE: "the caller passed the value, or one that it is made of",
    UNKNOWN: "none of these explains it",
}
MAX_EXAMPLES = 5  # of each feature


@dataclass(frozen=True)
class SkewExample:
    """A value that differs: whose, when, what was served, what training says, and why.

    key: of the entry, in words. instant: in UTC. served, expected: as text.
    """

    key: str
    instant: datetime
    served: str
    expected: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.key} at {self.instant:%Y-%m-%d %H:%M:%S} UTC: served {self.served}, training"
            f" says {self.expected} ({self.reason})"
        )


@dataclass(frozen=True)
class FeatureSkew:
    """One feature: how many values were compared, and how many differ for which reason."""

    feature_name: str
    compared: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    examples: Sequence[SkewExample] = ()

    @property
    def differing(self) -> int:
        """How many of the compared values differ."""
        return sum(self.reasons.values())

    @property
    def share(self) -> float:
        """The share of the compared values that differ, from 0 to 1."""
        return self.differing / self.compared if self.compared else 0.0

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.items())
        share = f"{self.differing:,} of {self.compared:,} differ ({self.share:.2%})"
        return f"{self.feature_name}: {share}" + (f": {reasons}" if reasons else "")


@dataclass(frozen=True)
class SkewReport:
    """What was served of a view in an interval, compared value by value.

    Attributes:
        view: the feature view, in words.
        interval: of when it was served.
        rows: how many vectors were compared.
        features: each that was compared, in the order of the vectors.
        compared_at: in UTC; None before the report is kept.
    """

    view: str
    interval: Interval
    rows: int
    features: Sequence[FeatureSkew]
    compared_at: datetime | None = None

    @property
    def max_share(self) -> float:
        """The greatest share of differing values of any feature, from 0 to 1."""
        return max((feature.share for feature in self.features), default=0.0)

    @property
    def reasons(self) -> dict[str, int]:
        """How many values differ for each reason, over all features; the most frequent first."""
        counts = Counter[str]()
        for feature in self.features:
            counts.update(feature.reasons)
        return dict(counts.most_common())

    @property
    def ok(self) -> bool:
        """Whether every served value is what training says."""
        return self.max_share == 0.0

    def __getitem__(self, feature_name: str) -> FeatureSkew:
        by_name = {feature.feature_name: feature for feature in self.features}
        if feature_name not in by_name:
            raise NotFoundError.for_name(
                "Feature of this comparison", feature_name, by_name, "Ask for one that was served."
            )
        return by_name[feature_name]

    def __str__(self) -> str:
        compared = f"{self.view}, served in {self.interval}: {self.rows:,} vectors"
        differing = [feature for feature in self.features if feature.differing]
        if not differing:
            return f"{compared}, as training says"
        differing.sort(key=lambda feature: -feature.share)
        return f"{compared}; {'; '.join(map(str, differing))}"

    def at(self, compared_at: datetime) -> Self:
        """The report with its instant."""
        return replace(self, compared_at=compared_at)

    def to_pandas(self) -> Any:
        """A frame with a row for each feature: compared, differing, share, and each reason."""
        import pandas as pd

        rows = []
        for feature in self.features:
            row: dict[str, Any] = {"feature_name": feature.feature_name}
            row |= {"compared": feature.compared, "differing": feature.differing}
            row["share"] = feature.share
            row |= {reason: feature.reasons.get(reason, 0) for reason in REASONS}
            rows.append(row)
        columns = ["feature_name", "compared", "differing", "share", *REASONS]
        return pd.DataFrame(rows, columns=columns)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the instant, which the catalog keeps beside it."""
        features = []
        for feature in self.features:
            examples = []
            for example in feature.examples:
                examples.append({**vars(example), "instant": example.instant.isoformat()})
            entry = {"name": feature.feature_name, "compared": feature.compared}
            features.append({**entry, "reasons": dict(feature.reasons), "examples": examples})
        data = {
            "view": self.view,
            "interval": self.interval.to_json(),
            "rows": self.rows,
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
        for entry in data["features"]:
            examples = []
            for example in entry["examples"]:
                instant = datetime.fromisoformat(example["instant"])
                examples.append(SkewExample(**{**example, "instant": instant}))
            reasons = entry["reasons"]
            feature = FeatureSkew(entry["name"], entry["compared"], reasons, tuple(examples))
            features.append(feature)
        bounds = (bound and datetime.fromisoformat(bound) for bound in data["interval"])
        return cls(data["view"], Interval(*bounds), data["rows"], tuple(features), compared_at)
