"""Chains of transformations in training data and batches, over a store of an earlier release."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from releases.unpack import unpack

import spark_fs
from spark_fs.builtin_transformations import (
    equal_width_binner,
    impute_category,
    impute_median,
    impute_mode,
    label_encoder,
    standard_scaler,
    winsorize,
)
from spark_fs.errors import SettingsError
from spark_fs.transformation_statistics import TransformationStatistics

from conftest import ROOT

of_value = TransformationStatistics("value")


@spark_fs.udf(float)
def above_median(value, statistics=of_value):
    return value - statistics.value.percentiles[49]


@pytest.fixture
def store(tmp_path):
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


@pytest.fixture
def view(store):
    payments = store.get_feature_group("payments", 1)
    cards = store.get_feature_group("cards", 1)
    return store.create_feature_view(
        "chained",
        payments.select(["amount", "fraud"]).join(cards.select(["limit_", "kind"]), on=["card"]),
        labels=["fraud"],
        transformation_functions=[
            standard_scaler(winsorize("amount")),
            above_median("filled").alias("limit_above"),
            impute_median("limit_").alias("filled"),
            label_encoder(impute_mode("kind")),
        ],
    )


def test_what_is_learned_in_chains_is_that_of_the_train_split_alone(store, view):
    plain = store.create_feature_view("plain", view.query, labels=["fraud"])
    train, test, *_ = plain.train_test_split(0.3, seed=4)
    x_train, x_test, *_ = view.train_test_split(0.3, seed=4)
    assert list(x_train.columns) == ["amount", "limit_above", "kind"]
    median = train["limit_"].median()
    mode = train["kind"].value_counts().idxmax()
    kinds = {kind: code for code, kind in enumerate(sorted(train["kind"].dropna().unique()))}
    clipped = train["amount"].clip(*np.percentile(train["amount"].dropna(), [1, 99]))
    for rows, found in ((train, x_train), (test, x_test)):
        filled = rows["limit_"].fillna(median)
        above = filled - train["limit_"].fillna(median).median()
        assert found["limit_above"].tolist() == pytest.approx(above.tolist())
        codes = [kinds.get(kind, -1) for kind in rows["kind"].fillna(mode)]
        assert found["kind"].tolist() == codes
    expected = (clipped - clipped.mean()) / clipped.std(ddof=0)
    assert x_train["amount"].fillna(9).tolist() == pytest.approx(expected.fillna(9).tolist())


def test_files_and_batches_have_the_bits_of_memory(view):
    in_memory = view.train_test_split(0.3, seed=4)
    version, _ = view.create_train_test_split(0.3, seed=4, data_format="parquet")
    datasets = view.get_training_datasets()
    assert datasets[0].states == datasets[1].states
    for one, other in zip(in_memory, view.get_train_test_split(version), strict=True):
        assert_frame_equal(one, other, check_exact=True)
    view.init_batch_scoring(1)
    batch = view.get_batch_data()
    trained = pd.concat(in_memory[:2])
    for name in trained:
        assert sorted(batch[name].tolist()) == sorted(trained[name].tolist())


def test_functions_of_a_view_say_what_they_learned(view):
    view.train_test_split(0.3, seed=4)
    assert view.transformation_functions[0].transformation_statistics is None
    view.init_batch_scoring(1)
    known = {
        function.function_name: function.transformation_statistics
        for function in view.transformation_functions
    }
    states = view.get_training_datasets()[0].states
    assert known["standard_scaler"].feature.std_dev == states[1]["stddev"]
    assert (
        known["above_median"].value.percentiles[49]
        == states[3]["statistics"]["value"]["percentiles"][49]
    )
    assert known["label_encoder"].feature.unique_values == states[5]["categories"]


@spark_fs.udf(float)
def shifted(value, context):
    return value + context.get("by", 0)


def test_what_is_set_for_training_is_kept_and_can_be_set_for_a_batch(store, view):
    set_view = store.create_feature_view(
        "set",
        view.query,
        labels=["fraud"],
        transformation_functions=[
            shifted("amount"),
            equal_width_binner("limit_").alias("bin"),
            impute_category("kind"),
        ],
    )
    rows = view.query.read("pandas").sort_values("amount")
    context = {"by": 10, "n_bins": 3, "value": "none"}
    x, _ = set_view.training_data(transformation_context=context)
    assert sorted(x["amount"]) == (rows["amount"] + 10).tolist()
    assert sorted(x["bin"].dropna().unique()) == [0, 1, 2]
    assert set(x["kind"]) == {*rows["kind"].dropna(), "none"}
    assert_frame_equal(set_view.get_training_data(1)[0], x)
    set_view.init_batch_scoring(1)
    assert_frame_equal(set_view.get_batch_data(), x)
    batch = set_view.get_batch_data(transformation_context={"by": 0})
    assert sorted(batch["amount"]) == rows["amount"].tolist()
    with pytest.raises(
        SettingsError, match=r"binner\(limit_\) learned with n_bins=3, not 4: leave it"
    ):
        set_view.get_batch_data(transformation_context={"n_bins": 4})
    with pytest.raises(SettingsError, match=r"transformation_context is kept as JSON"):
        set_view.training_data(transformation_context={"by": object()})
