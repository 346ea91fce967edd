"""Training datasets, as values: everything that makes one again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Any, Literal, Self, get_args

from spark_fs.base.times import Interval
from spark_fs.errors import SettingsError
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Condition, parse_condition
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.record_format import (
    check_format,
    get_format,
    select_known_fields,
    with_format_version,
)

DataFormat = Literal["parquet", "csv", "tsv", "json", "orc", "avro", "delta"]
NullLabels = Literal["keep", "drop"]
DatasetState = Literal["running", "finished", "deleted"]
TRAIN_SPLIT = "train"  # the name of the only split of training data that is not split


@dataclass(frozen=True)
class RandomSplit:
    """Shares of the rows, taken by the least hash of key, event time and seed.

    The rest is the train split. shares: those of the splits beside train, in the order in which
    they take their rows.
    """

    seed: int
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        for name, share in self.shares.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
                raise SettingsError(
                    f"{name}_ratio {share!r} is not between 0 and 1: give the share of the rows"
                    f" that the {name} split takes."
                )
        if sum(self.shares.values()) >= 1:
            listed = " and ".join(f"{name}_ratio {share}" for name, share in self.shares.items())
            raise SettingsError(f"{listed} leave nothing to train on: their sum must be below 1.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise SettingsError(
                f"seed {self.seed!r} is not an integer: give one, or None for a new one."
            )

    def compute_sizes(self, row_count: int) -> list[int]:
        """How many of so many rows each share takes."""
        return [round(row_count * share) for share in self.shares.values()]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"seed": self.seed, "shares": list(self.shares.items())}


@dataclass(frozen=True)
class FilesSpec:
    """Files that hold a training dataset.

    location: the folder or URI. coalesce: whether each split is one file. options: of Spark's
    writer. parts: whether each split has a folder of its own in it.
    """

    location: str
    format: DataFormat = "parquet"
    coalesce: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    parts: bool = False

    def __post_init__(self) -> None:
        if self.format not in get_args(DataFormat):
            raise SettingsError(
                f"data_format {self.format!r} is not known: use"
                f" {', '.join(map(repr, get_args(DataFormat)))}."
            )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return vars(self) | {"options": dict(self.options)}

    @classmethod
    def from_json(cls, subject: str, data: Any) -> Self:
        """The files that ``to_json`` wrote.

        Args:
            subject: what is read, as the error says it.
            data: what ``to_json`` gave; an earlier release gave the location alone.

        Raises:
            UpgradeError: only a newer release can read it.
        """
        if isinstance(data, str):
            data = {"location": data}
        return cls(**select_known_fields(cls, subject, data))


@dataclass(frozen=True)
class TrainingDatasetSpec:
    """A training dataset: everything that makes it again.

    group_versions: the Delta version of each group that is read. splits: the interval of each split
    by time; ``random`` has the shares instead. extra_filter: a condition beside the view's own.
    max_feature_age: seconds. spine: the folder that keeps the rows of a ``spine_df``.
    transformations: what each was, with its state, in the view's order; None before it was fitted.
    rows: how many each split has. statistics_config: as it was asked for.
    """

    version: int
    query: QuerySpec | None = None
    splits: Mapping[str, Interval] = field(default_factory=dict)
    group_versions: Mapping[GroupRef, int] = field(default_factory=dict)
    description: str = ""
    created_at: datetime | None = field(default=None, compare=False)
    random: RandomSplit | None = None
    extra_filter: Condition | None = None
    max_feature_age: float | None = None
    null_labels: NullLabels = "keep"
    spine: str | None = None
    files: FilesSpec | None = None
    transformations: tuple[Mapping[str, Any], ...] | None = None
    statistics_config: Any = None
    rows: Mapping[str, int] = field(default_factory=dict)
    state: DatasetState = "running"
    tags: Mapping[str, Any] = field(default_factory=dict)
    transformation_context: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.null_labels not in get_args(NullLabels):
            raise SettingsError(
                f"null_labels {self.null_labels!r} is not known: use"
                f" {', '.join(map(repr, get_args(NullLabels)))}."
            )
        for (first, first_bounds), (second, second_bounds) in combinations(self.splits.items(), 2):
            if first_bounds.overlaps(second_bounds):
                raise SettingsError(
                    f"The {first} split {first_bounds} and the {second} split {second_bounds}"
                    f" overlap: a row would be in both. Let {second} start at or after the end of"
                    f" {first}."
                )

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of its splits, train first."""
        if self.random:
            return (TRAIN_SPLIT, *reversed(list(self.random.shares)))
        return tuple(self.splits) or (TRAIN_SPLIT,)

    @property
    def seed(self) -> int | None:
        """The seed of a random split."""
        return self.random.seed if self.random else None

    @property
    def data_format(self) -> str | None:
        """The format of its files; None where it has none."""
        return self.files.format if self.files else None

    @property
    def location(self) -> str | None:
        """The folder or URI of its files; None where it has none."""
        return self.files.location if self.files else None

    @property
    def coalesce(self) -> bool:
        """Whether each split is one file."""
        return self.files is not None and self.files.coalesce

    @property
    def states(self) -> list[Mapping[str, Any]] | None:
        """What each transformation of the view learned."""
        if self.transformations is None:
            return None
        return [transformation["state"] for transformation in self.transformations]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the version and the time of creation.

        The catalog keeps these beside it.
        """
        transformations = None
        if self.transformations is not None:
            transformations = list(map(dict, self.transformations))
        data = {
            "query": self.query and self.query.to_json(),
            "splits": {name: interval.to_json() for name, interval in self.splits.items()},
            "group_versions": [
                [ref.name, ref.version, delta] for ref, delta in self.group_versions.items()
            ],
            "description": self.description,
            "random": self.random and self.random.to_json(),
            "extra_filter": self.extra_filter and self.extra_filter.to_json(),
            "max_feature_age": self.max_feature_age,
            "null_labels": self.null_labels,
            "spine": self.spine,
            "files": self.files and self.files.to_json(),
            "transformations": transformations,
            "statistics_config": self.statistics_config,
            "rows": dict(self.rows),
            "state": self.state,
            "tags": dict(self.tags),
            "transformation_context": dict(self.transformation_context),
        }
        return with_format_version(type(self), data)

    @classmethod
    def from_json(cls, version: int, created_at: datetime, data: dict[str, Any]) -> Self:
        """The training dataset that ``to_json`` wrote.

        What an earlier release did not write yet has no effect.

        Args:
            version: of the training dataset.
            created_at: when it was made, in UTC.
            data: what ``to_json`` gave.

        Raises:
            UpgradeError: only a newer release can read it.
        """
        subject = f"Training dataset {version}"
        check_format(subject, data, get_format(cls))
        data = {**_EARLIER_DEFAULTS, **data}
        query = data["query"]
        random = data["random"]
        extra_filter = data["extra_filter"]
        files = data["files"]
        transformations = data["transformations"]
        if transformations is not None:
            transformations = tuple(transformations)
        config = data["statistics_config"]
        if isinstance(config, Mapping):
            config = select_known_fields(StatisticsConfig, subject, config)
        return cls(
            version=version,
            created_at=created_at,
            query=query and QuerySpec.from_json(query),
            splits={name: Interval.from_bounds(*bounds) for name, bounds in data["splits"].items()},
            group_versions={
                GroupRef(name, number): delta for name, number, delta in data["group_versions"]
            },
            random=random and RandomSplit(random["seed"], dict(random["shares"])),
            extra_filter=extra_filter and parse_condition(extra_filter),
            files=files and FilesSpec.from_json(f"The files of {subject.lower()}", files),
            transformations=transformations,
            statistics_config=config,
            description=data["description"],
            max_feature_age=data["max_feature_age"],
            null_labels=data["null_labels"],
            spine=data["spine"],
            rows=dict(data["rows"]),
            state=data["state"],
            tags=dict(data["tags"]),
            transformation_context=dict(data["transformation_context"]),
        )


# What an earlier release did not write.
_EARLIER_DEFAULTS: Mapping[str, Any] = {
    "query": None,
    "random": None,
    "files": None,
    "extra_filter": None,
    "max_feature_age": None,
    "null_labels": "keep",
    "spine": None,
    "transformations": None,
    "transformation_context": {},
    "statistics_config": None,
    "rows": {},
    "state": "finished",
    "tags": {},
}
