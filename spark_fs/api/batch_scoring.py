"""Batches of a feature view: rows to predict for, from the offline tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from spark_fs.api.dataset_requests import (
    check_lookback,
    choose_spine,
    extract_filter,
    warn_of_taken,
)
from spark_fs.api.options import BatchOptions, check_options, to_seconds
from spark_fs.api.splitting import build_interval
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.feature import Filter
    from spark_fs.api.options import OwnBatchOptions
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.batch import BatchRequest
    from spark_fs.flows.view_columns import States
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.predicates import Condition

_CARRIERS = ("pandas", "polars", "numpy")  # types of frames that take an attribute


@dataclass(frozen=True)
class BatchState:
    """What a batch takes of a training dataset; nothing where none was named nor needed.

    states: what the transformations learned of it. condition: its extra filter. dataset_version:
    which it is.
    """

    states: States | None = None
    condition: Condition | None = None
    dataset_version: int | None = None


@validate_arguments
class BatchScoringMixin:
    """The methods of a feature view that read batches."""

    _stores: Stores
    _spec: ViewSpec
    _batch_state: BatchState | None = None  # what init_batch_scoring made

    def init_batch_scoring(
        self, training_dataset_version: int | None = None, n_processes: int | None = None
    ) -> None:
        """Prepare ``get_batch_data`` for a model that was trained on a training dataset.

        Batches are transformed by what was learned of it, and meet its ``extra_filter``.

        Args:
            training_dataset_version: Which training dataset; None: the only one there is, where a
                transformation learned, else none.
            n_processes: Taken for Hopsworks' sake, and named in a warning.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: A transformation learned, no version was given, and there is not exactly
                one.
        """
        warn_of_taken("init_batch_scoring", {"n_processes": n_processes})
        self._batch_state = self._load_batch_state(training_dataset_version)

    batch_init = init_batch_scoring

    def _load_batch_state(self, training_dataset_version: int | None) -> BatchState:
        from spark_fs.flows import view_columns

        dataset = view_columns.find_learned_dataset(
            self._stores.catalog, self._spec, training_dataset_version
        )
        if dataset is None:
            return BatchState()
        return BatchState(dataset.states, dataset.extra_filter, dataset.version)

    if TYPE_CHECKING:

        @overload
        def get_batch_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            *,
            dataframe_type: Literal["pandas"] = "pandas",
            **options: Unpack[BatchOptions],
        ) -> pd.DataFrame: ...

        @overload
        def get_batch_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            *,
            dataframe_type: Literal["spark"],
            **options: Unpack[BatchOptions],
        ) -> DataFrame: ...

        @overload
        def get_batch_data(
            self,
            start_time: Instant | None = None,
            end_time: Instant | None = None,
            *,
            dataframe_type: str | None = "pandas",
            **options: Unpack[BatchOptions],
        ) -> Any: ...

    def get_batch_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        read_options: Mapping[str, Any] | None = None,
        spine: Any = None,
        primary_key: bool = False,
        event_time: bool = False,
        inference_helper_columns: bool = False,
        dataframe_type: str | None = "pandas",
        transformed: bool | None = True,
        transformation_context: Mapping[str, Any] | None = None,
        logging_data: bool = False,
        extra_filter: Filter | None = None,
        lookback: Any = None,
        n_processes: int | None = None,
        *,
        training_filter: bool = True,
        **options: Unpack[OwnBatchOptions],
    ) -> Any:
        """Read the features of the spine's rows, transformed as in training; labels are not read.

        The columns are those of X. Where a joined group's column has the name of the spine's key
        or event time, these come as ``<group>_<version>_<name>``.

        Args:
            start_time: The first instant (UTC) of the spine's event time; None: from the beginning.
            end_time: The instant (UTC) before which rows end; None: up to the last.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            spine: A Spark, pandas or polars DataFrame, an Arrow table, a list of dicts or a spine,
                with keys and event times, in the place of the leftmost group; its other columns are
                carried through.
            primary_key: Whether the spine's primary key comes first, where it is no feature.
            event_time: Whether the spine's event time comes behind it, where it is no feature.
            inference_helper_columns: Whether these come last.
            dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default" for
                Spark's where the caller has a session, else pandas'.
            transformed: Whether the view's transformations are applied.
            transformation_context: What is set of the transformations for this time, by name; None:
                what was set when they learned.
            logging_data: Whether the frame carries what ``log`` keeps of it: its keys and event
                times, its features before and after the transformations, its helper columns; of
                pandas, polars and NumPy.
            extra_filter: A condition that the rows must meet beside the view's own.
            lookback: Refused: see max_feature_age.
            n_processes: Taken for Hopsworks' sake, and named in a warning.
            training_filter: Whether the rows also meet the ``extra_filter`` of the training dataset
                that ``init_batch_scoring`` was told of.
            **options: Those of ``OwnBatchOptions``.

        Returns:
            A frame of that type, read eagerly and ordered by event time and key; Spark's is lazy.

        Raises:
            SettingsError: A transformation learned and ``init_batch_scoring`` was not told of which
                training dataset, the interval is empty, an argument has a value that it does not
                take, or a frame of that type carries no ``logging_data``.
            NotFoundError: The spine lacks a column that the view needs of it.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        from spark_fs.flows import batch

        check_options(options, BatchOptions)
        check_lookback(lookback)
        taken = {"read_options": read_options, "n_processes": n_processes}
        warn_of_taken("get_batch_data", taken)
        transformed = bool(transformed) and options.get("transform", True)
        if self._batch_state is None and transformed:
            self._batch_state = self._load_batch_state(None)
        state = self._batch_state or BatchState()
        request = batch.BatchRequest(
            build_interval(start_time, end_time),
            primary_key or options.get("primary_keys", False),
            event_time,
            inference_helper_columns,
            choose_spine(spine, options.get("spine_df")),
            to_seconds("max_feature_age", options.get("max_feature_age")),
            self._list_conditions(extra_filter, state.condition if training_filter else None),
            transformed,
            transformation_context,
        )
        dataframe_type = dataframe_type or "default"
        engine = options.get("engine")
        if logging_data:
            return self._read_for_log(state, request, dataframe_type, engine)
        return batch.read_batch(
            self._stores, self._spec, state.states, request, dataframe_type, engine
        )

    def _read_for_log(
        self, state: BatchState, request: BatchRequest, dataframe_type: str, engine: str | None
    ) -> Any:
        """A batch that carries what ``log`` keeps of it, eagerly."""
        from spark_fs.api.logged_vectors import attach_metadata
        from spark_fs.base.dataframes import convert_table
        from spark_fs.flows import batch, read

        dataframe_type = read.resolve_dataframe_type(dataframe_type)
        if dataframe_type not in _CARRIERS:
            raise SettingsError(
                f"A batch as dataframe_type={dataframe_type!r} cannot carry what log keeps of it:"
                f" ask for {', '.join(_CARRIERS)}, or leave logging_data out, and give log the"
                " frame with primary_key=True and event_time=True."
            )
        version = state.dataset_version if request.transformed else None
        rows, metadata = batch.read_logged_batch(
            self._stores, self._spec, state.states, request, engine, version
        )
        return attach_metadata(convert_table(rows, dataframe_type), metadata)

    batch_data = get_batch_data

    def get_batch_query(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        extra_filter: Filter | None = None,
        lookback: Any = None,
    ) -> str:
        """Return the SQL that a batch stands for, before its transformations; starts no JVM.

        Args:
            start_time: The first instant (UTC) of the spine's event time; None: from the beginning.
            end_time: The instant (UTC) before which rows end; None: up to the last.
            extra_filter: A condition that the rows must meet beside the view's own and that of the
                training dataset.
            lookback: Refused: see max_feature_age of ``get_batch_data``.

        Returns:
            The SQL, with every rule of each match.

        Raises:
            SettingsError: The interval is empty.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        from spark_fs.flows import batch

        check_lookback(lookback)
        state = self._batch_state or BatchState()
        request = batch.BatchRequest(
            build_interval(start_time, end_time),
            conditions=self._list_conditions(extra_filter, state.condition),
        )
        return batch.format_batch_query(self._stores, self._spec, request)

    def _list_conditions(
        self, extra_filter: Filter | None, training_condition: Condition | None
    ) -> tuple[Condition, ...]:
        """The conditions that there are of a batch beside the view's own."""
        conditions = (training_condition, extract_filter(self._stores, extra_filter))
        return tuple(condition for condition in conditions if condition is not None)
