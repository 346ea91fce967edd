"""Feature groups, as values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

from spark_fs.base.types import EVENT_TIME_TYPES
from spark_fs.errors import NotFoundError, SchemaError, SettingsError
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.expectations import parse_suite, to_tagged_json
from spark_fs.spec.external_source import FRAME, NAMED_SPINE, SourceSpec
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.spec.names import GroupRef, check_name, check_version
from spark_fs.spec.record_format import FORMAT_KEY, get_format, select_known_fields
from spark_fs.spec.transformation import TransformationSpec

GRAINS = ("day", "month", "year")
_SECOND_FORMAT = 2  # of a group with an aggregation, or a source of a later format
_NEVER = "0001-01-01T00:00:00+00:00"  # before any training dataset was made
_STORED_NAMES = {"may_have_duplicates": "vouched"}  # fields whose JSON keys are older


@dataclass(frozen=True)
class FeatureSpec:
    """One column of a group.

    type: as Spark writes it. description: what it means. online_type: empty where none was
    declared.
    """

    name: str
    type: str
    description: str = ""
    online_type: str = ""


class EarlierTtl(NamedTuple):
    """A ttl (seconds; None: any age) that a group had until an instant (ISO 8601)."""

    until: str
    seconds: float | None


@dataclass(frozen=True)
class GroupSpec:
    """A feature group.

    features: its columns; empty until the first insert gives them. may_have_duplicates: whether
    rows were ever inserted without a look for their identity, so that one may be there twice.
    parents: the groups that it is made of. tags: what users note of it. source: of an external
    group, where its rows are. ttl_seconds: how old a row may be and still match. built_from: the
    earliest instant (ISO 8601) that a backfill began at. keep_corrections: whether an upsert adds
    a row beside the one that it corrects. statistics_config: which statistics are made of it;
    None: those of the default. aggregation: the window features that its rows are built of; None:
    its rows are inserted. transformations: what computes columns of rows that are inserted.
    on_demand_inputs: the columns that these were computed of, with their types. foreign_key:
    columns that name an entity of another group. earlier_ttls: the oldest first; what was made
    under one of them keeps it.
    """

    # 2 of a group with an aggregation, or a source of a later format; 3 of one with on-demand
    # transformations, earlier ttls, or its event time as its key; others are of 1.
    FORMAT: ClassVar[int] = 3

    name: str
    version: int
    description: str = ""
    primary_key: tuple[str, ...] = ()
    partition_key: tuple[str, ...] = ()
    event_time: str | None = None
    online_enabled: bool = False
    features: tuple[FeatureSpec, ...] = ()
    ttl_seconds: float | None = None
    may_have_duplicates: bool = False
    parents: tuple[GroupRef, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)
    source: SourceSpec | None = None
    expectation_suite: Mapping[str, Any] | None = None
    built_from: str | None = None
    keep_corrections: bool = False
    statistics_config: Mapping[str, Any] | None = None
    aggregation: AggregationSpec | None = None
    transformations: tuple[TransformationSpec, ...] = ()
    on_demand_inputs: Mapping[str, str] = field(default_factory=dict)
    foreign_key: tuple[str, ...] = ()
    earlier_ttls: tuple[EarlierTtl, ...] = ()

    def __post_init__(self) -> None:
        check_name("Feature group", self.name)
        check_version("Feature group", self.name, self.version)
        self._check_key("Primary key", self.primary_key)
        self._check_key("Partition key", self.partition_key)
        self._check_key("Foreign key", self.foreign_key)
        self._check_identity()
        if self.ttl_seconds is not None and self.ttl_seconds <= 0:
            raise SettingsError(
                f"Feature group {self}: ttl must be a length of time above zero, not"
                f" {self.ttl_seconds} seconds."
            )
        if self.features:
            self._check_columns()
            self.parsed_statistics_config.select_column_types(self.types)

    def _check_key(self, role: str, columns: Sequence[str]) -> None:
        for column in columns:
            check_name(f"{role} column", column)
        if len(set(columns)) < len(columns):
            raise SettingsError(
                f"{role} of {self} names a column twice: {', '.join(columns)}. Name each once."
            )

    def _check_identity(self) -> None:
        if self.event_time is not None:
            check_name("Event time column", self.event_time)
        if not self.primary_key:
            raise SettingsError(
                f"Feature group {self} has no primary key: give primary_key=[...], the columns of"
                " its entity."
            )
        if self.event_time in self.primary_key and not self.is_keyed_by_time:
            raise SettingsError(
                f"Feature group {self} names {self.event_time!r} both as primary key and as event"
                " time: a row is (primary key, event time) already, so leave it out of"
                " primary_key."
            )

    def _check_columns(self) -> None:
        """The declared columns must be there, each name once, and the event time be a time."""
        names = [check_name(f"Column of feature group {self}:", f.name) for f in self.features]
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        if repeated:
            raise SchemaError(
                f"Feature group {self} names columns twice: {', '.join(repeated)}. Name each once."
            )
        self._require_columns("primary key", self.primary_key)
        if self.event_time:
            self._require_columns("event time", [self.event_time])
        self._require_columns("foreign key", self.foreign_key)
        stored = [column for column in self.partition_key if column not in self.grains]
        grains = f", or partition by {', '.join(GRAINS)} of an event time"
        self._require_columns("partition key", stored, alternative=grains)
        if self.event_time and self.types[self.event_time] not in EVENT_TIME_TYPES:
            raise SchemaError(
                f"Event time {self.event_time!r} of feature group {self} is"
                f" {self.types[self.event_time]}: it must be one of {', '.join(EVENT_TIME_TYPES)}."
            )

    def _require_columns(self, role: str, columns: Sequence[str], alternative: str = "") -> None:
        for column in columns:
            if column not in self.types:
                subject = f"The {role} column of feature group {self}"
                remedy = f"Add it to the columns{alternative}."
                raise NotFoundError.for_name(subject, column, self.types, remedy)

    def __str__(self) -> str:
        if self.is_dataframe and self.source and self.source.location != NAMED_SPINE:
            return "'spine' (a DataFrame)"
        return f"{self.name!r} version {self.version}"

    @property
    def ref(self) -> GroupRef:
        """The name and version."""
        return GroupRef(self.name, self.version)

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that make a row: the primary key, then the event time where there is one."""
        if self.event_time and not self.is_keyed_by_time:
            return (*self.primary_key, self.event_time)
        return self.primary_key

    @property
    def is_keyed_by_time(self) -> bool:
        """Whether the event time is the whole primary key: each instant has one row."""
        return self.primary_key == (self.event_time,)

    @property
    def ttl_micros(self) -> int | None:
        """How old a row may be and still match, in microseconds."""
        return None if self.ttl_seconds is None else round(self.ttl_seconds * 1_000_000)

    @property
    def last_ttl_seconds(self) -> float | None:
        """The ttl, or the last that it had where it has none now."""
        lengths = [self.ttl_seconds, *(earlier.seconds for earlier in reversed(self.earlier_ttls))]
        return next((seconds for seconds in lengths if seconds is not None), None)

    def with_ttl(self, seconds: float | None, now: datetime) -> Self:
        """The same group with another ttl from an instant on."""
        if seconds == self.ttl_seconds:
            return self
        earlier = EarlierTtl(now.isoformat(), self.ttl_seconds)
        return replace(self, ttl_seconds=seconds, earlier_ttls=(*self.earlier_ttls, earlier))

    def with_unused_ttl(self, seconds: float) -> Self:
        """The same group without a ttl, of which one is known that may be turned on."""
        return replace(self, ttl_seconds=None, earlier_ttls=(EarlierTtl(_NEVER, seconds),))

    def with_ttl_as_of(self, when: datetime | None) -> Self:
        """The same group with the ttl that it had at an instant; None: as it is."""
        if when is None:
            return self
        for earlier in self.earlier_ttls:
            if when < datetime.fromisoformat(earlier.until):
                return replace(self, ttl_seconds=earlier.seconds)
        return self

    @property
    def grains(self) -> tuple[str, ...]:
        """The partition keys that are a grain of the event time, and no column of the group."""
        if not self.event_time:
            return ()
        return tuple(key for key in self.partition_key if key in GRAINS and key not in self.types)

    @property
    def partition_columns(self) -> tuple[str, ...]:
        """The columns that partition the table; that of a grain is hidden, behind an underscore."""
        return tuple(f"_{key}" if key in self.grains else key for key in self.partition_key)

    @cached_property  # which binding asks once per column, of thousands
    def types(self) -> Mapping[str, str]:
        """The type of each column, in the group's order."""
        return {f.name: f.type for f in self.features}

    def get_column_type(self, column: str) -> str:
        """The type of one column; NotFoundError with the nearest names for an unknown one."""
        if column not in self.types:
            raise NotFoundError.for_name(
                f"Column of feature group {self}", column, self.types, "Select one of its columns."
            )
        return self.types[column]

    def with_schema(self, types: Mapping[str, str]) -> Self:
        """The same group with this schema."""
        features = tuple(FeatureSpec(name, type_) for name, type_ in types.items())
        return replace(self, features=features)

    def with_features(self, features: Sequence[FeatureSpec]) -> Self:
        """The same group with more columns at its end.

        Raises InvalidNameError or SchemaError for a column that cannot be added.
        """
        if self.aggregation is not None:
            raise SchemaError(
                f"Feature group {self} has the columns of its aggregation, and takes no others:"
                " create a new version of it with an aggregation that has these features too."
            )
        taken = [
            f"column {feature.name!r} is there already ({self.types[feature.name]})"
            for feature in features
            if feature.name in self.types
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
        features = []
        for feature in self.features:
            if feature.name == column:
                feature = replace(feature, description=description)
            features.append(feature)
        return replace(self, features=tuple(features))

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
        return replace(self, may_have_duplicates=True)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        data = {_STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}
        data["expectation_suite"] = to_tagged_json(self.expectation_suite)
        for name in ("aggregation", "transformations", "on_demand_inputs"):
            del data[name]
        if not self.foreign_key:
            del data["foreign_key"]  # as the first release reads it
        if self.aggregation is not None:
            data["aggregation"] = self.aggregation.to_json()
            data[FORMAT_KEY] = _SECOND_FORMAT
        if self.source is not None and self.source.is_of_later_format:
            data[FORMAT_KEY] = _SECOND_FORMAT
        if self.transformations:
            data["transformations"] = [spec.to_json() for spec in self.transformations]
            data["on_demand_inputs"] = dict(self.on_demand_inputs)
            data[FORMAT_KEY] = get_format(type(self))
        if not self.earlier_ttls:
            del data["earlier_ttls"]
        if self.earlier_ttls or self.is_keyed_by_time:
            data[FORMAT_KEY] = get_format(type(self))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The group that ``to_json`` wrote; UpgradeError where only a newer release can read it."""
        subject = f"Feature group {data.get('name')!r} version {data.get('version')}"
        values = select_known_fields(cls, subject, data)
        for name, stored_name in _STORED_NAMES.items():
            if stored_name in data:
                values[name] = data[stored_name]
        for name in ("primary_key", "partition_key"):
            values[name] = tuple(data[name])
        values["foreign_key"] = tuple(data.get("foreign_key", ()))
        values["earlier_ttls"] = tuple(EarlierTtl(*ttl) for ttl in data.get("earlier_ttls", ()))
        values["parents"] = tuple(GroupRef(*parent) for parent in data.get("parents", ()))
        values["features"] = tuple(
            FeatureSpec(**select_known_fields(FeatureSpec, f"A column of {subject}", feature))
            for feature in data["features"]
        )
        source = data.get("source")
        values["source"] = _read_source(subject, source) if source else None
        suite = data.get("expectation_suite")
        values["expectation_suite"] = parse_suite(suite) if suite else None
        aggregation = data.get("aggregation")
        values["aggregation"] = aggregation and AggregationSpec.from_json(aggregation)
        transformations = data.get("transformations", ())
        values["transformations"] = tuple(map(TransformationSpec.from_json, transformations))
        config = data.get("statistics_config")
        values["statistics_config"] = config and select_known_fields(
            StatisticsConfig, f"The statistics_config of {subject}", config
        )
        return cls(**values)


def _read_source(owner: str, data: Mapping[str, Any]) -> SourceSpec:
    return SourceSpec(**select_known_fields(SourceSpec, f"The source of {owner}", data))
