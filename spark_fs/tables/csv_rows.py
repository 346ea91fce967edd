"""Rows as lines of separated values, so that nulls and empty strings are told apart."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.tables.value_texts import join_lines, join_texts, to_texts


def format_header(schema: pa.Schema, separator: str) -> bytes:
    """The line of the columns' names."""
    names = pa.chunked_array([schema.names], pa.string())
    quoted: list[str] = _quote_texts(names, separator).to_pylist()
    return f"{separator.join(quoted)}\n".encode()


def format_rows(table: pa.Table, separator: str) -> bytes:
    """The lines of a table; a null is nothing, an empty string a pair of quotes."""
    columns = []
    for column in table.columns:
        texts = to_texts(column)
        if pa.types.is_string(column.type):
            texts = _quote_texts(texts, separator)
        columns.append(texts)
    lines = pc.binary_join_element_wise(
        *columns, separator, null_handling="replace", null_replacement=""
    )
    return join_lines(lines)


def _quote_texts(texts: pa.ChunkedArray, separator: str) -> pa.ChunkedArray:
    """The texts, in quotes where these are needed to read them again."""
    needs_quotes = pc.match_substring_regex(texts, rf'["\r\n{separator}]|^$|^\s|\s$')
    quoted = join_texts('"', pc.replace_substring(texts, '"', '""'), '"')
    return pc.if_else(needs_quotes, quoted, texts)


def parse_rows(source: Any, size: int, types: Mapping[str, str], separator: str) -> pa.Table:
    """The rows of an open file of so many bytes, with these columns and types."""
    schema = to_arrow_schema(types)
    return csv.read_csv(
        source,
        # a row is in one block, however long it is
        read_options=csv.ReadOptions(block_size=max(1 << 20, min(size + 1, 1 << 30))),
        parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            include_columns=schema.names,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["true"],
            false_values=["false"],
        ),
    )
