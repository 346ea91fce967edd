"""Feature vectors of a feature view: rows to predict for, from the online store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import to_utc
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.serving_state import ServingState
    from spark_fs.spec.feature_view import ViewSpec

Entry = Mapping[str, Any]
T = TypeVar("T")


@validate_arguments
class FeatureVectorsMixin:
    """The methods of a feature view that read feature vectors, without Spark."""

    _stores: Stores
    _spec: ViewSpec
    _serving_state: ServingState | None = None  # what init_serving made

    @property
    def serving_types(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The types by name: of the keys that an entry may hold, and of what may be passed."""
        state = self._get_serving_state()
        return state.vector_reader.key_types, dict(state.inputs)

    @property
    def serving_columns(self) -> list[str]:
        """The names of a vector's values, in their order."""
        return list(self._get_serving_state().columns)

    def init_serving(
        self, training_dataset_version: int | None = None, training_data_version: int | None = None
    ) -> None:
        """Prepare feature vectors, without Spark, transformed as for a training dataset.

        Args:
            training_dataset_version: Of which training dataset the transformations learned; None:
                of the only one there is, or of none where nothing is learned.
            training_data_version: The same, under its other name.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: A transformation learned, no version was given, and there is not exactly
                one.
        """
        from spark_fs.flows import serving_state

        version = training_dataset_version
        if version is None:
            version = training_data_version
        self._serving_state = serving_state.prepare_serving(self._stores, self._spec, version)

    init = init_serving

    def _get_serving_state(self) -> ServingState:
        """The view made ready to serve, now where it was not before."""
        state = self._serving_state
        if state is None:
            from spark_fs.flows import serving_state

            state = serving_state.prepare_serving(self._stores, self._spec, None)
            self._serving_state = state
        return state

    if TYPE_CHECKING:

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            return_type: Literal["list"] = "list",
            allow_missing: bool = False,
            keys: Entry | None = None,
            request_parameters: Entry | None = None,
            now: Instant | None = None,
        ) -> list[Any]: ...

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            *,
            return_type: Literal["pandas"],
            allow_missing: bool = False,
            keys: Entry | None = None,
            request_parameters: Entry | None = None,
            now: Instant | None = None,
        ) -> pd.DataFrame: ...

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            *,
            return_type: Literal["numpy"],
            allow_missing: bool = False,
            keys: Entry | None = None,
            request_parameters: Entry | None = None,
            now: Instant | None = None,
        ) -> npt.NDArray[Any]: ...

        @overload
        def get_feature_vector(
            self,
            entry: Entry | None = None,
            passed_features: Entry | None = None,
            return_type: str = "list",
            allow_missing: bool = False,
            keys: Entry | None = None,
            request_parameters: Entry | None = None,
            now: Instant | None = None,
        ) -> list[Any] | pd.DataFrame | npt.NDArray[Any]: ...

    def get_feature_vector(
        self,
        entry: Entry | None = None,
        passed_features: Entry | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
        keys: Entry | None = None,
        request_parameters: Entry | None = None,
        now: Instant | None = None,
    ) -> list[Any] | pd.DataFrame | npt.NDArray[Any]:
        """Read the features of one entry, transformed as in training, in one round trip.

        A key is found by value: a time without a zone is UTC, 1.0 is the bigint 1, Decimal("1.1")
        is 1.10.

        Args:
            entry: The key values by name: the leftmost group's primary key and the left side of
                each join. A key that follows from a stored row may be left out.
            passed_features: Values by name that win over stored ones, before they are transformed.
            return_type: "list"; "pandas": one row, with training data's types; or "numpy": of bool,
                int64 or float64 where one of these holds all values exactly, else of objects.
            allow_missing: Whether nulls stand for a key without an online row.
            keys: The same as ``entry``.
            request_parameters: The same as ``passed_features``; of both, these win.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.

        Returns:
            The values in the order of the training columns.

        Raises:
            NotFoundError: A key has no online row, or a name is not that of a key or feature.
            KeyValueError: A key is absent, or equals no value of its type.
            SchemaError: A passed feature equals no value of its type.
            SettingsError: The entry is missing or given twice, or ``return_type`` is not known.
            OnlineStoreError: The database fails, or does not answer in time.
        """
        entries = [_choose_entry(entry, keys)]
        passed = {**(passed_features or {}), **(request_parameters or {})}
        state = self._get_serving_state()
        vectors = state.read_vectors(entries, [passed], allow_missing, _to_instant(now))
        if return_type == "list":
            return vectors[0]
        if return_type == "numpy":
            vector: npt.NDArray[Any] = _to_numpy(state, vectors)[0]
            return vector
        return _to_pandas(state, vectors, return_type)

    if TYPE_CHECKING:

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            return_type: Literal["list"] = "list",
            allow_missing: bool = False,
            keys: Sequence[Entry] | None = None,
            request_parameters: Sequence[Entry] | None = None,
            now: Instant | None = None,
        ) -> list[list[Any]]: ...

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            *,
            return_type: Literal["pandas"],
            allow_missing: bool = False,
            keys: Sequence[Entry] | None = None,
            request_parameters: Sequence[Entry] | None = None,
            now: Instant | None = None,
        ) -> pd.DataFrame: ...

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            *,
            return_type: Literal["numpy"],
            allow_missing: bool = False,
            keys: Sequence[Entry] | None = None,
            request_parameters: Sequence[Entry] | None = None,
            now: Instant | None = None,
        ) -> npt.NDArray[Any]: ...

        @overload
        def get_feature_vectors(
            self,
            entry: Sequence[Entry] | None = None,
            passed_features: Sequence[Entry] | None = None,
            return_type: str = "list",
            allow_missing: bool = False,
            keys: Sequence[Entry] | None = None,
            request_parameters: Sequence[Entry] | None = None,
            now: Instant | None = None,
        ) -> list[list[Any]] | pd.DataFrame | npt.NDArray[Any]: ...

    def get_feature_vectors(
        self,
        entry: Sequence[Entry] | None = None,
        passed_features: Sequence[Entry] | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
        keys: Sequence[Entry] | None = None,
        request_parameters: Sequence[Entry] | None = None,
        now: Instant | None = None,
    ) -> list[list[Any]] | pd.DataFrame | npt.NDArray[Any]:
        """Read as many vectors as entries, in their order, in one round trip.

        Args:
            entry: The key values of each entry, as in ``get_feature_vector``.
            passed_features: As many mappings as entries, of values that win over stored ones.
            return_type: "list": a list of lists; "pandas": a row for each entry; or "numpy": an
                array of two dimensions.
            allow_missing: Whether nulls stand for a key without an online row.
            keys: The same as ``entry``.
            request_parameters: The same as ``passed_features``; of both, these win.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.

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
        entries = _choose_entry(entry, keys)
        first = _check_passed(passed_features, len(entries))
        second = _check_passed(request_parameters, len(entries))
        passed = [{**one, **other} for one, other in zip(first, second, strict=True)]
        state = self._get_serving_state()
        vectors = state.read_vectors(entries, passed, allow_missing, _to_instant(now))
        if return_type == "list":
            return vectors
        if return_type == "numpy":
            return _to_numpy(state, vectors)
        return _to_pandas(state, vectors, return_type)

    if TYPE_CHECKING:

        @overload
        def get_inference_helper(
            self,
            entry: Entry,
            return_type: Literal["dict"] = "dict",
            allow_missing: bool = False,
            now: Instant | None = None,
        ) -> dict[str, Any]: ...

        @overload
        def get_inference_helper(
            self,
            entry: Entry,
            return_type: Literal["pandas"],
            allow_missing: bool = False,
            now: Instant | None = None,
        ) -> pd.DataFrame: ...

        @overload
        def get_inference_helper(
            self,
            entry: Entry,
            return_type: str = "dict",
            allow_missing: bool = False,
            now: Instant | None = None,
        ) -> dict[str, Any] | pd.DataFrame: ...

    def get_inference_helper(
        self,
        entry: Entry,
        return_type: str = "dict",
        allow_missing: bool = False,
        now: Instant | None = None,
    ) -> dict[str, Any] | pd.DataFrame:
        """Read the inference helper columns of one entry, in one round trip.

        Args:
            entry: The key values by name, as in ``get_feature_vector``.
            return_type: "dict": the values by name; or "pandas": one row.
            allow_missing: Whether nulls stand for a key without an online row.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.

        Raises:
            NotFoundError: A key has no online row, or a name is not that of a key.
            KeyValueError: A key is absent, or equals no value of its type.
            SettingsError: ``return_type`` is not known.
            OnlineStoreError: The database fails, or does not answer in time.
        """
        state = self._get_serving_state()
        values = state.read_helpers(entry, allow_missing, _to_instant(now))
        if return_type == "dict":
            return dict(zip(state.helper_reader.output_names, values, strict=True))
        if return_type == "pandas":
            from spark_fs.online import vector_frames

            return vector_frames.as_pandas(state.helper_reader.output_types, [values])
        raise SettingsError(f"return_type {return_type!r} is not known: use 'dict' or 'pandas'.")


def _to_instant(now: Instant | None) -> datetime:
    return datetime.now(UTC) if now is None else to_utc(now)


def _choose_entry(entry: T | None, keys: T | None) -> T:
    if entry is not None and keys is None:
        return entry
    if keys is not None and entry is None:
        return keys
    raise SettingsError("Give the keys of an entry as entry=..., or as keys=....")


def _check_passed(passed: Sequence[Entry] | None, count: int) -> Sequence[Entry]:
    """A mapping for each entry, empty ones where none were given."""
    if passed is None:
        return [{}] * count
    if len(passed) != count:
        raise SettingsError(
            f"{count} entries and {len(passed)} passed_features: give one mapping per entry."
        )
    return passed


def _to_numpy(state: ServingState, vectors: Sequence[Sequence[Any]]) -> npt.NDArray[Any]:
    from spark_fs.online import vector_frames

    return vector_frames.as_numpy(state.columns, vectors)


def _to_pandas(
    state: ServingState, vectors: Sequence[Sequence[Any]], return_type: str
) -> pd.DataFrame:
    if return_type != "pandas":
        raise SettingsError(
            f"return_type {return_type!r} is not known: use 'list', 'numpy' or 'pandas'."
        )
    from spark_fs.online import vector_frames

    return vector_frames.as_pandas(state.columns, vectors)
