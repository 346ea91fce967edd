"""Users' transformations: what they are told, how they are tried, and chains of transformations."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from spark_fs.api.transformation_lists import to_transformation_specs
from spark_fs.api.transformations import TransformationFunction
from spark_fs.base import arrow_types
from spark_fs.builtin_transformations import (
    impute_mean,
    impute_mode,
    label_encoder,
    log_transform,
    min_max_scaler,
    one_hot_encoder,
    standard_scaler,
)
from spark_fs.engine.training.in_memory import build_splits
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.hopsworks_udf import HopsworksUdf, udf
from spark_fs.spec.transformation import TransformationSpec
from spark_fs.transform.arrays import transform_table
from spark_fs.transform.transformer import Transformer
from spark_fs.transformation_statistics import TransformationStatistics

stats = TransformationStatistics("feature")
of_another = TransformationStatistics("y")


@udf(float)
def scaled(feature, statistics=stats):
    return (feature - statistics.feature.mean) / statistics.feature.std_dev


@udf(float, mode="python")
def clipped(context, feature, statistics=stats):
    if feature is None:
        return None
    return min(max(feature, statistics.feature.percentiles[context["low"] - 1]), context["high"])


@udf(int, mode="pandas")
def ranked(feature: pd.Series, statistics=stats) -> pd.Series:
    frequent = [bar["value"] for bar in statistics.feature.histogram]
    return feature.map({value: place for place, value in enumerate(frequent)})


@udf([float, float], drop="a")
def sum_and_difference(a, b):
    return a + b, a - b


TYPES = {"x": "double", "n": "bigint", "kind": "string"}
TRAIN = {
    "x": [1.0, 4.0, None, 2.5, 9.0],
    "n": [1, 2, 3, None, 5],
    "kind": ["b", "a", "b", None, "c"],
}


def table(columns: Mapping[str, Sequence[Any]], types: Mapping[str, str] = TYPES) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        arrays[name] = pa.array(values, arrow_types.to_arrow_type(types[name]))
    return pa.table(arrays)


def learn(
    functions: Any, train: pa.Table | None = None, context: Mapping[str, Any] | None = None
) -> Transformer:
    transformer = Transformer(to_transformation_specs(functions), TYPES, context=context)
    rows = table(TRAIN) if train is None else train
    _, learned = build_splits(rows, DatasetTransform(transformer, {}, {}))
    return learned.transformer


def run(transformer: Transformer, rows: pa.Table | None = None) -> dict[str, list[Any]]:
    """The columns that come out, which must have the bits of each row alone."""
    rows = table(TRAIN) if rows is None else rows
    columns = transform_table(transformer, rows).to_pydict()
    run_row = transformer.make_row_function()
    for place, values in enumerate(zip(*rows.to_pydict().values(), strict=True)):
        expected = [column[place] for column in columns.values()]
        assert list(map(repr, run_row(values))) == list(map(repr, expected))
        alone = transform_table(transformer, rows.slice(place, 1)).to_pylist()[0]
        assert list(map(repr, alone.values())) == list(map(repr, expected))
    return columns


def test_a_function_is_told_what_the_train_split_says():
    found = run(learn([scaled("x")]))["x"]
    values = np.array([1.0, 4.0, 2.5, 9.0])[:, None]
    expected = StandardScaler().fit_transform(values)[:, 0].tolist()
    assert [found[0], found[1], found[3], found[4]] == pytest.approx(expected)
    assert found[2] is None


def test_statistics_have_the_names_of_hopsworks():
    transformer = learn([scaled("n"), ranked("kind")])
    numbers, categories = (
        bound.state["statistics"]["feature"] for bound in transformer.transformations
    )
    assert numbers | {"percentiles": None} == {
        "count": 5,
        "num_null_values": 1,
        "num_non_null_values": 4,
        "completeness": 0.8,
        "min": 1.0,
        "max": 5.0,
        "sum": 11.0,
        "mean": 2.75,
        "std_dev": pytest.approx(np.std([1, 2, 3, 5])),
        "percentiles": None,
    }
    assert numbers["percentiles"] == pytest.approx(np.percentile([1, 2, 3, 5], range(1, 100)))
    assert categories["unique_values"] == ["a", "b", "c"]
    assert categories["histogram"][0] == {"value": "b", "count": 2, "ratio": 0.5}
    assert categories["distinctness"] == 0.75
    assert categories["uniqueness"] == 0.5
    assert categories["entropy"] == pytest.approx(1.5 * math.log(2))
    assert run(transformer)["kind"] == [0, 1, 0, None, 2]


def test_statistics_of_dates_are_dates():
    @udf(bool, mode="python")
    def is_first(feature, statistics=stats):
        return feature == min(statistics.feature.unique_values)

    days = [date(2024, 1, 2), date(2024, 1, 1)]
    transformer = Transformer(to_transformation_specs([is_first("day")]), {"day": "date"})
    rows = table({"day": days}, {"day": "date"})
    _, learned = build_splits(rows, DatasetTransform(transformer, {}, {}))
    again = transformer.with_states([dict(learned.transformer.transformations[0].state)])
    assert transform_table(again, rows).column("day").to_pylist() == [False, True]


def test_a_function_is_told_what_is_set_of_it():
    function = clipped("x")
    function.transformation_context = {"low": 50, "high": 5.0}
    assert run(learn([function]))["x"] == [3.25, 4.0, None, 3.25, 5.0]
    learned = learn([function], context={"high": 3.0})
    assert run(learned)["x"] == [3.0, 3.0, None, 3.0, 3.0]
    states = [bound.state for bound in learned.transformations]
    again = Transformer(to_transformation_specs([function]), TYPES, states=states)
    assert run(again)["x"] == [3.0, 3.0, None, 3.0, 3.0]  # what was set when it learned
    now = Transformer(to_transformation_specs([function]), TYPES, None, states, {"high": 4.0})
    assert run(now)["x"] == [3.25, 4.0, None, 3.25, 4.0]


def test_a_setting_that_cannot_be_kept_is_refused():
    with pytest.raises(SettingsError, match=r"transformation_context of 'clipped' is kept as JSON"):
        clipped("x").transformation_context = {"low": object()}
    with pytest.raises(
        SettingsError, match=r"statistics of 'y', which is not one of its arguments"
    ):

        @udf(float)
        def wrong(x, statistics=of_another):
            return x

    with pytest.raises(SettingsError, match=r"has statistics='x': give TransformationStatistics"):

        @udf(float)
        def other(x, statistics="x"):
            return x


def test_a_function_of_single_values_says_so():
    @udf(bool)
    def is_large(x):
        return x > 5 or x < -5

    transformer = Transformer(to_transformation_specs([is_large]), {"x": "double"})
    with pytest.raises(SparkFSError, match=r"of single values is declared with mode='python'"):
        transform_table(transformer, table({"x": [1.0]}))


def test_drop_names_one_argument_and_stands_second():
    assert sum_and_difference.spec.drop == ("a",)
    columns = run(learn([sum_and_difference("x", "n").alias(["total", "less"])]))
    assert list(columns) == ["n", "kind", "total", "less"]
    assert columns["total"][:2] == [2.0, 6.0]
    assert isinstance(sum_and_difference, HopsworksUdf)


# -- chains


def test_a_function_takes_what_another_one_gives():
    columns = run(learn([min_max_scaler(impute_mean("x"))]))
    assert columns["x"] == [0.0, 3 / 8, (4.125 - 1) / 8, 1.5 / 8, 1.0]
    named = learn([min_max_scaler("filled").alias("scaled"), impute_mean("x").alias("filled")])
    assert list(named.columns) == ["scaled", "n", "kind"]
    assert run(named)["scaled"] == columns["x"]


def test_an_output_can_be_taken_by_the_name_that_hopsworks_gives_it():
    columns = run(learn([impute_mode("kind"), label_encoder("impute_mode_kind_")]))
    assert columns["kind"] == [1, 0, 1, 1, 2]


def test_one_hot_columns_of_a_chain_are_named_for_the_feature():
    columns = run(learn([one_hot_encoder(impute_mode("kind"))]))
    assert list(columns) == ["x", "n", "kind_a", "kind_b", "kind_c"]
    assert columns["kind_b"] == [True, False, True, True, False]


def test_a_feature_beside_a_chain_stays_what_it_was():
    functions = [standard_scaler(impute_mean("x")).alias("z"), log_transform("x").alias("log")]
    columns = run(learn(functions))
    assert list(columns) == ["z", "log", "n", "kind"]
    assert columns["log"][2] is None
    assert columns["log"][1] == math.log(4)
    assert columns["z"][2] == 0.0


def test_a_chain_of_several_features_and_statistics():
    total, less = sum_and_difference.alias("total", "less"), scaled("total")
    columns = run(learn([less, total("x", "n")]))
    assert list(columns) == ["n", "kind", "total", "less"]
    sums = np.array([2.0, 6.0, 14.0])
    expected = ((sums - sums.mean()) / sums.std()).tolist()
    assert [columns["total"][i] for i in (0, 1, 4)] == pytest.approx(expected)


def test_chains_without_end_and_of_many_outputs_are_refused():
    with pytest.raises(
        SettingsError, match=r"take what comes of themselves: scaled\(b\), scaled\(a\)"
    ):
        to_transformation_specs([scaled("b").alias("a"), scaled("a").alias("b")])
    with pytest.raises(SettingsError, match=r"one_hot_encoder\(kind\) has several outputs"):
        label_encoder(one_hot_encoder("kind")).attached()


def test_a_chain_is_kept_with_the_view():
    specs = to_transformation_specs([min_max_scaler(impute_mean("x"))])
    written = [spec.to_json() for spec in specs]
    assert tuple(map(TransformationSpec.from_json, written)) == specs
    assert written[1]["format_version"] == 2
    assert "format_version" not in scaled("x").attached().to_json()


values = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -0.0])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(values, st.none() | st.integers(-9, 9), st.sampled_from([None, "a", "b", "ä"])),
        min_size=1,
        max_size=9,
    )
)
def test_chains_of_columns_and_of_one_entry_have_the_same_bits(rows):
    seen = table(dict(zip(TYPES, zip(*rows, strict=True), strict=True)))
    clip = clipped(impute_mean("n"))
    clip.transformation_context = {"low": 2, "high": 3.5}
    functions = [
        scaled(impute_mean("x")),
        clip,
        label_encoder(impute_mode("kind")),
        sum_and_difference("x", "n"),
    ]
    run(learn(functions, pa.concat_tables([seen, table(TRAIN)])), seen)


# -- trying


def test_a_function_is_tried_as_hopsworks_documents_it():
    @udf(return_type=float)
    def add_one(value):
        return value + 1

    @udf(return_type=float, mode="python")
    def add_two(value):
        return value + 2

    @udf(return_type=float)
    def apply_discount(price, context):
        return price * (1 - context["discount_rate"])

    assert add_one.execute(pd.Series([1.0, 2.0])).tolist() == [2.0, 3.0]
    assert add_one.executor(online=True).execute(5.0) == 6.0
    assert add_two.executor().execute(1.0) == 3.0
    statistics = {"feature": {"mean": 100.0, "std_dev": 25.0}}
    found = scaled.executor(statistics=statistics).execute(pd.Series([100.0, 150.0]))
    assert found.tolist() == [0.0, 2.0]
    discount = apply_discount.executor(context={"discount_rate": 0.1})
    assert discount.execute(pd.Series([100.0, 200.0])).tolist() == [90.0, 180.0]
    both = sum_and_difference.execute(pd.Series([3.0]), pd.Series([1.0]))
    assert both.values.tolist() == [[4.0, 2.0]]


def test_a_function_says_what_it_is_as_hopsworks_names_it():
    function: TransformationFunction = sum_and_difference("x", "n").hopsworks_udf
    assert function.function_name == "sum_and_difference"
    assert function.transformation_features == ["x", "n"]
    assert function.output_column_names == ["sum_and_difference_x_n_0", "sum_and_difference_x_n_1"]
    assert function.return_types == ["double", "double"]
    assert function.dropped_features == ["x"]
    assert function.transformation_context == {}
    assert function.transformation_statistics is None
