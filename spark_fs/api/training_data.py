"""Training data of a feature view, made in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from spark_fs.api.dataset_requests import build_layout, build_request, warn_of_taken
from spark_fs.api.options import InMemoryOptions, check_options
from spark_fs.api.splitting import Splitting, build_single_split
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.feature import Filter
    from spark_fs.api.options import OwnInMemoryOptions, PandasOptions, SparkOptions
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.spec.feature_view import ViewSpec

Frame = TypeVar("Frame")
FeaturesAndLabels = tuple[Frame, Frame]


@validate_arguments
class TrainingDataMixin:
    """The methods of a feature view that make training data in memory.

    Every one records a training dataset: the query, the Delta version of each group, the bounds and
    the seed, and what the transformations learned of the train split. Read again, by its version,
    it is the same rows in the same order: by event time, then key. Intervals are start <= event
    time < end, in UTC, of the spine's event time; older history of the joined groups still counts.
    An empty string stands for no time. A view without labels gives None in the place of each y.
    With ``dataframe_type="spark"``, and where a group is external and has no versions, the rows are
    kept as files too. Arguments stand in Hopsworks' order; those that it does not have are named:
    they are those of ``OwnInMemoryOptions``.
    """

    _stores: Stores
    _spec: ViewSpec
    _last_training_dataset: int | None = None

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
        **options: Unpack[OwnInMemoryOptions],
    ) -> FeaturesAndLabels[Any]:
        """Make training data of an interval, eagerly.

        Args:
            start_time: The first instant (UTC) of the spine's event time; None: from the beginning.
            end_time: The instant (UTC) before which rows end; None: up to the last.
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
            **options: Those of ``OwnInMemoryOptions``.

        Returns:
            ``(X, y)``: the features and the labels, in frames of ``dataframe_type``.

        Raises:
            SettingsError: The interval is empty, an option is unknown or has a value that it does
                not take, or a transformation has no value to learn from.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, InMemoryOptions)
        splitting = build_single_split(start_time, end_time)
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
        return self._make_in_memory("training_data", splitting, description, arguments)

    def _make_in_memory(
        self, method: str, splitting: Splitting, description: str, arguments: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        from spark_fs.flows import training_dataset

        warn_of_taken(method, arguments)
        layout = build_layout(arguments)
        request = build_request(self._stores, splitting, description, arguments, None)
        version, frames = training_dataset.make_in_memory(
            self._stores, self._spec, request, layout, arguments.get("engine")
        )
        self._last_training_dataset = version
        return frames
