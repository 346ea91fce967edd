"""The rows that the online store holds of a group, read without Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.dataframes import convert_table
from spark_fs.errors import SettingsError
from spark_fs.flows.read import resolve_dataframe_type
from spark_fs.online.registry import make_writer
from spark_fs.online.store import OnlineStore
from spark_fs.online.table_layout import build_online_table
from spark_fs.spec.feature_group import GroupSpec

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BATCH_ROWS = 20_000  # rows that are Python's at once


def read_online_rows(group: GroupSpec, store: OnlineStore, now: datetime | None = None) -> pa.Table:
    """The rows of a group's online table that are within its ttl, in no order.

    Args:
        group: The feature group.
        store: Where its online table is.
        now: The instant by which rows are past their ttl; None: this one.

    Raises:
        SettingsError: The group is not online_enabled.
        OnlineStoreError: It was never synced.
    """
    if not group.online_enabled:
        raise SettingsError(
            f"Feature group {group} is not online_enabled, so no row of it is online: read it with"
            " online=False."
        )
    table = build_online_table(group, store.capabilities)
    cutoff = table.ttl_cutoff(now or datetime.now(UTC))
    online_rows = make_writer(store).read_buckets(table, 1, [0], cutoff)
    schema = arrow_types.to_arrow_schema({column.name: column.type for column in table.columns})
    rows = pa.Table.from_batches(_to_batches(online_rows, schema), schema)
    return rows.select(list(group.types))


def _to_batches(
    online_rows: Iterator[tuple[Any, ...]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    while batch := list(islice(online_rows, _BATCH_ROWS)):
        columns = zip(*batch, strict=True)
        arrays = [
            pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def to_frame(get_spark: Callable[[], SparkSession], table: pa.Table, dataframe_type: str) -> Any:
    """Rows as a frame of this type.

    "default" is a Spark DataFrame where the caller has a session, else pandas.
    """
    dataframe_type = resolve_dataframe_type(dataframe_type)
    if dataframe_type == "spark":
        return get_spark().createDataFrame(table)
    return convert_table(table, dataframe_type)
