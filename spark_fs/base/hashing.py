"""Hashes that are the same bits on every machine: of strings and bytes, and of 64-bit integers."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]
_BLOCK_BYTES = 1 << 20  # bytes that are hashed together: each of them takes several numbers
_PRIME = np.uint64(1_099_511_628_211)
_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def hash_bytes(values: pa.Array) -> Hashes:
    """The polynomial of the bytes of each string or binary value."""
    values = values.cast(pa.large_binary())
    first = values.offset
    all_offsets = np.frombuffer(values.buffers()[1], np.int64)
    offsets = all_offsets[first : first + len(values) + 1]
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    block_starts = np.arange(offsets[0] + _BLOCK_BYTES, offsets[-1], _BLOCK_BYTES)
    bounds = np.searchsorted(offsets, block_starts).tolist()
    cuts = sorted({0, *bounds, len(values)})
    blocks = []
    for start, end in pairwise(cuts):
        blocks.append(_compute_polynomials(data, offsets[start : end + 1]))
    return np.concatenate(blocks) if blocks else np.empty(0, np.uint64)


def _compute_polynomials(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Hashes:
    data = data[offsets[0] : offsets[-1]]
    lengths = np.diff(offsets)
    starts = offsets[:-1] - offsets[0]
    longest = int(lengths.max(initial=0))
    powers = np.cumprod(np.full(longest + 1, _PRIME, np.uint64))
    positions = np.arange(len(data)) - np.repeat(starts, lengths)
    terms = (data.astype(np.uint64) + np.uint64(1)) * powers[positions]
    sums = np.add.reduceat(np.append(terms, np.uint64(0)), starts)
    return np.where(lengths == 0, np.uint64(0), sums)


def mix_bits(bits: Hashes) -> Hashes:
    """A permutation of 64-bit integers: every bit of the result depends on every bit of the input.

    It is the finalizer of SplitMix64 (Steele et al.: Fast Splittable Pseudorandom Number
    Generators, 2014). Zero stays zero: see ``split_mix``.
    """
    with np.errstate(over="ignore"):
        mixed = bits >> np.uint64(30)
        mixed ^= bits
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        return mixed


def split_mix(states: Hashes) -> Hashes:
    """The next number of SplitMix64 for each state: a step of the generator, then ``mix_bits``."""
    with np.errstate(over="ignore"):
        return mix_bits(states + _GOLDEN_GAMMA)
