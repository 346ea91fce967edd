"""A few rows of a query or a group, for a look at them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.engine.engines import Engines
from spark_fs.engine.join.execution import explain_need_of_spark, to_arrow_relation
from spark_fs.engine.join.strategy import ExecutionPlan, choose_strategy
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.flows.read import Frames, TableLocator, choose_engine, list_sources, read_query
from spark_fs.planning.plan import JoinPlan


def read_first_rows(
    engines: Engines,
    plan: JoinPlan,
    locate_table: TableLocator,
    count: int,
    frames: Frames | None = None,
) -> pa.Table:
    """Some rows of a plan, eagerly.

    Of a whole group they are the first of its files, in no order, and no more is read than they
    take. What is filtered or joined, or has duplicates, is read whole, in its order, by the engine
    that suits it.

    Args:
        engines: What may read.
        plan: What is read.
        locate_table: Where the table of a group is.
        count: How many rows are wanted.
        frames: The rows of groups that are not read from their tables, as of a spine.
    """
    sources = list_sources(engines.get_spark, plan, locate_table, {}, frames or {})
    execution = choose_strategy(plan, sources)
    is_local = engines.requested != "spark" and explain_need_of_spark(plan, execution) is None
    if is_local and _is_whole_group(plan) and execution.scan_plans[0].is_plain:
        return _read_first_files(engines, plan, sources, execution, count)
    if choose_engine(engines, plan, execution).engine == "local":
        rows: pa.Table = read_query(engines, plan, locate_table, "arrow", frames=frames)
        return rows.slice(0, count)
    from spark_fs.flows.spark_reads import collect_frame

    frame = read_query(engines, plan, locate_table, "spark", frames=frames)
    first_rows: pa.Table = collect_frame(frame.limit(count), "arrow")
    return first_rows


def _is_whole_group(plan: JoinPlan) -> bool:
    is_filtered = plan.nodes[0].where is not None or plan.having or plan.splits
    return len(plan.nodes) == 1 and not is_filtered


def _read_first_files(
    engines: Engines,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    count: int,
) -> pa.Table:
    """The rows that the first files of a group begin with."""
    types = dict(plan.schema)
    tables = [to_arrow_schema(types).empty_table()]
    _, finish = to_arrow_relation(engines.get_runner("local"), plan, sources, execution)
    scan = execution.scan_plans[0].scan
    assert scan is not None
    remaining = count
    for number in range(len(scan.files)):
        if remaining <= 0:
            break
        rows = finish(parquet.read_share(scan, number, max_rows=remaining))
        tables.append(rows.select(list(types)))
        remaining -= rows.num_rows
    return pa.concat_tables(tables)
