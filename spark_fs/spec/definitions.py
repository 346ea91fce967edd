"""Feature groups, feature views and training datasets, as values."""

import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from spark_fs.errors import InvalidNameError, NotFoundError, SettingsError
from spark_fs.spec.query import GroupRef, QuerySpec
from spark_fs.times import Interval

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def check_name(kind: str, name: object) -> str:
    """The name, when it is lower snake case of at most 63 characters; InvalidNameError otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidNameError.of(kind, name)
    return name


def check_version(kind: str, name: str, version: object) -> int:
    """The version, when it is a whole number from 1 up; SettingsError otherwise."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise SettingsError(f"{kind} {name!r}: version {version!r} is not a whole number from 1 up; give one, or None.")
    return version


@dataclass(frozen=True)
class FeatureSpec:
    """One column of a group: its name and its type as Spark writes it."""

    name: str
    type: str


@dataclass(frozen=True)
class GroupSpec:
    """A feature group. ``features`` is empty until the first insert gives the schema."""

    name: str
    version: int
    description: str = ""
    primary_key: tuple[str, ...] = ()
    partition_key: tuple[str, ...] = ()
    event_time: str | None = None
    online_enabled: bool = False
    features: tuple[FeatureSpec, ...] = ()

    def __post_init__(self) -> None:
        check_name("Feature group", self.name)
        check_version("Feature group", self.name, self.version)
        for kind, names in (("Primary key", self.primary_key), ("Partition key", self.partition_key)):
            for name in names:
                check_name(f"{kind} column", name)
            if len(set(names)) < len(names):
                raise SettingsError(f"{kind} of {self} names a column twice: {', '.join(names)}. Name each once.")
        if self.event_time is not None:
            check_name("Event time column", self.event_time)
        if not self.primary_key:
            raise SettingsError(f"Feature group {self} has no primary key: give primary_key=[...], the columns of its entity.")
        if self.event_time in self.primary_key:
            raise SettingsError(
                f"Feature group {self} names {self.event_time!r} both as primary key and as event time: a row is "
                "(primary key, event time) already, so leave it out of primary_key."
            )

    def __str__(self) -> str:
        return f"{self.name!r} version {self.version}"

    @property
    def ref(self) -> GroupRef:
        """The name and version."""
        return GroupRef(self.name, self.version)

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that make a row: the primary key, then the event time where there is one."""
        return self.primary_key + ((self.event_time,) if self.event_time else ())

    @property
    def types(self) -> dict[str, str]:
        """The type of each column, in the group's order."""
        return {f.name: f.type for f in self.features}

    def type_of(self, column: str) -> str:
        """The type of one column; NotFoundError with the nearest names when there is none."""
        if column not in self.types:
            raise NotFoundError.named(f"Column of feature group {self}", column, self.types, "Select one of its columns.")
        return self.types[column]

    def with_schema(self, types: dict[str, str]) -> Self:
        """The same group with this schema."""
        return replace(self, features=tuple(FeatureSpec(name, type_) for name, type_ in types.items()))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        lists = {name: tuple(data[name]) for name in ("primary_key", "partition_key")}
        return cls(**data | lists | {"features": tuple(FeatureSpec(**f) for f in data["features"])})


@dataclass(frozen=True)
class ViewSpec:
    """A feature view: a query and the columns of it that are labels."""

    name: str
    version: int
    query: QuerySpec
    labels: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        check_name("Feature view", self.name)
        check_version("Feature view", self.name, self.version)

    def __str__(self) -> str:
        return f"{self.name!r} version {self.version}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self) | {"query": self.query.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        return cls(**data | {"query": QuerySpec.from_json(data["query"]), "labels": tuple(data["labels"])})


@dataclass(frozen=True)
class TrainingDatasetSpec:
    """What makes one training dataset again: the splits' bounds and the Delta version of each group read."""

    version: int
    splits: dict[str, Interval]
    group_versions: dict[GroupRef, int]
    description: str = ""
    created_at: datetime | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the version and the time of creation, which the catalog keeps beside it."""
        return {
            "splits": {name: interval.to_json() for name, interval in self.splits.items()},
            "group_versions": [[ref.name, ref.version, delta] for ref, delta in self.group_versions.items()],
            "description": self.description,
        }

    @classmethod
    def from_json(cls, version: int, created_at: datetime, data: dict[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        return cls(
            version=version,
            splits={name: Interval.of(*bounds) for name, bounds in data["splits"].items()},
            group_versions={GroupRef(name, number): delta for name, number, delta in data["group_versions"]},
            description=data["description"],
            created_at=created_at,
        )
