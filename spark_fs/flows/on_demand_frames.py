"""Compute the on-demand columns of a group of frames that are to be inserted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_fs.base.arrow_types import to_arrow_schema, to_feature_types
from spark_fs.base.dataframes import is_spark_frame
from spark_fs.base.types import to_ddl
from spark_fs.tables.arrow_frames import to_arrow
from spark_fs.transform.on_demand import OnDemandColumns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_fs.spec.feature_group import GroupSpec


def compute_frame(
    group: GroupSpec, data: Any, context: Mapping[str, Any] | None
) -> tuple[Any, dict[str, str]]:
    """A frame with the on-demand columns of a group.

    Args:
        group: The group, which has on-demand transformations.
        data: The frame, as ``insert`` takes it.
        context: What is set of the transformations for this time.

    Returns:
        The frame, lazily where it is Spark's, else an Arrow table; and the types of the columns
        that were computed of.

    Raises:
        NotFoundError: A column is missing.
        SparkFSError: A function fails.
    """
    if is_spark_frame(data):
        return _compute_spark_frame(group, data, context)
    table = to_arrow(data, {**group.on_demand_inputs, **group.types})
    columns = _bind(group, to_feature_types(table.schema), context)
    return columns.compute_table(table), dict(columns.transformer.inputs)


def _bind(
    group: GroupSpec, types: Mapping[str, str], context: Mapping[str, Any] | None
) -> OnDemandColumns:
    return OnDemandColumns.bind(group.transformations, types, context)


def _compute_spark_frame(
    group: GroupSpec, data: DataFrame, context: Mapping[str, Any] | None
) -> tuple[DataFrame, dict[str, str]]:
    from spark_fs.tables import spark_frames

    frame = spark_frames.to_spark(data.sparkSession, data, group.types)
    types = spark_frames.get_feature_types(frame)
    columns = _bind(group, types, context)
    computed_types = columns.list_types(types)
    ddl = ", ".join(
        f"{_quote_name(name)} {to_ddl(type_)}" for name, type_ in computed_types.items()
    )
    schema = to_arrow_schema(types)
    computed_schema = to_arrow_schema(computed_types)

    def compute(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            table = pa.Table.from_batches([batch]).cast(schema)
            yield from columns.compute_table(table).cast(computed_schema).to_batches()

    return frame.mapInArrow(compute, ddl), dict(columns.transformer.inputs)


def _quote_name(name: str) -> str:
    """A column's name as Spark's DDL has it."""
    escaped = name.replace("`", "``")
    return f"`{escaped}`"
