"""Batches of a feature view: rows to predict for, from the offline tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from spark_fs.api.options import to_seconds
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import Interval

if TYPE_CHECKING:
    from datetime import timedelta

    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.view_columns import States
    from spark_fs.spec.feature_view import ViewSpec


@dataclass(frozen=True)
class BatchState:
    """What the transformations of a view learned; None where they learn nothing."""

    states: States | None


@validate_arguments
class BatchScoringMixin:
    """The methods of a feature view that read batches."""

    _stores: Stores
    _spec: ViewSpec
    _batch_state: BatchState | None = None  # what init_batch_scoring made

    def init_batch_scoring(self, training_dataset_version: int | None = None) -> None:
        """Take what the transformations learned of a training dataset, for ``get_batch_data``.

        Args:
            training_dataset_version: Of which training dataset; None: of the only one there is, or
                of none where nothing is learned.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: A transformation learned, no version was given, and there is not exactly
                one.
        """
        self._batch_state = self._load_batch_state(training_dataset_version)

    batch_init = init_batch_scoring

    def _load_batch_state(self, training_dataset_version: int | None) -> BatchState:
        from spark_fs.flows import view_columns

        return BatchState(
            view_columns.find_states(self._stores.catalog, self._spec, training_dataset_version)
        )

    if TYPE_CHECKING:

        @overload
        def get_batch_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            primary_key: bool = False,
            event_time: bool = False,
            inference_helper_columns: bool = False,
            dataframe_type: Literal["pandas"] = "pandas",
            spine_df: Any = None,
            max_feature_age: timedelta | float | None = None,
            engine: str | None = None,
        ) -> pd.DataFrame: ...

        @overload
        def get_batch_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            primary_key: bool = False,
            event_time: bool = False,
            inference_helper_columns: bool = False,
            *,
            dataframe_type: Literal["spark"],
            spine_df: Any = None,
            max_feature_age: timedelta | float | None = None,
            engine: str | None = None,
        ) -> DataFrame: ...

        @overload
        def get_batch_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            primary_key: bool = False,
            event_time: bool = False,
            inference_helper_columns: bool = False,
            dataframe_type: str = "pandas",
            spine_df: Any = None,
            max_feature_age: timedelta | float | None = None,
            engine: str | None = None,
        ) -> Any: ...

    def get_batch_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        primary_key: bool = False,
        event_time: bool = False,
        inference_helper_columns: bool = False,
        dataframe_type: str = "pandas",
        spine_df: Any = None,
        max_feature_age: Any = None,
        engine: str | None = None,
    ) -> Any:
        """Read the features of the spine's rows, transformed as in training; labels are not read.

        The columns are those of X. Where a joined group's column has the name of the spine's key
        or event time, these come as ``<group>_<version>_<name>``.

        Args:
            start_time: The first instant (UTC) of the spine's event time; None: from the beginning.
            end_time: The instant (UTC) before which rows end; None: up to the last.
            primary_key: Whether the spine's primary key comes first, where it is no feature.
            event_time: Whether the spine's event time comes behind it, where it is no feature.
            inference_helper_columns: Whether these come last.
            dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default" for
                Spark's where a session is active, else pandas'.
            spine_df: A Spark, pandas or polars DataFrame, an Arrow table or a list of dicts with
                keys and event times, in the place of the leftmost group; its other columns are
                carried through.
            max_feature_age: How old a joined row may be at the spine's event time: a timedelta, or
                seconds.
            engine: "local", "spark", or "auto" for the local one where it can; None: what the
                settings say.

        Returns:
            A frame of that type, read eagerly and ordered by event time and key; Spark's is lazy.

        Raises:
            SettingsError: A transformation learned and ``init_batch_scoring`` was not told of which
                training dataset, the interval is empty, or an argument has a value that it does not
                take.
            NotFoundError: ``spine_df`` lacks a column that the view needs of it.
        """
        from spark_fs.flows import batch

        if self._batch_state is None:
            self._batch_state = self._load_batch_state(None)
        interval = None
        if start_time is not None or end_time is not None:
            interval = Interval.from_bounds(start_time, end_time)
        request = batch.BatchRequest(
            interval,
            primary_key,
            event_time,
            inference_helper_columns,
            spine_df,
            to_seconds("max_feature_age", max_feature_age),
        )
        states = self._batch_state.states
        return batch.read_batch(self._stores, self._spec, states, request, dataframe_type, engine)

    batch_data = get_batch_data
