"""Codes of keys, beside Python's own equality of tuples."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.engine.join.key_codes import KeyEncoder, encode_keys

Key = tuple[int | None, str | None, int | None]
near = st.none() | st.integers(-2, 2)
# so far apart that the codes of three columns together would not fit
far = st.sampled_from([None, -(1 << 63), -7, 0, 40_000, (1 << 63) - 1])
keys = st.tuples(near | far, st.sampled_from([None, "", "a", "ä"]), near | far)
sides = st.lists(keys, max_size=12)


def to_columns(rows: Sequence[Key], is_coded: bool = False) -> list[pa.ChunkedArray]:
    numbers, names, others = zip(*rows, strict=True) if rows else ((), (), ())
    strings = pa.chunked_array([pa.array(names, pa.string())])
    if is_coded:
        half = len(rows) // 2
        parts = strings.slice(0, half).chunks, strings.slice(half).chunks
        coded = [chunk.dictionary_encode() for part in parts for chunk in part]
        strings = pa.chunked_array(coded, pa.dictionary(pa.int32(), pa.string()))
    return [
        pa.chunked_array([pa.array(numbers, pa.int64())]),
        strings,
        pa.chunked_array([pa.array(others, pa.int64())]),
    ]


@given(sides, sides, sides, st.booleans(), st.booleans())
def test_codes_are_equal_where_keys_are(
    one: list[Key], two: list[Key], asked: list[Key], learns_coded: bool, asks_coded: bool
) -> None:
    learned = [to_columns(one, learns_coded), to_columns(two)]
    encoder, codes = KeyEncoder.learn(learned)
    known = list(zip(one, codes[0].tolist(), strict=True))
    known += zip(two, codes[1].tolist(), strict=True)
    asked_codes = encoder.encode(to_columns(asked, asks_coded)).tolist()
    for key, code in [*known, *zip(asked, asked_codes, strict=True)]:
        for known_key, known_code in known:
            is_match = key == known_key and None not in key
            assert (code == known_code and code >= 0) == is_match


def test_many_columns_of_many_values_still_fit() -> None:
    column = pa.chunked_array([pa.array(range(0, 1 << 40, 1 << 24), pa.int64())])
    (codes,) = encode_keys([[column] * 5])
    assert len(set(codes.tolist())) == len(column)
    assert 0 <= min(codes.tolist()) <= max(codes.tolist()) < 1 << 62


@pytest.mark.parametrize("count", [0, 1])
def test_a_side_may_be_empty(count: int) -> None:
    rows: list[Key] = [(1, "a", 2)]
    first, second = encode_keys([to_columns(rows[:count]), to_columns(rows)])
    assert first.tolist() == second.tolist()[:count]
