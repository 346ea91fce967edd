"""A DataFrame that stands in for the leftmost group of a query, and the files that keep one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession

from spark_fs.errors import NotFoundError
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.spark_reads import translate_spark_errors
from spark_fs.flows.view_columns import plan_query
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.external_source import FRAME, SourceSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.tables import spark_frames
from spark_fs.tables.spark_event_times import check_epochs


@dataclass(frozen=True)
class SpineRows:
    """The rows of a spine, and the group that they stand for."""

    spec: GroupSpec
    frame: DataFrame


def build_spine_rows(
    spark: SparkSession, data: Any, primary_key: Sequence[str], event_time: str | None
) -> SpineRows:
    """A Spark or pandas DataFrame as the rows of a group that is kept nowhere*."""
    frame = spark_frames.to_spark(spark, data, {})
    declared = GroupSpec(
        f"spine_{uuid4().hex[:12]}",
        1,
        primary_key=tuple(primary_key),
        event_time=event_time,
        source=SourceSpec(FRAME, "a DataFrame"),
    )
    spec = declared.with_schema(spark_frames.get_feature_types(frame))
    if event_time:
        checked = check_epochs(frame[event_time], spec.types[event_time], event_time)
        frame = frame.withColumn(event_time, checked)
    return SpineRows(spec, frame)


def build_view_spine(stores: ProjectStores, view: ViewSpec, data: Any) -> SpineRows:
    """A DataFrame in the place of the view's leftmost group, with those of its keys that it has*.

    Raises NotFoundError for a frame without a key that the view joins by, or without any key.
    """
    plan = plan_query(stores.catalog, view.query)
    frame = spark_frames.to_spark(stores.spark, data, {})
    join_keys = _list_join_keys(plan)
    for name in join_keys:
        if name not in frame.columns:
            raise NotFoundError.for_name(
                "Key column of spine_df",
                name,
                frame.columns,
                "The view joins a group by it: add it to the frame.",
            )
    event_time = plan.spine.event_time
    wanted = dict.fromkeys([*plan.spine.primary_key, *join_keys])
    keys = [name for name in wanted if name in frame.columns and name != event_time]
    if not keys:
        raise NotFoundError.for_name(
            "Key column of spine_df",
            next(iter(wanted)),
            frame.columns,
            "Add the keys of the view's leftmost group.",
        )
    return build_spine_rows(stores.spark, frame, keys, event_time)


def _list_join_keys(plan: JoinPlan) -> list[str]:
    """The columns of the leftmost group by which others are joined to it."""
    return [key.column for node in plan.nodes for key in node.left_keys if key.node == 0]


def save_spine(frame: DataFrame, folder: str) -> None:
    """Write the rows of a spine, eagerly, so that the training dataset can be made again."""
    with translate_spark_errors():
        frame.write.parquet(folder)


def load_spine(spark: SparkSession, folder: str) -> DataFrame:
    """The rows of a spine that was kept*."""
    return spark.read.parquet(folder)
