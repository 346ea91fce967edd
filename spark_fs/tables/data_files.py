"""What is told of the data files of a table: by its log, and by its folder."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa


class HeldTable:
    """A table in memory, which is equal to itself alone."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table


class DataFile(NamedTuple):
    """What the log tells of a data file: where it is, its partition, and the bounds of its columns.

    row_count: None when the log does not say. partition_values: as strings. min_values and
    max_values: the least and greatest value of each column that has them. readable_as_is: whether
    each of its rows counts (it has no deletion vector) and its columns have the names and types
    that the table has. held: the rows, where they are in memory and there is no file.
    """

    path: str
    bytes: int
    row_count: int | None
    partition_values: Mapping[str, str | None]
    min_values: Mapping[str, Any]
    max_values: Mapping[str, Any]
    readable_as_is: bool
    held: HeldTable | None = None


class StoredFile(NamedTuple):
    """A data file in a table's folder, of whatever version: its name there, size and time."""

    name: str
    bytes: int
    modified_at: datetime
