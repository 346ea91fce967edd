"""Training, batch and online give the same bits of the same row, in Spark, in pandas and for one entry."""

import math
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.transform.builtin import BUILTINS
from spark_fs.transformation_statistics import TransformationStatistics

from conftest import SHARDS, SYNCED, online_store

ROWS = 120
START = datetime(2024, 1, 1, tzinfo=UTC)
of_value = TransformationStatistics("value")
NUMBERS = [name for name, row in BUILTINS.items() if row.accepts == "number"]


@spark_fs.udf(float, mode="python")
def hours_since(at, asked_at):
    return None if at is None or asked_at is None else (asked_at - at).total_seconds() / 3600


@spark_fs.udf([float, int], mode="pandas")
def of_series(n0, whole):
    return np.sqrt(np.abs(n0)) + whole.fillna(1).astype("float64"), (whole > 0).astype("Int64")


@spark_fs.udf(float)
def centered(value, statistics=of_value):
    return (value - statistics.value.percentiles[49]) / statistics.value.std_dev


def kinds(draw: np.random.Generator) -> list[str | None]:
    letters = draw.choice(["a", "B", "ä", "c d"], ROWS)
    return [None if draw.random() < 0.1 else str(letter) for letter in letters]


def rows() -> pa.Table:
    draw = np.random.default_rng(3)
    numbers = {
        f"n{i}": [
            None if draw.random() < 0.1 else float(v)
            for v in draw.lognormal(0, 8, ROWS) * draw.choice([-1, 1], ROWS)
        ]
        for i in range(len(NUMBERS))
    }
    return pa.table(
        {
            "id": range(ROWS),
            "at": pa.array(
                [
                    START + timedelta(microseconds=int(n))
                    for n in draw.permutation(ROWS) * 1_000_003_601
                ],
                pa.timestamp("us", "UTC"),
            ),
            "kind": kinds(draw),
            "whole": pa.array(
                [None if draw.random() < 0.1 else int(v) for v in draw.integers(-9, 9, ROWS)],
                pa.int32(),
            ),
            **{f"grade_{i}": kinds(draw) for i in range(1, 4)},
            "more": [None if v < 0.1 else v for v in draw.random(ROWS).tolist()],
            **numbers,
            "asked_at": pa.array(
                [
                    START + timedelta(days=9, microseconds=int(n))
                    for n in draw.integers(0, 10**12, ROWS)
                ],
                pa.timestamp("us", "UTC"),
            ),
            "label": pa.array(draw.integers(0, 2, ROWS)),
        }
    )


@pytest.fixture(
    scope="module", params=[*SYNCED, pytest.param("sqlite" + SHARDS, marks=pytest.mark.slow)]
)
def view(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureView]:
    with online_store(request.param, tmp_path_factory.mktemp("agreement")) as served:
        yield made(served)


def made(fs: FeatureStore) -> FeatureView:
    group = fs.create_feature_group(
        "rows", primary_key=["id"], event_time="at", online_enabled=True
    )
    group.insert(rows())
    group.sync_online()
    get = fs.get_transformation_function
    functions = [get(name)(f"n{i}") for i, name in enumerate(NUMBERS)]
    functions += [
        get("one_hot_encoder")("kind"),
        get("label_encoder")("whole"),
        get("label_encoder")(get("impute_mode")("grade_1")),
        get("top_k_categorical_binner")("grade_2"),
        get("impute_category")("grade_3"),
        get("standard_scaler")("id"),
        hours_since,
        of_series,
        centered(get("impute_median")("more")),
    ]
    view = fs.create_feature_view(
        "all",
        group.select_all(),
        labels=["label"],
        transformation_functions=functions,
        inference_helper_columns=["asked_at"],
    )
    view.train_test_split(test_ratio=0.5, seed=1)
    view.init_serving(1)
    view.init_batch_scoring(1)
    return view


def bits(rows: list[list[Any]]) -> list[list[Any]]:
    """Floats as their bits, times as instants; a null and NaN, which pandas takes for one, alike."""

    def of(value: Any) -> Any:
        if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, datetime):
            return pd.to_datetime(value, utc=True).value
        value = value.item() if hasattr(value, "item") else value
        return struct.pack("d", value) if isinstance(value, float) else (type(value), value)

    return [[of(value) for value in row] for row in rows]


def listed(frame: pd.DataFrame) -> list[list[Any]]:
    return [list(row) for row in zip(*(frame[name].tolist() for name in frame), strict=True)]


def test_every_way_gives_the_same_bits(view: FeatureView) -> None:
    parts = view.get_train_test_split(1, primary_key=True)
    trained = pd.concat(parts[:2]).sort_values("rows_1_id")
    names = list(view.training_columns(1))
    assert names[:2] == ["id", "at"]  # the key scaled, and the event time as it is
    assert list(trained.columns) == ["rows_1_id", *names]
    wanted = bits(listed(trained[names]))
    vectors = view.get_feature_vectors([{"id": i} for i in range(ROWS)])
    assert bits(vectors) == wanted
    assert bits([view.get_feature_vector({"id": i}) for i in range(ROWS)]) == wanted
    batch = view.get_batch_data(primary_key=True).sort_values("rows_1_id")
    assert bits(listed(batch[names])) == wanted
    spark = sorted(
        view.get_batch_data(primary_key=True, dataframe_type="spark").collect(),
        key=lambda row: row["rows_1_id"],
    )
    assert bits([[row[name] for name in names] for row in spark]) == wanted
    version, _ = view.create_train_test_split(test_ratio=0.5, seed=1)
    files = view.get_train_test_split(version, primary_key=True, dataframe_type="spark")
    both = sorted([*files[0].collect(), *files[1].collect()], key=lambda row: row["rows_1_id"])
    assert bits([[row[name] for name in names] for row in both]) == wanted
    view.delete_training_dataset(version)


def test_a_request_brings_what_is_computed_on_demand(view: FeatureView) -> None:
    names = list(view.training_columns(1))
    stored = dict(zip(names, view.get_feature_vector({"id": 7}), strict=True))
    later = START + timedelta(days=20)
    found = dict(
        zip(
            names,
            view.get_feature_vector({"id": 7}, request_parameters={"asked_at": later}),
            strict=True,
        )
    )
    at = rows().column("at")[7].as_py()
    assert found.pop("hours_since_at_asked_at") == (later - at).total_seconds() / 3600
    stored.pop("hours_since_at_asked_at")
    assert bits([list(found.values())]) == bits([list(stored.values())])


def test_a_passed_feature_is_transformed_too(view: FeatureView) -> None:
    names = list(view.training_columns(1))
    passed = {"n0": 12.5, "kind": "unseen", "whole": None}
    found = dict(
        zip(names, view.get_feature_vector(keys={"id": 7}, passed_features=passed), strict=True)
    )
    state = view.get_training_datasets()[0].states[0]  # type: ignore[index] # it was fitted
    assert found["n0"] == (12.5 - state["min"]) / (state["max"] - state["min"])
    assert [found[name] for name in names if name.startswith("kind_")] == [False] * 4
    assert found["whole"] is None
    frame = view.get_feature_vectors(
        [{"id": 7}, {"id": 8}], passed_features=[passed, {}], return_type="pandas"
    )
    assert list(frame.columns) == names
    with pytest.raises(NotFoundError, match=r"Passed feature 'n99' does not exist"):
        view.get_feature_vector({"id": 7}, passed_features={"n99": 1})
    with pytest.raises(
        SettingsError, match=r"Give the keys of an entry as entry=..., or as keys=...."
    ):
        view.get_feature_vector()


def test_helpers_come_beside_and_never_in_a_vector(view: FeatureView) -> None:
    assert "asked_at" not in view.training_columns(1)
    assert view.get_inference_helper({"id": 7}, return_type="dict") == {
        "asked_at": rows().column("asked_at")[7].as_py()
    }
    assert view.get_inference_helper({"id": 7}, return_type="pandas")["asked_at"].tolist() == [
        rows().column("asked_at")[7].as_py()
    ]
    batch = view.get_batch_data(primary_key=True, event_time=True, inference_helper_columns=True)
    assert list(batch.columns) == ["rows_1_id", *view.training_columns(1), "asked_at"]
    with pytest.raises(
        SettingsError, match=r"return_type 'list' is not known: use 'pandas', 'polars' or 'dict'"
    ):
        view.get_inference_helper({"id": 7}, return_type="list")


def test_a_batch_holds_its_start_and_not_its_end(view: FeatureView) -> None:
    times = sorted(rows().column("at").to_pylist())
    batch = view.get_batch_data(times[10], times[20], event_time=True)
    assert batch["at"].tolist() == times[10:20]
    assert "label" not in batch
    asked = pd.DataFrame(
        {
            "id": [1],
            "at": [times[3]],
            "kind": ["a"],
            **{f"grade_{i}": ["a"] for i in range(1, 4)},
            "more": [1.0],
            "whole": pd.array([3], "Int32"),
            "asked_at": [times[9]],
            **{f"n{i}": [1.0] for i in range(len(NUMBERS))},
        }
    )
    assert len(view.get_batch_data(spine_df=asked.assign(more=[5]))["more"]) == 1
    with pytest.raises(SettingsError, match=r"dataframe_type 'dask' is not known"):
        view.get_batch_data(dataframe_type="dask")


def test_which_training_dataset_must_be_said_where_there_are_several(view: FeatureView) -> None:
    fs = FeatureStore(view._stores)
    again = fs.get_feature_view("all", 1)
    assert len(again.get_feature_vector({"id": 1})) == len(view.training_columns(1))  # there is one
    again.training_data()
    fresh = fs.get_feature_view("all", 1)
    for ask in (fresh.init_serving, fresh.init_batch_scoring, fresh.get_batch_data):
        with pytest.raises(
            SettingsError,
            match=r"training_dataset_version is missing \(there are: 1, 3\)|\(there are: 1, 2\)",
        ):
            ask()  # type: ignore[operator] # each takes nothing
    fresh.init(training_data_version=1)
    fresh.batch_init(1)
    again.delete_training_dataset(again.get_training_datasets()[-1].version)


def test_a_group_that_is_not_online_is_passed(served: FeatureStore) -> None:
    group = served.create_feature_group("offline", primary_key=["id"])
    group.insert(pd.DataFrame({"id": [1], "v": [2.0]}))
    view = served.create_feature_view(
        "v",
        group.select(["v"]),
        transformation_functions={"v": served.get_transformation_function("log_transform")},
    )
    assert view.get_feature_vector({"id": 1}, passed_features={"v": 1.0}) == [0.0]
    with pytest.raises(QueryError, match=r"Feature 'v' has no online value"):
        view.get_feature_vector({"id": 1})
