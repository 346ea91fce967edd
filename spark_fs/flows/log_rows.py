"""The log of a feature view as a feature group: moved there from the spool, and read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_fs.base.dataframes import convert_table
from spark_fs.base.times import EPOCH, Interval
from spark_fs.base.types import can_widen
from spark_fs.engine.training.row_order import sort_rows
from spark_fs.errors import AlreadyExistsError, NotFoundError, SchemaError, SettingsError
from spark_fs.flows.jobs import Job
from spark_fs.flows.log_columns import LogColumns, read_spool_rows
from spark_fs.flows.log_spool import LogSpool, read_file
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.read import Frames, read_query, resolve_dataframe_type
from spark_fs.flows.spine_rows import SpineRows
from spark_fs.flows.view_columns import find_states
from spark_fs.planning.bind import bind_query
from spark_fs.spec.expectations import ValidationOptions
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison, Condition, make_conjunction
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.serving_log import LOG_ID, LOG_TAG, LOG_TIME, name_log_group
from spark_fs.spec.write_options import WriteOptions
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.table_log import open_log

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Transformed = dict[int | None, Mapping[str, str]]
_PARTITION = "day"


def open_spool(stores: ProjectStores, view: ViewSpec) -> LogSpool:
    """The files of a view's log that no commit has yet."""
    return LogSpool.of_view(stores.settings.home, GroupRef(view.name, view.version))


def find_log_group(stores: ProjectStores, view: ViewSpec) -> GroupSpec | None:
    """The group that keeps the log of a view; None where nothing was moved there yet.

    Raises AlreadyExistsError where a group of its name is something else.
    """
    ref = name_log_group(GroupRef(view.name, view.version))
    try:
        group = stores.catalog.get_group(*ref)
    except NotFoundError:
        return None
    if group.tags.get(LOG_TAG) != _make_tag(view):
        raise AlreadyExistsError(
            f"Feature group {ref} is not the log of feature view {view}, and has the name that the"
            " log would have: rename the view, or delete the group."
        )
    return group


def ensure_log_group(
    stores: ProjectStores, log_columns: LogColumns, transformed: Transformed
) -> GroupSpec:
    """The group that keeps the log of a view, made or given more columns where it lacks some.

    Args:
        stores: Those of the view.
        log_columns: The columns of the log.
        transformed: The columns after the transformations, of each training dataset.

    Raises:
        SchemaError: The group has a column of another type, as that of an earlier view of the name.
    """
    types = log_columns.list_types(transformed.values())
    group = find_log_group(stores, log_columns.view)
    if group is None:
        group = _declare_log_group(log_columns.view, types)
        stores.catalog.add_group(group)
        return group
    _check_types(group, types, log_columns.view)
    added = []
    for name, type_ in types.items():
        if name not in group.types:
            added.append(FeatureSpec(name, type_))
    if added:
        from spark_fs.flows.maintain import append_features

        append_features(stores.open_table(group), added, stores)
        group = stores.catalog.change_group(group.ref, lambda spec: spec.with_features(added))
    return group


def materialize_log(stores: ProjectStores, view: ViewSpec) -> Job:
    """Move what waits in the spool to the group of the log, eagerly, each row once.

    The files become a batch that nothing is added to; its rows are one commit under the batch's
    name, and only then are its files deleted. So whoever dies in between leaves a batch that the
    next call commits, or finds committed.

    Args:
        stores: Those of the view.
        view: The view, as the catalog has it now.

    Returns:
        The job, which counts the rows, and the files that they came from.
    """
    spool = open_spool(stores, view)
    counts = {"read": 0, "inserted": 0, "files": 0}
    with spool.lock():
        batches = spool.list_batches()
        collected = spool.collect_batch()
        if collected is not None:
            batches.append(collected)
        log_columns = LogColumns.of_view(stores.catalog, view)
        for batch in batches:
            files = [file.path for file in LogSpool(batch).list_files()]
            summary = _insert_files(stores, log_columns, files, batch.name)
            counts["read"] += summary.get("read", 0)
            counts["inserted"] += summary.get("inserted", 0)
            counts["files"] += len(files)
            spool.delete_batch(batch)
    return Job(f"materialize_log {view.name}_{view.version}", counts)


def _insert_files(
    stores: ProjectStores, log_columns: LogColumns, files: list[Path], batch_id: str
) -> Mapping[str, int]:
    """Insert the rows of files as one commit; nothing where a commit of the batch is there."""
    from spark_fs.flows.insert import insert_rows

    transformed = _list_transformed(stores, log_columns, files)
    group = ensure_log_group(stores, log_columns, transformed)
    rows = _fit_rows(read_spool_rows(log_columns, transformed, files), group)
    if not rows.num_rows:
        return {}
    table = stores.open_table(group)
    options = WriteOptions(batch_id=batch_id)
    _, job, _ = insert_rows(table, rows, stores.catalog, options, ValidationOptions())
    return job.summary


def read_log(
    stores: ProjectStores,
    view: ViewSpec,
    interval: Interval,
    condition: Condition | None,
    dataframe_type: str,
) -> Any:
    """The rows of a view's log, those that wait in the spool too.

    Args:
        stores: Those of the view.
        view: The view, as the catalog has it now.
        interval: Of when rows were served: start <= instant < end.
        condition: What they meet beside; its columns are the log's own.
        dataframe_type: One of ``DATAFRAME_TYPES``; "default" is "spark" where the caller has a
            session, else "pandas".

    Returns:
        A frame of that type, read eagerly and ordered by instant; Spark's is lazy, but for the rows
        of the spool, and in no order.
    """
    dataframe_type = resolve_dataframe_type(dataframe_type)
    log_columns = LogColumns.of_view(stores.catalog, view)
    stored_group = find_log_group(stores, view)
    waiting = _read_waiting(stores, log_columns, stored_group)
    if stored_group is not None:
        _check_types(stored_group, log_columns.known_types, view)
    types = {**_get_types(waiting, log_columns), **(stored_group.types if stored_group else {})}
    group = (stored_group or _declare_log_group(view, types)).with_schema(types)
    where = _make_where(group.ref, interval, condition)
    held = _hold_rows(group, _fit_rows(waiting, group))
    rows = _read_group(stores, group, where, "arrow", {group.ref: held})
    if stored_group is not None and open_log(stores.find_table(stored_group)).exists():
        if dataframe_type == "spark":
            frame = _read_group(stores, stored_group, where, "spark", {})
            return _union_frames(stores, frame, rows)
        stored = _read_group(stores, stored_group, where, "arrow", {})
        rows = pa.concat_tables([_fit_rows(stored, group), rows])
    if dataframe_type == "spark":
        return stores.spark.createDataFrame(rows)
    return convert_table(sort_rows(rows, [LOG_TIME, LOG_ID]), dataframe_type)


def _read_group(
    stores: ProjectStores,
    group: GroupSpec,
    where: Condition | None,
    dataframe_type: str,
    frames: Frames,
) -> Any:
    """The rows of a log's group that meet a condition."""
    query = QuerySpec(group.ref, tuple(group.types), where=where)
    plan = bind_query(query, {group.ref: group})
    return read_query(stores.engines, plan, stores.find_table, dataframe_type, frames=frames)


def delete_waiting(stores: ProjectStores, view: ViewSpec) -> None:
    """Delete what waits in the spool of a view, eagerly."""
    spool = open_spool(stores, view)
    if not spool.list_waiting():
        return
    with spool.lock():
        spool.delete_all()


def load_transformed(
    stores: ProjectStores, log_columns: LogColumns, versions: set[int | None]
) -> Transformed:
    """The columns after the transformations, with their types, of each training dataset.

    Of one that is not there any more they are the features that stay as they are.

    Args:
        stores: Those of the view.
        log_columns: The columns of the view's log.
        versions: Of which training datasets; None: of none.
    """
    columns = log_columns.columns
    transformed: Transformed = {}
    for version in versions:
        try:
            states = find_states(stores.catalog, log_columns.view, version, columns)
        except (NotFoundError, SettingsError):
            transformed[version] = log_columns.plain_features
        else:
            transformed[version] = columns.get_training_columns(states)
    return transformed


def _check_types(group: GroupSpec, types: Mapping[str, str], view: ViewSpec) -> None:
    """Raise SchemaError where a column of the log is no more what it was."""
    for name, type_ in types.items():
        stored = group.types.get(name, type_)
        if not can_widen(type_, stored) and not can_widen(stored, type_):
            raise SchemaError(
                f"Column {name!r} of feature view {view} is {type_}, and {stored} in its log"
                f" {group}, which is of an earlier view of that name: call delete_log(), or give"
                " the view a new version."
            )


def _make_tag(view: ViewSpec) -> dict[str, Any]:
    return {"name": view.name, "version": view.version}


def _declare_log_group(view: ViewSpec, types: Mapping[str, str]) -> GroupSpec:
    ref = name_log_group(GroupRef(view.name, view.version))
    group = GroupSpec(
        ref.name,
        ref.version,
        description=f"What was served of feature view {view}, and what was predicted of it.",
        primary_key=(LOG_ID,),
        partition_key=() if _PARTITION in types else (_PARTITION,),
        event_time=LOG_TIME,
        tags={LOG_TAG: _make_tag(view)},
        statistics_config={"enabled": False},
    )
    return group.with_schema(dict(types))


def _list_transformed(
    stores: ProjectStores, log_columns: LogColumns, files: list[Path]
) -> Transformed:
    """The columns after the transformations of the training datasets that files are of."""
    versions: set[int | None] = set()
    for file in files:
        header, _ = read_file(file)
        if header["kind"] == "served":
            versions.add(header["training_dataset_version"])
        else:
            versions.update(header["training_dataset_versions"])
    return load_transformed(stores, log_columns, versions)


def _read_waiting(
    stores: ProjectStores, log_columns: LogColumns, group: GroupSpec | None
) -> pa.Table:
    """The rows of the spool that no commit has."""
    spool = open_spool(stores, log_columns.view)
    files = [file.path for file in spool.list_waiting()]
    committed = _list_committed(stores, spool, group)
    files = [file for file in files if file.parent.name not in committed]
    transformed = _list_transformed(stores, log_columns, files)
    return read_spool_rows(log_columns, transformed, files)


def _list_committed(stores: ProjectStores, spool: LogSpool, group: GroupSpec | None) -> set[str]:
    """The batches whose rows are committed, and whose files were not deleted yet."""
    batches = [batch.name for batch in spool.list_batches()]
    if group is None or not batches:
        return set()
    log = open_log(stores.find_table(group))
    return {
        name
        for name in batches
        if log.exists() and log.find_transaction_number(f"spark_fs.batch.{name}") is not None
    }


def _get_types(rows: pa.Table, log_columns: LogColumns) -> dict[str, str]:
    """The types of the spool's columns; those after transformations are as they were read."""
    from spark_fs.base.arrow_types import to_feature_types

    return {**to_feature_types(rows.schema), **log_columns.known_types}


def _fit_rows(rows: pa.Table, group: GroupSpec) -> pa.Table:
    """The rows with the columns of a group; what they lack is null."""
    from spark_fs.base.arrow_types import to_arrow_schema

    schema = to_arrow_schema(group.types)
    arrays: list[Any] = []
    for column in schema:
        if column.name in rows.column_names:
            arrays.append(rows.column(column.name).cast(column.type))
        else:
            arrays.append(pa.nulls(rows.num_rows, column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _hold_rows(group: GroupSpec, rows: pa.Table) -> SpineRows:
    """Rows of the spool as those of a group's table."""
    ingested = pa.repeat(pa.scalar(EPOCH, pa.timestamp("us", "UTC")), rows.num_rows)
    return SpineRows(group, rows.append_column(INGESTED_AT, ingested))


def _make_where(ref: GroupRef, interval: Interval, condition: Condition | None) -> Condition | None:
    where = condition
    if interval.start is not None:
        where = make_conjunction(where, Comparison(ref, LOG_TIME, ">=", interval.start))
    if interval.end is not None:
        where = make_conjunction(where, Comparison(ref, LOG_TIME, "<", interval.end))
    return where


def _union_frames(stores: ProjectStores, stored: DataFrame, waiting: pa.Table) -> DataFrame:
    if not waiting.num_rows:
        return stored
    rows = stores.spark.createDataFrame(waiting)
    return stored.unionByName(rows, allowMissingColumns=True)
