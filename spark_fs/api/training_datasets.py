"""The training datasets that a feature view has: listed, and read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack, overload

from spark_fs.api.dataset_requests import build_layout, warn_of_taken
from spark_fs.api.options import ReadOptions, check_options
from spark_fs.api.splitting import resolve_version
from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.options import OwnFrameOptions, PandasReadOptions, SparkReadOptions
    from spark_fs.api.stores import Stores
    from spark_fs.api.training_data import FeaturesAndLabels
    from spark_fs.api.training_splits import ThreeWaySplit, TwoWaySplit
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.training_dataset import TrainingDatasetSpec


@validate_arguments
class TrainingDatasetsMixin:
    """The methods of a feature view for training datasets that were made."""

    _stores: Stores
    _spec: ViewSpec
    _last_training_dataset: int | None = None

    if TYPE_CHECKING:

        @overload
        def get_training_data(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[PandasReadOptions],
        ) -> FeaturesAndLabels[pd.DataFrame]: ...

        @overload
        def get_training_data(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[SparkReadOptions],
        ) -> FeaturesAndLabels[DataFrame]: ...

        @overload
        def get_training_data(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[ReadOptions],
        ) -> FeaturesAndLabels[Any]: ...

    def get_training_data(
        self,
        training_dataset_version: int | None = None,
        read_options: Mapping[str, Any] | None = None,
        primary_key: bool = False,
        event_time: bool = False,
        training_helper_columns: bool = False,
        dataframe_type: str | None = "pandas",
        transformation_context: Mapping[str, Any] | None = None,
        n_processes: int | None = None,
        *,
        version: int | None = None,
        **options: Unpack[OwnFrameOptions],
    ) -> FeaturesAndLabels[Any]:
        """Read a training dataset that was not split, as it was.

        Args:
            training_dataset_version: Which training dataset.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            primary_key: Whether X has the spine's primary key, first.
            event_time: Whether X has the spine's event time, behind the key.
            training_helper_columns: Whether X ends with these.
            dataframe_type: As in ``training_data``. Spark's frames* come of files alone.
            transformation_context: Taken for Hopsworks' sake, and named in a warning.
            n_processes: Likewise.
            version: The same as training_dataset_version; give one of the two.
            **options: Those of ``OwnFrameOptions``.

        Returns:
            ``(X, y)``: the same rows in the same order as when it was made.

        Raises:
            NotFoundError: The version does not exist, was deleted or is still being made, or its
                files are not there.
            SettingsError: It has splits, no version was given, or an option is unknown or has a
                value that it does not take.
        """
        arguments = {
            "read_options": read_options,
            "primary_key": primary_key,
            "event_time": event_time,
            "training_helper_columns": training_helper_columns,
            "dataframe_type": dataframe_type,
            "transformation_context": transformation_context,
            "n_processes": n_processes,
            **options,
        }
        check_options(options, ReadOptions)
        number = resolve_version(version, training_dataset_version)
        return self._read_back("get_training_data", number, 1, arguments)

    if TYPE_CHECKING:

        @overload
        def get_train_test_split(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[PandasReadOptions],
        ) -> TwoWaySplit[pd.DataFrame]: ...

        @overload
        def get_train_test_split(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[SparkReadOptions],
        ) -> TwoWaySplit[DataFrame]: ...

        @overload
        def get_train_test_split(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[ReadOptions],
        ) -> TwoWaySplit[Any]: ...

    def get_train_test_split(
        self,
        training_dataset_version: int | None = None,
        read_options: Mapping[str, Any] | None = None,
        primary_key: bool = False,
        event_time: bool = False,
        training_helper_columns: bool = False,
        dataframe_type: str | None = "pandas",
        transformation_context: Mapping[str, Any] | None = None,
        n_processes: int | None = None,
        *,
        version: int | None = None,
        **options: Unpack[OwnFrameOptions],
    ) -> TwoWaySplit[Any]:
        """Read a training dataset of two splits, as it was.

        Args:
            training_dataset_version: Which training dataset.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            primary_key: Whether X has the spine's primary key, first.
            event_time: Whether X has the spine's event time, behind the key.
            training_helper_columns: Whether X ends with these.
            dataframe_type: As in ``training_data``. Spark's frames* come of files alone.
            transformation_context: Taken for Hopsworks' sake, and named in a warning.
            n_processes: Likewise.
            version: The same as training_dataset_version; give one of the two.
            **options: Those of ``OwnFrameOptions``.

        Returns:
            ``(X_train, X_test, y_train, y_test)``.

        Raises:
            NotFoundError: As for ``get_training_data``.
            SettingsError: It has not two splits; else as for ``get_training_data``.
        """
        arguments = {
            "read_options": read_options,
            "primary_key": primary_key,
            "event_time": event_time,
            "training_helper_columns": training_helper_columns,
            "dataframe_type": dataframe_type,
            "transformation_context": transformation_context,
            "n_processes": n_processes,
            **options,
        }
        check_options(options, ReadOptions)
        number = resolve_version(version, training_dataset_version)
        return self._read_back("get_train_test_split", number, 2, arguments)

    if TYPE_CHECKING:

        @overload
        def get_train_validation_test_split(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[PandasReadOptions],
        ) -> ThreeWaySplit[pd.DataFrame]: ...

        @overload
        def get_train_validation_test_split(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[SparkReadOptions],
        ) -> ThreeWaySplit[DataFrame]: ...

        @overload
        def get_train_validation_test_split(
            self,
            training_dataset_version: int | None = None,
            *,
            version: int | None = None,
            **options: Unpack[ReadOptions],
        ) -> ThreeWaySplit[Any]: ...

    def get_train_validation_test_split(
        self,
        training_dataset_version: int | None = None,
        read_options: Mapping[str, Any] | None = None,
        primary_key: bool = False,
        event_time: bool = False,
        training_helper_columns: bool = False,
        dataframe_type: str | None = "pandas",
        transformation_context: Mapping[str, Any] | None = None,
        n_processes: int | None = None,
        *,
        version: int | None = None,
        **options: Unpack[OwnFrameOptions],
    ) -> ThreeWaySplit[Any]:
        """Read a training dataset of three splits, as it was.

        Args:
            training_dataset_version: Which training dataset.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            primary_key: Whether X has the spine's primary key, first.
            event_time: Whether X has the spine's event time, behind the key.
            training_helper_columns: Whether X ends with these.
            dataframe_type: As in ``training_data``. Spark's frames* come of files alone.
            transformation_context: Taken for Hopsworks' sake, and named in a warning.
            n_processes: Likewise.
            version: The same as training_dataset_version; give one of the two.
            **options: Those of ``OwnFrameOptions``.

        Returns:
            ``(X_train, X_validation, X_test, y_train, y_validation, y_test)``.

        Raises:
            NotFoundError: As for ``get_training_data``.
            SettingsError: It has not three splits; else as for ``get_training_data``.
        """
        arguments = {
            "read_options": read_options,
            "primary_key": primary_key,
            "event_time": event_time,
            "training_helper_columns": training_helper_columns,
            "dataframe_type": dataframe_type,
            "transformation_context": transformation_context,
            "n_processes": n_processes,
            **options,
        }
        check_options(options, ReadOptions)
        number = resolve_version(version, training_dataset_version)
        return self._read_back("get_train_validation_test_split", number, 3, arguments)

    def get_training_datasets(self) -> list[TrainingDatasetSpec]:
        """The training datasets that are there, the oldest first."""
        return self._stores.catalog.list_finished_training_datasets(self._spec)

    # -- the last one

    def get_last_accessed_training_dataset(self) -> int | None:
        """The version of the training dataset that this object made or read last, or None."""
        return self._last_training_dataset

    def update_last_accessed_training_dataset(self, version: int | None) -> None:
        """Let a training dataset be the one that this object made or read last."""
        self._last_training_dataset = version

    def _read_back(
        self, method: str, version: int, split_count: int, arguments: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        from spark_fs.flows import training_dataset

        warn_of_taken(method, arguments)
        warn_of_arguments(
            method,
            {"transformation_context": arguments.get("transformation_context")},
            "a training dataset keeps what was set when it was made",
        )
        layout = build_layout(arguments)
        frames = training_dataset.read_back(
            self._stores, self._spec, version, split_count, layout, arguments.get("engine")
        )
        self._last_training_dataset = version
        return frames
