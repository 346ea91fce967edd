"""The statistics of a training dataset: read where they are kept, made where they are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from spark_fs.engine.scan import parquet_files
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.flows import dataset_rows, statistics, training_build
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.statistics import SplitRows
from spark_fs.flows.training_rows import TrainingDataset
from spark_fs.spec.feature_statistics import Statistics, StatisticsConfig
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.training_dataset import FilesSpec, TrainingDatasetSpec
from spark_fs.tables import dataset_files, statistics_files
from spark_fs.tables.arrow_dataset_files import explain_need_of_spark
from spark_fs.tables.dataset_files import WrittenBytes

T = TypeVar("T")


def get_statistics_folder(stores: ProjectStores, view: ViewSpec) -> str:
    """Where the statistics of a view's training datasets are."""
    warehouse = stores.settings.warehouse.rstrip("/")
    return f"{warehouse}/training_datasets/{view.name}_{view.version}/statistics"


def remove_statistics(stores: ProjectStores, view: ViewSpec) -> None:
    """Remove the statistics of all training datasets of a view, eagerly."""
    statistics_files.remove_statistics(get_statistics_folder(stores, view))


def load_statistics(
    stores: ProjectStores,
    view: ViewSpec,
    dataset: TrainingDatasetSpec,
    feature_names: Sequence[str] | None = None,
) -> Statistics | None:
    """The kept statistics of a train split, with those of every split; None without any."""
    folder = _get_dataset_folder(stores, view, dataset)
    return statistics.load_split_statistics(folder, dataset.parts, feature_names)


def get_statistics(
    dataset: TrainingDataset, feature_names: Sequence[str] | None = None
) -> Statistics:
    """The statistics of a train split, with those of every split; made, eagerly, at first."""
    return _load_or_profile(
        dataset,
        lambda: load_statistics(dataset.stores, dataset.view, dataset.spec, feature_names),
    )


def get_train_states(dataset: TrainingDataset) -> Mapping[str, Any]:
    """The states of a train split's columns, which drift is measured from.

    They are made, eagerly, where none are kept.
    """
    folder = _get_dataset_folder(dataset.stores, dataset.view, dataset.spec)
    train = dataset.spec.parts[0]
    return _load_or_profile(dataset, lambda: statistics.load_split_states(folder, train))


def _get_dataset_folder(stores: ProjectStores, view: ViewSpec, dataset: TrainingDatasetSpec) -> str:
    return f"{get_statistics_folder(stores, view)}/{dataset.version}"


def _load_or_profile(dataset: TrainingDataset, load: Callable[[], T | None]) -> T:
    kept = load()
    if kept is None:
        _profile_splits(dataset)
        kept = load()
    assert kept is not None
    return kept


def _profile_splits(dataset: TrainingDataset) -> None:
    stores, spec, transform = dataset.stores, dataset.spec, dataset.transform
    columns = transform.transformer.columns
    schema = {name: type_ for name, type_ in transform.schema.items() if name in columns}
    rows: Mapping[str, Any]
    if spec.files:
        dataset.check_files(spec.files)
        rows = _open_files(stores, transform, spec.files)
    else:
        rows, _ = training_build.build_in_memory(dataset.join_input, transform)
    config = StatisticsConfig.from_argument(spec.statistics_config)
    folder = _get_dataset_folder(stores, dataset.view, spec)
    statistics.save_split_statistics(stores.engines, folder, rows, schema, config)


def _open_files(
    stores: ProjectStores, transform: DatasetTransform, files: FilesSpec
) -> dict[str, SplitRows]:
    """The rows of each split that lie in files: a scan, rows that are here, or a DataFrame*."""
    if files.format == "parquet":
        scans: dict[str, SplitRows] = {}
        for part in transform.parts:
            scans[part] = _scan_part(dataset_files.list_files(files, part), transform.schema)
        return scans
    if (
        stores.engines.requested != "spark"
        and explain_need_of_spark(files, transform.schema) is None
    ):
        return dict(dataset_rows.read_tables(stores.engines, transform, files))
    return dict(dataset_rows.read_split_frames(stores.spark, transform, files))


def _scan_part(files: Sequence[WrittenBytes], types: Mapping[str, str]) -> Scan:
    scan_files = []
    for file in files:
        row_count = parquet_files.count_rows(file.path)
        scan_files.append(ScanFile(file.path, file.bytes, row_count, ()))
    return Scan.from_files(scan_files, types)
