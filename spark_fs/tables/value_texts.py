"""Columns as the texts that files of text hold: those that Spark reads as the same values."""

import pyarrow as pa
import pyarrow.compute as pc

_SPECIAL_DOUBLES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def to_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The text of each value of a flat column, null for a null.

    Times are UTC's with six places, and a number of floating point is told from an integer.
    """
    type_ = column.type
    if pa.types.is_timestamp(type_):
        texts = column.cast(pa.timestamp("us")).cast(pa.string())
        return join_texts(pc.replace_substring(texts, " ", "T"), "Z")
    if pa.types.is_floating(type_):
        return _to_double_texts(column.cast(pa.string()))
    return column.cast(pa.string())


def _to_double_texts(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    is_whole = pc.match_substring_regex(texts, r"^-?\d+$")
    texts = pc.if_else(is_whole, join_texts(texts, ".0"), texts)
    for name, spark_name in _SPECIAL_DOUBLES.items():
        texts = pc.if_else(pc.equal(texts, name), spark_name, texts)
    return texts


def join_texts(*parts: pa.ChunkedArray | str) -> pa.ChunkedArray:
    """The texts of several columns, or the same text for each row, one behind the other."""
    return pc.binary_join_element_wise(*parts, "")


def join_lines(lines: pa.ChunkedArray) -> bytes:
    """The lines as a file has them, each with its end."""
    flat = lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
    if not len(flat):
        return b""
    whole = pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)
    text: bytes = pc.binary_join(whole, "\n")[0].as_buffer().to_pybytes()
    return text + b"\n"
