"""Exact sums over ranges of rows, beside Python's fractions and decimals."""

import math
import struct
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spark_fs.engine.windows.exact_parts import split_numbers, split_squares
from spark_fs.engine.windows.exact_sums import ExactPrefix, ExactSums, Part
from spark_fs.engine.windows.exact_variances import compute_variances

GREATEST = 1.7976931348623157e308
LEAST = 5e-324
FINITE = st.floats(allow_nan=False, allow_infinity=False)
AMOUNTS = st.integers(-10_000_000, 10_000_000).map(lambda cents: cents / 100)
NEAR_ONE = st.integers(-3, 3).map(lambda steps: 1e9 + steps * 2.0**-20)
TINY = st.integers(-50, 50).map(lambda units: units * LEAST)
HUGE = st.sampled_from([GREATEST, -GREATEST, 1e308, -1e308, 2.0**1023, 1.0, LEAST])
POWERS = st.builds(
    lambda sign, power: sign * 2.0**power, st.sampled_from([1, -1]), st.integers(-170, 0)
)
KINDS = (FINITE, AMOUNTS, NEAR_ONE, TINY, HUGE, POWERS)
VALUES = st.one_of(
    *(st.lists(kind, min_size=1, max_size=12) for kind in KINDS),
    st.lists(st.one_of(AMOUNTS, HUGE, TINY), min_size=1, max_size=12),
)
INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([-(2**63), 2**63 - 1, 0, -1]))


def every_range(rows: int) -> tuple[Any, Any]:
    pairs = [(start, end) for start in range(rows + 1) for end in range(start, rows + 1)]
    starts, ends = np.array(pairs, np.int64).T
    return starts, ends


def doubles(values: list[float]) -> list[Any]:
    return [np.array(values, np.float64)]


def sum_ranges(parts: list[Any], rows: int) -> ExactSums:
    return ExactPrefix.from_parts(parts).sum_between(*every_range(rows))


def sum_all(parts: list[Any], rows: int) -> ExactSums:
    return ExactPrefix.from_parts(parts).sum_between(np.array([0]), np.array([rows]))


def nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def expected_sums(values: list[float]) -> list[Fraction]:
    starts, ends = every_range(len(values))
    return [
        sum(map(Fraction, values[start:end]), Fraction(0))
        for start, end in zip(starts, ends, strict=True)
    ]


def bits(values: Any) -> list[bytes]:
    return [struct.pack(">d", value) for value in values]


def is_near(found: float, expected: Fraction) -> bool:
    """Whether a double is within two units of the last place of the nearest one."""
    rounded = nearest(expected)
    return found == rounded or abs(found - rounded) <= 2 * math.ulp(rounded)


def variance(values: list[float]) -> Fraction:
    numbers = [Fraction(value) for value in values]
    mean = sum(numbers, Fraction(0)) / len(numbers)
    return sum(((number - mean) ** 2 for number in numbers), Fraction(0)) / len(numbers)


# -- sums


@settings(deadline=None)
@given(VALUES)
@example([1.0, 2.0**-53, 2.0**-106])  # above a tie by what a second rounding would lose
@example([1.0, 2.0**-53])
@example([1.0 + 2.0**-52, 2.0**-53])
@example([GREATEST, 2.0**970])
@example([GREATEST, 2.0**970, -LEAST])
@example([2.0**-1022, -LEAST, LEAST])
@example([1e308, 1e308, -1e308, -1e308, LEAST])
def test_any_range_has_its_exact_sum_rounded_once(values: list[float]) -> None:
    found = sum_ranges(doubles(values), len(values)).to_doubles()
    assert found.tolist() == [nearest(total) for total in expected_sums(values)]


@settings(deadline=None)
@given(VALUES)
@example([1.0, 2.0**-54, 2.0**-107, 2.0**-161])  # what is left is above a tie by its last bit
@example([1.0, 2.0**-54, 2.0**-107, -(2.0**-161)])
def test_two_doubles_hold_what_one_leaves(values: list[float]) -> None:
    high, low = sum_ranges(doubles(values), len(values)).to_double_doubles()
    for first, second, total in zip(high, low, expected_sums(values), strict=True):
        assert first == nearest(total)
        if math.isinf(first):
            assert second == 0
        else:
            assert second == float(total - Fraction(first))


@settings(deadline=None)
@given(VALUES, st.lists(FINITE, max_size=5), st.randoms(use_true_random=False))
def test_the_bits_depend_neither_on_the_order_nor_on_other_values(
    values: list[float], others: list[float], random: Any
) -> None:
    shuffled = random.sample(values, len(values))
    alone = sum_all(doubles(values), len(values))
    beside = ExactPrefix.from_parts(doubles([*others, *shuffled, *others]))
    where = np.array([len(others)])
    among = beside.sum_between(where, where + len(values))
    for one, other in zip(alone.to_double_doubles(), among.to_double_doubles(), strict=True):
        assert bits(one) == bits(other)
    assert nonzero_parts(alone) == nonzero_parts(among)


def nonzero_parts(sums: ExactSums) -> list[tuple[float, int]]:
    parts = [(float(part.values[0]), part.exponent) for part in sums.to_parts()]
    return [part for part in parts if part[0] != 0]


@settings(deadline=None)
@given(VALUES)
def test_parts_hold_the_whole_sum_and_can_be_summed_again(values: list[float]) -> None:
    sums = sum_ranges(doubles(values), len(values))
    parts = sums.to_parts()
    expected = expected_sums(values)
    found = [
        sum(Fraction(float(part.values[row])) * Fraction(2) ** part.exponent for part in parts)
        for row in range(len(expected))
    ]
    assert found == expected
    again = ExactPrefix.from_parts(parts)
    rows = np.arange(len(expected))
    assert bits(again.sum_between(rows, rows + 1).to_doubles()) == bits(sums.to_doubles())


def test_doubles_within_range_make_parts_that_are_plain() -> None:
    assert nonzero_parts(sum_all(doubles([0.1, 1e300, -LEAST]), 3)) == [
        (1e300, 0),
        (0.1, 0),
        (-LEAST, 0),
    ]


def test_no_rows_have_empty_sums() -> None:
    none = np.array([], np.int64)
    prefix = ExactPrefix.from_parts(doubles([]))
    assert prefix.sum_between(none, none).to_doubles().tolist() == []
    nothing = prefix.sum_between(np.array([0]), np.array([0]))
    assert nothing.to_doubles().tolist() == [0.0]
    assert compute_variances(np.array([0]), nothing, nothing).tolist() == [0.0]


def test_many_rows_are_summed_across_blocks() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=100_000) * 10.0 ** rng.integers(-30, 30, 100_000)
    starts = rng.integers(0, 50_000, 50)
    ends = starts + rng.integers(0, 50_000, 50)
    found = ExactPrefix.from_parts([values]).sum_between(starts, ends).to_doubles()
    expected = [math.fsum(values[start:end]) for start, end in zip(starts, ends, strict=True)]
    assert found.tolist() == expected


def test_many_equal_values_of_all_bits_do_not_overflow() -> None:
    values = np.full(1 << 20, GREATEST * 2.0**-30)
    total = sum_all([values, -values / 2], len(values)).to_doubles()
    assert total.tolist() == [GREATEST * 2.0**-11]


def test_many_small_values_that_cancel_a_large_one_leave_nothing() -> None:
    count = 1 << 20
    values = np.array([*[2.0**-21] * count, -0.5, 2.0**19])
    ends = np.array([count + 1, count, count + 2])
    prefix = ExactPrefix.from_parts([values])
    nothing = prefix.sum_between(np.array([0]), ends[:1])
    assert nothing.to_double_doubles() == (np.array([0.0]), np.array([0.0]))
    assert prefix.sum_between(np.zeros(3, int), ends).to_doubles().tolist() == [0.0, 0.5, 2.0**19]


# -- variances


def compute_all(parts: list[Any], rows: int) -> Any:
    starts, ends = every_range(rows)
    sums = ExactPrefix.from_parts(parts).sum_between(starts, ends)
    squares = ExactPrefix.from_parts(split_squares(parts)).sum_between(starts, ends)
    return compute_variances(ends - starts, sums, squares)


@settings(deadline=None)
@given(VALUES)
@example([GREATEST, -GREATEST])
@example([GREATEST, GREATEST, 1.0])
@example([1e150, -1e150, 1e-200])
@example([1e-170, 3e-170])
@example([1.0, 1.0 + 2.0**-52])
@example([1e16, 1e16 + 2, 1e-30])
def test_any_range_has_its_exact_variance(values: list[float]) -> None:
    starts, ends = every_range(len(values))
    found = compute_all(doubles(values), len(values))
    for start, end, one in zip(starts, ends, found, strict=True):
        within = values[start:end]
        if len(set(within)) < 2:
            assert one == 0
        else:
            assert one > 0 or nearest(variance(within)) <= LEAST
            assert is_near(one, variance(within))


@settings(deadline=None)
@given(FINITE, st.integers(1, 40))
def test_equal_values_have_no_variance(value: float, count: int) -> None:
    assert not compute_all(doubles([value] * count), count).any()


@settings(deadline=None)
@given(VALUES, st.lists(FINITE, max_size=5), st.randoms(use_true_random=False))
def test_the_bits_of_a_variance_depend_neither_on_the_order_nor_on_other_values(
    values: list[float], others: list[float], random: Any
) -> None:
    parts = doubles(values)
    count = np.array([len(values)])
    alone = compute_variances(
        count, sum_all(parts, len(values)), sum_all(split_squares(parts), len(values))
    )
    beside = doubles([*others, *random.sample(values, len(values)), *others])
    start = np.array([len(others)])
    sums = ExactPrefix.from_parts(beside).sum_between(start, start + count)
    squares = ExactPrefix.from_parts(split_squares(beside)).sum_between(start, start + count)
    assert bits(compute_variances(count, sums, squares)) == bits(alone)


def test_values_that_are_almost_equal_have_right_variances_among_many() -> None:
    rng = np.random.default_rng(3)
    values = 1e8 + rng.integers(0, 2, 60_000) * 2.0**-26
    rows = np.arange(40_000)
    sums = ExactPrefix.from_parts([values]).sum_between(rows, rows + 20)
    squares = ExactPrefix.from_parts(split_squares([values])).sum_between(rows, rows + 20)
    found = compute_variances(np.full(40_000, 20), sums, squares)
    for row in range(0, 40_000, 997):
        assert is_near(found[row], variance(values[row : row + 20].tolist()))


@settings(deadline=None)
@given(VALUES)
def test_squares_are_exact(values: list[float]) -> None:
    parts = split_squares(doubles(values))
    found = [
        sum(Fraction(float(part.values[row])) * Fraction(2) ** part.exponent for part in parts)
        for row in range(len(values))
    ]
    assert found == [Fraction(value) ** 2 for value in values]


@settings(deadline=None)
@given(VALUES)
def test_sums_of_squares_beyond_doubles_keep_all_bits_in_parts(values: list[float]) -> None:
    squares = sum_all(split_squares(doubles(values)), len(values))
    total = sum(
        Fraction(part) * Fraction(2) ** exponent for part, exponent in nonzero_parts(squares)
    )
    assert total == sum(Fraction(value) ** 2 for value in values)


# -- integers and decimals


@settings(deadline=None)
@given(st.lists(INT64, min_size=1, max_size=8))
@example([2**63 - 1, 1, -1])
@example([-(2**63), -1, 1])
@example([2**53, 1])
def test_integers_are_summed_exactly_and_say_where_they_overflow(values: list[int]) -> None:
    starts, ends = every_range(len(values))
    parts = split_numbers(pa.array(values, pa.int64()), "bigint")
    found, overflowed = sum_ranges(parts, len(values)).to_integers()
    for start, end, one, flag in zip(starts, ends, found, overflowed, strict=True):
        total = sum(values[start:end])
        assert flag == (not -(2**63) <= total < 2**63)
        assert flag or one == total


@settings(deadline=None)
@given(st.lists(INT64, min_size=1, max_size=8))
def test_the_variances_of_large_integers_are_exact(values: list[int]) -> None:
    parts = split_numbers(pa.array(values, pa.int64()), "bigint")
    found = compute_all(parts, len(values))
    starts, ends = every_range(len(values))
    for start, end, one in zip(starts, ends, found, strict=True):
        assert is_near(one, variance(values[start:end]) if end > start else Fraction(0))


UNSCALED = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-100_000, 100_000),
    st.integers(-(2**70), 2**70),
    st.sampled_from([10**38 - 1, 1 - 10**38, 0, 1, -1, 2**64, -(2**64), 2**106]),
)
EXACT = Context(prec=60)


def decimals(unscaled: list[int], scale: int) -> pa.Array:
    return pa.array(
        [Decimal(value).scaleb(-scale, EXACT) for value in unscaled], pa.decimal128(38, scale)
    )


@settings(deadline=None)
@given(st.lists(UNSCALED, min_size=1, max_size=8), st.sampled_from([0, 2, 38]))
def test_decimals_are_summed_exactly_and_say_where_they_overflow(
    unscaled: list[int], scale: int
) -> None:
    starts, ends = every_range(len(unscaled))
    parts = split_numbers(decimals(unscaled, scale), f"decimal(38,{scale})")
    found, overflowed = sum_ranges(parts, len(unscaled)).to_decimals(pa.decimal128(38, scale))
    for start, end, one, flag in zip(starts, ends, found.to_pylist(), overflowed, strict=True):
        total = sum(unscaled[start:end])
        assert flag == (abs(total) >= 10**38)
        assert one == (Decimal(0) if flag else Decimal(total).scaleb(-scale, EXACT))


@settings(deadline=None)
@given(st.lists(UNSCALED, min_size=1, max_size=6))
def test_the_variances_of_decimals_are_exact_in_units_of_their_last_digit(
    unscaled: list[int],
) -> None:
    parts = split_numbers(decimals(unscaled, 2), "decimal(38,2)")
    starts, ends = every_range(len(unscaled))
    found = compute_all(parts, len(unscaled))
    for start, end, one in zip(starts, ends, found, strict=True):
        assert is_near(one, variance(unscaled[start:end]) if end > start else Fraction(0))


def test_a_narrow_decimal_overflows_at_its_own_precision() -> None:
    sums = sum_ranges(split_numbers(pa.array([99, 1, -100]), "bigint"), 3)
    found, overflowed = sums.to_decimals(pa.decimal128(2, 1))
    totals = [sum([99, 1, -100][start:end]) for start, end in zip(*every_range(3), strict=True)]
    assert overflowed.tolist() == [abs(total) > 99 for total in totals]
    assert found.to_pylist() == [
        Decimal(0) if abs(total) > 99 else Decimal(total).scaleb(-1) for total in totals
    ]


@pytest.mark.parametrize(
    ("arrow_type", "type_", "values"),
    [
        (pa.int8(), "tinyint", [-128, 127]),
        (pa.int16(), "smallint", [-32768, 32767]),
        (pa.uint8(), "smallint", [0, 255]),
        (pa.int32(), "int", [-(2**31), 2**31 - 1]),
        (pa.uint32(), "bigint", [0, 2**32 - 1]),
        (pa.int64(), "bigint", [-(2**63), 2**63 - 1]),
        (pa.float32(), "float", [0.5, -3.4028234663852886e38]),
        (pa.float64(), "double", [0.1, GREATEST]),
        (pa.uint64(), "decimal(20,0)", [0, 2**64 - 1]),
        (pa.decimal128(10, 0), "decimal(10,0)", [Decimal(-7), Decimal(9_999_999_999)]),
    ],
)
def test_every_type_of_numbers_is_cut_into_doubles(
    arrow_type: pa.DataType, type_: str, values: list[Any]
) -> None:
    column = pa.array([values[1], *values, None], arrow_type).slice(1)
    for given_column in (column, pa.chunked_array([column[:1], column[1:]])):
        parts = split_numbers(given_column, type_)
        found = [sum(Fraction(float(part[row])) for part in parts) for row in range(3)]
        assert found == [*map(Fraction, values), 0]


def test_small_integers_and_decimals_need_one_array() -> None:
    assert len(split_numbers(pa.array([1, -(2**53) + 1]), "bigint")) == 1
    assert len(split_numbers(decimals([1234, -1234], 2), "decimal(38,2)")) == 1


def test_parts_may_be_beyond_doubles() -> None:
    far = Part(np.array([1.5, -1.0]), 2_000)
    near = np.array([1.0, 0.0])
    sums = ExactPrefix.from_parts([far, near, Part(near, -2_000)]).sum_between(
        np.array([0, 0]), np.array([1, 2])
    )
    assert sums.to_doubles().tolist() == [math.inf, math.inf]
    assert sum(
        Fraction(float(part.values[1])) * Fraction(2) ** part.exponent for part in sums.to_parts()
    ) == Fraction(2) ** 1999 + 1 + Fraction(1, 2**2000)
