"""The inference helper columns of a feature view, from the online store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from spark_fs.api.view_serving import ServingMixin, choose_instant
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from spark_fs.api.options import HelperOptions
    from spark_fs.base.times import Instant

Entry = Mapping[str, Any]


@validate_arguments
class InferenceHelpersMixin(ServingMixin):
    """The methods of a feature view that read inference helper columns, without Spark."""

    if TYPE_CHECKING:

        @overload
        def get_inference_helper(
            self,
            entry: Entry,
            external: bool | None = None,
            return_type: Literal["pandas"] = "pandas",
            **options: Unpack[HelperOptions],
        ) -> pd.DataFrame: ...

        @overload
        def get_inference_helper(
            self,
            entry: Entry,
            external: bool | None = None,
            *,
            return_type: Literal["dict"],
            **options: Unpack[HelperOptions],
        ) -> dict[str, Any]: ...

        @overload
        def get_inference_helper(
            self,
            entry: Entry,
            external: bool | None = None,
            return_type: str = "pandas",
            **options: Unpack[HelperOptions],
        ) -> Any: ...

    def get_inference_helper(
        self,
        entry: Entry,
        external: bool | None = None,
        return_type: str = "pandas",
        force_rest_client: bool = False,
        force_sql_client: bool = False,
        *,
        allow_missing: bool = False,
        now: Instant | None = None,
    ) -> dict[str, Any] | pd.DataFrame | pl.DataFrame:
        """Read the inference helper columns of one entry, in one round trip.

        Args:
            entry: The key values by name, as in ``get_feature_vector``.
            external: Taken for Hopsworks' sake.
            return_type: "pandas" or "polars": one row; or "dict": the values by name.
            force_rest_client: Taken for Hopsworks' sake.
            force_sql_client: Likewise.
            allow_missing: Whether nulls stand for a key without an online row.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.

        Raises:
            NotFoundError: A key has no online row, or a name is not that of a key.
            KeyValueError: A key is absent, or equals no value of its type.
            SettingsError: ``return_type`` is not known.
            OnlineStoreError: The database fails, or does not answer in time.
        """
        helpers = self.get_inference_helpers(
            [entry], return_type=return_type, allow_missing=allow_missing, now=now
        )
        return helpers[0] if isinstance(helpers, list) else helpers

    def get_inference_helpers(
        self,
        entry: Sequence[Entry],
        external: bool | None = None,
        return_type: str = "pandas",
        force_sql_client: bool = False,
        force_rest_client: bool = False,
        *,
        allow_missing: bool = False,
        now: Instant | None = None,
    ) -> list[dict[str, Any]] | pd.DataFrame | pl.DataFrame:
        """Read the inference helper columns of several entries, in one round trip.

        Args:
            entry: The key values of each, as in ``get_feature_vector``.
            external: Taken for Hopsworks' sake.
            return_type: "pandas" or "polars": a row for each; or "dict": a list of dicts.
            force_sql_client: Taken for Hopsworks' sake.
            force_rest_client: Likewise.
            allow_missing: Whether nulls stand for a key without an online row.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.

        Returns:
            As many rows or dicts as entries, in their order.

        Raises:
            NotFoundError: As for ``get_inference_helper``, and so are the others.
        """
        state = self._get_serving_state()
        types = state.helper_reader.output_types
        helpers = state.read_helpers(entry, allow_missing, choose_instant(now))
        if return_type == "dict":
            return [dict(zip(types, values, strict=True)) for values in helpers]
        if return_type not in ("pandas", "polars"):
            raise SettingsError(
                f"return_type {return_type!r} is not known: use 'pandas', 'polars' or 'dict'."
            )
        from spark_fs.flows import returned_vectors

        frame: pd.DataFrame | pl.DataFrame
        frame = returned_vectors.convert_vectors(types, helpers, return_type)
        return frame
