"""The same answers by other means: plain Python, pandas and DuckDB."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
from conditions import holds

from spark_fs.planning.plan import JoinPlan, PlanNode
from spark_fs.spec.feature_group import GroupSpec


def last_before(
    rows: Sequence[dict[str, Any]], key: dict[str, Any], time: str, at: Any
) -> dict[str, Any] | None:
    """The row of a key with the greatest time that is not after ``at``, by looking at every row."""
    if at is None or any(value is None for value in key.values()):
        return None
    seen = [
        r
        for r in rows
        if r[time] is not None and r[time] <= at and all(r[k] == v for k, v in key.items())
    ]
    return max(seen, key=lambda r: r[time], default=None)


def merge_asof(
    left: pd.DataFrame, right: pd.DataFrame, left_on: str, right_on: str, by: list[str]
) -> pd.DataFrame:
    """pandas' own point-in-time join: backward, equal times match."""
    ordered = left.sort_values(left_on, kind="stable"), right.sort_values(right_on, kind="stable")
    return pd.merge_asof(*ordered, left_on=left_on, right_on=right_on, by=by, direction="backward")


def duckdb_asof(
    left: pd.DataFrame, right: pd.DataFrame, key: str, left_on: str, right_on: str
) -> pd.DataFrame:
    """DuckDB's ASOF LEFT JOIN, the right side's columns after the left's."""
    others = ", ".join(f"r.{c}" for c in right.columns if c not in (key, right_on))
    with duckdb.connect() as connection:
        connection.register("l", left)
        connection.register("r", right)
        return connection.execute(
            f"SELECT l.*, {others} FROM l ASOF LEFT JOIN r ON l.{key} = r.{key} AND l.{left_on} >="
            f" r.{right_on}"
        ).df()


def same_rows(found: pd.DataFrame, wanted: pd.DataFrame, order: list[str]) -> None:
    """Assert that both hold the same rows and columns, in whatever order, types of missing values aside."""

    def plain(frame: pd.DataFrame) -> pd.DataFrame:
        ordered = frame.sort_values(order, kind="stable").reset_index(drop=True).astype(object)
        return ordered.where(ordered.notna(), None)

    pd.testing.assert_frame_equal(
        plain(found)[list(wanted.columns)], plain(wanted), check_dtype=False
    )
    assert list(found.columns) == list(wanted.columns)


def join_by_looking(
    plan: JoinPlan, rows_by_group: Mapping[str, Sequence[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What a plan gives, by looking at every row for each row of the spine.

    Args:
        plan: A query of a spine and groups that join by its columns.
        rows_by_group: The rows of each group, each with its ingestion.
    """
    spine, *others = plan.nodes
    result = []
    for left in drop_older(rows_by_group[spine.group.name], spine.group):
        matches = {0: left}
        for node in others:
            keys = [(matches[key.node] or {}).get(key.column) for key in node.left_keys]
            rows = rows_by_group[node.group.name]
            at = left[spine.group.event_time] if spine.group.event_time else None
            if plan.as_known:
                rows = [row for row in rows if row["_ingested_at"] <= to_instant(at)]
            matches[node.index] = find_match(keys, at, node, rows)
        if all(matches[node.index] or node.join_type == "left" for node in others):
            outputs = {}
            for output in plan.outputs:
                match = matches[output.source.node] or {}
                outputs[output.name] = match.get(output.source.column)
            if all(holds(condition, outputs) for condition in plan.having):
                result.append(outputs)
    return result


def drop_older(rows: Sequence[dict[str, Any]], group: GroupSpec) -> list[dict[str, Any]]:
    """Of rows of one identity the last ingested."""
    newest = {}
    for row in sorted(rows, key=lambda row: row["_ingested_at"]):
        newest[repr([row[column] for column in group.identity])] = row
    return list(newest.values())


def find_match(
    keys: Sequence[Any], at: Any, node: PlanNode, rows: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """The row of a node that matches these keys at a time; None: there is no time."""
    if None in keys:
        return None
    time = node.group.event_time
    candidates = []
    for row in drop_older(rows, node.group):
        if list(map(repr, keys)) != [repr(row[key]) for key in node.right_keys]:
            continue
        if node.where is not None and not holds(node.where, row):
            continue
        if time and at:
            age = to_instant(at) - to_instant(row[time])
            ttl = node.group.ttl_seconds
            if age < timedelta(0) or (ttl is not None and age > timedelta(seconds=ttl)):
                continue
        candidates.append(row)
    return max(candidates, key=lambda row: to_instant(row[time]) if time else 0, default=None)


def to_instant(time: Any) -> datetime:
    """A timestamp, a date or an epoch in seconds as an instant."""
    if isinstance(time, int):
        return datetime.fromtimestamp(time, UTC)
    if isinstance(time, datetime):
        return time
    return datetime(time.year, time.month, time.day, tzinfo=UTC)


def sort_rows(rows: Sequence[dict[str, Any]], spine: GroupSpec) -> list[dict[str, Any]]:
    """Rows by the spine's event time, then its key."""
    columns = [spine.event_time] if spine.event_time else []
    columns += spine.primary_key
    return sorted(rows, key=lambda row: [row[column] for column in columns])
