"""Ranks, distinct values and frequencies of ranges, beside plain Python."""

import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spark_fs.base.arrow_types import to_arrow_type
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.extremes import RangeExtremes
from spark_fs.engine.windows.frequencies import find_most_frequent
from spark_fs.engine.windows.occurrences import Lists, count_distinct, find_last_distinct
from spark_fs.engine.windows.ranks import RankedRanges
from spark_fs.engine.windows.value_codes import encode_cells, encode_equal, rank_values

Ranges = tuple[list[int], list[tuple[int, int]]]


def ints(numbers: Any) -> Ints:
    return np.array(list(numbers), np.int64)


def split(ranges: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    return ints(start for start, _ in ranges), ints(end for _, end in ranges)


def unpack(lists: Lists) -> list[list[int]]:
    offsets = lists.offsets.tolist()
    assert offsets[-1] == len(lists.items)
    return [lists.items[first:last].tolist() for first, last in pairwise(offsets)]


@st.composite
def ranges_of_codes(draw: st.DrawFn) -> Ranges:
    """Codes, and ranges of them: of any order, or such as sliding windows make."""
    greatest = draw(st.sampled_from([0, 1, 3, 10, 100]))
    codes = draw(st.lists(st.integers(0, greatest), max_size=60))
    place = st.integers(0, len(codes))
    count = draw(st.integers(0, 40))
    starts = draw(st.lists(place, min_size=count, max_size=count))
    ends = draw(st.lists(place, min_size=count, max_size=count))
    if draw(st.booleans()):
        starts = sorted(starts)
        ends = sorted(ends)
    return codes, [(min(pair), max(pair)) for pair in zip(starts, ends, strict=True)]


@st.composite
def ranges_within_keys(draw: st.DrawFn) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """The ranks of each key, and ranges that do not cross from key to key."""
    keys = draw(st.lists(st.lists(st.integers(0, 50), max_size=20), min_size=1, max_size=8))
    ranges = []
    start = 0
    for ranks in keys:
        place = st.integers(start, start + len(ranks))
        ranges += [tuple(sorted(pair)) for pair in draw(st.lists(st.tuples(place, place)))]
        start += len(ranks)
    return keys, ranges


def slide_windows(key_sizes: list[int], length: int) -> list[tuple[int, int]]:
    """For each event the range of the last so many before it, of its key."""
    ranges = []
    start = 0
    for size in key_sizes:
        ranges += [(start + max(0, i - length), start + i) for i in range(size)]
        start += size
    return ranges


BUCKETS = {
    "one long key": ([2_000], 300),
    "one long key, short windows": ([2_000], 5),
    "many short keys": ([3, 0, 1, 7] * 250, 4),
    "one event a key": ([1] * 500, 10),
    "no event": ([0], 1),
}


def make_bucket(name: str, greatest: int) -> tuple[list[int], list[tuple[int, int]]]:
    sizes, length = BUCKETS[name]
    rng = np.random.default_rng(sum(sizes) + greatest)
    return rng.integers(0, greatest + 1, sum(sizes)).tolist(), slide_windows(sizes, length)


# -- plain Python


def count_distinct_plainly(codes: list[int], ranges: list[tuple[int, int]]) -> list[int]:
    return [len(set(codes[start:end])) for start, end in ranges]


def find_last_plainly(codes: list[int], start: int, end: int, n: int) -> list[int]:
    places = {codes[place]: place for place in range(start, end)}
    return sorted(places.values(), reverse=True)[:n]


def find_frequent_plainly(codes: list[int], k: int) -> list[int]:
    by_count = sorted(Counter(codes).items(), key=lambda item: (-item[1], item[0]))
    return [code for code, _ in by_count[:k]]


# -- extremes


def check_extremes(ranks: list[int], ranges: list[tuple[int, int]]) -> None:
    extremes = RangeExtremes(ints(ranks))
    starts, ends = split(ranges)
    least = extremes.find_least(starts, ends).tolist()
    greatest = extremes.find_greatest(starts, ends).tolist()
    assert len(least) == len(greatest) == len(ranges)
    for index, (start, end) in enumerate(ranges):
        if start < end:
            assert least[index] == min(ranks[start:end])
            assert greatest[index] == max(ranks[start:end])


@given(ranges_of_codes())
def test_extremes_of_a_range_are_its_least_and_greatest(case: Ranges) -> None:
    check_extremes(*case)


@pytest.mark.parametrize("name", BUCKETS)
def test_extremes_hold_for_long_keys_and_many_keys(name: str) -> None:
    check_extremes(*make_bucket(name, 1_000_000))


@pytest.mark.parametrize("bound", [2**31 - 1, 2**31, 2**62])
def test_extremes_hold_for_numbers_of_any_size(bound: int) -> None:
    check_extremes([bound, -bound, 3, -bound - 1, 0], [(0, 5), (0, 2), (2, 3), (1, 4), (4, 5)])


# -- ranks


def check_ranks(keys: list[list[int]], ranges: list[tuple[int, int]], bounds: list[int]) -> None:
    ranks = [rank for key in keys for rank in key]
    key_starts = np.cumsum([0, *(len(key) for key in keys)])[:-1]
    starts, ends = split(ranges)
    full = [pair for pair in ranges if pair[0] < pair[1]]
    in_order = [sorted(ranks[start:end]) for start, end in full]
    for ranked in (RankedRanges(ints(ranks), key_starts), RankedRanges(ints(ranks))):
        for share in (0.0, 0.4, 1.0):
            positions = [round(share * (len(values) - 1)) for values in in_order]
            selected = ranked.select(*split(full), ints(positions)).tolist()
            pairs = zip(in_order, positions, strict=True)
            assert selected == [values[position] for values, position in pairs]
        assert len(ranked.select(starts, ends, np.zeros_like(starts))) == len(ranges)
        for bound in bounds:
            counts = ranked.count_below(starts, ends, np.full_like(starts, bound)).tolist()
            assert counts == [sum(rank < bound for rank in ranks[s:e]) for s, e in ranges]


@given(ranges_within_keys())
@example(([[]], [(0, 0)]))
@example(([[], [7], []], [(0, 0), (0, 1), (1, 1)]))
def test_ranked_ranges_select_and_count_as_a_sorted_list_does(
    case: tuple[list[list[int]], list[tuple[int, int]]],
) -> None:
    check_ranks(*case, bounds=[-1, 0, 1, 25, 50, 51, 1000])


@pytest.mark.parametrize("greatest", [3, 1_000_000])
@pytest.mark.parametrize("name", BUCKETS)
def test_ranked_ranges_hold_for_long_keys_and_many_keys(name: str, greatest: int) -> None:
    ranks, ranges = make_bucket(name, greatest)
    places = np.cumsum([0, *BUCKETS[name][0]])
    keys = [ranks[places[i] : places[i + 1]] for i in range(len(places) - 1)]
    check_ranks(keys, ranges, [greatest // 3])


# -- distinct codes


@given(ranges_of_codes())
def test_distinct_codes_are_counted_once(case: Ranges) -> None:
    codes, ranges = case
    expected = count_distinct_plainly(codes, ranges)
    assert count_distinct(ints(codes), *split(ranges)).tolist() == expected


@pytest.mark.parametrize("greatest", [0, 5, 1_000])
@pytest.mark.parametrize("name", BUCKETS)
def test_distinct_codes_are_counted_in_long_keys_and_many_keys(name: str, greatest: int) -> None:
    codes, ranges = make_bucket(name, greatest)
    expected = count_distinct_plainly(codes, ranges)
    starts, ends = split(ranges)
    assert count_distinct(ints(codes), starts, ends).tolist() == expected
    backwards = count_distinct(ints(codes), starts[::-1], ends[::-1])
    assert backwards.tolist() == expected[::-1]


@given(ranges_of_codes(), st.integers(1, 6))
def test_the_codes_that_occurred_last_are_found_newest_first(case: Ranges, n: int) -> None:
    codes, ranges = case
    lists = unpack(find_last_distinct(ints(codes), *split(ranges), n))
    assert lists == [find_last_plainly(codes, start, end, n) for start, end in ranges]


@pytest.mark.parametrize("greatest", [1, 20])
@pytest.mark.parametrize("name", BUCKETS)
def test_the_codes_that_occurred_last_are_found_in_long_keys_and_many_keys(
    name: str, greatest: int
) -> None:
    codes, ranges = make_bucket(name, greatest)
    lists = unpack(find_last_distinct(ints(codes), *split(ranges), 8))
    assert lists == [find_last_plainly(codes, start, end, 8) for start, end in ranges]


@given(ranges_of_codes(), st.integers(1, 6))
def test_the_most_frequent_codes_come_first_and_the_lesser_of_equal_ones(
    case: Ranges, k: int
) -> None:
    codes, ranges = case
    lists = unpack(find_most_frequent(ints(codes), *split(ranges), k))
    assert lists == [find_frequent_plainly(codes[start:end], k) for start, end in ranges]


@pytest.mark.parametrize("greatest", [1, 20, 100_000])
@pytest.mark.parametrize("name", BUCKETS)
def test_the_most_frequent_codes_are_found_in_long_keys_and_many_keys(
    name: str, greatest: int
) -> None:
    codes, ranges = make_bucket(name, greatest)
    lists = unpack(find_most_frequent(ints(codes), *split(ranges), 3))
    assert lists == [find_frequent_plainly(codes[start:end], 3) for start, end in ranges]


def test_the_most_frequent_codes_are_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_fs.engine.windows.frequencies._BLOCK_ITEMS", 1)
    monkeypatch.setattr("spark_fs.engine.windows.frequencies._LEAST_BLOCK", 97)
    codes, ranges = make_bucket("one long key", 20)
    lists = unpack(find_most_frequent(ints(codes), *split(ranges), 3))
    assert lists == [find_frequent_plainly(codes[start:end], 3) for start, end in ranges]


# -- the order and equality of values

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=2)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "tinyint": st.integers(-(2**7), 2**7 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    "float": st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0]),
    "double": st.floats() | st.sampled_from([0.0, -0.0, 1.0]),
    "decimal(10,2)": st.integers(-(10**10) + 1, 10**10 - 1).map(lambda i: Decimal(i).scaleb(-2)),
    "decimal(38,0)": st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal)
    | st.integers(-2, 2).map(Decimal)
    | st.sampled_from([2**63, 2**64, -(2**64), 2**64 + 1]).map(Decimal),
    "string": st.text(max_size=3) | st.sampled_from(["é", "z", "\U0001f600", "\uffff", ""]),
    "binary": st.binary(max_size=3),
    "date": st.dates(),
    "timestamp": st.integers(-(10**15), 10**15).map(lambda i: EPOCH + timedelta(microseconds=i)),
}


def order_key(value: Any) -> Any:
    """What a value is sorted by, in Python: the total order of values."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, float):
        return (math.isnan(value), 0.0 if math.isnan(value) else value, is_positive(value))
    return value


def is_positive(value: float) -> bool:
    return math.isnan(value) or math.copysign(1.0, value) > 0


def equality_key(value: Any) -> Any:
    """As ``order_key``, without the sign of zeros."""
    if isinstance(value, float) and not value:
        return order_key(0.0)
    return order_key(value)


def rank_plainly(values: list[Any], key: Callable[[Any], Any]) -> list[int]:
    keys = [key(value) for value in values]
    ranks = {each: rank for rank, each in enumerate(sorted(set(keys)))}
    return [ranks[each] for each in keys]


def to_column(values: list[Any], type_: str) -> pa.Array:
    """A column of the values that begins in the middle of its buffers."""
    return pa.array([*values[:1], *values], to_arrow_type(type_))[len(values[:1]) :]


@pytest.mark.parametrize("type_", VALUES)
@given(data=st.data())
@settings(max_examples=60)
def test_ranks_are_those_of_the_total_order(type_: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[type_], max_size=30))
    ranks = rank_values(to_column(values, type_), type_)
    assert ranks.dtype == np.int64
    assert ranks.tolist() == rank_plainly(values, order_key)


@pytest.mark.parametrize("type_", VALUES)
@given(data=st.data())
@settings(max_examples=60)
def test_equal_values_have_equal_codes_in_order(type_: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[type_], max_size=30))
    codes, distinct = encode_equal(to_column(values, type_), type_)
    assert codes.dtype == np.int64
    assert codes.tolist() == rank_plainly(values, equality_key)
    assert distinct.type == to_arrow_type(type_)
    keys = [order_key(value) for value in distinct.to_pylist()]
    assert keys == sorted({equality_key(value) for value in values})


def test_numbers_close_to_one_another_are_ranked_as_others_are() -> None:
    values = [7, 5, 5, 9, 2**62, 2**62 + 1, 7]
    close = [7, 5, 5, 9, 12, 13, 7]
    expected = [1, 0, 0, 2, 3, 4, 1]
    assert rank_values(pa.array(values), "bigint").tolist() == expected
    assert rank_values(pa.array(close), "bigint").tolist() == expected


def test_nan_of_any_sign_and_bits_is_one_value_and_the_greatest() -> None:
    bits = np.array([0x7FF8000000000001, -1, 0x7FF0000000000001], np.int64)
    doubles = np.concatenate([bits.view(np.float64), [math.inf, -math.inf]])
    column = pa.array(doubles)
    assert rank_values(column, "double").tolist() == [2, 2, 2, 1, 0]
    assert encode_equal(column, "double").codes.tolist() == [2, 2, 2, 1, 0]
    assert encode_cells(doubles).codes.tolist() == [2, 2, 2, 1, 0]
    narrow = pa.array(np.array([0x7FC00001, -1, 0x7F800001], np.int32).view(np.float32))
    assert rank_values(narrow, "float").tolist() == [0, 0, 0]


@pytest.mark.parametrize("arrow_type", ["large_string", "dictionary"])
def test_strings_of_other_arrow_types_are_ranked_alike(arrow_type: str) -> None:
    values = ["b", "a", "é", "b"]
    column = pa.array(values, pa.large_string())
    if arrow_type == "dictionary":
        column = pa.array(values).dictionary_encode()
    assert rank_values(column, "string").tolist() == [1, 0, 2, 1]
    assert encode_equal(column, "string").distinct.to_pylist() == ["a", "b", "é"]


# -- cells


@given(st.lists(st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1.001, -1.0])))
def test_cells_are_in_order_and_near_their_values(values: list[float]) -> None:
    codes, middles = encode_cells(np.array(values, np.float64))
    keys = [order_key(middle) for middle in middles.tolist()]
    assert keys == sorted(set(keys))
    assert set(codes.tolist()) == set(range(len(middles)))
    for value, code in zip(values, codes.tolist(), strict=True):
        middle = middles[code]
        if math.isnan(value) or math.isinf(value) or not value:
            assert equality_key(float(middle)) == equality_key(value)
        elif abs(value) >= 2.0**-1022:
            assert abs(middle - value) <= 0.008 * abs(value)
        else:
            assert abs(middle - value) <= 2.0**-1028


def test_a_cell_is_cut_at_six_bits_of_the_fraction() -> None:
    edges = np.array([1.0, 1.0 + 63 / 4096, 1.0 + 1 / 64, 2.0, -1.0, -1.0 - 1 / 64])
    codes, middles = encode_cells(edges)
    assert codes.tolist() == [2, 2, 3, 4, 1, 0]
    assert middles.tolist() == [-1.0234375, -1.0078125, 1.0078125, 1.0234375, 2.015625]
