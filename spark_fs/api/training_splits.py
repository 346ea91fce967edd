"""Training data of a feature view that is split, made in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from spark_fs.api.options import InMemoryOptions, check_options
from spark_fs.api.splitting import (
    build_three_way_split,
    build_two_way_split,
    choose_ratio,
)
from spark_fs.api.training_data import TrainingDataMixin
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.feature import Filter
    from spark_fs.api.options import OwnInMemoryOptions, PandasOptions, SparkOptions
    from spark_fs.base.times import Instant

Frame = TypeVar("Frame")
TwoWaySplit = tuple[Frame, Frame, Frame, Frame]
ThreeWaySplit = tuple[Frame, Frame, Frame, Frame, Frame, Frame]


@validate_arguments
class TrainingSplitsMixin(TrainingDataMixin):
    """The methods of a feature view that make training data in memory, in two or three splits."""

    if TYPE_CHECKING:

        @overload
        def train_test_split(
            self,
            test_size: float | None = None,
            train_start: Instant | None = None,
            train_end: Instant | None = None,
            test_start: Instant | None = None,
            test_end: Instant | None = None,
            description: str = "",
            *,
            seed: int | None = None,
            test_ratio: float | None = None,
            **options: Unpack[PandasOptions],
        ) -> TwoWaySplit[pd.DataFrame]: ...

        @overload
        def train_test_split(
            self,
            test_size: float | None = None,
            train_start: Instant | None = None,
            train_end: Instant | None = None,
            test_start: Instant | None = None,
            test_end: Instant | None = None,
            description: str = "",
            *,
            seed: int | None = None,
            test_ratio: float | None = None,
            **options: Unpack[SparkOptions],
        ) -> TwoWaySplit[DataFrame]: ...

        @overload
        def train_test_split(
            self,
            test_size: float | None = None,
            train_start: Instant | None = None,
            train_end: Instant | None = None,
            test_start: Instant | None = None,
            test_end: Instant | None = None,
            description: str = "",
            *,
            seed: int | None = None,
            test_ratio: float | None = None,
            **options: Unpack[InMemoryOptions],
        ) -> TwoWaySplit[Any]: ...

    def train_test_split(
        self,
        test_size: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        description: str = "",
        extra_filter: Filter | None = None,
        statistics_config: Any = None,
        read_options: Mapping[str, Any] | None = None,
        spine: Any = None,
        primary_key: bool = False,
        event_time: bool = False,
        training_helper_columns: bool = False,
        dataframe_type: str | None = "pandas",
        transformation_context: Mapping[str, Any] | None = None,
        lookback: Any = None,
        n_processes: int | None = None,
        tags: Any = None,
        *,
        seed: int | None = None,
        test_ratio: float | None = None,
        **options: Unpack[OwnInMemoryOptions],
    ) -> TwoWaySplit[Any]:
        """Make training data that is split in two, at random or by event time, eagerly.

        Args:
            test_size: The share of the test split, between 0 and 1 and neither. It takes
                round(rows x share) rows, those with the least hash of key, event time and seed.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: ``test_start``.
            test_start: The first instant (UTC) of the test split; None: ``train_end``.
            test_end: The instant (UTC) before which it ends; None: up to the last row.
            description: What the training dataset is for.
            extra_filter: A condition that the rows must meet beside the view's own; a batch for the
                training dataset meets it too.
            statistics_config: Kept with the training dataset.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            spine: A Spark, pandas or polars DataFrame, an Arrow table, a list of dicts or a spine,
                with keys and event times, which stands in for the leftmost group; its other columns
                are carried through.
            primary_key: Whether X has the spine's primary key, first.
            event_time: Whether X has the spine's event time, behind the key.
            training_helper_columns: Whether X ends with these.
            dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default" for Spark's
                where the caller has a session, else pandas'.
            transformation_context: What is set of the transformations, by name, and kept with it.
            lookback: Refused: see max_feature_age.
            n_processes: Taken for Hopsworks' sake, and named in a warning.
            tags: Values by name, or tags as Hopsworks has them, of the training dataset.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            test_ratio: The same as ``test_size``.
            **options: Those of ``OwnInMemoryOptions``.

        Returns:
            ``(X_train, X_test, y_train, y_test)``, in frames of ``dataframe_type``.

        Raises:
            SettingsError: A share is not between 0 and 1, a share and times are given together or
                neither is, an interval is empty, splits overlap, an option is unknown or has a
                value that it does not take, or a transformation has no value to learn from.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, InMemoryOptions)
        ratio = choose_ratio(test_size, test_ratio)
        train = (train_start, train_end)
        test = (test_start, test_end)
        splitting = build_two_way_split(ratio, train, test, seed)
        arguments = {
            "extra_filter": extra_filter,
            "statistics_config": statistics_config,
            "read_options": read_options,
            "spine": spine,
            "primary_key": primary_key,
            "event_time": event_time,
            "training_helper_columns": training_helper_columns,
            "dataframe_type": dataframe_type,
            "transformation_context": transformation_context,
            "lookback": lookback,
            "n_processes": n_processes,
            "tags": tags,
            **options,
        }
        return self._make_in_memory("train_test_split", splitting, description, arguments)

    if TYPE_CHECKING:

        @overload
        def train_validation_test_split(
            self,
            validation_size: float | None = None,
            test_size: float | None = None,
            train_start: Instant | None = None,
            train_end: Instant | None = None,
            validation_start: Instant | None = None,
            validation_end: Instant | None = None,
            test_start: Instant | None = None,
            test_end: Instant | None = None,
            description: str = "",
            *,
            seed: int | None = None,
            validation_ratio: float | None = None,
            test_ratio: float | None = None,
            **options: Unpack[PandasOptions],
        ) -> ThreeWaySplit[pd.DataFrame]: ...

        @overload
        def train_validation_test_split(
            self,
            validation_size: float | None = None,
            test_size: float | None = None,
            train_start: Instant | None = None,
            train_end: Instant | None = None,
            validation_start: Instant | None = None,
            validation_end: Instant | None = None,
            test_start: Instant | None = None,
            test_end: Instant | None = None,
            description: str = "",
            *,
            seed: int | None = None,
            validation_ratio: float | None = None,
            test_ratio: float | None = None,
            **options: Unpack[SparkOptions],
        ) -> ThreeWaySplit[DataFrame]: ...

        @overload
        def train_validation_test_split(
            self,
            validation_size: float | None = None,
            test_size: float | None = None,
            train_start: Instant | None = None,
            train_end: Instant | None = None,
            validation_start: Instant | None = None,
            validation_end: Instant | None = None,
            test_start: Instant | None = None,
            test_end: Instant | None = None,
            description: str = "",
            *,
            seed: int | None = None,
            validation_ratio: float | None = None,
            test_ratio: float | None = None,
            **options: Unpack[InMemoryOptions],
        ) -> ThreeWaySplit[Any]: ...

    def train_validation_test_split(
        self,
        validation_size: float | None = None,
        test_size: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        validation_start: Instant | None = None,
        validation_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        description: str = "",
        extra_filter: Filter | None = None,
        statistics_config: Any = None,
        read_options: Mapping[str, Any] | None = None,
        spine: Any = None,
        primary_key: bool = False,
        event_time: bool = False,
        training_helper_columns: bool = False,
        dataframe_type: str | None = "pandas",
        transformation_context: Mapping[str, Any] | None = None,
        lookback: Any = None,
        n_processes: int | None = None,
        tags: Any = None,
        *,
        seed: int | None = None,
        validation_ratio: float | None = None,
        test_ratio: float | None = None,
        **options: Unpack[OwnInMemoryOptions],
    ) -> ThreeWaySplit[Any]:
        """Make training data that is split in three, at random or by event time, eagerly.

        Args:
            validation_size: The share of the validation split, between 0 and 1 and neither.
            test_size: The share of the test split; it takes its rows before validation does.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: where the next split begins.
            validation_start: The first instant of the validation split; None: ``train_end``.
            validation_end: The instant before which it ends; None: ``test_start``.
            test_start: The first instant of the test split; None: ``validation_end``.
            test_end: The instant before which it ends; None: up to the last row.
            description: What the training dataset is for.
            extra_filter: A condition that the rows must meet beside the view's own; a batch for the
                training dataset meets it too.
            statistics_config: Kept with the training dataset.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            spine: A Spark, pandas or polars DataFrame, an Arrow table, a list of dicts or a spine,
                with keys and event times, which stands in for the leftmost group; its other columns
                are carried through.
            primary_key: Whether X has the spine's primary key, first.
            event_time: Whether X has the spine's event time, behind the key.
            training_helper_columns: Whether X ends with these.
            dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default" for Spark's
                where the caller has a session, else pandas'.
            transformation_context: What is set of the transformations, by name, and kept with it.
            lookback: Refused: see max_feature_age.
            n_processes: Taken for Hopsworks' sake, and named in a warning.
            tags: Values by name, or tags as Hopsworks has them, of the training dataset.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            validation_ratio: The same as ``validation_size``.
            test_ratio: The same as ``test_size``.
            **options: Those of ``OwnInMemoryOptions``.

        Returns:
            ``(X_train, X_validation, X_test, y_train, y_validation, y_test)``, in frames of
            ``dataframe_type``.

        Raises:
            SettingsError: A share is not between 0 and 1, a share and times are given together or
                neither is, an interval is empty, splits overlap, an option is unknown or has a
                value that it does not take, or a transformation has no value to learn from.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, InMemoryOptions)
        splitting = build_three_way_split(
            choose_ratio(validation_size, validation_ratio),
            choose_ratio(test_size, test_ratio),
            ((train_start, train_end), (validation_start, validation_end), (test_start, test_end)),
            seed,
        )
        arguments = {
            "extra_filter": extra_filter,
            "statistics_config": statistics_config,
            "read_options": read_options,
            "spine": spine,
            "primary_key": primary_key,
            "event_time": event_time,
            "training_helper_columns": training_helper_columns,
            "dataframe_type": dataframe_type,
            "transformation_context": transformation_context,
            "lookback": lookback,
            "n_processes": n_processes,
            "tags": tags,
            **options,
        }
        return self._make_in_memory(
            "train_validation_test_split", splitting, description, arguments
        )
