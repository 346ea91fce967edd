"""Rows of a worker cut by the partitions of their table, and the folders that these lie in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.event_times import to_event_micros
from spark_fs.base.times import DAY_MICROS
from spark_fs.base.types import INTEGERS
from spark_fs.errors import KeyValueError

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
# Types whose values Arrow writes as Delta writes them in its log.
PARTITION_TYPES = ("string", "boolean", "date", *INTEGERS)
PartitionValues = tuple[str | None, ...]
_ESCAPED_CHARACTERS = frozenset("\"#%'*/:=?\\\x7f{[]^") | frozenset(map(chr, range(1, 32)))


@dataclass(frozen=True)
class PartitionColumn:
    """A column by which a table is partitioned.

    source: the column that it is made of, which is itself where there is no grain. type: of the
    source. grain: day, month or year of an event time.
    """

    name: str
    source: str
    type: str
    grain: str | None = None

    def format_values(self, table: pa.Table) -> pa.ChunkedArray:
        """The value of each row as Delta's log writes it."""
        column = table.column(self.source)
        if self.grain:
            return _format_grain(to_event_micros(column, self.type), self.grain)
        if self.type == "string":
            _check_strings(column, self.name)
        return column.cast(pa.string())


def _format_grain(micros: pa.ChunkedArray, grain: str) -> pa.ChunkedArray:
    instants: npt.NDArray[np.int64] = pc.fill_null(micros, 0).to_numpy()
    numbers = np.floor_divide(instants, DAY_MICROS).astype(np.int32)
    days = pa.array(numbers, mask=pc.is_null(micros).to_numpy()).cast(pa.date32())
    text = days.cast(pa.string())
    if grain == "month":
        text = pc.utf8_slice_codeunits(text, 0, 7)
    if grain == "year":
        text = pc.utf8_slice_codeunits(text, 0, 4).cast(pa.int32()).cast(pa.string())
    return pa.chunked_array([text])


def _check_strings(column: pa.ChunkedArray, name: str) -> None:
    """KeyValueError for a string that Delta would take for null."""
    refused = pa.array(["", NULL_PARTITION])
    bad = column.filter(pc.is_in(column, refused))
    if len(bad):
        raise KeyValueError(
            f"column {name!r}, which partitions the table, holds the string"
            f" {bad[0].as_py()!r}, which Delta reads as null: give null, or another string."
        )


def split_by_partition(
    table: pa.Table, columns: Sequence[PartitionColumn]
) -> Iterator[tuple[PartitionValues, pa.Table]]:
    """Cut a table by its partitions.

    Args:
        table: The rows.
        columns: The partition columns.

    Yields:
        The values of each partition that there is, and its rows in their order.
    """
    if not columns or not table.num_rows:
        yield (None,) * len(columns), table
        return
    texts = [column.format_values(table) for column in columns]
    codes = np.zeros(table.num_rows, np.int64)
    for text in texts:
        encoded = text.combine_chunks().dictionary_encode(null_encoding="encode")
        codes = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    firsts = [0, *edges.tolist()]
    behind = [*edges.tolist(), len(ordered)]
    rows = table.take(pa.array(order)) if len(firsts) > 1 else table
    for start, end in zip(firsts, behind, strict=True):
        values = tuple(text[int(order[start])].as_py() for text in texts)
        yield values, rows.slice(start, end - start)


def build_folder(columns: Sequence[PartitionColumn], values: PartitionValues) -> str:
    """The folder of a partition within its table's, by the rules of Hive, with a slash at its end.

    Args:
        columns: The partition columns.
        values: The value of each.
    """
    folder = ""
    for column, value in zip(columns, values, strict=True):
        folder += f"{_escape(column.name)}={_escape(value or NULL_PARTITION)}/"
    return folder


def _escape(text: Any) -> str:
    escaped = ""
    for character in text:
        if character in _ESCAPED_CHARACTERS:
            escaped += f"%{ord(character):02X}"
        else:
            escaped += character
    return escaped
