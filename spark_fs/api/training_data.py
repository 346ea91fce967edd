"""Training data of a feature view: in memory or as files, whole or split, each a training dataset that can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from spark_fs.api.datasets import (
    TrainingDataset,
    list_external_groups,
    make_view_spine,
    resolve_view_columns,
)
from spark_fs.api.options import (
    AsFilesOptions,
    DatasetOptions,
    FileOptions,
    InMemoryOptions,
    ReadOptions,
    check_options,
    to_seconds,
)
from spark_fs.api.query import extract_condition
from spark_fs.api.remade import recreate_dataset, remove_dataset_files
from spark_fs.api.splitting import (
    build_files_spec,
    build_single_split,
    build_three_way_split,
    build_two_way_split,
    choose_ratio,
    resolve_version,
)
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.training_dataset import RandomSplit, TrainingDatasetSpec

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job, RunningJob
    from spark_fs.spec.feature_view import ViewSpec

TwoWaySplit = tuple[Any, Any, Any, Any]
ThreeWaySplit = tuple[Any, Any, Any, Any, Any, Any]
VersionAndJob = tuple[int, "Job | RunningJob"]
Splits = Mapping[str, Interval]


@validate_arguments
class TrainingDataMixin:
    """The methods of a feature view that make and read training data.

    Every one that makes some records a training dataset: the query, the Delta version of each
    group, the bounds and the seed, and what the transformations learned of the train split. Read
    again, by its version, it is the same rows in the same order: by event time, then key. Intervals
    are start <= event time < end, in UTC, of the spine's event time; older history of the joined
    groups still counts. Options are those of ``spark_fs.api.options``. Frames are pandas'; with
    ``dataframe_type="spark"``, and where a group is external and has no versions, the rows are kept
    as files too.
    """

    _stores: Stores
    _spec: ViewSpec

    # -- in memory

    def training_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        description: str = "",
        **options: Unpack[InMemoryOptions],
    ) -> tuple[Any, Any]:
        """The rows of an interval, eagerly, as ``(X, y)``. Raises SettingsError for an empty interval or an unknown option."""
        check_options(options, DatasetOptions, ReadOptions)
        return self._make_in_memory(
            build_single_split(start_time, end_time), None, description, dict(options)
        )

    def train_test_split(
        self,
        test_ratio: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        seed: int | None = None,
        description: str = "",
        test_size: float | None = None,
        **options: Unpack[InMemoryOptions],
    ) -> TwoWaySplit:
        """Split at random by ``test_ratio``, or by event time, eagerly, into ``(X_train, X_test, y_train, y_test)``.

        test_ratio: between 0 and 1; the test split takes round(rows x ratio) rows, those with the
        least hash of key, event time and seed (None: a new seed, which is recorded). By time,
        ``test_start`` defaults to ``train_end``. Raises SettingsError for a ratio outside (0, 1),
        for an empty interval, for splits that overlap, and for a ratio and times together.
        """
        check_options(options, DatasetOptions, ReadOptions)
        splits, random = build_two_way_split(
            choose_ratio(test_ratio, test_size),
            (train_start, train_end),
            (test_start, test_end),
            seed,
        )
        return self._make_in_memory(splits, random, description, dict(options))

    def train_validation_test_split(
        self,
        validation_ratio: float | None = None,
        test_ratio: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        validation_start: Instant | None = None,
        validation_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        seed: int | None = None,
        description: str = "",
        validation_size: float | None = None,
        test_size: float | None = None,
        **options: Unpack[InMemoryOptions],
    ) -> ThreeWaySplit:
        """Split in three, eagerly, into ``(X_train, X_val, X_test, y_train, y_val, y_test)``; see ``train_test_split``."""
        check_options(options, DatasetOptions, ReadOptions)
        times = (train_start, train_end), (validation_start, validation_end), (test_start, test_end)
        splits, random = build_three_way_split(
            choose_ratio(validation_ratio, validation_size),
            choose_ratio(test_ratio, test_size),
            times,
            seed,
        )
        return self._make_in_memory(splits, random, description, dict(options))

    # -- as files

    def create_training_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        description: str = "",
        **options: Unpack[AsFilesOptions],
    ) -> VersionAndJob:
        """Write the rows of an interval, with their features and labels, as files, eagerly; returns the version and the job.

        The files also hold the spine's key and event time and the training helper columns. They
        appear whole or not at all. With ``write_options={"wait_for_job": False}`` the job runs on
        beside the caller and has ``state``, ``wait()`` and ``error``. Raises SettingsError for a
        location in use, SchemaError for a column that the format cannot hold.
        """
        check_options(options, DatasetOptions, FileOptions)
        return self._make_as_files(
            build_single_split(start_time, end_time), None, description, dict(options)
        )

    def create_train_test_split(
        self,
        test_ratio: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        seed: int | None = None,
        description: str = "",
        test_size: float | None = None,
        **options: Unpack[AsFilesOptions],
    ) -> VersionAndJob:
        """Write a train and a test split, each into a folder of its name; see ``train_test_split`` and ``create_training_data``."""
        check_options(options, DatasetOptions, FileOptions)
        splits, random = build_two_way_split(
            choose_ratio(test_ratio, test_size),
            (train_start, train_end),
            (test_start, test_end),
            seed,
        )
        return self._make_as_files(splits, random, description, dict(options))

    def create_train_validation_test_split(
        self,
        validation_ratio: float | None = None,
        test_ratio: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        validation_start: Instant | None = None,
        validation_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        seed: int | None = None,
        description: str = "",
        validation_size: float | None = None,
        test_size: float | None = None,
        **options: Unpack[AsFilesOptions],
    ) -> VersionAndJob:
        """Write a train, a validation and a test split; see ``train_validation_test_split`` and ``create_training_data``."""
        check_options(options, DatasetOptions, FileOptions)
        times = (train_start, train_end), (validation_start, validation_end), (test_start, test_end)
        splits, random = build_three_way_split(
            choose_ratio(validation_ratio, validation_size),
            choose_ratio(test_ratio, test_size),
            times,
            seed,
        )
        return self._make_as_files(splits, random, description, dict(options))

    # -- what was made

    def get_training_data(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> tuple[Any, Any]:
        """A training dataset that was not split, as it was, as ``(X, y)``; in Spark's frames* where it has files.

        Raises NotFoundError for a version that does not exist or was deleted, SettingsError for one
        that has splits.
        """
        return self._read_back(resolve_version(version, training_dataset_version), 1, dict(options))

    def get_train_test_split(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> TwoWaySplit:
        """A training dataset of two splits, as it was; see ``get_training_data``."""
        return self._read_back(resolve_version(version, training_dataset_version), 2, dict(options))

    def get_train_validation_test_split(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> ThreeWaySplit:
        """A training dataset of three splits, as it was; see ``get_training_data``."""
        return self._read_back(resolve_version(version, training_dataset_version), 3, dict(options))

    def get_training_datasets(self) -> list[TrainingDatasetSpec]:
        """The training datasets that are there, the oldest first."""
        return [
            dataset
            for dataset in self._stores.catalog.list_training_datasets(self._spec)
            if dataset.state == "finished"
        ]

    def recreate_training_dataset(
        self, version: int | None = None, training_dataset_version: int | None = None
    ) -> Job:
        """Make the files of a training dataset again, or one that was deleted, eagerly: the same rows, by what was recorded.

        What is there stays until the new files are whole. Raises SettingsError where it cannot be
        made: an external group has no versions, and the folder of a deleted one may hold something
        else by now.
        """
        number = resolve_version(version, training_dataset_version)
        dataset = TrainingDataset.load(
            self._stores, self._spec, self._find_dataset(number, allow_deleted=True)
        )
        if external := list_external_groups(dataset.columns.plan):
            raise SettingsError(
                f"Training dataset {number} of {self!r} read external feature group {external[0]},"
                " whose rows of then are not to be had again: make a new one."
            )
        return recreate_dataset(dataset)

    def delete_training_dataset(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        force: bool = False,
    ) -> None:
        """Delete a training dataset and its files, eagerly; what it was made of stays known, for ``recreate_training_dataset``.

        Raises SettingsError while models were trained on it, unless forced. One whose job was ended
        before it was made is deleted by force alone, and then nothing is known of it.
        """
        from spark_fs.flows import training_dataset

        spec = self._find_dataset(
            resolve_version(version, training_dataset_version), allow_unfinished=force
        )
        if spec.state == "running":
            remove_dataset_files(self._stores, self._spec, spec)
            if spec.spine:
                training_dataset.remove_files(spec.spine)
            self._stores.catalog.delete_training_dataset(self._spec, spec.version)
            return
        models = [
            link
            for link in self._stores.catalog.list_models(self._spec)
            if link.training_dataset_version == spec.version
        ]
        if models and not force:
            listed = ", ".join(f"{link.name!r} version {link.version}" for link in models)
            raise SettingsError(
                f"Training dataset {spec.version} of {self!r} is what model {listed} was trained"
                " on: delete these first, or say force=True."
            )
        remove_dataset_files(self._stores, self._spec, spec)
        self._update_dataset(spec, state="deleted")

    def _update_dataset(self, spec: TrainingDatasetSpec, **changes: Any) -> None:
        """Keep what became of a training dataset."""
        self._stores.catalog.change_training_dataset(
            self._spec, spec.version, lambda now: replace(now, **changes)
        )

    def _mark_finished(self, spec: TrainingDatasetSpec) -> None:
        self._update_dataset(
            spec, rows=spec.rows, transformations=spec.transformations, state="finished"
        )

    # -- the one way that all of them go

    def _make_in_memory(
        self, splits: Splits, random: RandomSplit | None, description: str, options: dict[str, Any]
    ) -> tuple[Any, ...]:
        kind = options.pop("dataframe_type", "pandas")
        if kind not in ("pandas", "spark"):
            raise SettingsError(f"dataframe_type {kind!r} is not known: use 'spark' or 'pandas'.")
        reading = {
            name: options.pop(name, False)
            for name in ("primary_key", "event_time", "training_helper_columns")
        }
        dataset = self._reserve_version(
            splits, random, description, options, {} if kind == "spark" else None
        )
        made, _, frames = self._materialize_reserved(dataset)
        return _to_sklearn_order(
            made, made.read_frames(kind) if frames is None else frames, reading
        )

    def _make_as_files(
        self, splits: Splits, random: RandomSplit | None, description: str, options: dict[str, Any]
    ) -> VersionAndJob:
        files = {name: options.pop(name) for name in FileOptions.__annotations__ if name in options}
        given = dict(files.pop("write_options", None) or {})
        wait = given.pop("wait_for_job", True)
        files["options"] = {name: str(value) for name, value in given.items()}
        dataset = self._reserve_version(splits, random, description, options, files)
        if wait:
            return dataset.spec.version, self._materialize_reserved(dataset)[1]
        from spark_fs.flows.jobs import RunningJob

        return dataset.spec.version, RunningJob(
            "create_training_data", lambda: self._materialize_reserved(dataset)[1]
        )

    def _reserve_version(
        self,
        splits: Splits,
        random: RandomSplit | None,
        description: str,
        options: dict[str, Any],
        files: dict[str, Any] | None,
    ) -> TrainingDataset:
        """A training dataset about to be made, under a version of its own; without files only where its rows can be read again."""
        from spark_fs.flows import read, training_dataset

        frame, more = options.get("spine_df"), options.get("extra_filter")
        condition = None if more is None else extract_condition(self._stores, more)
        spine = None if frame is None else make_view_spine(self._stores, self._spec, frame)
        plan = resolve_view_columns(self._stores, self._spec, spine).plan
        versions = read.get_current_versions(plan, self._stores.find_table)
        files = {} if files is None and list_external_groups(plan) else files

        def make_spec(version: int) -> TrainingDatasetSpec:
            folder = self._stores.choose_training_folder(self._spec, version)
            kept = (
                None
                if files is None
                else build_files_spec(files, folder, bool(random) or len(splits) > 1)
            )
            return TrainingDatasetSpec(
                version,
                self._spec.query,
                splits,
                versions,
                description,
                random=random,
                extra_filter=condition,
                max_feature_age=to_seconds("max_feature_age", options.get("max_feature_age")),
                null_labels=options.get("null_labels", "keep"),
                spine=f"{folder}-spine" if spine else None,
                files=kept,
                statistics_config=options.get("statistics_config"),
            )

        dataset = TrainingDataset(self._stores, self._spec, make_spec(0), spine)
        _ = (
            dataset.join_input,
            dataset.transform.schema,
        )  # what is wrong with them is said before anything is written
        spec = self._stores.catalog.reserve_training_dataset(self._spec, make_spec)
        if spine is None or spec.spine is None:
            return replace(dataset, spec=spec)
        try:
            training_dataset.save_spine(spine.frame, spec.spine)
        except BaseException:
            self._stores.catalog.delete_training_dataset(self._spec, spec.version)
            raise
        return TrainingDataset.load(self._stores, self._spec, spec)

    def _materialize_reserved(
        self, dataset: TrainingDataset
    ) -> tuple[TrainingDataset, Job, Mapping[str, Any] | None]:
        """Make a dataset that was reserved; when that fails nothing of it is left."""
        made = None
        try:
            made, job, frames = dataset.materialize()
            self._mark_finished(made.spec)
        except BaseException:
            self._stores.catalog.delete_training_dataset(self._spec, dataset.spec.version)
            if made:
                remove_dataset_files(self._stores, self._spec, made.spec)
            if dataset.spec.spine:
                from spark_fs.flows import training_dataset

                training_dataset.remove_files(dataset.spec.spine)
            raise
        if made.spec.statistics_config:
            made.get_statistics()
        return made, job, frames

    def _find_dataset(
        self, version: int, allow_deleted: bool = False, allow_unfinished: bool = False
    ) -> TrainingDatasetSpec:
        """A training dataset that is there; NotFoundError for one that is not, or not yet, or no more."""
        found = self._stores.catalog.get_training_dataset(self._spec, version)
        if found.state == "running" and not allow_unfinished:
            raise NotFoundError(
                f"Training dataset {version} of {self!r} is still being made: wait for its job, or"
                " if that was ended, delete it with force=True."
            )
        if found.state == "deleted" and not allow_deleted:
            raise NotFoundError(
                f"Training dataset {version} of {self!r} was deleted:"
                f" recreate_training_dataset({version}) makes it again."
            )
        return found

    def _read_back(self, version: int, parts: int, options: dict[str, Any]) -> tuple[Any, ...]:
        check_options(options, ReadOptions)
        spec = self._find_dataset(version)
        if len(spec.parts) != parts:
            method = {
                1: "get_training_data",
                2: "get_train_test_split",
                3: "get_train_validation_test_split",
            }[len(spec.parts)]
            raise SettingsError(
                f"Training dataset {version} of {self!r} has the splits {', '.join(spec.parts)}:"
                f" read it with {method}."
            )
        kind = options.pop("dataframe_type", "pandas")
        reading = {
            name: options.get(name, False)
            for name in ("primary_key", "event_time", "training_helper_columns")
        }
        dataset = TrainingDataset.load(self._stores, self._spec, spec)
        return _to_sklearn_order(dataset, dataset.read_frames(kind), reading)


def _to_sklearn_order(
    dataset: TrainingDataset, frames: Mapping[str, Any], options: Mapping[str, bool]
) -> tuple[Any, ...]:
    """Every X, then every y, in scikit-learn's order."""
    pairs = [dataset.split_x_y(frames[part], **options) for part in dataset.spec.parts]
    return (*(x for x, _ in pairs), *(y for _, y in pairs))
