"""The rows of a group that were written since a version, as they are now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spark_fs.flows.read import Frames
from spark_fs.flows.spine_rows import SpineRows
from spark_fs.planning.plan import JoinPlan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_fs.tables.table import GroupTable

_VERSION = "_commit_version"
_ORDER = "__order"
_WRITTEN = ("insert", "update_postimage")


def load_changed_plan(plan: JoinPlan, table: GroupTable, since: int) -> tuple[JoinPlan, Frames]:
    """A plan over the rows alone that were written since a version.

    Args:
        plan: The plan of one group.
        table: The group's table.
        since: The version; ``NO_TABLE`` for all rows.

    Returns:
        The plan, and the rows of its group*.
    """
    node = plan.nodes[0]
    rows = _read_written_rows(table, since, node.as_of)
    group = replace(node.group, may_have_duplicates=False)
    changed = replace(node, group=group, as_of=None)
    return replace(plan, nodes=(changed,)), {group.ref: SpineRows(group, rows)}


def _read_written_rows(table: GroupTable, since: int, until: int | None) -> DataFrame:
    """The rows*: of each identity the last that was written, where it was not deleted after."""
    from pyspark.sql import functions as F

    from spark_fs.flows import group_rows
    from spark_fs.tables.commits import NO_TABLE
    from spark_fs.tables.ingestion import INGESTED_AT

    first = None if since == NO_TABLE else since
    changes = group_rows.read_changes(table, first, until)
    changes = changes.filter(F.col("_change_type") != "update_preimage")
    is_written = F.col("_change_type").isin(*_WRITTEN)
    order = F.struct(F.col(_VERSION), is_written, F.col(INGESTED_AT))
    newest = F.max_by(F.struct("*"), F.col(_ORDER)).alias("__row")
    last = changes.withColumn(_ORDER, order).groupBy(*table.group.identity).agg(newest)
    written = last.select("__row.*").filter(F.col("_change_type").isin(*_WRITTEN))
    return written.select(*table.group.types, INGESTED_AT)
