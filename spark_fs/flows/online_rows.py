"""The rows that the online store holds of a group, read without Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.times import EPOCH
from spark_fs.errors import QueryError, SettingsError
from spark_fs.flows.read import Frames
from spark_fs.flows.spine_rows import SpineRows
from spark_fs.online.registry import make_writer
from spark_fs.online.store import OnlineStore
from spark_fs.online.table_layout import build_online_table
from spark_fs.planning.plan import JoinPlan, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.ingestion import INGESTED_AT

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
    _check_online_enabled(group)
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


def _check_online_enabled(group: GroupSpec) -> None:
    if not group.online_enabled:
        raise SettingsError(
            f"Feature group {group} is not online_enabled, so no row of it is online: read it with"
            " online=False."
        )


def load_online_plan(plan: JoinPlan, store: OnlineStore, frames: Frames) -> tuple[JoinPlan, Frames]:
    """A plan over the rows that are online, eagerly: the latest of each key, joined by key alone.

    Args:
        plan: A plan over the tables.
        store: Where the online tables are.
        frames: The rows of the plan's spine, where it is a DataFrame.

    Returns:
        The plan, and the rows of its groups.

    Raises:
        QueryError: It asks for an earlier commit or for windows, or joins by a part of a key.
        SettingsError: A group is not online_enabled.
        OnlineStoreError: A group was never synced.
    """
    nodes = [_to_online_node(node, plan) for node in plan.nodes]
    loaded = dict(frames)
    for node in plan.nodes:
        if node.group.ref not in loaded:
            rows = read_online_rows(node.group, store)
            ingested = pa.repeat(pa.scalar(EPOCH, pa.timestamp("us", "UTC")), rows.num_rows)
            loaded[node.group.ref] = SpineRows(
                node.group, rows.append_column(INGESTED_AT, ingested)
            )
    return replace(plan, nodes=tuple(nodes)), loaded


def _to_online_node(node: PlanNode, plan: JoinPlan) -> PlanNode:
    """A node whose row is the only one of its key."""
    group = node.group
    if not group.is_dataframe:
        _check_online_enabled(group)
    if node.as_of is not None or plan.as_known or node.windows:
        raise QueryError(
            f"The online store holds the latest rows of {group} alone: leave out as_of, as_known"
            " and windows, or say online=False."
        )
    group = replace(group, may_have_duplicates=False)
    if node.match == "spine":
        return replace(node, group=group)
    if not set(group.primary_key) <= set(node.right_keys):
        raise QueryError(
            f"The query joins {group} by {', '.join(node.right_keys)}, a part of its primary key,"
            " so that several online rows would match: read it with online=False, or join by all"
            f" of {', '.join(group.primary_key)}."
        )
    untimed = replace(group, event_time=None, ttl_seconds=None)
    return replace(node, group=untimed, match="key")
