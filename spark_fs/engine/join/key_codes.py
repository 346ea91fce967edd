"""Give keys of any columns codes: small integers, which are compared and sorted faster.

Codes are learned of the keys that are looked up, and then given to those that look: of a right side
once, in however many parts the left side comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.engine.join.matching import MISSING, Ints, search_last

KeyColumns = Sequence[pa.ChunkedArray]
_KEY_BITS = 31  # of the codes of a key's columns so far; beyond, only those that exist are counted


class _Range(NamedTuple):
    """Integers that lie close together: the code is the distance from the least."""

    least: int
    code_count: int

    def encode(self, column: pa.ChunkedArray) -> Ints:
        values = pc.fill_null(column, self.least).to_numpy().astype(np.int64, copy=False)
        is_known = (values >= self.least) & (values < self.least + self.code_count)
        codes = np.where(is_known, values - self.least, self.code_count)
        if column.null_count:
            codes[column.is_null().to_numpy()] = MISSING
        return codes


class _Values(NamedTuple):
    """Other values: the code is the position among the distinct ones."""

    distinct: pa.Array

    @property
    def code_count(self) -> int:
        return len(self.distinct)

    def encode(self, column: pa.ChunkedArray) -> Ints:
        values, indices = _split_dictionary(column)
        positions = pc.index_in(values, value_set=self.distinct)
        codes = pc.fill_null(positions, self.code_count).to_numpy().astype(np.int64)
        return np.append(codes, MISSING)[indices]  # which are ``MISSING``, the last, where null


class _KeyColumn(NamedTuple):
    """One column of a key.

    values: gives its codes; there are ``code_count`` of them, and one more for other values.
    keys_before: the codes of the columns before it that exist, where only these are counted.
    """

    values: _Range | _Values
    keys_before: Ints | None


@dataclass(frozen=True)
class KeyEncoder:
    """Gives keys the codes of the equal ones among those that it has learned.

    Another key gets a code that none of these has; a key with a null gets ``MISSING``.
    """

    columns: tuple[_KeyColumn, ...]

    @classmethod
    def learn(cls, sides: Sequence[KeyColumns]) -> tuple["KeyEncoder", list[Ints]]:
        """An encoder of the keys of all sides, and per side the code of each row's key.

        Args:
            sides: The key columns of each side, in the same order and types on every side.
        """
        lengths = [len(side[0]) for side in sides]
        columns = []
        codes = np.zeros(sum(lengths), np.int64)
        count = 1
        for side_columns in zip(*sides, strict=True):
            column = _concatenate_columns(side_columns)
            values, column_codes = _learn_column(column)
            keys_before = None
            if (count * (values.code_count + 1)).bit_length() > _KEY_BITS:
                keys_before = np.unique(codes)
                codes = _find_codes(keys_before, codes)
                count = len(keys_before) + 1
            columns.append(_KeyColumn(values, keys_before))
            codes = _combine_codes(codes, column_codes, values.code_count)
            count *= values.code_count + 1
        return cls(tuple(columns)), np.split(codes, np.cumsum(lengths)[:-1])

    def encode(self, keys: KeyColumns) -> Ints:
        """The code of each row's key, in columns as those that were learned."""
        codes = np.zeros(len(keys[0]), np.int64)
        for (values, keys_before), column in zip(self.columns, keys, strict=True):
            if keys_before is not None:
                codes = _find_codes(keys_before, codes)
            codes = _combine_codes(codes, values.encode(column), values.code_count)
        return codes


def encode_keys(sides: Sequence[KeyColumns]) -> list[Ints]:
    """Per side a code for each row's key, equal for equal keys, ``MISSING`` for one with a null.

    Args:
        sides: As of ``KeyEncoder.learn``.
    """
    return KeyEncoder.learn(sides)[1]


def _concatenate_columns(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """One column of all; its strings are coded if those of any are."""
    coded = [column for column in columns if pa.types.is_dictionary(column.type)]
    if coded:
        columns = [column.dictionary_encode() for column in columns]
    chunks = [chunk for column in columns for chunk in column.chunks]
    return pa.chunked_array(chunks, columns[0].type)


def _learn_column(column: pa.ChunkedArray) -> tuple[_Range | _Values, Ints]:
    """What gives the codes of a column, and these."""
    if pa.types.is_integer(column.type) and len(column) > column.null_count:
        bounds = pc.min_max(column)
        least = bounds["min"].as_py()
        span = bounds["max"].as_py() - least
        if span < max(4 * len(column), 1 << 16):
            values = _Range(least, span + 1)
            return values, values.encode(column)
    distinct, indices = _split_dictionary(column)
    return _Values(distinct), indices


def _split_dictionary(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The distinct values of a column, and where among them each is, ``MISSING`` for null."""
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no chunk at all
        return pa.array([], encoded.type.value_type), np.empty(0, np.int64)
    indices = pc.fill_null(encoded.indices, MISSING).to_numpy().astype(np.int64)
    return encoded.dictionary, indices


def _combine_codes(codes: Ints, column_codes: Ints, count: int) -> Ints:
    """The codes of keys with one more column, which has so many codes and one for other values."""
    has_null = (codes < 0) | (column_codes < 0)
    combined = codes * (count + 1) + column_codes
    combined[has_null] = MISSING
    return combined


def _find_codes(keys: Ints, codes: Ints) -> Ints:
    """The position of each code among those that exist, behind the last for another."""
    positions = search_last(keys, codes)
    positions[keys[positions] != codes] = len(keys)
    positions[codes == MISSING] = MISSING
    return positions
