"""The built-in transformations that learn percentiles and counts, and those that fill what is missing.

Their formulas are compared with NumPy and pandas; each is tried as a column and value by
value, which must have the same bits.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from spark_fs import builtin_transformations
from spark_fs.api.transformation_lists import to_transformation_specs
from spark_fs.api.transformations import TransformationFunction
from spark_fs.base import arrow_types
from spark_fs.engine.training.in_memory import build_splits
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec
from spark_fs.transform.arrays import transform_table
from spark_fs.transform.builtin import BUILTINS
from spark_fs.transform.transformer import Transformer

TRAIN = np.random.default_rng(1).lognormal(0, 2, 997)
SEEN = [*TRAIN[:50].tolist(), -5.0, 0.0, 1e9, TRAIN.min(), TRAIN.max(), float(np.median(TRAIN))]


def builtin(name: str, **context: Any) -> TransformationFunction:
    function = TransformationFunction(FunctionSpec(name))
    if context:
        function.transformation_context = context
    return function


def learn(
    functions: Sequence[Any], types: Mapping[str, str], train: Mapping[str, Sequence[Any]]
) -> Transformer:
    """The transformations, with what they learned of these rows."""
    transformer = Transformer(to_transformation_specs(functions), types)
    _, learned = build_splits(table(types, train), DatasetTransform(transformer, {}, {}))
    return learned.transformer


def table(types: Mapping[str, str], columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        arrays[name] = pa.array(values, arrow_types.to_arrow_type(types[name]))
    return pa.table(arrays)


def run(
    function: TransformationFunction, train: Sequence[Any], seen: Sequence[Any], type_: str
) -> list[Any]:
    """What a function of one output makes of values, as a column and one by one."""
    types = {"x": type_}
    transformer = learn([function("x")], types, {"x": train})
    column = transform_table(transformer, table(types, {"x": seen})).column("x").to_pylist()
    run_row = transformer.make_row_function()
    one_by_one = [run_row([value])[0] for value in seen]
    assert list(map(repr, column)) == list(map(repr, one_by_one))
    return column


def run_numbers(function: TransformationFunction, seen: Sequence[Any] = SEEN) -> list[Any]:
    return run(function, TRAIN.tolist(), seen, "double")


def test_every_builtin_of_hopsworks_can_be_imported_by_its_name():
    assert sorted(builtin_transformations.__all__) == sorted(BUILTINS)
    assert builtin_transformations.winsorize("x").attached() == builtin("winsorize")("x").attached()


def test_a_quantile_is_the_place_between_the_percentiles():
    percentiles = np.percentile(TRAIN, range(1, 100))
    expected = np.interp(SEEN, percentiles, np.linspace(0, 1, 99))
    found = run_numbers(builtin("quantile_transformer"))
    assert found == pytest.approx(expected.tolist(), abs=1e-12)
    assert found[-1] == pytest.approx(0.5)
    assert (min(found), max(found)) == (0.0, 1.0)


def test_quantiles_of_few_values_begin_at_the_first_of_equal_percentiles():
    percentiles = np.percentile([1.0, 1.0, 2.0, 5.0], range(1, 100))
    is_first = np.concatenate([[True], np.diff(percentiles) > 0])
    seen = [0.0, 1.0, 1.5, 2.0, 4.9, 5.0, 6.0]
    places = np.linspace(0, 1, 99)
    expected = np.interp(seen, percentiles[is_first], places[is_first])
    found = run(builtin("quantile_transformer"), [1.0, 1.0, 2.0, 5.0], seen, "double")
    assert found == pytest.approx(expected.tolist(), abs=1e-12)


def test_a_constant_feature_is_in_the_middle_of_its_quantiles():
    found = run(builtin("quantile_transformer"), [3, 3, 3], [3, 7, None], "bigint")
    assert found == [0.5, 0.5, None]


def test_a_rank_is_the_share_of_percentiles_that_are_not_above():
    percentiles = np.percentile(TRAIN, range(1, 100))
    expected = [float((percentiles <= value).mean()) for value in SEEN]
    assert run_numbers(builtin("rank_normalizer")) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("name", ["quantile_transformer", "rank_normalizer", "winsorize"])
def test_nulls_stay_null_and_nan_stays_nan(name):
    found = run_numbers(builtin(name), [None, math.nan, math.inf, -math.inf])
    assert found[0] is None
    assert math.isnan(found[1])
    assert found[2] > found[3]


def test_winsorize_clips_to_percentiles():
    low, high = np.percentile(TRAIN, [1, 99])
    assert run_numbers(builtin("winsorize")) == np.clip(SEEN, low, high).tolist()
    low, high = np.percentile(TRAIN, [5, 90])
    assert (
        run_numbers(builtin("winsorize", p_low=5, p_high=90)) == np.clip(SEEN, low, high).tolist()
    )
    low = TRAIN.min()
    found = run_numbers(builtin("winsorize", p_low=0, p_high=100))
    assert found == np.clip(SEEN, low, TRAIN.max()).tolist()


def test_bins_of_equal_frequency_are_those_of_pandas():
    edges = [-np.inf, *np.percentile(TRAIN, [25, 50, 75]), np.inf]
    expected = pd.cut(pd.Series(SEEN), edges, labels=False, include_lowest=True)
    assert run_numbers(builtin("equal_frequency_binner")) == expected.tolist()


def test_the_number_of_bins_of_equal_width_can_be_set():
    edges = np.linspace(TRAIN.min(), TRAIN.max(), 21)
    edges[0] = -np.inf
    edges[-1] = np.inf
    expected = pd.cut(pd.Series(SEEN), edges, labels=False, include_lowest=True)
    assert run_numbers(builtin("equal_width_binner", n_bins=20)) == expected.tolist()


FRUITS = ["fig", "fig", "pear", "pear", "pear", "lime", "kiwi", "kiwi", None]


def test_rare_categories_are_grouped_and_of_equally_frequent_ones_the_least_stays():
    top = builtin("top_k_categorical_binner", top_n=2, other_label="rest")
    seen = ["pear", "kiwi", "fig", "lime", "plum", None]
    assert run(top, FRUITS, seen, "string") == ["pear", "rest", "fig", "rest", "rest", None]
    default = builtin("top_k_categorical_binner")
    assert run(default, FRUITS, ["lime", "plum"], "string") == ["lime", "Other"]
    assert run(default, [1, 2], [2, 3], "bigint") == ["2", "Other"]


@pytest.mark.parametrize(
    ("name", "compute"), [("impute_mean", "mean"), ("impute_median", "median")]
)
def test_missing_numbers_are_filled_as_by_pandas(name, compute):
    train = [1.0, None, 7.5, 2.25, math.nan, 3.0]
    seen = [None, math.nan, 4.0, -0.0]
    filled = pd.Series(seen, dtype="float64").fillna(getattr(pd.Series(train), compute)())
    assert run(builtin(name), train, seen, "double") == filled.tolist()


def test_missing_values_are_filled_with_what_was_set():
    assert run(builtin("impute_constant"), [1, 2], [None, 5], "bigint") == [0.0, 5.0]
    assert run(builtin("impute_constant", value=-1), [1], [None], "bigint") == [-1.0]
    assert run(builtin("impute_category"), ["a"], [None, "b"], "string") == ["__MISSING__", "b"]
    found = run(builtin("impute_category", value="none"), ["a"], [None, "b"], "string")
    assert found == ["none", "b"]


def test_missing_categories_are_filled_with_the_most_frequent_one():
    assert run(builtin("impute_mode"), FRUITS, [None, "plum"], "string") == ["pear", "plum"]
    assert run(builtin("impute_mode"), [True, False, False], [None, True], "boolean") == [
        "False",
        "True",
    ]
    days = [date(2024, 1, 2), date(2024, 1, 1)]
    assert run(builtin("impute_mode"), days, [None, days[0]], "date") == [
        "2024-01-01",
        "2024-01-02",
    ]


def test_what_is_not_to_be_set_is_refused():
    with pytest.raises(NotFoundError, match=r"'n_bin' does not exist; did you mean 'n_bins'"):
        builtin("equal_width_binner", n_bin=3)
    with pytest.raises(SettingsError, match=r"has n_bins=1: give a whole number of bins, 2"):
        builtin("equal_width_binner", n_bins=1)
    with pytest.raises(SettingsError, match=r"clips from p_low=90 to p_high=10 percent"):
        builtin("winsorize", p_low=90, p_high=10)
    with pytest.raises(SettingsError, match=r"has value='x': give a number"):
        builtin("impute_constant", value="x")
    with pytest.raises(QueryError, match=r"'impute_mean' takes .*, and feature 'x' is string"):
        learn([builtin("impute_mean")("x")], {"x": "string"}, {"x": ["a"]})


def test_what_an_older_release_does_not_know_carries_a_newer_format():
    def written(function: TransformationFunction) -> int:
        data = function("x").attached().to_json()
        assert TransformationSpec.from_json(data) == function("x").attached()
        return max(data.get("format_version", 1), data["function"].get("format_version", 1))

    assert written(builtin("min_max_scaler")) == 1
    assert written(builtin("impute_mean")) == 2
    assert written(builtin("equal_width_binner", n_bins=3)) == 2


def test_it_is_tried_with_given_statistics():
    scaler = builtin("min_max_scaler").executor({"feature": {"min": 0, "max": 10}})
    assert scaler.execute(pd.Series([1.0, 20.0])).tolist() == [0.1, 2.0]
    assert scaler.execute(5) == 0.5
    assert builtin("impute_constant").execute(pd.Series([None, 2.0])).tolist() == [0.0, 2.0]
    hundred = {"feature": {"percentiles": list(range(100))}}
    found = builtin("winsorize").executor(hundred).execute(pd.Series([-7.0, 50.0, 300.0]))
    assert found.tolist() == [0.0, 50.0, 98.0]
    with pytest.raises(SettingsError, match=r"'standard_scaler' has to know mean of its feature"):
        builtin("standard_scaler").execute(pd.Series([1.0]))
