"""The rows that the online store holds of a group, read without Spark."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from spark_fs import arrow
from spark_fs.errors import SettingsError
from spark_fs.frames import to_pandas
from spark_fs.online.layout import online_table
from spark_fs.online.store import OnlineStore
from spark_fs.online.writers import writer
from spark_fs.spec.definitions import GroupSpec

_TOGETHER = 20_000  # rows that are Python's at once


def rows(group: GroupSpec, store: OnlineStore, now: datetime | None = None) -> pa.Table:
    """The rows of a group's online table that are within its ttl at ``now`` (None: this instant), in no order.

    Raises SettingsError where the group is not online_enabled, OnlineStoreError where it was never synced.
    """
    if not group.online_enabled:
        raise SettingsError(f"Feature group {group} is not online_enabled, so no row of it is online: read it with online=False.")
    table = online_table(group, store.capabilities)
    found = writer(store).rows_of(table, 1, [0], table.cutoff(now or datetime.now(UTC)))
    schema = arrow.schema_of({column.name: column.type for column in table.columns})
    return pa.Table.from_batches(_batches(found, schema), schema).select(list(group.types))


def _batches(found: Iterator[tuple[Any, ...]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while part := list(islice(found, _TOGETHER)):
        columns = zip(zip(*part, strict=True), schema, strict=True)
        yield pa.RecordBatch.from_arrays([pa.array(values, field.type) for values, field in columns], schema=schema)


def frame(spark: Callable[[], SparkSession], found: pa.Table, dataframe_type: str) -> Any:
    """Rows as "pandas" or "spark"; "default" is pandas where no Spark session is active in this process, a Spark DataFrame where one is."""
    if dataframe_type == "default":
        dataframe_type = "pandas" if SparkSession.getActiveSession() is None else "spark"
    if dataframe_type == "pandas":
        return to_pandas(found)
    if dataframe_type == "spark":
        return spark().createDataFrame(found)
    raise SettingsError(f"dataframe_type {dataframe_type!r} is not known: use 'spark' or 'pandas'.")
