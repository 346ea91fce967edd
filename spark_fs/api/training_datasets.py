"""The training datasets that a feature view has: listed, read again, made again, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from spark_fs.api.dataset_requests import build_layout
from spark_fs.api.options import ReadOptions, check_options
from spark_fs.api.splitting import resolve_version
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.options import PandasReadOptions, SparkReadOptions
    from spark_fs.api.stores import Stores
    from spark_fs.api.training_data import FeaturesAndLabels, ThreeWaySplit, TwoWaySplit
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.training_dataset import TrainingDatasetSpec


@validate_arguments
class TrainingDatasetsMixin:
    """The methods of a feature view for training datasets that were made."""

    _stores: Stores
    _spec: ViewSpec

    if TYPE_CHECKING:

        @overload
        def get_training_data(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[PandasReadOptions],
        ) -> FeaturesAndLabels[pd.DataFrame]: ...

        @overload
        def get_training_data(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[SparkReadOptions],
        ) -> FeaturesAndLabels[DataFrame]: ...

        @overload
        def get_training_data(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[ReadOptions],
        ) -> FeaturesAndLabels[Any]: ...

    def get_training_data(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> FeaturesAndLabels[Any]:
        """Read a training dataset that was not split, as it was.

        Args:
            version: Which training dataset.
            training_dataset_version: The same, under its other name; give one of the two.
            **options: Those of ``ReadOptions``. Spark's frames* come of files alone.

        Returns:
            ``(X, y)``: the same rows in the same order as when it was made.

        Raises:
            NotFoundError: The version does not exist, was deleted or is still being made, or its
                files are not there.
            SettingsError: It has splits, no version was given, or an option is unknown or has a
                value that it does not take.
        """
        return self._read_back(resolve_version(version, training_dataset_version), 1, options)

    if TYPE_CHECKING:

        @overload
        def get_train_test_split(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[PandasReadOptions],
        ) -> TwoWaySplit[pd.DataFrame]: ...

        @overload
        def get_train_test_split(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[SparkReadOptions],
        ) -> TwoWaySplit[DataFrame]: ...

        @overload
        def get_train_test_split(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[ReadOptions],
        ) -> TwoWaySplit[Any]: ...

    def get_train_test_split(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> TwoWaySplit[Any]:
        """Read a training dataset of two splits, as it was.

        Args:
            version: Which training dataset.
            training_dataset_version: The same, under its other name; give one of the two.
            **options: Those of ``ReadOptions``. Spark's frames* come of files alone.

        Returns:
            ``(X_train, X_test, y_train, y_test)``.

        Raises:
            NotFoundError: As for ``get_training_data``.
            SettingsError: It has not two splits; else as for ``get_training_data``.
        """
        return self._read_back(resolve_version(version, training_dataset_version), 2, options)

    if TYPE_CHECKING:

        @overload
        def get_train_validation_test_split(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[PandasReadOptions],
        ) -> ThreeWaySplit[pd.DataFrame]: ...

        @overload
        def get_train_validation_test_split(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[SparkReadOptions],
        ) -> ThreeWaySplit[DataFrame]: ...

        @overload
        def get_train_validation_test_split(
            self,
            version: int | None = None,
            training_dataset_version: int | None = None,
            **options: Unpack[ReadOptions],
        ) -> ThreeWaySplit[Any]: ...

    def get_train_validation_test_split(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        **options: Unpack[ReadOptions],
    ) -> ThreeWaySplit[Any]:
        """Read a training dataset of three splits, as it was.

        Args:
            version: Which training dataset.
            training_dataset_version: The same, under its other name; give one of the two.
            **options: Those of ``ReadOptions``. Spark's frames* come of files alone.

        Returns:
            ``(X_train, X_validation, X_test, y_train, y_validation, y_test)``.

        Raises:
            NotFoundError: As for ``get_training_data``.
            SettingsError: It has not three splits; else as for ``get_training_data``.
        """
        return self._read_back(resolve_version(version, training_dataset_version), 3, options)

    def get_training_datasets(self) -> list[TrainingDatasetSpec]:
        """The training datasets that are there, the oldest first."""
        return self._stores.catalog.list_finished_training_datasets(self._spec)

    def recreate_training_dataset(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        engine: str | None = None,
    ) -> Job:
        """Make the files of a training dataset again, or one that was deleted, eagerly.

        They hold the same rows, by what was recorded. What is there stays until the new files are
        whole.

        Args:
            version: Which training dataset.
            training_dataset_version: The same, under its other name; give one of the two.
            engine: "local", "spark" or "auto", whichever made it; None: what the settings say.

        Returns:
            The job, which is done.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: It cannot be made again: an external group has no versions, or the folder
                of a deleted one holds something else by now.
            UnfinishedError: It was made, but its files could not be put where they were.
        """
        from spark_fs.flows import training_dataset

        number = resolve_version(version, training_dataset_version)
        return training_dataset.recreate_dataset(self._stores, self._spec, number, engine)

    def delete_training_dataset(
        self,
        version: int | None = None,
        training_dataset_version: int | None = None,
        force: bool = False,
    ) -> None:
        """Delete a training dataset and its files, eagerly.

        What it was made of stays known, for ``recreate_training_dataset``; of one whose job was
        ended before it was made nothing does.

        Args:
            version: Which training dataset.
            training_dataset_version: The same, under its other name; give one of the two.
            force: Delete it also where models were trained on it, or where it was never finished.

        Raises:
            NotFoundError: The version does not exist, was deleted, or is not finished and ``force``
                was not given.
            SettingsError: Models were trained on it, and ``force`` was not given.
        """
        from spark_fs.flows import training_dataset

        number = resolve_version(version, training_dataset_version)
        training_dataset.delete_dataset(self._stores, self._spec, number, force)

    def _read_back(
        self, version: int, split_count: int, options: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        from spark_fs.flows import training_dataset

        check_options(options, ReadOptions)
        layout = build_layout(options)
        engine = options.get("engine")
        return training_dataset.read_back(
            self._stores, self._spec, version, split_count, layout, engine
        )
