"""Rows as text, for a look at them in a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.base.terminal import escape_for_terminal

if TYPE_CHECKING:
    import pyarrow as pa


def print_rows(table: pa.Table) -> list[list[Any]]:
    """Print the rows of a table in a grid, and return their values."""
    columns = [column.to_pylist() for column in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    print(format_grid(table.column_names, rows))
    return rows


def format_grid(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The rows in a grid, as Spark's ``show`` prints them, each value at its full length.

    Args:
        names: The names of the columns.
        rows: The values of each row.
    """
    lines = [list(map(escape_for_terminal, names))]
    for row in rows:
        lines.append([_format_value(value) for value in row])
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = "+" + "+".join("-" * width for width in widths) + "+"
    formatted = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        formatted.append("|" + "|".join(cells) + "|")
    heading, *body = formatted
    return "\n".join([rule, heading, rule, *body, rule])


def _format_value(value: Any) -> str:
    return "NULL" if value is None else escape_for_terminal(value)
