"""Feature vectors of a feature view: rows to predict for, from the online store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from spark_fs.api.dataset_requests import warn_of_taken
from spark_fs.api.logged_vectors import LoggedRead
from spark_fs.api.view_serving import ServingMixin, choose_instant
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.given_values import choose_entry, merge_passed, spread_passed
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import polars as pl

    from spark_fs.api.options import VectorOptions, VectorsOptions
    from spark_fs.base.times import Instant
    from spark_fs.flows.serving_state import ServingState

Entry = Mapping[str, Any]


@validate_arguments
class FeatureVectorsMixin(ServingMixin):
    """The methods of a feature view that read feature vectors, without Spark."""

    if TYPE_CHECKING:

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            *,
            return_type: Literal["list"] = "list",
            **options: Unpack[VectorOptions],
        ) -> list[Any]: ...

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            *,
            return_type: Literal["pandas"],
            **options: Unpack[VectorOptions],
        ) -> pd.DataFrame: ...

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            *,
            return_type: Literal["numpy"],
            **options: Unpack[VectorOptions],
        ) -> npt.NDArray[Any]: ...

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            *,
            return_type: str = "list",
            **options: Unpack[VectorOptions],
        ) -> Any: ...

    def get_feature_vector(
        self,
        entry: Entry | None = None,
        passed_features: Entry | None = None,
        external: bool | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
        force_rest_client: bool = False,
        force_sql_client: bool = False,
        transform: bool | None = True,
        on_demand_features: bool | None = True,
        request_parameters: Entry | None = None,
        transformation_context: Mapping[str, Any] | None = None,
        logging_data: bool = False,
        n_processes: int | None = None,
        *,
        keys: Entry | None = None,
        now: Instant | None = None,
        max_replica_age: float | None = None,
    ) -> list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Read the features of one entry, transformed as in training, in one round trip.

        A key is found by value: a time without a zone is UTC, 1.0 is the bigint 1, Decimal("1.1")
        is 1.10.

        Args:
            entry: The key values by name: the leftmost group's primary key and the left side of
                each join. A key that follows from a stored row may be left out.
            passed_features: Values by name that win over stored ones, before they are transformed.
            external: Taken for Hopsworks' sake.
            return_type: "list"; "pandas" or "polars": one row, with training data's types; or
                "numpy": of bool, int64 or float64 where one of these holds all values exactly, else
                of objects.
            allow_missing: Whether nulls stand for a key without an online row.
            force_rest_client: Taken for Hopsworks' sake.
            force_sql_client: Likewise.
            transform: Whether the view's transformations are applied; else the values are those of
                ``features``, as they are stored.
            on_demand_features: Whether on-demand features of feature groups are computed where
                something that they are made of is passed; else they are as they are stored.
            request_parameters: As passed_features, over which they win, and what on-demand features
                are computed of; other names are of no account.
            transformation_context: What is set of the transformations for this time, by name; None:
                what was set when they learned.
            logging_data: Whether the vector carries what ``log`` keeps of it: its keys, what was
                passed, and its values before and after the transformations.
            n_processes: Likewise.
            keys: The same as ``entry``.
            now: The instant (UTC) by which rows are past their ttl, and at which live windows end;
                None: that of the call.
            max_replica_age: Seconds; what a sync that ended longer ago brought is in the answer of
                a replica. None: as the settings say.

        Returns:
            The values in the order of the training columns.

        Raises:
            NotFoundError: A key has no online row, or a name is not that of a key or feature.
            KeyValueError: A key is absent, or equals no value of its type.
            SchemaError: A passed feature equals no value of its type.
            SettingsError: The entry is missing or given twice, or ``return_type`` is not known.
            OnlineStoreError: The database fails, or does not answer in time.
        """
        if n_processes is not None:
            warn_of_taken("get_feature_vector", {"n_processes": n_processes})
        entries = [choose_entry(entry, keys)]
        state = self._get_serving_state().with_context(transformation_context)
        state = _limit_age(state, max_replica_age)
        if not on_demand_features:
            state = state.with_stored_features()
        passed = merge_passed(state.passable, passed_features, request_parameters)
        if logging_data:
            read = LoggedRead(state, entries, [passed], allow_missing, choose_instant(now))
            vector: list[Any] = read.to_vector(return_type, bool(transform))
            return vector
        vectors = _read(state, entries, [passed], allow_missing, now, transform)
        if return_type == "list":
            return vectors[0]
        rows: Any = _convert(state, vectors, return_type, transform)
        found: pd.DataFrame | pl.DataFrame | npt.NDArray[Any] = rows
        if return_type == "numpy":
            found = rows[0]
        return found

    if TYPE_CHECKING:

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            *,
            return_type: Literal["list"] = "list",
            **options: Unpack[VectorsOptions],
        ) -> list[list[Any]]: ...

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            *,
            return_type: Literal["pandas"],
            **options: Unpack[VectorsOptions],
        ) -> pd.DataFrame: ...

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            *,
            return_type: Literal["numpy"],
            **options: Unpack[VectorsOptions],
        ) -> npt.NDArray[Any]: ...

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            *,
            return_type: str = "list",
            **options: Unpack[VectorsOptions],
        ) -> Any: ...

    def get_feature_vectors(
        self,
        entry: Sequence[Entry] | None = None,
        passed_features: Sequence[Entry] | None = None,
        external: bool | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
        force_rest_client: bool = False,
        force_sql_client: bool = False,
        transform: bool | None = True,
        on_demand_features: bool | None = True,
        request_parameters: Sequence[Entry] | Entry | None = None,
        transformation_context: Mapping[str, Any] | None = None,
        logging_data: bool = False,
        n_processes: int | None = None,
        *,
        keys: Sequence[Entry] | None = None,
        now: Instant | None = None,
        max_replica_age: float | None = None,
    ) -> list[list[Any]] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Read as many vectors as entries, in their order, in one round trip.

        Args:
            entry: The key values of each entry, as in ``get_feature_vector``.
            passed_features: As many mappings as entries, of values that win over stored ones.
            external: Taken for Hopsworks' sake.
            return_type: "list": a list of lists; "pandas" or "polars": a row for each entry; or
                "numpy": an array of two dimensions.
            allow_missing: Whether nulls stand for a key without an online row.
            force_rest_client: Taken for Hopsworks' sake.
            force_sql_client: Likewise.
            transform: Whether the view's transformations are applied; else the values are those of
                ``features``, as they are stored.
            on_demand_features: Whether on-demand features of feature groups are computed where
                something that they are made of is passed; else they are as they are stored.
            request_parameters: As passed_features, over which they win, or one mapping for all
                entries; and what on-demand features are computed of.
            transformation_context: What is set of the transformations for this time, by name; None:
                what was set when they learned.
            logging_data: Whether the vectors carry what ``log`` keeps of them.
            n_processes: Likewise.
            keys: The same as ``entry``.
            now: The instant (UTC) by which rows are past their ttl, and at which live windows end;
                None: that of the call.
            max_replica_age: Seconds; what a sync that ended longer ago brought is in the answer of
                a replica. None: as the settings say.

        Returns:
            The vectors, each in the order of the training columns.

        Raises:
            NotFoundError: A key has no online row, or a name is not that of a key or feature.
            KeyValueError: A key is absent, or equals no value of its type.
            SchemaError: A passed feature equals no value of its type.
            SettingsError: The entries are missing or given twice, there is not one mapping of
                passed features for each, or ``return_type`` is not known.
            OnlineStoreError: The database fails, or does not answer in time.
        """
        if n_processes is not None:
            warn_of_taken("get_feature_vectors", {"n_processes": n_processes})
        entries = choose_entry(entry, keys)
        first = spread_passed("passed_features", passed_features, len(entries))
        second = spread_passed("request_parameters", request_parameters, len(entries))
        state = self._get_serving_state().with_context(transformation_context)
        state = _limit_age(state, max_replica_age)
        if not on_demand_features:
            state = state.with_stored_features()
        passed = [merge_passed(state.passable, *pair) for pair in zip(first, second, strict=True)]
        if logging_data:
            read = LoggedRead(state, entries, passed, allow_missing, choose_instant(now))
            logged: list[list[Any]] = read.to_vectors(return_type, bool(transform))
            return logged
        vectors = _read(state, entries, passed, allow_missing, now, transform)
        return (
            vectors if return_type == "list" else _convert(state, vectors, return_type, transform)
        )


def _limit_age(state: ServingState, max_replica_age: float | None) -> ServingState:
    """The state with a bound on the age of what replicas answer, where one is given."""
    if max_replica_age is None:
        return state
    if not 0 <= max_replica_age < math.inf:
        raise SettingsError(
            f"max_replica_age={max_replica_age} is not a number of seconds: give one from 0 up."
        )
    return state.with_max_age(max_replica_age)


def _read(
    state: ServingState,
    entries: Sequence[Entry],
    passed: Sequence[Entry],
    allow_missing: bool,
    now: Instant | None,
    transform: bool | None,
) -> list[list[Any]]:
    read = state.read_vectors if transform else state.read_features
    return read(entries, passed, allow_missing, choose_instant(now))


def _convert(
    state: ServingState,
    vectors: Sequence[Sequence[Any]],
    return_type: str,
    transform: bool | None,
) -> Any:
    from spark_fs.flows import returned_vectors

    columns = state.columns if transform else state.features
    return returned_vectors.convert_vectors(columns, vectors, return_type)
