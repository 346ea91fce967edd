"""Rows that stand in for the leftmost group of a query, and the files that keep them.

Nothing here loads Spark before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from spark_fs.base.arrow_types import to_feature_types
from spark_fs.base.dataframes import is_spark_frame
from spark_fs.base.event_times import check_epochs
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.errors import NotFoundError, SchemaError
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.view_columns import plan_query
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.external_source import FRAME, SourceSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.tables import kept_rows
from spark_fs.tables.kept_rows import KeptRows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class SpineRows:
    """The rows of a spine, and the group that they stand for.

    rows: a table, files that keep one, or Spark's DataFrame*.
    """

    spec: GroupSpec
    rows: pa.Table | KeptRows | DataFrame

    def to_source(self, get_spark: Callable[[], SparkSession]) -> NodeSource:
        """Where a plan finds the rows; get_spark gives the session that reads them as a frame."""
        rows = self.rows
        if isinstance(rows, pa.Table):
            file = kept_rows.hold_table(rows, self.spec.event_time)
            return NodeSource(lambda: get_spark().createDataFrame(rows), [file])
        if isinstance(rows, KeptRows):
            return NodeSource(lambda: get_spark().read.parquet(rows.folder), rows.files)
        return NodeSource(lambda: rows)


def build_spine_rows(data: Any, primary_key: Sequence[str], event_time: str | None) -> SpineRows:
    """A frame as the rows of a group that is kept nowhere; Spark's stays lazy."""
    return _declare_rows(_prepare_rows(data), primary_key, event_time)


def name_spine_rows(spine: SpineRows, group: GroupSpec) -> SpineRows:
    """The rows as those of a spine group, which has a name.

    Raises SchemaError where their columns are not its own.
    """
    if differ := spine.spec.types.items() ^ group.types.items():
        listed = ", ".join(f"{name!r} ({type_})" for name, type_ in sorted(differ))
        raise SchemaError(
            f"The frame does not fit spine group {group.ref}: {listed} is only in one of the two."
            " Give a frame of the same columns, or ask for another version."
        )
    return replace(spine, spec=group)


def build_view_spine(stores: ProjectStores, view: ViewSpec, data: Any) -> SpineRows:
    """A frame in the place of the view's leftmost group, with those of its keys that it has.

    Raises NotFoundError for a frame without a key that the view joins by, or without any key.
    """
    plan = plan_query(stores.catalog, view.query)
    rows = _prepare_rows(data)
    names = list(_get_types(rows))
    join_keys = _list_join_keys(plan)
    for name in join_keys:
        if name not in names:
            raise NotFoundError.for_name(
                "Key column of spine_df",
                name,
                names,
                "The view joins a group by it: add it to the frame.",
            )
    event_time = plan.spine.event_time
    wanted = dict.fromkeys([*plan.spine.primary_key, *join_keys])
    keys = [name for name in wanted if name in names and name != event_time]
    if not keys and plan.spine.is_keyed_by_time and event_time in names:
        keys = list(plan.spine.primary_key)
    if not keys:
        raise NotFoundError.for_name(
            "Key column of spine_df",
            next(iter(wanted)),
            names,
            "Add the keys of the view's leftmost group.",
        )
    return _declare_rows(rows, keys, event_time)


def _list_join_keys(plan: JoinPlan) -> list[str]:
    """The columns of the leftmost group by which others are joined to it."""
    return [key.column for node in plan.nodes for key in node.left_keys if key.node == 0]


def _prepare_rows(data: Any) -> Any:
    """The rows with the types of the type table; files that keep some have them."""
    if isinstance(data, KeptRows):
        return data
    if not is_spark_frame(data):
        from spark_fs.tables.arrow_frames import to_arrow  # which loads pandas

        return to_arrow(data, {})
    from spark_fs.tables.spark_frames import to_spark

    return to_spark(data.sparkSession, data, {})


def _get_types(rows: Any) -> dict[str, str]:
    """The columns of prepared rows, with their feature types."""
    if isinstance(rows, pa.Table | KeptRows):
        return to_feature_types(rows.schema)
    from spark_fs.tables.spark_frames import get_feature_types

    return get_feature_types(rows)


def _declare_rows(rows: Any, primary_key: Sequence[str], event_time: str | None) -> SpineRows:
    """Prepared rows as those of a group, whose event times are looked at."""
    declared = GroupSpec(
        f"spine_{uuid4().hex[:12]}",
        1,
        primary_key=tuple(primary_key),
        event_time=event_time,
        source=SourceSpec(FRAME, "a DataFrame"),
    )
    spine = SpineRows(declared.with_schema(_get_types(rows)), rows)
    if event_time is None or isinstance(rows, KeptRows):
        return spine
    type_ = spine.spec.types[event_time]
    if isinstance(rows, pa.Table):
        check_epochs(rows.column(event_time), type_, event_time)
        return spine
    from spark_fs.tables import spark_event_times

    checked = spark_event_times.check_epochs(rows[event_time], type_, event_time)
    return replace(spine, rows=rows.withColumn(event_time, checked))


def save_spine(spine: SpineRows, folder: str) -> None:
    """Write the rows of a spine, eagerly, so that the training dataset can be made again."""
    if isinstance(spine.rows, pa.Table):
        kept_rows.save_table(spine.rows, folder)
        return
    from spark_fs.flows.spark_reads import translate_spark_errors

    assert not isinstance(spine.rows, KeptRows)
    with translate_spark_errors():
        spine.rows.write.parquet(folder)
