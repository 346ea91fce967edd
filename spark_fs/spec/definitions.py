"""Feature groups and feature views, as values."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from spark_fs.base.types import EVENT_TIME_TYPES
from spark_fs.errors import InvalidNameError, NotFoundError, SchemaError, SettingsError
from spark_fs.spec.expectations import parse_suite, to_tagged_json
from spark_fs.spec.external_source import FRAME as FRAME
from spark_fs.spec.external_source import SOURCE_FORMATS as SOURCE_FORMATS
from spark_fs.spec.external_source import SourceSpec as SourceSpec
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.spec.query import GroupRef, QuerySpec
from spark_fs.spec.record_format import select_known_fields, with_format_version
from spark_fs.spec.transformation import TransformationSpec

_NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}")


def check_name(kind: str, name: object) -> str:
    """The name, when it is lower snake case of at most 63 characters; InvalidNameError otherwise."""
    if not isinstance(name, str) or not _NAME_PATTERN.fullmatch(name):
        raise InvalidNameError.for_name(kind, name)
    return name


def check_version(kind: str, name: str, version: object) -> int:
    """The version, when it is a whole number from 1 up; SettingsError otherwise."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise SettingsError(
            f"{kind} {name!r}: version {version!r} is not a whole number from 1 up; give one, or"
            " None."
        )
    return version


GRAINS = ("day", "month", "year")


@dataclass(frozen=True)
class FeatureSpec:
    """One column of a group: its name, its type as Spark writes it, what it means, and its online type where one was declared."""

    name: str
    type: str
    description: str = ""
    online_type: str = ""


@dataclass(frozen=True)
class GroupSpec:
    """A feature group.

    features: its columns; empty until the first insert gives them. vouched: whether rows were ever
    inserted without a look for their identity, so that one may be there twice. parents: the groups
    that it is made of. tags: what users note of it. source: of an external group, where its rows
    are. ttl_seconds: how old a row may be and still match. built_from: the earliest instant (ISO
    8601) that a backfill began at. keep_corrections: whether an upsert adds a row beside the one
    that it corrects. statistics_config: which statistics are made of it; None: those of the
    default.
    """

    name: str
    version: int
    description: str = ""
    primary_key: tuple[str, ...] = ()
    partition_key: tuple[str, ...] = ()
    event_time: str | None = None
    online_enabled: bool = False
    features: tuple[FeatureSpec, ...] = ()
    ttl_seconds: float | None = None
    vouched: bool = False
    parents: tuple[GroupRef, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)
    source: SourceSpec | None = None
    expectation_suite: Mapping[str, Any] | None = None
    built_from: str | None = None
    keep_corrections: bool = False
    statistics_config: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_name("Feature group", self.name)
        check_version("Feature group", self.name, self.version)
        for kind, names in (
            ("Primary key", self.primary_key),
            ("Partition key", self.partition_key),
        ):
            for name in names:
                check_name(f"{kind} column", name)
            if len(set(names)) < len(names):
                raise SettingsError(
                    f"{kind} of {self} names a column twice: {', '.join(names)}. Name each once."
                )
        if self.event_time is not None:
            check_name("Event time column", self.event_time)
        if not self.primary_key:
            raise SettingsError(
                f"Feature group {self} has no primary key: give primary_key=[...], the columns of"
                " its entity."
            )
        if self.event_time in self.primary_key:
            raise SettingsError(
                f"Feature group {self} names {self.event_time!r} both as primary key and as event"
                " time: a row is (primary key, event time) already, so leave it out of"
                " primary_key."
            )
        if self.ttl_seconds is not None and self.ttl_seconds <= 0:
            raise SettingsError(
                f"Feature group {self}: ttl must be a length of time above zero, not"
                f" {self.ttl_seconds} seconds."
            )
        if self.features:
            self._check_columns()
            self.parsed_statistics_config.select_column_types(self.types)

    def _check_columns(self) -> None:
        """The declared columns must be there, each name once, and the event time be a time."""
        names = [check_name(f"Column of feature group {self}:", f.name) for f in self.features]
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            raise SchemaError(
                f"Feature group {self} names columns twice: {', '.join(twice)}. Name each once."
            )
        times = (self.event_time,) if self.event_time else ()
        stored = tuple(c for c in self.partition_key if c not in self.grains)
        for kind, columns in (
            ("primary key", self.primary_key),
            ("event time", times),
            ("partition key", stored),
        ):
            for column in columns:
                if column not in self.types:
                    remedy = "Add it to the columns" + (
                        f", or partition by {', '.join(GRAINS)} of an event time."
                        if kind == "partition key"
                        else "."
                    )
                    raise NotFoundError.for_name(
                        f"The {kind} column of feature group {self}", column, self.types, remedy
                    )
        if self.event_time and self.types[self.event_time] not in EVENT_TIME_TYPES:
            raise SchemaError(
                f"Event time {self.event_time!r} of feature group {self} is"
                f" {self.types[self.event_time]}: it must be one of {', '.join(EVENT_TIME_TYPES)}."
            )

    def __str__(self) -> str:
        return (
            "'spine' (a DataFrame)"
            if self.is_dataframe
            else f"{self.name!r} version {self.version}"
        )

    @property
    def ref(self) -> GroupRef:
        """The name and version."""
        return GroupRef(self.name, self.version)

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that make a row: the primary key, then the event time where there is one."""
        return self.primary_key + ((self.event_time,) if self.event_time else ())

    @property
    def ttl_micros(self) -> int | None:
        """How old a row may be and still match, in microseconds."""
        return None if self.ttl_seconds is None else round(self.ttl_seconds * 1_000_000)

    @property
    def grains(self) -> tuple[str, ...]:
        """The partition keys that are a grain of the event time, and no column of the group."""
        return tuple(
            k for k in self.partition_key if k in GRAINS and self.event_time and k not in self.types
        )

    @property
    def partition_columns(self) -> tuple[str, ...]:
        """The columns that partition the table; that of a grain is hidden, behind an underscore."""
        return tuple(f"_{key}" if key in self.grains else key for key in self.partition_key)

    @property
    def types(self) -> dict[str, str]:
        """The type of each column, in the group's order."""
        return {f.name: f.type for f in self.features}

    def get_column_type(self, column: str) -> str:
        """The type of one column; NotFoundError with the nearest names when there is none."""
        if column not in self.types:
            raise NotFoundError.for_name(
                f"Column of feature group {self}", column, self.types, "Select one of its columns."
            )
        return self.types[column]

    def with_schema(self, types: dict[str, str]) -> Self:
        """The same group with this schema."""
        return replace(
            self, features=tuple(FeatureSpec(name, type_) for name, type_ in types.items())
        )

    def with_features(self, features: Sequence[FeatureSpec]) -> Self:
        """The same group with more columns at its end; InvalidNameError or SchemaError for one that cannot be added."""
        taken = [
            f"column {f.name!r} is there already ({self.types[f.name]})"
            for f in features
            if f.name in self.types
        ]
        if taken:
            raise SchemaError(
                f"Feature group {self} cannot take these features: {'; '.join(taken)}. Nothing was"
                " added. Give them other names."
            )
        return replace(self, features=self.features + tuple(features))

    def with_column_description(self, column: str, description: str) -> Self:
        """The same group with this description of one column."""
        self.get_column_type(column)
        changed = (
            replace(f, description=description) if f.name == column else f for f in self.features
        )
        return replace(self, features=tuple(changed))

    @property
    def parsed_statistics_config(self) -> StatisticsConfig:
        """Which statistics are made of it."""
        return StatisticsConfig.from_argument(self.statistics_config)

    @property
    def is_dataframe(self) -> bool:
        """Whether it is a spine: a DataFrame of this session."""
        return self.source is not None and self.source.data_format == FRAME

    def with_possible_duplicates(self) -> Self:
        """The same group, noted as one whose identities may come twice."""
        return replace(self, vouched=True)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return with_format_version(
            type(self), asdict(self) | {"expectation_suite": to_tagged_json(self.expectation_suite)}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave; UpgradeError where a newer release gave it and this one would misread it."""
        what = f"Feature group {data.get('name')!r} version {data.get('version')}"
        found = select_known_fields(cls, what, data)
        found |= {name: tuple(data[name]) for name in ("primary_key", "partition_key")}
        found["parents"] = tuple(GroupRef(*parent) for parent in data.get("parents", ()))
        found["features"] = tuple(
            FeatureSpec(**select_known_fields(FeatureSpec, f"A column of {what}", each))
            for each in data["features"]
        )
        source, statistics = data.get("source"), data.get("statistics_config")
        found["source"] = (
            SourceSpec(**select_known_fields(SourceSpec, f"The source of {what}", source))
            if source
            else None
        )
        found["expectation_suite"] = (
            parse_suite(data["expectation_suite"]) if data.get("expectation_suite") else None
        )
        found["statistics_config"] = statistics and select_known_fields(
            StatisticsConfig, f"The statistics_config of {what}", statistics
        )
        return cls(**found)


@dataclass(frozen=True)
class ViewSpec:
    """A feature view: a query, the columns of it that are labels, and what is done to the others.

    training_helpers, inference_helpers: columns that no model sees, handed out beside training
    data, beside batches and vectors.
    """

    name: str
    version: int
    query: QuerySpec
    labels: tuple[str, ...] = ()
    description: str = ""
    transformations: tuple[TransformationSpec, ...] = ()
    training_helpers: tuple[str, ...] = ()
    inference_helpers: tuple[str, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("Feature view", self.name)
        check_version("Feature view", self.name, self.version)

    def __str__(self) -> str:
        return f"{self.name!r} version {self.version}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        parts = {
            "query": self.query.to_json(),
            "transformations": [each.to_json() for each in self.transformations],
        }
        return with_format_version(type(self), asdict(self) | parts)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave; UpgradeError where a newer release gave it and this one would misread it."""
        found = select_known_fields(
            cls, f"Feature view {data.get('name')!r} version {data.get('version')}", data
        )
        found |= {
            name: tuple(data.get(name, ()))
            for name in ("labels", "training_helpers", "inference_helpers")
        }
        transformations = tuple(map(TransformationSpec.from_json, data.get("transformations", ())))
        return cls(
            **found
            | {
                "query": QuerySpec.from_json(data["query"]),
                "transformations": transformations,
            }
        )
