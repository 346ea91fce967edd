"""Logs a share of the vectors that a server hands out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_fs.server.observers import ServedAnswer
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.serving_log import ServedVectors

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore

_MAX_AGE = 5.0  # seconds for which the catalog is not asked again of a view
_MAX_KNOWN = 1_000  # views by training dataset


class _LoggedView(NamedTuple):
    """A view, the columns of its vectors, and when the catalog said so."""

    spec: ViewSpec
    columns: tuple[str, ...]
    asked_at: float


class LogObserver:
    """An observer of served vectors, by which a share of them is logged.

    A view whose logging is paused is left out.

    Args:
        fs: The feature store.
        share: Of the requests, above 0 and up to 1.
        count: Called with what became of how many vectors.

    Raises:
        SettingsError: The share is none.
    """

    def __init__(
        self,
        fs: FeatureStore,
        share: float,
        count: Callable[[str, int], Any] = lambda _outcome, _vectors: None,
    ) -> None:
        from spark_fs.flows.served_log import ServedLog

        self._stores = fs._stores
        self._views: dict[tuple[GroupRef, int | None], _LoggedView] = {}
        home = self._stores.settings.home
        self._log = ServedLog(home, share, find_synced=self._find_synced, count=count)

    def __call__(self, answer: ServedAnswer) -> None:
        """Take note of one answer, or leave it."""
        if not self._log.is_sampled():
            return
        ref = GroupRef(answer.view, answer.version)
        dataset = answer.training_dataset_version
        try:
            logged = self._get_view(ref, dataset)
        except Exception as error:  # the catalog is away, which each answer would tell anew
            self._log.drop(len(answer.vectors), error)
            return
        if logged.spec.logging is not None and logged.spec.logging.paused:
            return
        served = ServedVectors(
            ref,
            dataset,
            logged.columns,
            True,
            answer.entries,
            answer.passed,
            answer.vectors,
            answer.instant,
            answer.request_id,
        )
        self._log.record(served)

    def close(self) -> None:
        """Write what waits."""
        self._log.close()

    def _get_view(self, ref: GroupRef, dataset: int | None) -> _LoggedView:
        from spark_fs.flows.view_columns import find_states, resolve_view_columns

        known = self._views.get((ref, dataset))
        now = time.monotonic()
        if known is not None and now - known.asked_at < _MAX_AGE:
            return known
        catalog = self._stores.catalog
        spec = catalog.get_view(*ref)
        columns = resolve_view_columns(catalog, spec)
        states = find_states(catalog, spec, dataset, columns)
        names = tuple(columns.get_training_columns(states))
        if len(self._views) >= _MAX_KNOWN:
            self._views.clear()
        self._views[ref, dataset] = _LoggedView(spec, names, now)
        return self._views[ref, dataset]

    def _find_synced(self, ref: GroupRef) -> Mapping[str, int]:
        from spark_fs.flows.synced_versions import find_synced_versions

        return find_synced_versions(self._stores, self._stores.catalog.get_view(*ref))
