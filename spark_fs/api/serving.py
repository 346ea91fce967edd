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
    from spark_fs.spec.query import GroupRef
    from spark_fs.spec.training_dataset import TrainingDatasetSpec

LOGGER = logging.getLogger("spark_fs.serve")
MAX_STALENESS = 5.0  # seconds for which a view is served without a look at the catalog
_MAX_ABSENT = 1_000  # names that are known not to be there


class ViewRequest(NamedTuple):
    """A view by name and version, and the training dataset by which its transformations learned; None: the only one."""

    name: str
    version: int = 1
    dataset: int | None = None

    @classmethod
    def from_string(cls, text: str) -> ViewRequest:
        """Of ``name``, ``name:version`` or ``name:version:training-dataset``."""
        name, *numbers = text.split(":")
        if (
            not name
            or len(numbers) > 2
            or not all(number.isascii() and number.isdecimal() for number in numbers)
        ):
            raise SettingsError(
                f"--view {text!r} is not a view: write name, name:version or"
                " name:version:training-dataset."
            )
        return cls(name, *map(int, numbers))

    def __str__(self) -> str:
        return ":".join(
            map(str, (self.name, self.version, *([] if self.dataset is None else [self.dataset])))
        )


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
    """The feature views that a serving process hands out: each made ready once, and again when the catalog says otherwise of it.

    only: the views that are handed out, as in ``Asked.of``; none: every view of the store. A view
    is at most ``fresh`` seconds behind the catalog; where the catalog gives no answer, or has what
    only a newer release understands, it is served on as it is.
    """

    def __init__(
        self,
        fs: FeatureStore,
        only: Sequence[str] = (),
        max_staleness: float = MAX_STALENESS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fs, self._catalog, self._max_staleness, self._clock = (
            fs,
            fs._stores.catalog,
            max_staleness,
            clock,
        )
        self._only = tuple(map(ViewRequest.from_string, only))
        self._ready_views: dict[ViewRequest, _ReadyView] = {}
        self._absent: dict[ViewRequest, tuple[float, str]] = {}
        self._served_names: set[str] = set()
        self._build_lock = Lock()
        for asked in self._only:
            self.get_view(*asked)

    def get_view(self, name: str, version: int = 1, dataset: int | None = None) -> FeatureView:
        """A view that is ready; NotFoundError where it is not there, or not handed out."""
        asked = self._resolve_request(ViewRequest(name, version, dataset))
        held = self._ready_views.get(asked)
        if held is None:
            return self._load_view(asked).view
        if self._clock() - held.checked_at < self._max_staleness or not held.refresh_lock.acquire(
            blocking=False
        ):
            return held.view  # while one caller looks, the others are served
        try:
            return self._refresh_view(asked, held).view
        finally:
            held.refresh_lock.release()

    def is_known(self, name: str) -> bool:
        """Whether a view of this name was handed out."""
        return name in self._served_names

    def _resolve_request(self, request: ViewRequest) -> ViewRequest:
        """What is handed out for what was asked."""
        check_name("Feature view", request.name)
        if not self._only:
            return request
        named = [each for each in self._only if each.name == request.name]
        if not named:
            known = [each.name for each in self._only]
            raise NotFoundError.for_name(
                "Feature view", request.name, known, "Ask for one that is served here."
            )
        versions = [each for each in named if each.version == request.version]
        if not versions:
            raise NotFoundError.for_version(
                "Feature view",
                request.name,
                request.version,
                sorted({each.version for each in named}),
            )
        if any(each.dataset in (None, request.dataset) for each in versions):
            return request
        if request.dataset is None and len(versions) == 1:
            return versions[0]
        datasets = sorted(each.dataset for each in versions if each.dataset is not None)
        if request.dataset is None:
            listed = ", ".join(map(str, datasets))
            raise SettingsError(
                f"Feature view {request.name!r} version {request.version} is served by training"
                f" datasets {listed}: name one."
            )
        raise NotFoundError.for_version(
            "Training dataset of feature view", request.name, request.dataset, datasets
        )

    def _load_view(self, request: ViewRequest) -> _ReadyView:
        """A view that was not asked for before, or was not there."""
        since, why = self._absent.get(request, (-inf, ""))
        if self._clock() - since < self._max_staleness:
            raise NotFoundError(why)
        try:
            facts = self._read_catalog_state(request)
            with self._build_lock:  # one thread makes what many ask for at the start
                held = self._ready_views.get(request)
                if held is None or held.catalog_state != facts:
                    held = self._ready_views[request] = self._build_view(request, facts)
        except NotFoundError as error:
            if len(self._absent) >= _MAX_ABSENT:
                self._absent.clear()
            self._absent[request] = self._clock(), str(error)
            raise
        return held

    def _refresh_view(self, request: ViewRequest, ready: _ReadyView) -> _ReadyView:
        """A view as the catalog has it now."""
        now = self._clock()
        try:
            facts = self._read_catalog_state(request, ready.catalog_state.dataset)
            if facts != ready.catalog_state:
                ready = self._ready_views[request] = self._build_view(request, facts)
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
        """What the catalog says now; chosen: the training dataset that was the only one when nobody said which."""
        view = self._catalog.get_view(request.name, request.version)
        made = [
            each for each in self._catalog.list_training_datasets(view) if each.state != "running"
        ]
        version = last_dataset.version if last_dataset else request.dataset
        wanted = [
            each
            for each in made
            if each.version == version or (version is None and each.state == "finished")
        ]
        return _CatalogState(
            view,
            self._catalog.get_groups(view.query.iter_groups()),
            wanted[0] if len(wanted) == 1 else None,
        )

    def _build_view(self, request: ViewRequest, catalog_state: _CatalogState) -> _ReadyView:
        began = self._clock()
        view = self._fs.get_feature_view(request.name, request.version)
        view.init_serving(
            request.dataset if catalog_state.dataset is None else catalog_state.dataset.version
        )
        self._served_names.add(request.name)
        return _ReadyView(view, catalog_state, began)
