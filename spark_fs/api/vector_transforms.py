"""Transformations of vectors and frames that a caller has, as a feature view makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.api.dataset_requests import warn_of_taken
from spark_fs.api.view_serving import ServingMixin
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import polars as pl


@validate_arguments
class VectorTransformsMixin(ServingMixin):
    """The methods of a feature view that transform what they are given."""

    def transform(
        self,
        feature_vector: Any,
        external: bool | None = None,
        transformation_context: Mapping[str, Any] | None = None,
        return_type: str | None = None,
        n_processes: int | None = None,
    ) -> list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Transform vectors as ``get_feature_vector`` does, without Spark.

        Args:
            feature_vector: A vector as a list of values, several as a list of lists, both in the
                order of ``get_feature_vector(transform=False)``; a dict of values by name, or a
                list of such; or a pandas or polars frame with the features by name.
            external: Taken for Hopsworks' sake.
            transformation_context: What is set of the transformations for this time, by name; None:
                what was set when they learned.
            return_type: "list", "pandas", "polars" or "numpy"; None: as what was given.
            n_processes: Taken for Hopsworks' sake, and named in a warning.

        Returns:
            The values in the order of the training columns: a list of values for one vector, a list
            of lists for several, or a frame.

        Raises:
            NotFoundError: A feature, or a helper column that a transformation takes, is not there.
            SchemaError: A value equals none of its type.
            SettingsError: A vector has another length than the view has features, a transformation
                learned and ``init_serving`` was not told of which training dataset, or
                ``return_type`` is not known.
        """
        warn_of_taken("transform", {"n_processes": n_processes})
        state = self._get_serving_state().with_context(transformation_context)
        rows, is_single, kind = _parse_vectors(feature_vector, list(state.features))
        vectors = state.transform_rows(rows)
        return _return_vectors(state.columns, vectors, is_single, return_type or kind)

    def compute_on_demand_features(
        self,
        feature_vector: Any,
        request_parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        transformation_context: Mapping[str, Any] | None = None,
        return_type: str | None = None,
        n_processes: int | None = None,
    ) -> list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Compute the on-demand features of vectors of what a request brings, without Spark.

        Args:
            feature_vector: Vectors before transformations, as those of ``transform``.
            request_parameters: Values by column that on-demand features are made of; a list: for
                each vector.
            transformation_context: What is set of the functions for this time, by name.
            return_type: "list", "pandas", "polars" or "numpy"; None: as what was given.
            n_processes: Taken for Hopsworks' sake, and named in a warning.

        Returns:
            The vectors before transformations; a feature of which nothing is passed stays.

        Raises:
            KeyValueError: A column that a function takes was not passed, and no feature has it.
            SchemaError: A value equals none of its type.
            SettingsError: A vector has another length than the view has features, or there is not
                one mapping of request parameters for each.
        """
        warn_of_taken("compute_on_demand_features", {"n_processes": n_processes})
        state = self._get_serving_state().with_context(transformation_context)
        rows, is_single, kind = _parse_vectors(feature_vector, list(state.features))
        given = request_parameters or {}
        passed = [given] * len(rows) if isinstance(given, Mapping) else list(given)
        if len(passed) != len(rows):
            raise SettingsError(
                f"{len(rows)} vectors and {len(passed)} request_parameters: give one mapping for"
                " each, or one for all."
            )
        vectors: list[Any] = []
        for row, values in zip(rows, passed, strict=True):
            computed = state.vector_reader.compute_features(row, values)
            for name in state.features:
                if name not in computed:
                    raise NotFoundError.for_name(
                        "Feature", name, computed, "Give each vector all features of the view."
                    )
            vectors.append([computed[name] for name in state.features])
        return _return_vectors(state.features, vectors, is_single, return_type or kind)

    def execute_odts(
        self,
        data: Any,
        online: bool | None = None,  # both ways run the same code
        transformation_context: Mapping[str, Any] | None = None,
        request_parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        n_processes: int | None = None,
    ) -> list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Compute the on-demand features of vectors, as ``compute_on_demand_features`` does.

        Args:
            data: As the vectors of ``transform``.
            online: Taken for Hopsworks' sake: both ways give the same values.
            transformation_context: What is set of the functions for this time, by name.
            request_parameters: Values by column that on-demand features are made of.
            n_processes: Taken for Hopsworks' sake, and named in a warning.

        Returns:
            As ``compute_on_demand_features`` does.
        """
        return self.compute_on_demand_features(
            data, request_parameters, transformation_context, n_processes=n_processes
        )

    def execute_mdts(
        self,
        data: Any,
        online: bool | None = None,
        transformation_context: Mapping[str, Any] | None = None,
        request_parameters: Mapping[str, Any] | None = None,
        n_processes: int | None = None,
    ) -> list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Transform vectors or a frame, as ``transform`` does.

        Args:
            data: As the vectors of ``transform``.
            online: Taken for Hopsworks' sake: a row is transformed alike wherever it is.
            transformation_context: As in ``transform``.
            request_parameters: Values by feature that win over those of data, which are given by
                name.
            n_processes: Taken for Hopsworks' sake, and named in a warning.

        Returns:
            As ``transform`` does.
        """
        warn_of_taken("execute_mdts", {"n_processes": n_processes})
        state = self._get_serving_state().with_context(transformation_context)
        rows, is_single, kind = _parse_vectors(data, list(state.features))
        vectors = state.transform_rows([{**row, **(request_parameters or {})} for row in rows])
        return _return_vectors(state.columns, vectors, is_single, kind)


def _return_vectors(
    columns: Mapping[str, str], vectors: list[Any], is_single: bool, return_type: str
) -> list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
    """Vectors as a caller wants them."""
    if return_type == "list":
        return vectors[0] if is_single else vectors
    from spark_fs.flows import returned_vectors

    frame: Any = returned_vectors.convert_vectors(columns, vectors, return_type)
    found: pd.DataFrame | pl.DataFrame | npt.NDArray[Any] = frame
    if is_single and return_type == "numpy":
        found = frame[0]
    return found


def _parse_vectors(given: Any, names: Sequence[str]) -> tuple[list[Mapping[str, Any]], bool, str]:
    """Each vector by name, whether one alone was given, and in which type."""
    module = type(given).__module__.partition(".")[0]
    if hasattr(given, "columns"):
        from spark_fs.tables.arrow_frames import to_arrow

        rows = to_arrow(given, {}).to_pylist()
        return rows, False, "polars" if module == "polars" else "pandas"
    kind = "numpy" if module == "numpy" else "list"
    if _is_row(given):
        return [given], True, kind
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise SettingsError(
            f"{given!r} is not a vector: give a list of values, a list of lists, a dict or a frame."
        )
    values = list(given)
    if values and all(_is_row(value) for value in values):
        return values, False, kind
    is_single = not values or not all(_is_vector(value) for value in values)
    vectors = [values] if is_single else [list(vector) for vector in values]
    return [_name_values(vector, names) for vector in vectors], is_single, kind


def _is_row(value: Any) -> bool:
    """Whether it is a mapping of names."""
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_vector(value: Any) -> bool:
    return isinstance(value, list | tuple) or type(value).__name__ == "ndarray"


def _name_values(vector: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    if len(vector) != len(names):
        raise SettingsError(
            f"A vector has {len(vector)} values, and the view has {len(names)} features"
            f" ({', '.join(names)}): give one for each, in this order."
        )
    return dict(zip(names, vector, strict=True))
