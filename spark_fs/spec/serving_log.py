"""What a feature view's log of served vectors is, as values: its columns, and what is served."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

from spark_fs.spec.names import GroupRef, make_id
from spark_fs.spec.record_format import select_known_fields

LOG_ID = "log_id"
LOG_TIME = "log_time"
REQUEST_ID = "request_id"
TRAINING_DATASET = "td_version"
MODEL = "model_name"
MODEL_VERSION = "model_version"
PASSED = "request_parameters"
LOGGED_AS = "logged_as"
GIVEN_KEYS = "given_keys"
SYNCED = "synced_versions"
# What every row of a log has beside keys and features; names of Hopsworks where it has them.
LOG_TYPES: Mapping[str, str] = {
    LOG_ID: "string",
    LOG_TIME: "timestamp",
    REQUEST_ID: "string",
    TRAINING_DATASET: "bigint",
    MODEL: "string",
    MODEL_VERSION: "bigint",
    PASSED: "string",
    LOGGED_AS: "string",
    GIVEN_KEYS: "string",
    SYNCED: "string",
}
LOG_TAG = "log_of_feature_view"  # of the group that a view's log is kept in
PREDICTED = "predicted_"
TRANSFORMED = "transformed_"
_MAX_LOG_NAME = 63
LoggedAs = Literal["transformed", "untransformed", "both", "none"]


@dataclass(frozen=True)
class LoggingSpec:
    """That a view keeps what is served of it.

    extra_columns: what ``fv.log`` takes beside the view's own columns, with their types. paused:
    whether nothing is logged and moved for the time being.
    """

    extra_columns: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave; UpgradeError where only a newer release can read it."""
        return cls(**select_known_fields(cls, "The log of a feature view", data))


@dataclass(frozen=True)
class ServedVectors:
    """What one request was answered with.

    Attributes:
        view: the feature view, by name and version.
        training_dataset_version: by which its transformations learned; None: none was needed.
        columns: the names of the values of each vector, in their order.
        transformed: whether the vectors are those after the view's transformations.
        entries: the keys of each vector, by name.
        passed: what the caller passed for each, by name; empty: nothing for any.
        vectors: what was handed out, as many as entries.
        instant: when (UTC).
        request_id: of the request.
    """

    view: GroupRef
    training_dataset_version: int | None
    columns: Sequence[str]
    transformed: bool
    entries: Sequence[Mapping[str, Any]]
    passed: Sequence[Mapping[str, Any] | None]
    vectors: Sequence[Sequence[Any]]
    instant: datetime
    request_id: str


def name_log_group(view: GroupRef) -> GroupRef:
    """The feature group that the log of a view is kept in: ``<view>_<version>_log``."""
    suffix = f"_{view.version}_log"
    name = view.name + suffix
    if len(name) <= _MAX_LOG_NAME:
        return GroupRef(name, 1)
    number = f"_{make_id(view.name):012x}"
    return GroupRef(view.name[: _MAX_LOG_NAME - len(suffix) - len(number)] + number + suffix, 1)
