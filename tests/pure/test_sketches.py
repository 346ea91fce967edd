"""Sketches and states of columns, beside NumPy, pandas, SciPy and plain Python."""

import math
from collections import Counter
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.base.arrow_types import to_arrow_type
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.feature_statistics import FeatureStatistics, StatisticsConfig
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.describe import STATISTICS, describe_column
from spark_fs.stats.sketches.distinct import SIZE, DistinctSketch, FrequentStrings
from spark_fs.stats.sketches.quantiles import QuantileSketch
from spark_fs.stats.state_file import from_bytes, pack_states, to_bytes, unpack_states
from spark_fs.tables.statistics_files import load_state, write_table

CONFIG = StatisticsConfig()
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
ANY = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1.0, 2.0]))


def column(values: list[Any], type_: str) -> ColumnState:
    return ColumnState.from_values(
        pa.chunked_array([pa.array(values, to_arrow_type(type_))]), type_
    )


def said(values: list[Any], type_: str) -> FeatureStatistics:
    return describe_column("x", column(values, type_), CONFIG)


# -- quantiles


@pytest.mark.parametrize(
    "sizes", [[50_000], [500] * 300, [200_000, *[2_000] * 100], [1, 3, 70_000, 2]]
)
@pytest.mark.parametrize("shape", ["normal", "sorted", "ties"])
def test_ranks_are_true_to_half_a_percent_however_the_values_came(
    sizes: list[int], shape: str
) -> None:
    rng = np.random.default_rng(sum(sizes))
    values = {
        "normal": rng.normal(size=sum(sizes)),
        "sorted": np.arange(float(sum(sizes))),
        "ties": rng.integers(0, 5_000, sum(sizes)).astype(float),
    }[shape]
    parts = np.split(values, np.cumsum(sizes)[:-1])
    sketch = reduce(
        QuantileSketch.merge, (QuantileSketch.from_sorted(np.sort(part)) for part in parts)
    )
    points, rows = sketch.weighted_points
    assert rows.sum() == len(values) == sketch.value_count
    assert len(points) < 4_000
    ordered, ends = np.sort(values), np.cumsum(rows)
    last = np.append(
        points[1:] != points[:-1], True
    )  # a value that came often is known by its last point
    low, high = (np.searchsorted(ordered, points[last], side=side) for side in ("left", "right"))
    off = np.maximum(low - ends[last], ends[last] - high).clip(0)
    assert off.max() <= 0.005 * len(values)


@given(st.lists(FINITE, max_size=200), st.lists(FINITE, max_size=200))
def test_few_values_are_kept_as_they_are(left: list[float], right: list[float]) -> None:
    merged = QuantileSketch.from_sorted(np.sort(np.array(left, float))).merge(
        QuantileSketch.from_sorted(np.sort(np.array(right, float)))
    )
    assert merged.is_exact
    assert merged.weighted_points[0].tolist() == sorted(left + right)


def test_a_merge_of_quantiles_does_not_know_left_from_right() -> None:
    rng = np.random.default_rng(3)
    left, right = (QuantileSketch.from_sorted(np.sort(rng.normal(size=5_000))) for _ in range(2))
    assert [v.tolist() for v in left.merge(right).levels] == [
        v.tolist() for v in right.merge(left).levels
    ]


# -- distinct values


@given(st.lists(st.lists(st.integers(-40, 40), max_size=60), min_size=1, max_size=6), st.randoms())
def test_few_distinct_values_are_counted_exactly_in_any_order(
    parts: list[list[int]], random: Any
) -> None:
    counted = Counter(value for part in parts for value in part)
    random.shuffle(parts)
    found = reduce(
        DistinctSketch.merge,
        (DistinctSketch.from_sorted(np.sort(np.array(part, np.int64))) for part in parts),
    )
    assert dict(zip(found.values.tolist(), found.counts.tolist(), strict=True)) == counted
    assert found.estimated_count == len(counted)
    assert found.singleton_count == sum(1 for rows in counted.values() if rows == 1)
    assert math.isclose(
        found.estimate_entropy([]),
        scipy.stats.entropy(list(counted.values())) if counted else 0.0,
        abs_tol=1e-12,
    )


@pytest.mark.parametrize("kind", ["number", "text"])
def test_many_distinct_values_are_the_same_sketch_in_any_order_and_near_in_number(
    kind: str,
) -> None:
    rng = np.random.default_rng(1)
    parts = [np.unique(rng.integers(0, 40_000, 9_000)) for _ in range(6)]

    def sketch(part: Any) -> DistinctSketch:
        values = part if kind == "number" else np.array([f"user {n}" for n in part], object)
        return DistinctSketch.from_counts(values, np.ones(len(part), np.int64))

    forth, back = (
        reduce(DistinctSketch.merge, map(sketch, order)) for order in (parts, parts[::-1])
    )
    counted = Counter(value for part in parts for value in part.tolist())
    assert forth.values.tolist() == back.values.tolist()
    assert forth.counts.tolist() == back.counts.tolist()
    assert len(forth.values) == SIZE
    assert abs(forth.estimated_count / len(counted) - 1) < 0.1  # three standard errors
    assert abs(forth.singleton_count / sum(1 for rows in counted.values() if rows == 1) - 1) < 0.2
    held = [int(str(value).removeprefix("user ")) for value in forth.values]
    assert forth.counts.tolist() == [counted[value] for value in held]


def test_the_entropy_of_many_values_is_near_even_where_one_comes_half_of_the_time() -> None:
    rng = np.random.default_rng(2)
    values = np.where(rng.random(60_000) < 0.5, 0.0, np.round(rng.normal(size=60_000), 4))
    _, rows = np.unique(values, return_counts=True)
    found = describe_column("x", column(values.tolist(), "double"), CONFIG)
    assert found.entropy == pytest.approx(scipy.stats.entropy(rows), rel=0.05)
    texts = describe_column("x", column([f"v{v}" for v in values], "string"), CONFIG)
    assert texts.entropy == pytest.approx(scipy.stats.entropy(rows), rel=0.05)


@given(
    st.lists(
        st.dictionaries(st.integers(0, 900), st.integers(1, 50), max_size=600),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=30)
def test_frequent_texts_are_counted_to_within_their_slack(parts: list[dict[int, int]]) -> None:
    counted: Counter[str] = Counter()
    for part in parts:
        counted.update({str(key): rows for key, rows in part.items()})
    found = reduce(
        FrequentStrings.merge,
        (
            FrequentStrings.from_counts({str(key): rows for key, rows in part.items()})
            for part in parts
        ),
    )
    for text, rows in found.row_counts.items():
        assert rows <= counted[text] <= rows + found.error_bound
    for text, rows in counted.items():
        assert text in found.row_counts or rows <= found.error_bound


# -- columns


@given(st.lists(ANY, max_size=80))
@settings(max_examples=300)
def test_the_figures_of_doubles_are_those_of_numpy(values: list[float | None]) -> None:
    found = said(values, "double")
    held = [v for v in values if v is not None]
    finite = np.array([v for v in held if math.isfinite(v)])
    assert (found.count, found.num_null_values) == (len(values), len(values) - len(held))
    assert found.completeness == (len(held) / len(values) if values else 0.0)
    assert found.num_nan_values == sum(map(math.isnan, held))
    assert found.num_infinite_values == sum(map(math.isinf, held))
    distinct = Counter("nan" if math.isnan(v) else v + 0.0 for v in held)
    assert found.exact_num_distinct_values == found.approx_num_distinct_values == len(distinct)
    assert found.distinctness == (len(distinct) / len(held) if held else 0.0)
    assert found.uniqueness == (
        sum(1 for rows in distinct.values() if rows == 1) / len(held) if held else 0.0
    )
    if not len(finite):
        assert (found.mean, found.stddev, found.percentiles, found.min) == (None, None, None, None)
        return
    assert (found.min, found.max) == (finite.min(), finite.max())
    with np.errstate(over="ignore", invalid="ignore"):
        percentiles = np.percentile(finite, range(1, 100))
        exact = [
            math.fsum(finite) if abs(finite).max() < 1e300 else None,
            np.std(finite) if abs(finite).max() < 1e150 else None,
        ]
    if exact[0] is not None:
        assert found.sum == pytest.approx(exact[0], rel=1e-9, abs=1e-9 * abs(finite).max())
        assert found.mean == pytest.approx(
            exact[0] / len(finite), rel=1e-9, abs=1e-9 * abs(finite).max()
        )
    if exact[1] is not None:
        assert found.stddev == pytest.approx(exact[1], rel=1e-6, abs=1e-9 * abs(finite).max())
    if np.isfinite(percentiles).all():
        scale = abs(finite).max()
        np.testing.assert_allclose(found.percentiles, percentiles, rtol=1e-9, atol=1e-12 * scale)
    assert sum(each["count"] for each in found.histogram or ()) == len(finite)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=60))
def test_whole_numbers_are_summed_exactly(values: list[int | None]) -> None:
    found, held = said(values, "bigint"), [v for v in values if v is not None]
    if held:
        assert (found.sum, found.min, found.max) == (sum(held), min(held), max(held))
        assert found.mean == pytest.approx(sum(held) / len(held), rel=1e-12)


@pytest.mark.parametrize("rows", [400, 30_000])
def test_a_histogram_has_the_bins_of_numpy(rows: int) -> None:
    values = np.random.default_rng(rows).normal(size=rows)
    counts, edges = np.histogram(values, bins=20)
    found = said(values.tolist(), "double").histogram or ()
    np.testing.assert_allclose([each["low"] for each in found], edges[:-1])
    np.testing.assert_allclose([each["high"] for each in found], edges[1:])
    assert sum(each["count"] for each in found) == rows
    off = np.cumsum([each["count"] for each in found]) - np.cumsum(counts)
    assert abs(off).max() <= (0 if rows < SIZE else 0.005 * rows)


def test_whole_numbers_of_few_values_have_exact_percentiles_however_many_rows() -> None:
    values = np.random.default_rng(0).poisson(20, 100_000)
    found = said(values.tolist(), "int")
    assert not found.approximate
    assert found.percentiles == np.percentile(values, range(1, 100)).tolist()
    assert [each["count"] for each in found.histogram or ()] == np.histogram(values, bins=20)[
        0
    ].tolist()


@pytest.mark.parametrize("type_", ["tinyint", "int", "bigint"])
def test_each_of_few_whole_numbers_has_a_bin(type_: str) -> None:
    months = [3, 1, 12, 3, None, 7]
    found = said(months, type_).histogram or ()
    counts = {int(each["value"]): each["count"] for each in found}
    assert counts == {month: months.count(month) for month in range(1, 13)}
    assert [each["ratio"] for each in found][2] == 2 / 5
    assert (found[0]["low"], found[0]["high"]) == (1.0, 2.0)
    assert len(said([5], type_).histogram or ()) == 1
    assert len(said([1, 31], type_).histogram or ()) == 20  # no more than 30 have one each
    assert len(said([1, 30], type_).histogram or ()) == 30


@pytest.mark.parametrize("values", [[2**53 - 1], [2**53 - 3, 2**53 - 1], [1 - 2**53]])
def test_the_greatest_whole_numbers_that_are_doubles_have_a_bin_each(values: list[int]) -> None:
    found = said(values, "bigint").histogram or ()
    assert [int(each["value"]) for each in found if each["count"]] == values


@pytest.mark.parametrize("low", [2**53 - 3, 2**60, -(2**53)])
def test_whole_numbers_that_are_no_doubles_have_bins_of_numpy(low: int) -> None:
    found = said([low, low + 5], "bigint").histogram or ()
    assert sum(each["count"] for each in found) == 2


@given(st.lists(st.lists(ANY, max_size=30), min_size=2, max_size=5), st.randoms())
@settings(max_examples=150)
def test_parts_merge_to_the_same_state_in_any_order(
    parts: list[list[float | None]], random: Any
) -> None:
    def whole(order: list[list[float | None]]) -> Any:
        return pack_states(
            {"x": reduce(ColumnState.merge, (column(part, "double") for part in order))}
        )

    before = whole(parts)
    random.shuffle(parts)
    assert str(whole(parts).to_pylist()) == str(
        before.to_pylist()
    )  # as texts, in which NaN equals NaN


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("double", [1.5, None, math.nan, math.inf, -0.0]),
        ("float", [1.5, 2.5]),
        ("bigint", [2**62, -5, None]),
        ("tinyint", [1, 2]),
        ("boolean", [True, None, False, True]),
        ("string", ["a", None, "", "\N{GRINNING FACE}", "a"]),
        ("decimal(20,3)", [Decimal("1.500"), None]),
        ("date", [date(1969, 12, 31), None, date(2024, 2, 29)]),
        ("timestamp", [datetime(2024, 1, 1, tzinfo=UTC), None]),
        ("array<int>", [[1], None]),
        ("binary", [b"x", None]),
        ("double", []),
        ("string", [None, None]),
        ("map<string,int>", [{"a": 1}]),
    ],
)
def test_a_state_and_what_is_said_of_it_come_back_from_bytes(type_: str, values: list[Any]) -> None:
    state = column(values, type_)
    again = unpack_states(from_bytes(to_bytes(pack_states({"x": state}))))["x"]
    assert str(pack_states({"x": again}).to_pylist()) == str(pack_states({"x": state}).to_pylist())
    found = describe_column("x", state, CONFIG)
    assert repr(describe_column("x", again, CONFIG)) == repr(found)
    assert repr(FeatureStatistics.from_json(found.to_json())) == repr(found)
    assert (found.count, found.num_null_values) == (len(values), values.count(None))


def test_a_state_file_that_lacks_a_column_is_as_good_as_none(tmp_path: Path) -> None:
    packed = pack_states({"x": column([1.5, None], "double")})
    for left_out in ("", *packed.column_names):
        table = packed.drop_columns([left_out]) if left_out else packed
        write_table(str(tmp_path), "state", table, {"commit": 3})
        states = load_state(str(tmp_path), "state", lambda _, kept: unpack_states(kept))
        assert (states is None) == bool(left_out), left_out


def test_every_figure_of_one_number_is_a_row_of_the_table() -> None:
    others = {"feature_name", "feature_type", "percentiles", "histogram", "correlations"}
    figures = {field.name for field in fields(FeatureStatistics)} - others - {"approximate"}
    assert {statistic.name for statistic in STATISTICS} == figures
    assert len({statistic.label for statistic in STATISTICS}) == len(STATISTICS)


def test_times_are_counted_by_day_month_or_year() -> None:
    start = datetime(2024, 1, 30, 12, tzinfo=UTC)
    days = said([start + timedelta(days=n) for n in (0, 0, 1, 5)], "timestamp")
    assert [(each["value"], each["count"]) for each in days.histogram or ()] == [
        ("2024-01-30", 2),
        ("2024-01-31", 1),
        ("2024-02-04", 1),
    ]
    months = said([date(2024, 1, 30) + timedelta(days=n) for n in range(200)], "date")
    assert [(each["value"], each["count"]) for each in months.histogram or ()][:3] == [
        ("2024-01", 2),
        ("2024-02", 29),
        ("2024-03", 31),
    ]
    assert months.percentiles is not None
    assert months.percentiles[49] == date(2024, 5, 8)
    years = said([date(1950, 1, 1), date(1950, 12, 31), date(2024, 1, 1)], "date")
    assert [(each["value"], each["count"]) for each in years.histogram or ()] == [
        ("1950", 2),
        ("2024", 1),
    ]


def test_texts_and_booleans_have_their_most_frequent_values_and_nested_ones_counts_only() -> None:
    texts = said([f"t{n % 30}" for n in range(100)] + ["t7"] * 50, "string")
    assert texts.histogram is not None
    assert texts.histogram[0]["value"] == "t7"
    assert len(texts.histogram or ()) == 20
    assert (texts.min, texts.max, texts.mean) == ("t0", "t9", None)
    truths = said([True, False, True, None], "boolean")
    assert [(each["value"], each["count"]) for each in truths.histogram or ()] == [
        (True, 2),
        (False, 1),
    ]
    nested = said([[1], None], "array<int>")
    assert (
        nested.count,
        nested.completeness,
        nested.approx_num_distinct_values,
        nested.histogram,
    ) == (2, 0.5, None, None)


def test_decimals_keep_their_bounds_and_count_as_numbers() -> None:
    found = said([Decimal("10.25"), Decimal("0.75"), None, Decimal("0.75")], "decimal(12,2)")
    assert (found.min, found.max) == (Decimal("0.75"), Decimal("10.25"))
    assert (found.mean, found.exact_num_distinct_values) == (pytest.approx(11.75 / 3), 2)
    assert found.percentiles is not None
    assert found.percentiles[49] == 0.75


def test_a_constant_does_not_deviate_and_has_one_bin() -> None:
    found = said([0.1] * 1000, "double")
    assert (found.stddev, found.percentiles) == (0.0, [0.1] * 99)
    assert sum(each["count"] for each in found.histogram or ()) == 1000


def test_a_mean_far_from_zero_does_not_hide_the_deviation() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=5_000) * 1e-3
    parts = [column(part.tolist(), "double") for part in np.split(values, 5)]
    found = reduce(ColumnState.merge, parts)
    assert found.stddev == pytest.approx(float(pd.Series(values - 1e9).std(ddof=0)), rel=1e-3)


# -- what is asked for


def test_a_config_is_read_from_what_users_write() -> None:
    assert (
        StatisticsConfig.from_argument(None)
        == StatisticsConfig.from_argument(True)
        == StatisticsConfig()
    )
    assert not StatisticsConfig.from_argument(False).enabled
    assert StatisticsConfig.from_argument(
        {"correlations": True, "columns": ["a"]}
    ) == StatisticsConfig(correlations=True, columns=("a",))


@pytest.mark.parametrize(
    ("given_", "error", "told"),
    [
        (
            {"histogram": True},
            NotFoundError,
            r"Field of statistics_config 'histogram' does not exist.*histograms",
        ),
        ({"histograms": "yes"}, SettingsError, r"histograms='yes' is not a boolean"),
        ({"columns": "amount"}, SettingsError, r"columns='amount' is not a list of names"),
        ("all", SettingsError, r"statistics_config 'all' is not a mapping"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(given_: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        StatisticsConfig.from_argument(given_)


@pytest.mark.parametrize(
    "last",
    [
        datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_998, UTC),
        datetime(1, 1, 1, 0, 0, 0, 1, UTC),
    ],
)
def test_percentiles_of_times_at_either_end_of_the_calendar_stay_within_the_values(
    last: datetime,
) -> None:
    found = said([last] * 3, "timestamp")
    assert found.percentiles == [last] * 99
    assert set(said([last.date()] * 3, "date").percentiles or ()) == {last.date()}
