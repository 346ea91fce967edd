"""A feature view of a server, whose methods are awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.base.arguments import validate_arguments
from spark_fs.client.described_view import DescribedView, take_row

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import polars as pl

    from spark_fs.base.times import Instant
    from spark_fs.client.exchanges import Exchange
    from spark_fs.client.view_requests import RemoteViewState

Entry = Mapping[str, Any]


@validate_arguments
class AsyncRemoteFeatureView(DescribedView):
    """A feature view that a server hands out, read as one in this process is.

    An ``AsyncClient`` gives it; any number of tasks may share it.
    """

    def __init__(
        self, state: RemoteViewState, run: Callable[[Exchange[Any]], Awaitable[Any]]
    ) -> None:
        super().__init__(state)
        self._run = run

    async def get_feature_vector(
        self,
        entry: Entry | None = None,
        passed_features: Entry | None = None,
        *,
        return_type: str = "list",
        allow_missing: bool = False,
        transform: bool | None = True,
        request_parameters: Entry | None = None,
        keys: Entry | None = None,
        now: Instant | None = None,
    ) -> list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Read the features of one entry, transformed as in training, in one round trip.

        As ``FeatureView.get_feature_vector``, with the values, types and errors of it.

        Args:
            entry: The key values by name.
            passed_features: Values by name that win over stored ones, before they are transformed.
            return_type: "list"; "pandas" or "polars": one row, with training data's types; or
                "numpy".
            allow_missing: Whether nulls stand for a key without an online row.
            transform: Whether the view's transformations are applied; else the values are those of
                its features, as they are stored.
            request_parameters: As passed_features, over which they win, and what on-demand features
                are computed of; other names are of no account.
            keys: The same as ``entry``.
            now: The instant (UTC) by which rows are past their ttl; None: that of the request.

        Returns:
            The values in the order of the training columns.

        Raises:
            NotFoundError: A key has no online row, or a name is not that of a key or feature.
            KeyValueError: A key is absent, or equals no value of its type.
            SchemaError: A passed feature equals no value of its type.
            SettingsError: The entry is missing or given twice, or ``return_type`` is not known.
            OnlineStoreError: The server cannot be reached, is too busy, or does not answer in time.
        """
        request = self._request_one(
            entry, keys, passed_features, request_parameters, allow_missing, bool(transform), now
        )
        rows = await self._run(self._state.ask_vectors(request, return_type))
        row: list[Any] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any] = take_row(
            rows, return_type
        )
        return row

    async def get_feature_vectors(
        self,
        entry: Sequence[Entry] | None = None,
        passed_features: Sequence[Entry] | None = None,
        *,
        return_type: str = "list",
        allow_missing: bool = False,
        transform: bool | None = True,
        request_parameters: Sequence[Entry] | Entry | None = None,
        keys: Sequence[Entry] | None = None,
        now: Instant | None = None,
    ) -> list[list[Any]] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]:
        """Read as many vectors as entries, in their order, in one round trip.

        As ``FeatureView.get_feature_vectors``, with the values, types and errors of it.

        Args:
            entry: The key values of each entry; a server takes 1,000 unless it is told otherwise.
            passed_features: As many mappings as entries, of values that win over stored ones.
            return_type: "list": a list of lists; "pandas" or "polars": a row for each entry; or
                "numpy": an array of two dimensions.
            allow_missing: Whether nulls stand for a key without an online row.
            transform: Whether the view's transformations are applied; else the values are those of
                its features, as they are stored.
            request_parameters: As passed_features, over which they win, or one mapping for all
                entries.
            keys: The same as ``entry``.
            now: The instant (UTC) by which rows are past their ttl; None: that of the request.

        Returns:
            The vectors, each in the order of the training columns.

        Raises:
            NotFoundError: A key has no online row, or a name is not that of a key or feature.
            KeyValueError: A key is absent, or equals no value of its type.
            SchemaError: A passed feature equals no value of its type.
            SettingsError: The entries are missing, given twice or too many, there is not one
                mapping of passed features for each, or ``return_type`` is not known.
            OnlineStoreError: The server cannot be reached, is too busy, or does not answer in time.
        """
        request = self._request_many(
            entry, keys, passed_features, request_parameters, allow_missing, bool(transform), now
        )
        rows: list[list[Any]] | pd.DataFrame | pl.DataFrame | npt.NDArray[Any]
        rows = await self._run(self._state.ask_vectors(request, return_type))
        return rows
