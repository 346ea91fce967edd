"""Statistics are exact, in whatever parts they are made: beside Python's fractions and NumPy's percentiles."""

import statistics
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.stats.exact import ExactProfile, select_in_cells, sum_exactly, sum_squares_exactly

doubles = st.floats(allow_nan=False, allow_infinity=False)
ordinary = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
SHARES = (0.25, 0.5, 0.75)


def of(values: list[float]) -> ExactProfile:
    return ExactProfile.from_values(
        np.array(values, np.float64), 0, with_moments=True, with_quantiles=True
    )


@settings(max_examples=500, deadline=None)
@given(st.lists(doubles, max_size=40))
def test_sums_lose_nothing(values: list[float]) -> None:
    column = np.array(values, np.float64)
    assert Fraction(sum_exactly(column), 2**1074) == sum(map(Fraction, values))
    assert Fraction(sum_squares_exactly(column), 2**2148) == sum(Fraction(v) ** 2 for v in values)


def test_a_long_column_is_summed_exactly() -> None:
    column = np.random.default_rng(0).lognormal(0, 6, 100_000)
    assert Fraction(sum_exactly(column), 2**1074) == sum(map(Fraction, column.tolist()))


@settings(max_examples=300, deadline=None)
@given(st.lists(ordinary, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=3))
def test_parts_in_any_order_give_the_same_bits(values: list[float], cuts: list[int]) -> None:
    whole = of(values)
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts = [of(values[a:b]) for a, b in pairwise(bounds)]
    merged = ExactProfile()
    for part in reversed(parts):
        merged = merged.merge(part)
    assert (merged.mean, merged.stddev, merged.low, merged.high) == (
        whole.mean,
        whole.stddev,
        whole.low,
        whole.high,
    )
    assert whole.mean == float(sum(map(Fraction, values)) / len(values))
    assert whole.stddev == pytest.approx(statistics.pstdev(values), rel=1e-15)


@settings(max_examples=300, deadline=None)
@given(st.lists(ordinary | st.sampled_from([0.0, -0.0, 1e-300, 1e300]), min_size=1, max_size=60))
def test_quartiles_are_those_of_numpy(values: list[float]) -> None:
    profile, column = of(values), np.array(values)
    near = select_in_cells(column, profile.find_quantile_cells(SHARES))
    assert profile.compute_quantiles(SHARES, near) == np.percentile(column, [25, 50, 75]).tolist()


def test_a_quantile_needs_few_of_many_values() -> None:
    column = np.random.default_rng(0).normal(100, 15, 200_000)
    profile = ExactProfile.from_values(column, 0, with_moments=False, with_quantiles=True)
    near = select_in_cells(column, profile.find_quantile_cells(SHARES))
    assert len(near) < 0.1 * len(column)
    assert profile.compute_quantiles(SHARES, near) == np.percentile(column, [25, 50, 75]).tolist()


def test_what_is_no_number_is_counted_apart() -> None:
    profile = ExactProfile.from_values(
        np.array([1.0, np.nan, np.inf, -np.inf, 3.0]), 2, with_moments=True, with_quantiles=False
    )
    assert (profile.rows, profile.nulls, profile.non_finite, profile.finite_count) == (7, 2, 3, 2)
    assert (profile.mean, profile.stddev, profile.low, profile.high) == (2.0, 1.0, 1.0, 3.0)


def test_deviations_of_a_constant_and_of_huge_numbers() -> None:
    assert of([0.1] * 10).stddev == 0.0
    assert of([1e300, -1e300]).stddev == 1e300
    assert of([5e-324, 5e-324]).mean == 5e-324
