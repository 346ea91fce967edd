"""Feature views that are kept ready to serve, and brought up to what the catalog says of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import CatalogError, NotFoundError, SettingsError, UpgradeError
from spark_fs.spec.names import check_name

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.names import GroupRef
    from spark_fs.spec.training_dataset import TrainingDatasetSpec

LOGGER = logging.getLogger("spark_fs.serve")
MAX_STALENESS = 5.0  # seconds for which a view is served without a look at the catalog
_MAX_ABSENT = 1_000  # requests that are known to be of no view


class ViewRequest(NamedTuple):
    """A view by name and version, and the training dataset that its transformations learned of.

    dataset: None for the only one.
    """

    name: str
    version: int = 1
    dataset: int | None = None

    @classmethod
    def from_string(cls, text: str) -> ViewRequest:
        """Of ``name``, ``name:version`` or ``name:version:training-dataset``."""
        name, *numbers = text.split(":")
        are_valid = all(number.isascii() and number.isdecimal() for number in numbers)
        if not name or len(numbers) > 2 or not are_valid:
            raise SettingsError(
                f"--view {text!r} is not a view: write name, name:version or"
                " name:version:training-dataset."
            )
        return cls(name, *map(int, numbers))

    def __str__(self) -> str:
        text = f"{self.name}:{self.version}"
        return text if self.dataset is None else f"{text}:{self.dataset}"


class _CatalogState(NamedTuple):
    """All that the catalog says of what a view is served by."""

    view: ViewSpec
    groups: Mapping[GroupRef, GroupSpec]
    dataset: TrainingDatasetSpec | None


@dataclass
class _ReadyView:
    """A view that is ready, what it was made by, and when that was last looked at."""

    view: FeatureView
    catalog_state: _CatalogState
    checked_at: float
    refresh_lock: Lock = field(default_factory=Lock)


class ServedViews:
    """The feature views that a serving process hands out.

    Each is made ready once, and again when the catalog says otherwise of it.

    only: the views that are handed out, as in ``ViewRequest.from_string``; none: every view of the
    store. A view is at most ``max_staleness`` seconds behind the catalog; where the catalog gives
    no answer, or has what only a newer release understands, it is served on as it is.
    """

    def __init__(
        self,
        fs: FeatureStore,
        only: Sequence[str] = (),
        max_staleness: float = MAX_STALENESS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fs = fs
        self._catalog = fs._stores.catalog
        self._max_staleness = max_staleness
        self._clock = clock
        self._only = tuple(map(ViewRequest.from_string, only))
        self._ready_views: dict[ViewRequest, _ReadyView] = {}
        self._absent: dict[ViewRequest, tuple[float, str]] = {}
        self._served_names: set[str] = set()
        self._build_lock = Lock()
        for request in self._only:
            self.get_view(*request)

    def get_view(self, name: str, version: int = 1, dataset: int | None = None) -> FeatureView:
        """Hand out a view that is ready.

        Args:
            name: The name of the view.
            version: Its version.
            dataset: The training dataset that its transformations learned of; None: the only one.

        Raises:
            NotFoundError: The view or the training dataset is not there, or not handed out.
            SettingsError: It is served by several training datasets, and none was named.
        """
        request = self._resolve_request(ViewRequest(name, version, dataset))
        ready = self._ready_views.get(request)
        if ready is None:
            return self._load_view(request).view
        if self._clock() - ready.checked_at < self._max_staleness:
            return ready.view
        if not ready.refresh_lock.acquire(blocking=False):
            return ready.view  # while one caller looks, the others are served
        try:
            return self._refresh_view(request, ready).view
        finally:
            ready.refresh_lock.release()

    def is_known(self, name: str) -> bool:
        """Whether a view of this name was handed out."""
        return name in self._served_names

    def _resolve_request(self, request: ViewRequest) -> ViewRequest:
        """What is handed out for a request."""
        check_name("Feature view", request.name)
        if not self._only:
            return request
        served = self._list_served(request)
        served_datasets = [view.dataset for view in served]
        if None in served_datasets or request.dataset in served_datasets:
            return request
        if request.dataset is None and len(served) == 1:
            return served[0]
        datasets = sorted(dataset for dataset in served_datasets if dataset is not None)
        if request.dataset is None:
            listed = ", ".join(map(str, datasets))
            raise SettingsError(
                f"Feature view {request.name!r} version {request.version} is served by training"
                f" datasets {listed}: name one."
            )
        raise NotFoundError.for_version(
            "Training dataset of feature view", request.name, request.dataset, datasets
        )

    def _list_served(self, request: ViewRequest) -> list[ViewRequest]:
        """What is handed out of a view's version; NotFoundError where nothing is."""
        versions_of_view = [served for served in self._only if served.name == request.name]
        if not versions_of_view:
            names = [served.name for served in self._only]
            raise NotFoundError.for_name(
                "Feature view", request.name, names, "Ask for one that is served here."
            )
        requests = [served for served in versions_of_view if served.version == request.version]
        if not requests:
            versions = sorted({served.version for served in versions_of_view})
            raise NotFoundError.for_version("Feature view", request.name, request.version, versions)
        return requests

    def _load_view(self, request: ViewRequest) -> _ReadyView:
        """A view that was not asked for before, or was not there."""
        absent_since, reason = self._absent.get(request, (-inf, ""))
        if self._clock() - absent_since < self._max_staleness:
            raise NotFoundError(reason)
        try:
            state = self._read_catalog_state(request)
            with self._build_lock:  # one thread makes what many ask for at the start
                ready = self._ready_views.get(request)
                if ready is None or ready.catalog_state != state:
                    ready = self._build_view(request, state)
                    self._ready_views[request] = ready
        except NotFoundError as error:
            if len(self._absent) >= _MAX_ABSENT:
                self._absent.clear()
            self._absent[request] = (self._clock(), str(error))
            raise
        return ready

    def _refresh_view(self, request: ViewRequest, ready: _ReadyView) -> _ReadyView:
        """A view as the catalog has it now."""
        now = self._clock()
        try:
            state = self._read_catalog_state(request, ready.catalog_state.dataset)
            if state != ready.catalog_state:
                ready = self._build_view(request, state)
                self._ready_views[request] = ready
            ready.checked_at = now
        except NotFoundError:
            self._ready_views.pop(request, None)
            raise
        except (CatalogError, UpgradeError) as error:
            ready.checked_at = now
            LOGGER.warning(
                "Feature view %s is served on as it was, since the catalog cannot be read: %s",
                request,
                escape_for_terminal(error),
            )
        return ready

    def _read_catalog_state(
        self, request: ViewRequest, last_dataset: TrainingDatasetSpec | None = None
    ) -> _CatalogState:
        """What the catalog says now.

        last_dataset: the training dataset by which the view is served already.
        """
        view = self._catalog.get_view(request.name, request.version)
        version = last_dataset.version if last_dataset else request.dataset
        datasets = []
        for dataset in self._catalog.list_training_datasets(view):
            is_chosen = dataset.version == version and dataset.state != "running"
            if is_chosen or (version is None and dataset.state == "finished"):
                datasets.append(dataset)
        groups = self._catalog.get_groups(view.query.iter_groups())
        return _CatalogState(view, groups, datasets[0] if len(datasets) == 1 else None)

    def _build_view(self, request: ViewRequest, state: _CatalogState) -> _ReadyView:
        began = self._clock()
        view = self._fs.get_feature_view(request.name, request.version)
        view.init_serving(request.dataset if state.dataset is None else state.dataset.version)
        self._served_names.add(request.name)
        return _ReadyView(view, state, began)
