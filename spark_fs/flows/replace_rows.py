"""Replace rows of a group by what they are now: those that are gone are deleted, then all written.

Two commits at most. A run that ends between them leaves a table that lacks what is gone alone; the
next run finds the rest to do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from spark_fs.base import arrow_types
from spark_fs.base.times import Interval
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.key_codes import encode_keys
from spark_fs.engine.join.spark_filters import to_spark_condition
from spark_fs.engine.join.stages import TypedColumn, get_key_columns
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.file_times import may_contain_event_time
from spark_fs.engine.scan.parquet import Scan
from spark_fs.engine.spark_runner import SparkRows, get_frame
from spark_fs.engine.windows.reach import ChangedEvents
from spark_fs.engine.windows.rows import to_bounds
from spark_fs.flows.event_source import Rows, is_small
from spark_fs.flows.jobs import Job
from spark_fs.flows.shared_rows import share_rows
from spark_fs.flows.spark_reads import translate_spark_errors
from spark_fs.planning.time_conditions import build_time_condition
from spark_fs.spec.conditions import cast_condition
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.computed_rows import ComputedRows
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.spark_event_times import convert_to_micros
from spark_fs.tables.table import GroupTable

Frame: TypeAlias = pa.Table | DataFrame


@dataclass(frozen=True)
class RowScope:
    """Which rows of a group are replaced.

    interval: of their event times. changed: those alone that these events reach; None: every one.
    """

    interval: Interval
    changed: ChangedEvents | None = None


def replace_rows(
    table: GroupTable, rows: Rows, scope: RowScope, insert: Callable[[Rows | DataFrame], Job]
) -> Job:
    """Let a group have these rows in a scope and no others, eagerly.

    Args:
        table: The group's table.
        rows: All rows of the scope.
        scope: Which of the group's rows are replaced.
        insert: Upserts the rows.

    Returns:
        The job, which also counts the rows that were deleted.
    """
    existing = _read_identities(table, scope)
    if existing is None:
        job = _insert_new(table, rows, insert)
        return Job(job.name, {**job.summary, "deleted": 0})
    frame = rows.to_frame() if isinstance(rows, ComputedRows) else rows
    with _persist_rows(frame):
        with _persist_rows(_subtract_rows(existing, frame, table)) as gone:
            deleted = _delete_rows(table, gone, scope)
        job = insert(frame)
    return Job(job.name, {**job.summary, "deleted": deleted})


def _insert_new(table: GroupTable, rows: Rows, insert: Callable[[Rows | DataFrame], Job]) -> Job:
    if isinstance(rows, ComputedRows):
        return insert(rows)
    with share_rows(table.spark, rows) as shared:
        return insert(shared)


@contextmanager
def _persist_rows(rows: Frame) -> Iterator[Frame]:
    """Rows that are read several times."""
    if isinstance(rows, pa.Table):
        yield rows
        return
    rows.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield rows
    finally:
        with suppress(Py4JError):  # of a JVM that is gone
            rows.unpersist()


# -- what the group has


def _read_identities(table: GroupTable, scope: RowScope) -> Frame | None:
    """The identities of the group's rows in a scope, lazily where they are many.

    None where the log tells that there are none.
    """
    group = table.group
    if table.version == NO_TABLE:
        return None
    bounds = to_bounds(scope.interval)
    files = [file for file in table.list_files() if may_contain_event_time(file, group, bounds)]
    if not files:
        return None
    types = {name: group.get_column_type(name) for name in group.identity}
    if is_small(files) and parquet.is_scannable(files, group.types, group.partition_key, None):
        return _scan_identities(files, types, scope, _get_event_time(group))
    return _select_identities(table, types, scope)


def _get_event_time(group: GroupSpec) -> TypedColumn:
    assert group.event_time
    return group.event_time, group.get_column_type(group.event_time)


def _scan_identities(
    files: Sequence[DataFile], types: Mapping[str, str], scope: RowScope, time: TypedColumn
) -> pa.Table:
    """The identities in some files, read here."""
    scan = Scan.from_files(parquet.to_scan_files(files), types)
    bounds = to_bounds(scope.interval)
    scan = replace(scan, event_time=time[0], event_time_bounds=bounds)
    rows = pa.concat_tables([scan.schema.empty_table(), *parquet.iter_tables(scan)])
    return rows if scope.changed is None else scope.changed.select_reached(rows, time)


def _select_identities(table: GroupTable, types: Mapping[str, str], scope: RowScope) -> DataFrame:
    """The identities in the table*."""
    time = _get_event_time(table.group)
    micros = convert_to_micros(F.col(time[0]), time[1])
    start, end = to_bounds(scope.interval)
    rows = table.read().filter((micros >= F.lit(start)) & (micros < F.lit(end)))
    rows = rows.filter(_build_prune_predicate(table.group, scope, "")).select(*types).distinct()
    if scope.changed is None:
        return rows
    schema = arrow_types.to_arrow_schema(types)
    keep = partial(scope.changed.select_reached, at=time)
    relation = ArrowRelation.from_rows(SparkRows(rows), schema).map_tables(keep, schema)
    return get_frame(relation.select(types))


def _build_prune_predicate(group: GroupSpec, scope: RowScope, prefix: str) -> Column:
    """A condition that every row of a scope meets, by which Delta skips files."""
    name, type_ = _get_event_time(group)
    condition = build_time_condition(group.ref, name, type_, *to_bounds(scope.interval))
    if condition is None:
        return F.lit(True)
    bound = cast_condition(condition, lambda _: type_)
    return to_spark_condition(bound, lambda _: F.col(f"{prefix}`{name}`"))


# -- what is gone of it


def _subtract_rows(existing: Frame, rows: Frame, table: GroupTable) -> Frame:
    """The identities that none of the rows has, lazily where either are many."""
    names = list(table.group.identity)
    if isinstance(existing, pa.Table) and isinstance(rows, pa.Table):
        keys = [(name, table.group.get_column_type(name)) for name in names]
        sides = [get_key_columns(existing, keys), get_key_columns(rows, keys)]
        existing_codes, codes = encode_keys(sides)
        return existing.filter(pa.array(~np.isin(existing_codes, codes)))
    wanted = _to_frame(rows, table).select(*names)
    return _to_frame(existing, table).join(wanted, on=names, how="left_anti")


def _to_frame(rows: Frame, table: GroupTable) -> DataFrame:
    return rows if isinstance(rows, DataFrame) else table.spark.createDataFrame(rows)


def _delete_rows(table: GroupTable, gone: Frame, scope: RowScope) -> int:
    """Delete the rows of these identities, eagerly; returns how many there were."""
    with translate_spark_errors():
        is_empty = not gone.num_rows if isinstance(gone, pa.Table) else gone.isEmpty()
    if is_empty:
        return 0
    predicate = _build_prune_predicate(table.group, scope, "t.")
    return table.delete_rows(_to_frame(gone, table), table.group.identity, predicate)
