"""Rows of a caller that are held in memory, or kept as Parquet files: what a scan reads of them."""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from spark_fs.base.arrow_types import to_plain_type
from spark_fs.base.file_systems import make_folder, open_output, resolve_file_system
from spark_fs.tables.data_files import DataFile, HeldTable

_ROW_GROUP_ROWS = 1 << 17  # a task reads one at least, so that several share a file


@dataclass(frozen=True)
class KeptRows:
    """Rows that lie in Parquet files of a folder, whoever wrote them."""

    folder: str
    schema: pa.Schema
    files: tuple[DataFile, ...]


class _Bounds(NamedTuple):
    """The least and the greatest value of a column, as a log writes them."""

    least: dict[str, Any]
    greatest: dict[str, Any]


def hold_table(table: pa.Table, event_time: str | None) -> DataFile:
    """A table in memory as a scan reads it, with the bounds of its event times."""
    bounds = _Bounds({}, {})
    if event_time is not None and table.num_rows:
        extremes = pc.min_max(table.column(event_time))
        bounds = _to_bounds(event_time, extremes["min"].as_py(), extremes["max"].as_py())
    return DataFile(
        "", table.nbytes, table.num_rows, {}, bounds.least, bounds.greatest, True, HeldTable(table)
    )


def _to_bounds(name: str, least: Any, greatest: Any) -> _Bounds:
    if least is None or greatest is None:
        return _Bounds({}, {})
    if isinstance(least, int):
        return _Bounds({name: least}, {name: greatest})
    return _Bounds({name: least.isoformat()}, {name: greatest.isoformat()})


def _read_bounds(metadata: pq.FileMetaData, schema: pa.Schema) -> _Bounds:
    """The bounds of integers and times, where each row group of a file has them."""
    bounds = _Bounds({}, {})
    for field in schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_temporal(field.type)):
            continue
        groups = [_find_statistics(metadata, i, field.name) for i in range(metadata.num_row_groups)]
        known = [group for group in groups if group is not None and group.has_min_max]
        if known and len(known) == len(groups):
            least = min(group.min for group in known)
            column = _to_bounds(field.name, least, max(group.max for group in known))
            bounds = _Bounds(bounds.least | column.least, bounds.greatest | column.greatest)
    return bounds


def _find_statistics(metadata: pq.FileMetaData, row_group: int, name: str) -> Any:
    """What a row group's footer says of a column; None: nothing."""
    group = metadata.row_group(row_group)
    for i in range(group.num_columns):
        column = group.column(i)
        if column.path_in_schema == name:
            return column.statistics
    return None


def save_table(table: pa.Table, folder: str) -> None:
    """Write a table into a folder as one Parquet file, eagerly."""
    system, path = resolve_file_system(folder)
    make_folder(system, path)
    with open_output(system, f"{path}/{uuid4().hex}.parquet") as sink:
        pq.write_table(table, sink, row_group_size=_ROW_GROUP_ROWS)


def load_rows(folder: str) -> KeptRows:
    """The rows that a folder keeps, of which the footers are read."""
    system, path = resolve_file_system(folder)
    files = []
    schema = pa.schema([])
    for entry in system.get_file_info(fs.FileSelector(path)):
        if not entry.base_name.endswith(".parquet"):
            continue
        with system.open_input_file(entry.path) as source:
            file = pq.ParquetFile(source, coerce_int96_timestamp_unit="us")
            schema = file.schema_arrow
            metadata = file.metadata
        least, greatest = _read_bounds(metadata, schema)
        location = f"{folder}/{entry.base_name}"
        files.append(DataFile(location, entry.size, metadata.num_rows, {}, least, greatest, True))
    fields = [(field.name, to_plain_type(field.type)) for field in schema]
    return KeptRows(folder, pa.schema(fields), tuple(files))
