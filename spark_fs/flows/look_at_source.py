"""A look at a file of events: its columns with their types, and some of its rows, without Spark."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import csv, json

from spark_fs.base import arrow_types
from spark_fs.errors import NotFoundError, SchemaError, SettingsError
from spark_fs.spec.names import MAX_NAME_LENGTH, normalize_name
from spark_fs.tables.arrow_frames import resolve_arrow_type

LOOKED_ROWS = 2_000_000
_BLOCK_BYTES = 16 << 20
KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_SEPARATORS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class SourceLook:
    """What was seen of a source.

    path: where it is, whole: a file, a URL, or the name of a table. kind: "csv", "tsv", "parquet",
    "json", "table" or "jdbc". rows: the first rows, by the
    source's own names of columns. is_whole: whether these are all of its rows. names: of each
    column of the source, the name that it has as a feature. types: the feature type of each, by
    the source's name. table: the table of a database.
    """

    path: str
    kind: str
    rows: pa.Table
    is_whole: bool
    names: dict[str, str]
    types: dict[str, str]
    table: str | None = None


def look_at_file(path: Path, row_limit: int = LOOKED_ROWS) -> SourceLook:
    """Read the first rows of a file, or of a folder of Parquet files.

    Args:
        path: The file. Its name ends in .csv, .tsv, .parquet, .json, .jsonl or .ndjson; a CSV
            file has a line of names, a JSON file an object in each line.
        row_limit: How many rows are read at most.

    Raises:
        NotFoundError: There is no such file.
        SettingsError: Its name does not end as that of a format which is known here.
        SchemaError: It cannot be read as that, holds no rows, parts of microseconds, text that is
            not UTF-8 or a type that no feature has, or two of its columns would have one name.
    """
    kind = _find_kind(path)
    try:
        rows = _READERS[kind](path, kind, row_limit + 1)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise SchemaError(
            f"{path} cannot be read as {kind}: {error}. Correct the file, or give it"
            " the ending of its own format."
        ) from None
    if not rows.num_rows:
        raise SchemaError(f"{path} has no rows: name a file that has some, to learn from.")
    rows = arrow_types.decode_dictionaries(rows)
    if kind in _SEPARATORS:
        _check_encoding(path, rows)
    if kind == "json":
        rows = _parse_times(rows)
    _check_nanoseconds(path, rows)
    is_whole = rows.num_rows <= row_limit
    names = name_features(path, rows.column_names)
    types = {}
    for field in rows.schema:
        types[field.name] = choose_type(f"Column {field.name!r} of {path}", field.type)
    return SourceLook(str(path.resolve()), kind, rows.slice(0, row_limit), is_whole, names, types)


def _check_encoding(path: Path, rows: pa.Table) -> None:
    for field in rows.schema:
        if pa.types.is_binary(field.type):
            raise SchemaError(
                f"Column {field.name!r} of {path} holds bytes that are not UTF-8: write the file in"
                " UTF-8 first, as iconv -f latin1 -t utf-8 does."
            )


def _check_nanoseconds(path: Path, rows: pa.Table) -> None:
    for field in rows.schema:
        if not pa.types.is_timestamp(field.type) or field.type.unit != "ns":
            continue
        try:
            rows[field.name].cast(pa.timestamp("us", field.type.tz))
        except pa.ArrowInvalid:
            raise SchemaError(
                f"Column {field.name!r} of {path} has parts of microseconds, and times are kept to"
                " the microsecond: round them first."
            ) from None


def choose_type(location: str, type_: pa.DataType) -> str:
    """The feature type of a column; string for times of day, and where all is null.

    Args:
        location: The column, as an error names it.
        type_: Its Arrow type.

    Raises:
        SchemaError: No feature has such a type.
    """
    if becomes_string(type_):
        return "string"
    return arrow_types.to_feature_type(resolve_arrow_type(location, type_, None))


def becomes_string(type_: pa.DataType) -> bool:
    """Whether a column of another type is a string as a feature."""
    return bool(pa.types.is_null(type_) or pa.types.is_time(type_))


def _find_kind(path: Path) -> str:
    if not path.exists():
        raise NotFoundError(
            f"There is no file {path} (looked for in {Path.cwd()}): give the path of the events."
        )
    if path.is_dir():
        return "parquet"
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise SettingsError(
            f"{path.name!r} does not say by its ending how it is read: name a file that ends in"
            f" {', '.join(KINDS)}, or a folder of Parquet files."
        )
    return kind


def name_features(source: Path | str, columns: list[str]) -> dict[str, str]:
    """The name of each column as a feature: lower snake case of plain letters and digits.

    Args:
        source: Where the columns are, as an error names it.
        columns: Their names there.

    Raises:
        SchemaError: Two of them would have one name.
    """
    names: dict[str, str] = {}
    sources: dict[str, str] = {}
    for place, column in enumerate(columns):
        name = _make_feature_name(column, place)
        other = sources.setdefault(name, column)
        if column in names or other != column:
            raise SchemaError(
                f"{source} has the columns {other!r} and {column!r}, which would both be {name!r}:"
                " rename one of them."
            )
        names[column] = name
    return names


def _make_feature_name(column: str, place: int) -> str:
    """What a column is called as a feature, whatever characters it has."""
    normal = normalize_name(column)
    if re.fullmatch(r"[a-z][a-z0-9_]*", normal):
        return normal
    plain = unicodedata.normalize("NFKD", column.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name or not name[0].isalpha():
        name = f"column_{name or place + 1}"
    return name[:MAX_NAME_LENGTH].rstrip("_")


def _read_lines(path: Path, kind: str, row_limit: int) -> pa.Table:
    options = csv.ReadOptions(block_size=_BLOCK_BYTES)
    separators = csv.ParseOptions(delimiter=_SEPARATORS[kind], newlines_in_values=True)
    # As Spark reads it: an empty field is null, of texts too, while NA and "" are texts.
    nulls = csv.ConvertOptions(
        null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    reader = csv.open_csv(path, options, separators, nulls)
    return _read_batches(reader, row_limit)


def _read_batches(reader: Any, row_limit: int) -> pa.Table:
    """The first rows that a reader of batches gives."""
    batches = []
    count = 0
    for batch in reader:
        batches.append(batch)
        count += batch.num_rows
        if count >= row_limit:
            break
    return pa.Table.from_batches(batches, reader.schema).slice(0, row_limit)


def _parse_times(rows: pa.Table) -> pa.Table:
    """The rows with times in the place of strings, in columns that hold nothing but times.

    Arrow's reader of CSV does so itself; its reader of JSON not with fractions of seconds.
    """
    for index, field in enumerate(rows.schema):
        if not pa.types.is_string(field.type) or rows.column(index).null_count == rows.num_rows:
            continue
        for zone in (None, "UTC"):
            try:
                times = rows.column(index).cast(pa.timestamp("us", zone))
            except pa.ArrowInvalid:
                continue
            rows = rows.set_column(index, field.name, times)
            break
    return rows


def _read_parquet(path: Path, _kind: str, row_limit: int) -> pa.Table:
    if path.is_dir():
        return ds.dataset(path, format="parquet").head(row_limit)
    with pq.ParquetFile(path) as file:
        batches = _take_rows(file, row_limit)
        return pa.Table.from_batches(batches, file.schema_arrow).slice(0, row_limit)


def _take_rows(file: pq.ParquetFile, row_limit: int) -> list[pa.RecordBatch]:
    batches = []
    count = 0
    for batch in file.iter_batches():
        batches.append(batch)
        count += batch.num_rows
        if count >= row_limit:
            break
    return batches


def _read_json(path: Path, _kind: str, row_limit: int) -> pa.Table:
    return json.read_json(path, json.ReadOptions(block_size=_BLOCK_BYTES)).slice(0, row_limit)


_READERS = {"csv": _read_lines, "tsv": _read_lines, "parquet": _read_parquet, "json": _read_json}
