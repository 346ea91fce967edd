"""What is asked of served views, and what each that is ready was made by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.catalog.store import Catalog
    from spark_fs.spec.aggregation import AggregationSpec
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.names import GroupRef
    from spark_fs.spec.training_dataset import TrainingDatasetSpec


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


class CatalogState(NamedTuple):
    """All that the catalog says of what a view is served by.

    live_groups: those that may keep its windows online, where it has any, as they are declared.
    """

    view: ViewSpec
    groups: Mapping[GroupRef, GroupSpec]
    dataset: TrainingDatasetSpec | None
    live_groups: tuple[tuple[GroupRef, AggregationSpec | None], ...] = ()


@dataclass(eq=False)
class ReadyView:
    """A view that is ready, what it was made by, and when that was last looked at.

    is_used: whether it was asked for since then.
    """

    view: FeatureView
    catalog_state: CatalogState
    checked_at: float
    is_used: bool = True
    refresh_lock: Lock = field(default_factory=Lock)


def read_catalog_state(
    catalog: Catalog, request: ViewRequest, last_dataset: TrainingDatasetSpec | None = None
) -> CatalogState:
    """What the catalog says now of what a view is served by.

    Args:
        catalog: The metadata database.
        request: Which view.
        last_dataset: The training dataset by which the view is served already.
    """
    from spark_fs.flows.live_sources import is_live

    view = catalog.get_view(request.name, request.version)
    version = last_dataset.version if last_dataset else request.dataset
    datasets = []
    for dataset in catalog.list_training_datasets(view):
        is_chosen = dataset.version == version and dataset.state != "running"
        if is_chosen or (version is None and dataset.state == "finished"):
            datasets.append(dataset)
    groups = catalog.get_groups(view.query.iter_groups())
    live_groups: list[tuple[GroupRef, AggregationSpec | None]] = []
    if any(query.windows for query in view.query.iter_queries()):
        for group in catalog.list_groups():
            if is_live(group):
                live_groups.append((group.ref, group.aggregation))
    chosen_dataset = datasets[0] if len(datasets) == 1 else None
    return CatalogState(view, groups, chosen_dataset, tuple(live_groups))
