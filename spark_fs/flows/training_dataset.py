"""Training datasets from their start to their end: reserved, made, recorded, made again, deleted.

Each has a version in the catalog before anything of it is written, so that a process that is killed
leaves a dataset that is known to be unfinished.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spark_fs.errors import NotFoundError, SettingsError, SparkFSError, UnfinishedError
from spark_fs.flows import read, training_statistics
from spark_fs.flows.jobs import Job, RunningJob
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.spine_rows import SpineRows, build_view_spine, save_spine
from spark_fs.flows.training_rows import MadeDataset, TrainingDataset
from spark_fs.flows.view_columns import bind_filter, list_external_groups, resolve_view_columns
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.training_dataset import FilesSpec, TrainingDatasetSpec
from spark_fs.spec.training_request import DatasetRequest, FilesRequest, FrameLayout
from spark_fs.tables import dataset_files

# The method that reads a dataset of so many splits.
_READERS = {
    1: "get_training_data",
    2: "get_train_test_split",
    3: "get_train_validation_test_split",
}


def make_in_memory(
    stores: ProjectStores,
    view: ViewSpec,
    request: DatasetRequest,
    layout: FrameLayout,
    engine: str | None,
) -> tuple[int, tuple[Any, ...]]:
    """Make a training dataset, eagerly; returns its version and its frames: each X, then each y."""
    layout = _resolve_layout(layout)
    if layout.dataframe_type == "spark":
        request = replace(request, files=FilesRequest())
    made = make_reserved(reserve_version(stores, view, request, engine))
    return made.dataset.spec.version, made.dataset.arrange_frames(layout, made.tables)


def _resolve_layout(layout: FrameLayout) -> FrameLayout:
    """The layout with what "default" means in this process."""
    return replace(layout, dataframe_type=read.resolve_dataframe_type(layout.dataframe_type))


def make_files(
    stores: ProjectStores,
    view: ViewSpec,
    request: DatasetRequest,
    wait: bool,
    engine: str | None,
) -> tuple[int, Job | RunningJob]:
    """Make a training dataset as files, eagerly or in a thread; returns its version and the job."""
    dataset = reserve_version(stores, view, request, engine)
    version = dataset.spec.version
    if wait:
        return version, make_reserved(dataset).job
    return version, RunningJob("create_training_data", lambda: make_reserved(dataset).job)


def reserve_version(
    stores: ProjectStores, view: ViewSpec, request: DatasetRequest, engine: str | None = None
) -> TrainingDataset:
    """A training dataset about to be made, under a version of its own, its spine saved.

    It has no files only where its rows can be read again, so not where a group is external.
    """
    spine = None
    if request.spine_df is not None:
        spine = build_view_spine(stores, view, request.spine_df)
    plan = resolve_view_columns(stores.catalog, view, spine).plan
    versions = read.get_current_versions(plan, stores.find_table)
    extra_filter = bind_filter(stores.catalog, view, request.extra_filter)
    request = replace(request, extra_filter=extra_filter)
    if request.files is None and list_external_groups(plan):
        request = replace(request, files=FilesRequest())

    def build_spec(version: int) -> TrainingDatasetSpec:
        folder = stores.choose_training_folder(view, version)
        return _build_spec(version, view, request, versions, folder)

    dataset = TrainingDataset(stores, view, build_spec(0), spine, engine)
    dataset.prepare()
    spec = stores.catalog.reserve_training_dataset(view, build_spec)
    if spine is None or spec.spine is None:
        return replace(dataset, spec=spec)
    _keep_spine(stores, view, spec.version, spine, spec.spine)
    return TrainingDataset.load(stores, view, spec, engine)


def _build_spec(
    version: int,
    view: ViewSpec,
    request: DatasetRequest,
    group_versions: Mapping[GroupRef, int],
    folder: str,
) -> TrainingDatasetSpec:
    files = request.files
    return TrainingDatasetSpec(
        version,
        view.query,
        request.splits,
        group_versions,
        request.description,
        random=request.random_split,
        extra_filter=request.extra_filter,
        max_feature_age=request.max_feature_age,
        null_labels=request.null_labels,
        spine=None if request.spine_df is None else f"{folder}-spine",
        files=None if files is None else files.to_spec(folder, request.has_several_splits),
        statistics_config=request.statistics_config,
        tags=request.tags,
        transformation_context=request.transformation_context,
    )


def _keep_spine(
    stores: ProjectStores, view: ViewSpec, version: int, rows: SpineRows, folder: str
) -> None:
    """Save the spine of a reserved dataset; when that fails the version is free again."""
    try:
        save_spine(rows, folder)
    except BaseException:
        stores.catalog.delete_training_dataset(view, version)
        raise


def make_reserved(dataset: TrainingDataset) -> MadeDataset:
    """Make a dataset that was reserved and record it, eagerly; a failure leaves nothing of it."""
    made = None
    try:
        made = dataset.materialize()
        _record(made.dataset, "rows", "transformations", "state")
    except BaseException:
        dataset.stores.catalog.delete_training_dataset(dataset.view, dataset.spec.version)
        if made:
            remove_dataset_files(dataset.stores, dataset.view, made.dataset.spec)
        if dataset.spec.spine:
            dataset_files.remove_folder(dataset.spec.spine)
        raise
    if made.dataset.spec.statistics_config:
        training_statistics.get_statistics(made.dataset)
    return made


def _record(dataset: TrainingDataset, *fields: str) -> None:
    """Keep in the catalog what became of a training dataset."""
    spec = dataset.spec
    changes: dict[str, Any] = {name: getattr(spec, name) for name in fields}
    dataset.stores.catalog.change_training_dataset(
        dataset.view, spec.version, lambda current: replace(current, **changes)
    )


# -- found and read


def find_dataset(
    stores: ProjectStores,
    view: ViewSpec,
    version: int,
    allow_deleted: bool = False,
    allow_unfinished: bool = False,
) -> TrainingDatasetSpec:
    """A training dataset by its version.

    Raises NotFoundError for one that does not exist, is still being made, or was deleted.
    """
    dataset = stores.catalog.get_training_dataset(view, version)
    if dataset.state == "running" and not allow_unfinished:
        raise NotFoundError(
            f"Training dataset {version} of feature view {view} is still being made: wait for its"
            " job, or if that was ended, delete it with force=True."
        )
    if dataset.state == "deleted" and not allow_deleted:
        raise NotFoundError(
            f"Training dataset {version} of feature view {view} was deleted:"
            f" recreate_training_dataset({version}) makes it again."
        )
    return dataset


def load_dataset(stores: ProjectStores, view: ViewSpec, version: int) -> TrainingDataset:
    """A training dataset that can be read, with all that it is made of."""
    return TrainingDataset.load(stores, view, find_dataset(stores, view, version))


def read_back(
    stores: ProjectStores,
    view: ViewSpec,
    version: int,
    split_count: int,
    layout: FrameLayout,
    engine: str | None,
) -> tuple[Any, ...]:
    """The frames of a training dataset of so many splits, as they were: every X, then every y."""
    layout = _resolve_layout(layout)
    spec = find_dataset(stores, view, version)
    if len(spec.parts) != split_count:
        raise SettingsError(
            f"Training dataset {version} of feature view {view} has the splits"
            f" {', '.join(spec.parts)}: read it with {_READERS[len(spec.parts)]}."
        )
    return TrainingDataset.load(stores, view, spec, engine).arrange_frames(layout)


# -- made again


def recreate_dataset(
    stores: ProjectStores, view: ViewSpec, version: int, engine: str | None
) -> Job:
    """Make a training dataset again, eagerly; SettingsError where its rows cannot be read again.

    Its files are made in a folder of their own, and the catalog names that one before the old files
    go. Then they are copied to where the old ones were, and the catalog names the old place again:
    at each instant it names files that are whole, in an object store too.
    """
    spec = find_dataset(stores, view, version, allow_deleted=True)
    dataset = TrainingDataset.load(stores, view, spec, engine)
    external_groups = list_external_groups(dataset.columns.plan)
    if external_groups:
        raise SettingsError(
            f"Training dataset {version} of feature view {view} read external feature group"
            f" {external_groups[0]}, whose rows at that time cannot be read again. Make a new one."
        )
    if spec.files is None:
        return _make_again(dataset)
    return _recreate_files(dataset, spec.files)


def _make_again(dataset: TrainingDataset) -> Job:
    made = dataset.materialize()
    _record(made.dataset, "files", "rows", "transformations", "state")
    return made.job


def _recreate_files(dataset: TrainingDataset, files: FilesSpec) -> Job:
    stores, view, old = dataset.stores, dataset.view, dataset.spec
    if old.state == "deleted" and not dataset_files.is_free(files.location):
        raise SettingsError(
            f"location {files.location} holds files already: empty it, then make the training"
            " dataset again."
        )
    staged = replace(files, location=stores.choose_training_folder(view, old.version))
    job = _make_again(replace(dataset, spec=replace(old, files=staged)))
    try:
        if old.state != "deleted":
            remove_dataset_files(stores, view, old)
        dataset_files.copy_dataset(staged.location, files.location, old.parts, files.parts)
    except (SparkFSError, OSError) as error:
        raise UnfinishedError(
            f"Training dataset {old.version} of feature view {view} was made again and is read from"
            f" {staged.location}, since its files could not be put to {files.location}: {error}"
        ) from error

    def move_back(current: TrainingDatasetSpec) -> TrainingDatasetSpec:
        return replace(current, files=files) if current.files == staged else current

    stores.catalog.change_training_dataset(view, old.version, move_back)
    dataset_files.remove_folder(staged.location)
    return job


# -- deleted


def delete_dataset(stores: ProjectStores, view: ViewSpec, version: int, force: bool) -> None:
    """Delete a training dataset and its files, eagerly; what it was made of stays known.

    Of one that was never finished, which force alone deletes, nothing stays. SettingsError while
    models were trained on it, unless forced.
    """
    spec = find_dataset(stores, view, version, allow_unfinished=force)
    if spec.state == "running":
        remove_stored_rows(stores, view, spec)
        stores.catalog.delete_training_dataset(view, spec.version)
        return
    links = stores.catalog.list_models(view)
    models = [link for link in links if link.training_dataset_version == spec.version]
    if models and not force:
        listed = ", ".join(f"{link.name!r} version {link.version}" for link in models)
        raise SettingsError(
            f"Training dataset {spec.version} of feature view {view} is what model {listed} was"
            " trained on: delete these first, or say force=True."
        )
    remove_dataset_files(stores, view, spec)
    stores.catalog.change_training_dataset(
        view, spec.version, lambda current: replace(current, state="deleted")
    )


def remove_view_rows(stores: ProjectStores, view: ViewSpec) -> None:
    """Remove the files, spines and statistics of all training datasets of a view, eagerly."""
    for spec in stores.catalog.list_training_datasets(view, strict=True):
        remove_stored_rows(stores, view, spec)
    training_statistics.remove_statistics(stores, view)


def remove_stored_rows(stores: ProjectStores, view: ViewSpec, dataset: TrainingDatasetSpec) -> None:
    """Remove the files of a training dataset, and the spine that was kept for it, eagerly."""
    if dataset.state != "deleted":
        remove_dataset_files(stores, view, dataset)
    if dataset.spine:
        dataset_files.remove_folder(dataset.spine)


def remove_dataset_files(
    stores: ProjectStores, view: ViewSpec, dataset: TrainingDatasetSpec
) -> None:
    """Remove the files of a training dataset, eagerly.

    Where another one has their folder, they are that one's and stay.
    """
    own = (view.name, view.version, dataset.version)
    if dataset.files and not _is_used(stores, dataset.files.location, own):
        dataset_files.remove_folder(dataset.files.location)


def _is_used(stores: ProjectStores, location: str, own: tuple[str, int, int]) -> bool:
    """Whether another training dataset than one's own has its files in a folder, or will have."""
    folder = location.rstrip("/")
    for view in stores.catalog.list_views():
        for dataset in stores.catalog.list_training_datasets(view, strict=True):
            if dataset.files is None or dataset.files.location.rstrip("/") != folder:
                continue
            is_own = (view.name, view.version, dataset.version) == own
            if dataset.state != "deleted" and not is_own:
                return True
    return False
