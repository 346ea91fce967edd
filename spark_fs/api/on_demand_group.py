"""A group with columns that are computed when rows are inserted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_fs.api.profiled_group import ProfiledGroup
from spark_fs.api.transformations import TransformationFunction, TransformationType
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd


@validate_arguments
class OnDemandGroup(ProfiledGroup):
    """A group with on-demand transformations, if it has any."""

    @property
    def transformation_functions(self) -> list[TransformationFunction]:
        """The on-demand transformations, each after those whose outputs it takes."""
        specs = self._load_spec().transformations
        type_ = TransformationType.ON_DEMAND
        return [TransformationFunction._from_spec(spec, type_) for spec in specs]

    def execute_odts(
        self,
        data: Any,
        online: bool | None = None,  # noqa: ARG002 # both ways run the same code
        transformation_context: Mapping[str, Any] | None = None,
        request_parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        n_processes: int | None = None,  # noqa: ARG002 # of none
    ) -> pd.DataFrame | Any:
        """Compute the on-demand columns of rows, without writing them.

        Args:
            data: A pandas or polars DataFrame, an Arrow table, a dict, or a list of dicts.
            online: Taken for Hopsworks' sake: both ways give the same values.
            transformation_context: What is set of the functions for this time.
            request_parameters: Values by column that win over those of data; a list: for each row.
            n_processes: Taken for Hopsworks' sake.

        Returns:
            The rows with what was computed, as they were given.

        Raises:
            NotFoundError: A column that a function takes is missing.
            SettingsError: There is not one mapping of request parameters for each row.
        """
        from spark_fs.base.arrow_types import to_feature_types
        from spark_fs.tables.arrow_frames import to_arrow
        from spark_fs.transform.on_demand import OnDemandColumns

        group = self._load_spec()
        rows = [data] if isinstance(data, Mapping) else data
        types = {**group.on_demand_inputs, **group.types}
        if request_parameters:
            rows = _merge_rows(to_arrow(rows, types).to_pylist(), request_parameters)
        table = to_arrow(rows, types)
        bound = OnDemandColumns.bind(
            group.transformations, to_feature_types(table.schema), transformation_context
        )
        computed = bound.compute_table(table)
        kind = type(data).__module__.partition(".")[0]
        if kind == "polars":
            import polars

            return polars.from_arrow(computed)
        if kind == "pandas":
            return computed.to_pandas()
        if kind == "pyarrow":
            return computed
        return computed.to_pylist()[0] if isinstance(data, Mapping) else computed.to_pylist()

    def _compute_on_demand(self, frame: Any, context: Mapping[str, Any] | None) -> Any:
        """A frame that is to be inserted, with the columns that are computed of it."""
        from spark_fs.flows import on_demand_frames

        group = self._reload_spec()
        if not group.transformations:
            return frame
        rows, inputs = on_demand_frames.compute_frame(group, frame, context)
        noted = {**inputs, **group.on_demand_inputs}
        if noted != group.on_demand_inputs:
            self._update_spec(lambda spec: replace(spec, on_demand_inputs=noted))
        return rows


def _merge_rows(
    rows: Sequence[Mapping[str, Any]],
    request_parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Rows with values that win over theirs."""
    if isinstance(request_parameters, Mapping):
        return [{**row, **request_parameters} for row in rows]
    if len(request_parameters) != len(rows):
        raise SettingsError(
            f"{len(rows)} rows and {len(request_parameters)} request_parameters: give one mapping"
            " for each row, or one for all."
        )
    return [{**row, **given} for row, given in zip(rows, request_parameters, strict=True)]
