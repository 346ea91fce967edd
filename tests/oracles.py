"""The same answers by other means: plain Python, pandas and DuckDB."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pandas as pd


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
