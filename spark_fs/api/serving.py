"""Feature views that are kept ready to serve, and brought up to what the catalog says of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from threading import Lock
from typing import TYPE_CHECKING

from spark_fs.api.ready_views import CatalogState, ReadyView, ViewRequest, read_catalog_state
from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import CatalogError, NotFoundError, SettingsError, SparkFSError, UpgradeError
from spark_fs.spec.names import check_name

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.feature_view import FeatureView

LOGGER = logging.getLogger("spark_fs.serve")
MAX_STALENESS = 5.0  # seconds for which a view is served without a look at the catalog
_MAX_ABSENT = 1_000  # requests that are known to be of no view


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
        self._ready_views: dict[ViewRequest, ReadyView] = {}
        self._resolved: dict[ViewRequest, ViewRequest] = {}
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
        return self.get_ready_view(name, version, dataset).view

    def get_ready_view(self, name: str, version: int = 1, dataset: int | None = None) -> ReadyView:
        """Hand out a view with what it was made by; it is another when that has changed.

        Args:
            name: As in ``get_view``, whose errors are raised.
            version: Likewise.
            dataset: Likewise.
        """
        asked = ViewRequest(name, version, dataset)
        request = self._resolve_request(asked)
        ready = self._ready_views.get(request)
        if ready is None:
            ready = self._load_view(request)
        elif self._clock() - ready.checked_at >= self._max_staleness:
            ready = self._refresh_alone(request, ready)
        if asked != request:
            self._resolved[asked] = request
        return ready

    def find_ready_view(self, request: ViewRequest) -> ReadyView | None:
        """A view that is ready and was looked at lately; it waits for nothing.

        None where ``get_ready_view`` has to look at the catalog.
        """
        ready = self._ready_views.get(self._resolved.get(request, request))
        if ready is None or self._clock() - ready.checked_at >= self._max_staleness:
            return None
        ready.is_used = True
        return ready

    def refresh_used(self, staleness: float) -> None:
        """Look at the catalog for the views that were asked for since the last look.

        So no request has to wait for it. Those that nobody asks for are looked at when somebody
        does again.

        Args:
            staleness: The seconds since the last look, from which on there is another.
        """
        for request, ready in tuple(self._ready_views.items()):
            if ready.is_used and self._clock() - ready.checked_at >= staleness:
                ready.is_used = False
                with suppress(SparkFSError):  # who asks for it next is told
                    self._refresh_alone(request, ready)

    def warm_up(self) -> None:
        """Make a connection and its statements for each view that is ready.

        A view that cannot be looked up yet, as one that was never synced, is named in the log.
        """
        for request, ready in tuple(self._ready_views.items()):
            try:
                ready.view._get_serving_state().vector_reader.warm_up()
            except SparkFSError as error:
                LOGGER.warning(
                    "Feature view %s cannot be looked up yet: %s",
                    request,
                    escape_for_terminal(error),
                )

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

    def _load_view(self, request: ViewRequest) -> ReadyView:
        """A view that was not asked for before, or was not there."""
        absent_since, reason = self._absent.get(request, (-inf, ""))
        if self._clock() - absent_since < self._max_staleness:
            raise NotFoundError(reason)
        try:
            state = read_catalog_state(self._catalog, request)
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

    def _refresh_alone(self, request: ViewRequest, ready: ReadyView) -> ReadyView:
        """A view as the catalog has it now; while one caller looks, the others are served."""
        if not ready.refresh_lock.acquire(blocking=False):
            return ready
        try:
            return self._refresh_view(request, ready)
        finally:
            ready.refresh_lock.release()

    def _refresh_view(self, request: ViewRequest, ready: ReadyView) -> ReadyView:
        """A view as the catalog has it now."""
        now = self._clock()
        try:
            state = read_catalog_state(self._catalog, request, ready.catalog_state.dataset)
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

    def _build_view(self, request: ViewRequest, state: CatalogState) -> ReadyView:
        began = self._clock()
        view = self._fs.get_feature_view(request.name, request.version)
        view.init_serving(request.dataset if state.dataset is None else state.dataset.version)
        self._served_names.add(request.name)
        return ReadyView(view, state, began)
