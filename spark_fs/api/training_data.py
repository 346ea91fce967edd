"""Training data of a feature view, made in memory: whole or split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from spark_fs.api.dataset_requests import build_layout, build_request
from spark_fs.api.options import DatasetOptions, InMemoryOptions, ReadOptions, check_options
from spark_fs.api.splitting import (
    Splitting,
    build_single_split,
    build_three_way_split,
    build_two_way_split,
    choose_ratio,
)
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.options import PandasOptions, SparkOptions
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.spec.feature_view import ViewSpec

Frame = TypeVar("Frame")
FeaturesAndLabels = tuple[Frame, Frame]
TwoWaySplit = tuple[Frame, Frame, Frame, Frame]
ThreeWaySplit = tuple[Frame, Frame, Frame, Frame, Frame, Frame]


@validate_arguments
class TrainingDataMixin:
    """The methods of a feature view that make training data in memory.

    Every one records a training dataset: the query, the Delta version of each group, the bounds and
    the seed, and what the transformations learned of the train split. Read again, by its version,
    it is the same rows in the same order: by event time, then key. Intervals are start <= event
    time < end, in UTC, of the spine's event time; older history of the joined groups still counts.
    Options are those of ``spark_fs.api.options``. Frames are pandas' unless ``dataframe_type``
    names others; with ``dataframe_type="spark"``, and where a group is external and has no
    versions, the rows are kept as files too.
    """

    _stores: Stores
    _spec: ViewSpec

    if TYPE_CHECKING:

        @overload
        def training_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            description: str = "",
            **options: Unpack[PandasOptions],
        ) -> FeaturesAndLabels[pd.DataFrame]: ...

        @overload
        def training_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            description: str = "",
            **options: Unpack[SparkOptions],
        ) -> FeaturesAndLabels[DataFrame]: ...

        @overload
        def training_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            description: str = "",
            **options: Unpack[InMemoryOptions],
        ) -> FeaturesAndLabels[Any]: ...

    def training_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        description: str = "",
        **options: Unpack[InMemoryOptions],
    ) -> FeaturesAndLabels[Any]:
        """Make training data of an interval, eagerly.

        Args:
            start_time: The first instant (UTC) of the spine's event time; None: from the beginning.
            end_time: The instant (UTC) before which rows end; None: up to the last.
            description: What the training dataset is for.
            **options: Those of ``InMemoryOptions``.

        Returns:
            ``(X, y)``: the features and the labels, in frames of ``dataframe_type``.

        Raises:
            SettingsError: The interval is empty, an option is unknown or has a value that it does
                not take, or a transformation has no value to learn from.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, DatasetOptions, ReadOptions)
        splitting = build_single_split(start_time, end_time)
        return self._make_in_memory(splitting, description, options)

    if TYPE_CHECKING:

        @overload
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
            **options: Unpack[PandasOptions],
        ) -> TwoWaySplit[pd.DataFrame]: ...

        @overload
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
            **options: Unpack[SparkOptions],
        ) -> TwoWaySplit[DataFrame]: ...

        @overload
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
        ) -> TwoWaySplit[Any]: ...

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
    ) -> TwoWaySplit[Any]:
        """Make training data that is split in two, at random or by event time, eagerly.

        Args:
            test_ratio: The share of the test split, between 0 and 1 and neither. It takes
                round(rows x ratio) rows, those with the least hash of key, event time and seed.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: up to the last row.
            test_start: The first instant (UTC) of the test split; None: ``train_end``.
            test_end: The instant (UTC) before which it ends; None: up to the last row.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            description: What the training dataset is for.
            test_size: The same as ``test_ratio``.
            **options: Those of ``InMemoryOptions``.

        Returns:
            ``(X_train, X_test, y_train, y_test)``, in frames of ``dataframe_type``.

        Raises:
            SettingsError: A ratio is not between 0 and 1, a ratio and times are given together or
                neither is, an interval is empty, splits overlap, an option is unknown or has a
                value that it does not take, or a transformation has no value to learn from.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, DatasetOptions, ReadOptions)
        ratio = choose_ratio(test_ratio, test_size)
        train = (train_start, train_end)
        test = (test_start, test_end)
        splitting = build_two_way_split(ratio, train, test, seed)
        return self._make_in_memory(splitting, description, options)

    if TYPE_CHECKING:

        @overload
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
            **options: Unpack[PandasOptions],
        ) -> ThreeWaySplit[pd.DataFrame]: ...

        @overload
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
            **options: Unpack[SparkOptions],
        ) -> ThreeWaySplit[DataFrame]: ...

        @overload
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
        ) -> ThreeWaySplit[Any]: ...

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
    ) -> ThreeWaySplit[Any]:
        """Make training data that is split in three, at random or by event time, eagerly.

        Args:
            validation_ratio: The share of the validation split, between 0 and 1 and neither.
            test_ratio: The share of the test split; it takes its rows before validation does.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: up to the last row.
            validation_start: The first instant of the validation split; None: ``train_end``.
            validation_end: The instant before which it ends; None: up to the last row.
            test_start: The first instant of the test split; None: ``validation_end``.
            test_end: The instant before which it ends; None: up to the last row.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            description: What the training dataset is for.
            validation_size: The same as ``validation_ratio``.
            test_size: The same as ``test_ratio``.
            **options: Those of ``InMemoryOptions``.

        Returns:
            ``(X_train, X_validation, X_test, y_train, y_validation, y_test)``, in frames of
            ``dataframe_type``.

        Raises:
            SettingsError: As for ``train_test_split``; also where one of the two ratios is missing,
                or where they leave nothing to train on.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, DatasetOptions, ReadOptions)
        splitting = build_three_way_split(
            choose_ratio(validation_ratio, validation_size),
            choose_ratio(test_ratio, test_size),
            ((train_start, train_end), (validation_start, validation_end), (test_start, test_end)),
            seed,
        )
        return self._make_in_memory(splitting, description, options)

    def _make_in_memory(
        self, splitting: Splitting, description: str, options: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        from spark_fs.flows import training_dataset

        layout = build_layout(options)
        request = build_request(self._stores, splitting, description, options, None)
        engine = options.get("engine")
        return training_dataset.make_in_memory(self._stores, self._spec, request, layout, engine)
