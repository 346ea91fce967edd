"""How a group's table is made and written, whatever its format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TableLayout:
    """How a table is made: its partition columns, and how many columns have bounds per file."""

    partition_by: tuple[str, ...] = ()
    indexed_columns: int = 32
