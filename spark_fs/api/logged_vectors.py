"""Vectors and batches that carry what ``log`` keeps of them, whatever they come as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from spark_fs.spec.logged_parts import METADATA, BatchMetadata, LoggedVectors, LoggingMetadata

if TYPE_CHECKING:
    from spark_fs.flows.serving_state import ServingState

V = TypeVar("V")  # vectors in one of their forms


@dataclass(frozen=True)
class LoggedRead:
    """What is read for the log.

    Attributes:
        state: Of the view.
        entries: The keys of each vector.
        passed: What is passed for each.
        allow_missing: Whether nulls stand for a key without an online row.
        now: The instant (UTC) at which a row past its ttl is absent.
    """

    state: ServingState
    entries: Sequence[Mapping[str, Any]]
    passed: Sequence[Mapping[str, Any]]
    allow_missing: bool
    now: datetime

    def to_vectors(self, return_type: str, transform: bool) -> Any:
        """Read the vectors as a list of lists, or as a frame or an array of rows.

        Args:
            return_type: "list", "pandas", "polars" or "numpy".
            transform: Whether they are those after the transformations.

        Returns:
            The vectors, with what is logged of them.
        """
        vectors, metadata = self._read(transform)
        if return_type == "list":
            return attach_metadata(LoggedVectors(vectors), metadata)
        return attach_metadata(self._convert(vectors, return_type, transform), metadata)

    def to_vector(self, return_type: str, transform: bool) -> Any:
        """Read the only vector, as a list of values, a frame of one row, or an array.

        Args:
            return_type: "list", "pandas", "polars" or "numpy".
            transform: Whether it is that after the transformations.

        Returns:
            The vector, with what is logged of it.
        """
        vectors, metadata = self._read(transform)
        if return_type == "list":
            return attach_metadata(LoggedVectors(vectors[0]), metadata)
        rows = self._convert(vectors, return_type, transform)
        return attach_metadata(rows[0] if return_type == "numpy" else rows, metadata)

    def _read(self, transform: bool) -> tuple[list[list[Any]], LoggingMetadata]:
        features, vectors = self.state.read_both(
            self.entries, self.passed, self.allow_missing, self.now
        )
        metadata = LoggingMetadata(
            features, vectors, self.entries, self.passed, self.now, self.state.dataset_version
        )
        return vectors if transform else features, metadata

    def _convert(self, vectors: Sequence[Sequence[Any]], return_type: str, transform: bool) -> Any:
        from spark_fs.flows import returned_vectors

        columns = self.state.columns if transform else self.state.features
        return returned_vectors.convert_vectors(columns, vectors, return_type)


def attach_metadata(vectors: V, metadata: LoggingMetadata | BatchMetadata) -> V:
    """Let vectors or a batch carry what is logged of them, as an attribute that no copy keeps.

    Args:
        vectors: A list, a frame of pandas or polars, or an array.
        metadata: What is logged of them.
    """
    carrier = vectors
    if type(vectors).__module__ == "numpy":
        carrier = _make_array_class()(vectors)
    object.__setattr__(carrier, METADATA, metadata)
    return carrier


def _make_array_class() -> Any:
    """An array that takes an attribute."""
    import numpy as np

    class LoggedArray(np.ndarray[Any, Any]):
        """Vectors that were read for the log."""

        def __new__(cls, values: Any) -> Any:
            return np.asarray(values).view(cls)

    return LoggedArray
