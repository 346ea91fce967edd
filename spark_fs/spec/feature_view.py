"""Feature views, as values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

from spark_fs.spec.names import check_name, check_version
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.record_format import select_known_fields, with_format_version
from spark_fs.spec.serving_log import LoggingSpec
from spark_fs.spec.transformation import TransformationSpec


@dataclass(frozen=True)
class ViewSpec:
    """A feature view: a query, the columns of it that are labels, and what is done to the others.

    training_helpers, inference_helpers: columns that no model sees, handed out beside training
    data, beside batches and vectors. key_features: the spine's keys and event time that the query
    selects and that are features; none of a view from before 0.2, where they never were. logging:
    how what is served is kept; None: it is not, unless a server is told to.
    """

    FORMAT: ClassVar[int] = 2  # of a view with key_features, which an older release would leave out

    name: str
    version: int
    query: QuerySpec
    labels: tuple[str, ...] = ()
    description: str = ""
    transformations: tuple[TransformationSpec, ...] = ()
    training_helpers: tuple[str, ...] = ()
    inference_helpers: tuple[str, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)
    key_features: tuple[str, ...] = ()
    logging: LoggingSpec | None = None

    def __post_init__(self) -> None:
        check_name("Feature view", self.name)
        check_version("Feature view", self.name, self.version)

    def __str__(self) -> str:
        return f"{self.name!r} version {self.version}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        transformations = [transformation.to_json() for transformation in self.transformations]
        data = asdict(self) | {"query": self.query.to_json(), "transformations": transformations}
        if self.logging is None:
            del data["logging"]
        if self.key_features:
            return with_format_version(type(self), data)
        del data["key_features"]
        return data  # as the first release reads it

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The view that ``to_json`` wrote; UpgradeError where only a newer release can read it."""
        subject = f"Feature view {data.get('name')!r} version {data.get('version')}"
        values = select_known_fields(cls, subject, data)
        for name in ("labels", "training_helpers", "inference_helpers", "key_features"):
            values[name] = tuple(data.get(name, ()))
        transformations = data.get("transformations", ())
        values["transformations"] = tuple(map(TransformationSpec.from_json, transformations))
        if values.get("logging") is not None:
            values["logging"] = LoggingSpec.from_json(values["logging"])
        values["query"] = QuerySpec.from_json(data["query"])
        return cls(**values)
