"""The files of training datasets that are there: made again beside the old ones, removed, and whose a folder is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spark_fs.errors import SettingsError, SparkFSError, UnfinishedError

if TYPE_CHECKING:
    from spark_fs.api.datasets import TrainingDataset
    from spark_fs.api.stores import Stores
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.training_dataset import TrainingDatasetSpec


def recreate_dataset(dataset: TrainingDataset) -> Job:
    """Make a training dataset again, eagerly.

    Its files are made in a folder of their own, and the catalog names that one before the old files
    go. Then they are copied to where the old ones were, and the catalog names the old place again:
    at each instant it names files that are whole, in an object store too.
    """
    from spark_fs.tables import dataset_files as offline

    stores, view, old = dataset.stores, dataset.view, dataset.spec
    files = old.files
    if files is None:
        made, job, _ = dataset.materialize()
        _save_result(dataset, made.spec)
        return job
    if old.state == "deleted" and not offline.is_free(files.location):
        raise SettingsError(
            f"location {files.location} holds files already: empty it, then make the training"
            " dataset again."
        )
    beside = replace(files, location=stores.choose_training_folder(view, old.version))
    made, job, _ = replace(dataset, spec=replace(old, files=beside)).materialize()
    _save_result(dataset, made.spec)
    try:
        if old.state != "deleted":
            remove_dataset_files(stores, view, old)
        offline.copy_dataset(beside.location, files.location, old.parts, files.parts)
    except (SparkFSError, OSError) as error:
        raise UnfinishedError(
            f"Training dataset {old.version} of feature view {view} was made again and is read from"
            f" {beside.location}, since its files could not be put to {files.location}: {error}"
        ) from error
    stores.catalog.change_training_dataset(
        view, old.version, lambda now: replace(now, files=files) if now.files == beside else now
    )
    offline.remove_folder(beside.location)
    return job


def remove_dataset_files(stores: Stores, view: ViewSpec, dataset: TrainingDatasetSpec) -> None:
    """Remove the files of a training dataset, eagerly; where another one has their folder, they are that one's and stay."""
    from spark_fs.tables import dataset_files as offline

    if dataset.files and not _is_used(
        stores, dataset.files.location, (view.name, view.version, dataset.version)
    ):
        offline.remove_folder(dataset.files.location)


def _is_used(stores: Stores, location: str, own: tuple[str, int, int]) -> bool:
    """Whether another training dataset than this one has its files in a folder, or makes them there."""
    for view in stores.catalog.list_views():
        for each in stores.catalog.list_training_datasets(view, strict=True):
            here = each.files is not None and each.files.location.rstrip("/") == location.rstrip(
                "/"
            )
            if here and each.state != "deleted" and (view.name, view.version, each.version) != own:
                return True
    return False


def _save_result(dataset: TrainingDataset, spec: TrainingDatasetSpec) -> None:
    became = {name: getattr(spec, name) for name in ("files", "rows", "transformations", "state")}
    dataset.stores.catalog.change_training_dataset(
        dataset.view, spec.version, lambda now: replace(now, **became)
    )
