"""What a caller gives to the log of a view, and what vectors for the log carry with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

METADATA = "hopsworks_logging_metadata"  # the attribute of what was read for the log


@dataclass(frozen=True)
class LoggedParts:
    """What ``fv.log`` was given, each None where it was not; frames, or lists of rows."""

    logging_data: Any = None
    untransformed_features: Any = None
    predictions: Any = None
    transformed_features: Any = None
    inference_helper_columns: Any = None
    request_parameters: Any = None
    event_time: Any = None
    serving_keys: Any = None
    extra_logging_features: Any = None
    request_id: str | Sequence[str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was given."""
        return all(part is None for part in vars(self).values())


class LoggedModel(NamedTuple):
    """The training dataset and the model that rows are logged of; None where it is not known."""

    training_dataset_version: int | None = None
    name: str | None = None
    version: int | None = None


@dataclass(frozen=True)
class LoggingMetadata:
    """What vectors for the log carry: all that is known of them, as many of each as vectors.

    instant: (UTC) when they were read. training_dataset_version: by which they were transformed.
    """

    untransformed_features: Sequence[Sequence[Any]]
    transformed_features: Sequence[Sequence[Any]]
    serving_keys: Sequence[Any]
    request_parameters: Sequence[Any]
    instant: datetime
    training_dataset_version: int | None = None


@dataclass(frozen=True)
class BatchMetadata:
    """What a batch for the log carries: Arrow tables of as many rows as it has.

    transformed_features: None where it was not transformed. identity: the spine's key, and its
    event time where it has one. instant: (UTC) when they were read. training_dataset_version: by
    which they were transformed.
    """

    untransformed_features: Any
    transformed_features: Any
    inference_helpers: Any
    identity: Any
    event_time: str | None
    instant: datetime
    training_dataset_version: int | None = None


class LoggedVectors(list[Any]):
    """A vector, or a list of vectors, that was read for the log."""

    hopsworks_logging_metadata: LoggingMetadata
