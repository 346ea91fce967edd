"""The rows of a spine, and those of right and outer joins that none of them matched."""

from __future__ import annotations

import pyarrow as pa

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.engine.engines import Engines
from spark_fs.flows.read import Frames, TableLocator, read_query
from spark_fs.flows.spine_rows import SpineRows
from spark_fs.planning.outer_joins import (
    OuterJoin,
    iter_outer_joins,
    join_extended_spine,
    name_match,
    select_spine,
)
from spark_fs.planning.plan import JoinPlan


def load_outer_plan(
    engines: Engines, plan: JoinPlan, locate_table: TableLocator, frames: Frames
) -> tuple[JoinPlan, Frames]:
    """A plan over the spine with the unmatched rows of right and outer joins, eagerly.

    Args:
        engines: What may read.
        plan: What is read.
        locate_table: Where the table of a group is.
        frames: The rows of groups that are not read from their tables.

    Returns:
        The plan, and the rows of its spine beside the others.
    """

    def read(part: JoinPlan, rows: Frames) -> pa.Table:
        table: pa.Table = read_query(engines, part, locate_table, "arrow", frames=rows)
        return table

    spine_plan = select_spine(plan)
    rows = read(spine_plan, frames).cast(to_arrow_schema(spine_plan.schema))
    extended = dict(frames)
    finished = join_extended_spine(plan)
    for join in iter_outer_joins(plan):
        extended[plan.spine.ref] = SpineRows(finished.spine, rows)
        unmatched = _find_unmatched(
            read(join.rows, frames), read(join.matched, extended), join, rows.schema
        )
        rows = pa.concat_tables([rows, unmatched])
    extended[plan.spine.ref] = SpineRows(finished.spine, rows)
    return finished, extended


def _find_unmatched(
    all_rows: pa.Table, matched: pa.Table, join: OuterJoin, schema: pa.Schema
) -> pa.Table:
    """Each entity and instant that no row of the spine matched, as rows of the spine."""
    names = [name_match(name) for _, name in join.columns]
    values = all_rows.select([column for column, _ in join.columns]).rename_columns(names)
    distinct = values.drop_null().group_by(names).aggregate([])
    unmatched = distinct.join(matched.select(names), names, join_type="left anti")
    columns = []
    for field in schema:
        if name_match(field.name) in names:
            columns.append(unmatched.column(name_match(field.name)).cast(field.type))
        else:
            columns.append(pa.chunked_array([pa.nulls(unmatched.num_rows, field.type)]))
    return pa.table(columns, schema=schema)
