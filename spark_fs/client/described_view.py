"""What both kinds of remote views say of themselves, and how they read their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.base.given_values import choose_entry, merge_passed, spread_passed
from spark_fs.client.view_requests import RemoteViewState, VectorRequest

if TYPE_CHECKING:
    from spark_fs.base.times import Instant

Entry = Mapping[str, Any]


class DescribedView:
    """The names and types of a view that a server hands out."""

    def __init__(self, state: RemoteViewState) -> None:
        self._state = state

    @property
    def name(self) -> str:
        """The name of the view."""
        return self._state.description.name

    @property
    def version(self) -> int:
        """Its version."""
        return self._state.description.version

    @property
    def training_dataset_version(self) -> int | None:
        """The training dataset that its transformations learned of; None where none learned."""
        return self._state.description.training_dataset_version

    @property
    def serving_types(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The types by name: of the keys that an entry may hold, and of what may be passed."""
        return self._state.description.keys, self._state.description.passable

    @property
    def serving_columns(self) -> list[str]:
        """The names of a vector's values, in their order."""
        return list(self._state.description.columns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, version={self.version})"

    def _request_one(
        self,
        entry: Entry | None,
        keys: Entry | None,
        passed_features: Entry | None,
        request_parameters: Entry | None,
        allow_missing: bool,
        transform: bool,
        now: Instant | None,
    ) -> VectorRequest:
        entries = [choose_entry(entry, keys)]
        passable = self._state.description.passable
        passed = [merge_passed(passable, passed_features, request_parameters)]
        return VectorRequest(entries, passed, bool(allow_missing), bool(transform), now)

    def _request_many(
        self,
        entry: Sequence[Entry] | None,
        keys: Sequence[Entry] | None,
        passed_features: Sequence[Entry] | None,
        request_parameters: Sequence[Entry] | Entry | None,
        allow_missing: bool,
        transform: bool,
        now: Instant | None,
    ) -> VectorRequest:
        entries = choose_entry(entry, keys)
        first = spread_passed("passed_features", passed_features, len(entries))
        second = spread_passed("request_parameters", request_parameters, len(entries))
        passable = self._state.description.passable
        passed = [merge_passed(passable, *pair) for pair in zip(first, second, strict=True)]
        return VectorRequest(entries, passed, bool(allow_missing), bool(transform), now)


def take_row(rows: Any, return_type: str) -> Any:
    """What a caller of one vector gets of an answer: a list or an array of it, or a frame."""
    return rows[0] if return_type in ("list", "numpy") else rows
