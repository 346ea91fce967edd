"""The one place where formats of tables are registered: one row for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_fs.tables.delta.group_table import DeltaGroupTable
from spark_fs.tables.delta.table_log import DeltaTableLog

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.tables.table import GroupTable
    from spark_fs.tables.table_log import TableLog


@dataclass(frozen=True)
class TableFormat:
    """One format of tables: what opens the log of one in a folder, and what opens a group's."""

    open_log: Callable[[str, int | None], TableLog]
    open_table: Callable[[GroupSpec, str, Callable[[], SparkSession]], GroupTable]


# A new table is of the first.
FORMATS: dict[str, TableFormat] = {
    "delta": TableFormat(DeltaTableLog, DeltaGroupTable),
}


def find_format(path: str) -> TableFormat:
    """The format of the table in a folder, or of the one that would be made there."""
    new_format, *others = FORMATS.values()
    if others:
        for table_format in FORMATS.values():
            if table_format.open_log(path, None).exists():
                return table_format
    return new_format
