"""Feature views that are kept ready to serve, and brought up to what the catalog says of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from spark_fs.errors import CatalogError, NotFoundError, SettingsError, UpgradeError
from spark_fs.spec.definitions import check_name
from spark_fs.terminal import shown

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.project import FeatureStore
    from spark_fs.spec.datasets import TrainingDatasetSpec
    from spark_fs.spec.definitions import GroupSpec, ViewSpec
    from spark_fs.spec.query import GroupRef

LOGGER = logging.getLogger("spark_fs.serve")
FRESH = 5.0  # seconds for which a view is served without a look at the catalog
_REMEMBERED = 1_000  # names that are known not to be there


class Asked(NamedTuple):
    """A view by name and version, and the training dataset by which its transformations learned; None: the only one."""

    name: str
    version: int = 1
    dataset: int | None = None

    @classmethod
    def of(cls, named: str) -> Asked:
        """Of ``name``, ``name:version`` or ``name:version:training-dataset``."""
        name, *numbers = named.split(":")
        if not name or len(numbers) > 2 or not all(number.isascii() and number.isdecimal() for number in numbers):
            raise SettingsError(f"--view {named!r} is not a view: write name, name:version or name:version:training-dataset.")
        return cls(name, *map(int, numbers))

    def __str__(self) -> str:
        return ":".join(map(str, (self.name, self.version, *([] if self.dataset is None else [self.dataset]))))


class _Facts(NamedTuple):
    """All that the catalog says of what a view is served by."""

    view: ViewSpec
    groups: Mapping[GroupRef, GroupSpec]
    dataset: TrainingDatasetSpec | None


@dataclass
class _Held:
    """A view that is ready, what it was made by, and when that was last looked at."""

    view: FeatureView
    facts: _Facts
    looked: float
    looking: Lock = field(default_factory=Lock)


class Views:
    """The feature views that a serving process hands out: each made ready once, and again when the catalog says otherwise of it.

    only: the views that are handed out, as in ``Asked.of``; none: every view of the store. A view is at most ``fresh`` seconds behind the
    catalog; where the catalog gives no answer, or has what only a newer release understands, it is served on as it is.
    """

    def __init__(
        self, fs: FeatureStore, only: Sequence[str] = (), fresh: float = FRESH, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fs, self._catalog, self._fresh, self._clock = fs, fs._stores.catalog, fresh, clock
        self._only = tuple(map(Asked.of, only))
        self._held: dict[Asked, _Held] = {}
        self._absent: dict[Asked, tuple[float, str]] = {}
        self._names: set[str] = set()
        self._making = Lock()
        for asked in self._only:
            self.get(*asked)

    def get(self, name: str, version: int = 1, dataset: int | None = None) -> FeatureView:
        """A view that is ready; NotFoundError where it is not there, or not handed out."""
        asked = self._allowed(Asked(name, version, dataset))
        held = self._held.get(asked)
        if held is None:
            return self._made(asked).view
        if self._clock() - held.looked < self._fresh or not held.looking.acquire(blocking=False):
            return held.view  # while one caller looks, the others are served
        try:
            return self._looked_at(asked, held).view
        finally:
            held.looking.release()

    def is_known(self, name: str) -> bool:
        """Whether a view of this name was handed out."""
        return name in self._names

    def _allowed(self, asked: Asked) -> Asked:
        """What is handed out for what was asked."""
        check_name("Feature view", asked.name)
        if not self._only:
            return asked
        named = [each for each in self._only if each.name == asked.name]
        if not named:
            known = [each.name for each in self._only]
            raise NotFoundError.named("Feature view", asked.name, known, "Ask for one that is served here.")
        versions = [each for each in named if each.version == asked.version]
        if not versions:
            raise NotFoundError.version("Feature view", asked.name, asked.version, sorted({each.version for each in named}))
        if any(each.dataset in (None, asked.dataset) for each in versions):
            return asked
        if asked.dataset is None and len(versions) == 1:
            return versions[0]
        datasets = sorted(each.dataset for each in versions if each.dataset is not None)
        if asked.dataset is None:
            listed = ", ".join(map(str, datasets))
            raise SettingsError(f"Feature view {asked.name!r} version {asked.version} is served by training datasets {listed}: name one.")
        raise NotFoundError.version("Training dataset of feature view", asked.name, asked.dataset, datasets)

    def _made(self, asked: Asked) -> _Held:
        """A view that was not asked for before, or was not there."""
        since, why = self._absent.get(asked, (-inf, ""))
        if self._clock() - since < self._fresh:
            raise NotFoundError(why)
        try:
            facts = self._facts(asked)
            with self._making:  # one thread makes what many ask for at the start
                held = self._held.get(asked)
                if held is None or held.facts != facts:
                    held = self._held[asked] = self._ready(asked, facts)
        except NotFoundError as error:
            if len(self._absent) >= _REMEMBERED:
                self._absent.clear()
            self._absent[asked] = self._clock(), str(error)
            raise
        return held

    def _looked_at(self, asked: Asked, held: _Held) -> _Held:
        """A view as the catalog has it now."""
        now = self._clock()
        try:
            facts = self._facts(asked, held.facts.dataset)
            if facts != held.facts:
                held = self._held[asked] = self._ready(asked, facts)
            held.looked = now
        except NotFoundError:
            self._held.pop(asked, None)
            raise
        except (CatalogError, UpgradeError) as error:
            held.looked = now
            LOGGER.warning("Feature view %s is served on as it was, since the catalog cannot be read: %s", asked, shown(error))
        return held

    def _facts(self, asked: Asked, chosen: TrainingDatasetSpec | None = None) -> _Facts:
        """What the catalog says now; chosen: the training dataset that was the only one when nobody said which."""
        view = self._catalog.view(asked.name, asked.version)
        made = [each for each in self._catalog.training_datasets(view) if each.state != "running"]
        version = chosen.version if chosen else asked.dataset
        wanted = [each for each in made if each.version == version or (version is None and each.state == "finished")]
        return _Facts(view, self._catalog.groups(view.query.groups()), wanted[0] if len(wanted) == 1 else None)

    def _ready(self, asked: Asked, facts: _Facts) -> _Held:
        began = self._clock()
        view = self._fs.get_feature_view(asked.name, asked.version)
        view.init_serving(asked.dataset if facts.dataset is None else facts.dataset.version)
        self._names.add(asked.name)
        return _Held(view, facts, began)
