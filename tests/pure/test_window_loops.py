"""Compiled loops give the bits that NumPy gives, and few rows do not load what compiles them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.engine.windows import loops
from spark_fs.engine.windows.edges import Instants, OrderedEvents
from spark_fs.engine.windows.exact_parts import split_numbers, split_squares
from spark_fs.engine.windows.exact_sums import ExactPrefix, ExactSums
from spark_fs.engine.windows.exact_variances import compute_variances
from spark_fs.engine.windows.rows import compute_event_rows
from spark_fs.planning.window_plan import bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature

HOUR = 3_600_000_000
KINDS = (
    st.integers(-10_000_000, 10_000_000).map(lambda cents: cents / 100),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-3, 3).map(lambda steps: 1e9 + steps * 2.0**-20),
    st.builds(lambda sign, power: sign * 2.0**power, st.sampled_from([1, -1]), st.integers(-90, 0)),
    st.integers(-50, 50).map(lambda units: units * 5e-324),
    st.sampled_from([0.0, -0.0, 1.0, 2.0**52, 1.7976931348623157e308, 1e-200]),
)
VALUES = st.one_of(
    *(st.lists(kind, min_size=1, max_size=14) for kind in (*KINDS, st.one_of(KINDS)))
)
Halves = list[npt.NDArray[Any]]


@contextmanager
def compiling(is_wanted: bool) -> Iterator[None]:
    """Loops compiled, or not, whatever was chosen before."""
    before = list(loops._loaded)
    loops._loaded.clear()
    assert not loops._failures
    try:
        if is_wanted:
            loops.choose_loops(loops.COMPILED_ROWS)
            assert loops._loaded
        yield
    finally:
        loops._loaded[:] = before


def both_ways(compute: Any) -> tuple[Any, Any]:
    with compiling(False):
        by_numpy = compute()
    with compiling(True):
        return by_numpy, compute()


def assert_same_bits(by_numpy: Halves, compiled: Halves) -> None:
    for one, other in zip(by_numpy, compiled, strict=True):
        assert one.tobytes() == other.tobytes()


def sum_ranges(parts: Any, repeats: int) -> tuple[npt.NDArray[np.int64], ExactSums, ExactSums]:
    """Every range of the numbers, and some of them many times over."""
    parts = [np.tile(part, repeats) for part in parts]
    rows = len(parts[0])
    pairs = [(start, end) for start in range(min(rows, 14)) for end in range(start, rows + 1, 3)]
    starts, ends = np.array(pairs, np.int64).T
    sums = ExactPrefix.from_parts(parts).sum_between(starts, ends)
    squares = ExactPrefix.from_parts(split_squares(parts)).sum_between(starts, ends)
    return ends - starts, sums, squares


@settings(max_examples=100, deadline=None)
@given(VALUES, st.sampled_from([1, 2, 90]))
def test_sums_and_variances_have_the_bits_that_numpy_gives(
    values: list[float], repeats: int
) -> None:
    def compute() -> Halves:
        counts, sums, squares = sum_ranges([np.array(values)], repeats)
        variances = compute_variances(counts, sums, squares)
        return [*sums.to_double_doubles(), *squares.to_double_doubles(), variances, sums.limbs]

    by_numpy, compiled = both_ways(compute)
    assert_same_bits(by_numpy, compiled)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("bigint", [2**63 - 1, -(2**63), 3, 0, -1, 2**53 + 1]),
        ("decimal(38,2)", [pa.scalar("9" * 35 + ".17").cast(pa.decimal128(38, 2)).as_py()] * 9),
    ],
)
def test_numbers_of_several_parts_have_the_bits_that_numpy_gives(type_: str, values: Any) -> None:
    def compute() -> Halves:
        counts, sums, squares = sum_ranges(split_numbers(pa.array(values), type_), 3)
        return [*sums.to_double_doubles(), compute_variances(counts, sums, squares)]

    assert_same_bits(*both_ways(compute))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9))), st.integers(-4, 12))
def test_edges_are_those_that_a_search_finds(events: list[tuple[int, int]], offset: int) -> None:
    codes, micros = np.array(sorted(events), np.int64).reshape(-1, 2).T.copy()
    instants = Instants(codes, micros - offset)
    of_others = Instants(np.array([-1, 0, 2, 9]), np.array([5, 5, 5, 5]))

    def compute() -> Halves:
        ordered = OrderedEvents(codes, micros)
        return [
            ordered.find_edge(instants),
            ordered.find_edge(of_others),
            ordered.find_first(codes),
        ]

    assert_same_bits(*both_ways(compute))


def test_rows_are_the_same_whichever_way_they_are_made() -> None:
    draw = np.random.default_rng(5)
    amounts = np.round(draw.lognormal(3, 2, 3_000), 2)
    amounts[draw.random(3_000) < 0.01] = np.nan
    amounts[draw.random(3_000) < 0.3] = 12.5  # windows of equal values are in doubt
    events = pa.table(
        {
            "k": draw.integers(0, 40, 3_000),
            "at": pa.array(draw.integers(0, 300 * HOUR, 3_000), pa.timestamp("us", "UTC")),
            "x": pa.array(amounts, mask=draw.random(3_000) < 0.05),
        }
    )
    functions = ("count", "sum", "mean", "stddev", "variance", "min", "last", "distinct_count")
    features = []
    for over in (2 * HOUR, 50 * HOUR, None):
        features += [WindowFeature(f"{name}_{over or 0}", name, "x", over) for name in functions]
    spec = AggregationSpec(
        QuerySpec(GroupRef("events", 1), ("k", "at", "x")), tuple(features), ("k",), "at"
    )
    plan = bind_aggregation(spec, {"k": "bigint", "at": "timestamp", "x": "double"})
    by_numpy, compiled = both_ways(lambda: compute_event_rows(events, plan))
    assert by_numpy.num_rows == 3_000
    assert by_numpy.column_names == compiled.column_names
    for one, other in zip(by_numpy.columns, compiled.columns, strict=True):
        assert one.is_null().equals(other.is_null())
        assert one.to_numpy().tobytes() == other.to_numpy().tobytes()  # NaN too


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("loops.choose_loops(loops.COMPILED_ROWS - 1)", "few rows are not worth it"),
        ("sys.modules['numba'] = None; loops.choose_loops(loops.COMPILED_ROWS)", "it is not there"),
    ],
    ids=lambda text: text[-12:],
)
def test_numba_is_not_loaded(script: str, reason: str) -> None:
    lines = [
        "import sys",
        "import spark_fs.engine.windows.rows",
        "from spark_fs.engine.windows import loops",
        "assert 'numba' not in sys.modules, 'an import loads it'",
        script,
        f"assert loops.get_compiled() is None, {reason!r}",
        "assert not sys.modules.get('numba')",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


BROKEN = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numba":
            tried.append(name)
            raise EOFError("a cached file ends too early")
tried = []
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "script",
    [BROKEN, "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'; tried = [1]"],
    ids=["damaged", "disabled"],
)
def test_numpy_goes_on_where_numba_fails_and_it_is_not_tried_again(script: str) -> None:
    lines = [
        "import sys",
        "from spark_fs.engine.windows import loops",
        script,
        "loops.choose_loops(loops.COMPILED_ROWS)",
        "loops.choose_loops(loops.COMPILED_ROWS)",
        "assert loops.get_compiled() is None",
        "assert len(tried) == len(loops._failures) == 1",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
