"""Hashes are the same bits on every machine: stored files, splits and buckets follow from them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.base import hashing
from spark_fs.base.hashing import hash_bytes, mix_bits, split_mix


def polynomial(data: bytes) -> int:
    return sum((byte + 1) * 1_099_511_628_211 ** (i + 1) for i, byte in enumerate(data)) % 2**64


def test_split_mix_gives_the_published_numbers() -> None:
    gamma = 0x9E3779B97F4A7C15
    states = np.array([0, gamma, 2 * gamma % 2**64], np.uint64)
    assert split_mix(states).tolist() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    assert split_mix(states).tolist() == mix_bits(states + np.uint64(gamma)).tolist()
    assert mix_bits(np.array([0], np.uint64)).tolist() == [0]


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(0, 5), st.integers(1, 40))
def test_bytes_hash_to_their_polynomial_in_any_blocks(
    values: list[bytes], start: int, block_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_BLOCK_BYTES", block_bytes)
        hashes = hash_bytes(pa.array(values, pa.binary()).slice(start))
    assert hashes.tolist() == [polynomial(value) for value in values[start:]]


def test_strings_hash_as_their_bytes() -> None:
    strings = ["", "a", "ä", "\N{GRINNING FACE}"]
    hashes = hash_bytes(pa.array(strings, pa.string())).tolist()
    assert hashes == [polynomial(string.encode()) for string in strings]
