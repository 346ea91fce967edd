"""Training data: split by event time or at random, read at one version of each table, recorded, and made again."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from sklearn.preprocessing import StandardScaler

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import NotFoundError, SchemaError, SettingsError, SparkFSError
from spark_fs.flows import training_build
from spark_fs.spec.names import GroupRef
from spark_fs.spec.training_dataset import FilesSpec, TrainingDatasetSpec
from spark_fs.tables import dataset_files

from conftest import at, first_quick

DAYS = pd.date_range("2024-01-01", periods=6, tz="UTC")
Frames = tuple[pd.DataFrame, ...]


def fill(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    fill_view(fs, group)
    fill_sales(fs, group)


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    return fs.get_feature_view("v", 1)


@pytest.fixture
def sales(fs: FeatureStore) -> FeatureView:
    return fs.get_feature_view("sales", 1)


def fill_view(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    """Six days of labels, each with the score of the day before."""
    labels = group(
        "labels",
        pd.DataFrame({"id": range(6), "day": DAYS, "k": 1, "y": [0, 1] * 3}),
        primary_key=["id"],
        event_time="day",
    )
    scores = group(
        "scores",
        pd.DataFrame({"k": 1, "t": DAYS + pd.Timedelta("1us"), "score": range(10, 16)}),
        primary_key=["k"],
        event_time="t",
    )
    fs.create_feature_view(
        "v", labels.select(["y"]).join(scores.select_features(), on=["k"]), labels=["y"]
    )


def fill_sales(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    """Forty sales with a price, a kind and a label that is null for every tenth, and the score of their shop."""
    hours = pd.date_range("2024-01-01", periods=40, freq="h", tz="UTC")
    rows = pd.DataFrame(
        {
            "id": range(40),
            "at": hours,
            "shop": list("abcd") * 10,
            "price": [i * 1.5 for i in range(40)],
            "kind": ["x", "y"] * 20,
        }
    )
    rows["paid"] = pd.array([None if i % 10 == 0 else i % 3 for i in range(40)], "Int64")
    made = group("sales", rows, primary_key=["id"], event_time="at")
    shops = group(
        "shops",
        pd.DataFrame({"shop": list("abc"), "t": hours[0], "score": [1.0, 2.0, 4.0]}),
        primary_key=["shop"],
        event_time="t",
    )
    query = made.select(["price", "kind", "paid"]).join(shops.select_features(), on=["shop"])
    functions = {
        "price": fs.get_transformation_function("standard_scaler"),
        "kind": fs.get_transformation_function("one_hot_encoder"),
    }
    fs.create_feature_view("sales", query, labels=["paid"], transformation_functions=functions)


def same(first: Frames, second: Frames) -> None:
    """Equal to the last bit, in values, types and order."""
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        assert [one[name].to_numpy().tobytes() for name in one if one[name].dtype == "float64"] == [
            other[name].to_numpy().tobytes() for name in other if other[name].dtype == "float64"
        ]


def changed(view: FeatureView, fs: FeatureStore) -> None:
    """Rows come, change and go after the training data was made."""
    rows = fs.get_feature_group("sales", 1)
    rows.insert(
        pd.DataFrame(
            {
                "id": [1, 77],
                "at": [at("01-01 01:00"), at("01-01 01:00")],
                "shop": ["d", "a"],
                "price": [999.0, 1.0],
                "kind": ["z", "x"],
                "paid": [1, 2],
            }
        )
    )
    rows.delete_records(pd.DataFrame({"id": [2]}))
    fs.get_feature_group("shops", 1).insert(
        pd.DataFrame({"shop": ["a"], "t": [at("01-01 00:30")], "score": [99.0]})
    )


# -- by time


def test_a_split_takes_its_start_and_leaves_its_end(view: FeatureView) -> None:
    x_train, x_test, y_train, y_test = view.train_test_split(
        train_start="2024-01-02",
        train_end="2024-01-04",
        test_end="2024-01-06",
        primary_key=True,
        event_time=True,
    )
    assert (list(x_train.columns), list(y_train.columns)) == (["id", "day", "score"], ["y"])
    assert x_train["id"].tolist() == [1, 2]
    assert x_test["id"].tolist() == [3, 4]
    assert x_train["score"].tolist() == [10, 11]
    assert x_train["day"].min() == at("01-02")
    assert y_train["y"].tolist() == [1, 0]
    assert len(y_test) == len(x_test)


def test_without_asking_x_has_the_features_alone(view: FeatureView) -> None:
    x_train, x_test, _, _ = view.train_test_split(train_end="2024-01-04", test_start="2024-01-05")
    assert list(x_train.columns) == list(view.schema) == ["score"]
    assert (len(x_train), len(x_test)) == (3, 2)
    assert x_train["score"].isna().sum() == 1


def test_three_splits_by_time_lose_no_row_and_share_none(view: FeatureView) -> None:
    parts = view.train_validation_test_split(
        train_end="2024-01-03", validation_end="2024-01-05", primary_key=True
    )
    assert [x["id"].tolist() for x in parts[:3]] == [[0, 1], [2, 3], [4, 5]]
    assert [y["y"].tolist() for y in parts[3:]] == [[0, 1], [0, 1], [0, 1]]
    same(parts, view.get_train_validation_test_split(1, primary_key=True))


def test_splits_that_share_rows_are_refused(view: FeatureView) -> None:
    with pytest.raises(
        SettingsError,
        match=(
            r"The train split .* and the test split .* overlap: a row would be in both. Let test"
            r" start at or after"
        ),
    ):
        view.train_test_split(train_end="2024-01-04", test_start="2024-01-03")
    with pytest.raises(SettingsError, match=r"The train split .* and the test split .* overlap"):
        view.train_validation_test_split(
            train_end="2024-01-03",
            validation_start="2024-01-05",
            validation_end="2024-01-06",
            test_start="2024-01-02",
            test_end="2024-01-04",
        )
    with pytest.raises(
        SettingsError,
        match=r"Give test_size, or times such as train_end",
    ):
        view.train_test_split()
    with pytest.raises(SettingsError, match=r"The interval from 2024-01-04 to 2024-01-01 is empty"):
        view.train_test_split(train_start="2024-01-04", train_end="2024-01-01")
    with pytest.raises(
        SettingsError,
        match=r"either random or by time, and both a ratio and times \(2024-01-04\) were given",
    ):
        view.train_test_split(test_ratio=0.5, train_end="2024-01-04")
    with pytest.raises(SettingsError, match=r"needs validation_size and test_size"):
        view.train_validation_test_split(test_ratio=0.5)
    assert view.get_training_datasets() == []


# -- at random


def test_a_random_split_has_exact_sizes_and_loses_no_row(sales: FeatureView) -> None:
    whole, _ = sales.training_data(primary_key=True)
    parts = sales.train_validation_test_split(
        validation_ratio=0.2, test_ratio=0.3, seed=5, primary_key=True
    )
    ids = [x["id"].tolist() for x in parts[:3]]
    assert [len(part) for part in ids] == [20, 8, 12]
    assert sorted(i for part in ids for i in part) == sorted(whole["id"])
    assert not any(set(a) & set(b) for a, b in combinations(ids, 2))
    assert (
        ids[2] == sales.train_test_split(test_ratio=0.3, seed=5, primary_key=True)[1]["id"].tolist()
    )
    assert (
        ids[2] != sales.train_test_split(test_ratio=0.3, seed=6, primary_key=True)[1]["id"].tolist()
    )


def test_hopsworks_names_for_the_ratios(sales: FeatureView) -> None:
    assert len(sales.train_test_split(test_size=0.25)[1]) == 10
    assert [
        len(x) for x in sales.train_validation_test_split(validation_size=0.1, test_size=0.1)[:3]
    ] == [32, 4, 4]


def test_a_seed_that_was_not_given_is_recorded(sales: FeatureView) -> None:
    first = sales.train_test_split(test_ratio=0.5)
    dataset = sales.get_training_datasets()[-1]
    assert isinstance(dataset.seed, int)
    same(first, sales.train_test_split(test_ratio=0.5, seed=dataset.seed))


@pytest.mark.parametrize("partitions", first_quick([1, 7], 1))
def test_files_have_the_rows_of_the_split_in_memory(sales: FeatureView, partitions: int) -> None:
    spark = sales._stores.spark
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    try:
        wanted = sales.train_test_split(test_ratio=0.3, seed=5, primary_key=True, event_time=True)
        version, _ = sales.create_train_test_split(test_ratio=0.3, seed=5)
        same(wanted, sales.get_train_test_split(version, primary_key=True, event_time=True))
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before or 2)


@pytest.mark.parametrize("ratio", [0, 1, -0.2, 1.5, float("nan")])
def test_a_ratio_that_is_none(sales: FeatureView, ratio: float) -> None:
    with pytest.raises(SettingsError, match=rf"test_ratio {ratio} is not between 0 and 1"):
        sales.train_test_split(test_ratio=ratio)
    assert sales.get_training_datasets() == []


# -- for ever


def test_in_memory_data_is_the_same_for_ever(sales: FeatureView, fs: FeatureStore) -> None:
    made = [
        sales.training_data("2024-01-01 05:00", "2024-01-02"),
        sales.train_test_split(test_ratio=0.3),
        sales.train_test_split(train_end="2024-01-02"),
    ]
    changed(sales, fs)
    sales = fs.get_feature_view("sales", 1)
    same(made[0], sales.get_training_data(1))
    same(made[1], sales.get_train_test_split(2))
    same(made[2], sales.get_train_test_split(3))
    now = sales.training_data("2024-01-01", "2024-01-02")[0]
    assert now["price"].max() > 4  # 999 was scaled


@pytest.mark.slow
def test_files_that_were_deleted_are_made_again(sales: FeatureView, fs: FeatureStore) -> None:
    version, _ = sales.create_train_test_split(test_ratio=0.3, seed=1, description="first")
    before = sales.get_train_test_split(version, primary_key=True)
    location = sales.get_training_datasets()[0].files.location  # type: ignore[union-attr] # it has files
    changed(sales, fs)
    sales.delete_training_dataset(version)
    assert not Path(location).exists()
    assert sales.get_training_datasets() == []
    with pytest.raises(
        NotFoundError,
        match=(
            r"Training dataset 1 of .* was deleted: recreate_training_dataset\(1\) makes it again"
        ),
    ):
        sales.get_train_test_split(version)
    assert sales.recreate_training_dataset(version).summary == {"rows": 40, "files": 4}
    same(before, sales.get_train_test_split(version, primary_key=True))
    (found,) = sales.get_training_datasets()
    assert (found.version, found.description, found.rows) == (1, "first", {"train": 28, "test": 12})
    shutil.rmtree(location)
    sales.recreate_training_dataset(version)  # nothing had been deleted but the files
    same(before, sales.get_train_test_split(version, primary_key=True))


def test_versions_are_not_given_twice(sales: FeatureView) -> None:
    sales.training_data()
    sales.delete_training_dataset(1)
    sales.training_data()
    assert [dataset.version for dataset in sales.get_training_datasets()] == [2]
    sales.recreate_training_dataset(1)
    assert [dataset.version for dataset in sales.get_training_datasets()] == [1, 2]


def test_what_was_read_is_recorded(view: FeatureView, fs: FeatureStore) -> None:
    view.train_test_split(train_end="2024-01-04", description="first")
    fs.get_feature_group("scores", 1).insert(
        pd.DataFrame({"k": [1], "t": pd.to_datetime(["2024-02-01"], utc=True), "score": [99]})
    )
    view.train_test_split(train_end="2024-01-05")
    first, second = fs.get_feature_view("v", 1).get_training_datasets()
    assert (first.version, first.description, second.version) == (1, "first", 2)
    assert first.group_versions == {GroupRef("labels", 1): 0, GroupRef("scores", 1): 0}
    assert second.group_versions == {GroupRef("labels", 1): 0, GroupRef("scores", 1): 1}
    assert str(first.splits["train"]) == "[..., 2024-01-04T00:00:00+00:00)"
    assert first.created_at is not None
    assert first.query == view.query.spec
    assert first.rows == {"train": 3, "test": 3}


def test_what_was_learned_is_recorded_as_json(sales: FeatureView) -> None:
    x_train, x_test, _, _ = sales.train_test_split(train_end="2024-01-01 10:00")
    scaler = StandardScaler().fit([[i * 1.5] for i in range(10)])
    (dataset,) = sales.get_training_datasets()
    assert dataset.to_json()["transformations"] == [
        {
            "function": "standard_scaler",
            "features": ["price"],
            "state": {"mean": scaler.mean_[0], "stddev": pytest.approx(scaler.scale_[0])},
        },
        {"function": "one_hot_encoder", "features": ["kind"], "state": {"categories": ["x", "y"]}},
    ]
    assert x_test["price"].tolist() == pytest.approx(
        scaler.transform([[i * 1.5] for i in range(10, 40)])[:, 0].tolist()
    )
    assert (
        list(x_train.columns)
        == list(sales.training_columns(1))
        == ["price", "kind_x", "kind_y", "score"]
    )


def test_nothing_is_learned_of_the_test_split(
    group: Callable[..., FeatureGroup], fs: FeatureStore
) -> None:
    rows = pd.DataFrame(
        {
            "id": range(4),
            "at": DAYS[:4],
            "v": [1.0, 3.0, 1000.0, -1000.0],
            "c": ["a", "b", "new", "a"],
        }
    )
    made = group("rows", rows, primary_key=["id"], event_time="at")
    functions = {
        "v": fs.get_transformation_function("min_max_scaler"),
        "c": fs.get_transformation_function("label_encoder"),
    }
    view = fs.create_feature_view("w", made.select(["v", "c"]), transformation_functions=functions)
    x_train, x_test, _, _ = view.train_test_split(train_end="2024-01-03")
    assert x_train["v"].tolist() == [0.0, 1.0]
    assert x_test["v"].tolist() == [499.5, -500.5]
    assert x_test["c"].tolist() == [-1, 0]


# -- frames of Spark


@pytest.mark.slow
def test_spark_frames_hold_the_same_rows_in_one_order(sales: FeatureView) -> None:
    wanted = sales.train_test_split(test_ratio=0.3, seed=2, primary_key=True)
    found = sales.train_test_split(test_ratio=0.3, seed=2, primary_key=True, dataframe_type="spark")
    for one, other in zip(wanted, found, strict=True):
        pd.testing.assert_frame_equal(
            one, pd.DataFrame([row.asDict() for row in other.collect()]), check_dtype=False
        )
    again = sales.get_train_test_split(2, primary_key=True, dataframe_type="spark")
    assert [frame.collect() for frame in again] == [frame.collect() for frame in found]
    with pytest.raises(SettingsError, match=r"was read into memory as pandas: read it so"):
        sales.get_train_test_split(1, dataframe_type="spark")
    with pytest.raises(SettingsError, match=r"dataframe_type 'dask' is not known"):
        sales.training_data(dataframe_type="dask")


# -- files


EVERY_TYPE = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "at": pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        "flag": pa.array([True, False, None]),
        "tiny": pa.array([-128, 127, None], pa.int8()),
        "small": pa.array([-(2**15), 1, None], pa.int16()),
        "whole": pa.array([2**31 - 1, 0, None], pa.int32()),
        "big": pa.array([2**53 + 1, -(2**63), None], pa.int64()),
        "single": pa.array([1.1, 3.4e38, None], pa.float32()),
        "double": pa.array([0.1, 5e-324, None], pa.float64()),
        "exact": pa.array(
            [Decimal("12345678901234567890.12"), Decimal("-0.01"), None], pa.decimal128(22, 2)
        ),
        "text": pa.array(['a "quoted", text\nof two lines\r\n', "", None]),
        "spaces": pa.array(["  é😀\t", "NULL", None]),
        "when": pa.array(
            [
                datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
                datetime(2100, 1, 1, tzinfo=UTC),
                None,
            ],
            pa.timestamp("us", "UTC"),
        ),
        "day": pa.array([date(1582, 10, 15), date(2024, 2, 29), None], pa.date32()),
    }
)
NESTED = {
    "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
    "list": pa.array([[1.5, None], [], None], pa.list_(pa.float64())),
}


@pytest.mark.parametrize(
    "form", first_quick(["csv", "json", "parquet", "tsv", "orc", "avro", "delta"], 1)
)
def test_every_value_comes_back_from_files(fs: FeatureStore, form: str) -> None:
    rows = EVERY_TYPE
    if form not in ("csv", "tsv"):
        for name, column in NESTED.items():
            rows = rows.append_column(name, column)
    types = fs.create_feature_group("types", primary_key=["id"], event_time="at")
    types.insert(rows)
    view = fs.create_feature_view("types", types.select_all())
    if form == "orc":  # whose library moves such a time by a second
        with pytest.raises(
            SparkFSError,
            match=(
                r"ORC cannot hold a time of column when in the last millisecond before 1970: write"
                r" another"
            ),
        ):
            view.create_training_data(data_format=form)
        types.delete_records(pd.DataFrame({"id": [1]}))
    version, job = view.create_training_data(data_format=form)
    assert job.summary["rows"] == (2 if form == "orc" else 3)
    found, _ = view.get_training_data(version, primary_key=True, event_time=True)
    wanted = view.training_data(primary_key=True, event_time=True)[0]
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    assert wanted["text"].tolist() == rows["text"].to_pylist()[3 - len(wanted) :]


def test_splits_lie_in_folders_of_their_names(sales: FeatureView, tmp_path: Path) -> None:
    version, job = sales.create_train_validation_test_split(
        validation_ratio=0.25,
        test_ratio=0.25,
        location=str(tmp_path / "out"),
        data_format="csv",
        coalesce=True,
        seed=3,
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "test",
        "train",
        "validation",
    ]
    assert job.summary == {"rows": 40, "files": 3}
    files = {
        part: list((tmp_path / "out" / part).glob("*.csv"))
        for part in ("train", "validation", "test")
    }
    assert {part: [len(pd.read_csv(path)) for path in paths] for part, paths in files.items()} == {
        "train": [20],
        "validation": [10],
        "test": [10],
    }
    assert [len(x) for x in sales.get_train_validation_test_split(version)[:3]] == [20, 10, 10]


@pytest.mark.slow
def test_coalesced_files_hold_the_same_rows(sales: FeatureView) -> None:
    version, job = sales.create_train_test_split(test_ratio=0.3, seed=5, coalesce=True)
    assert job.summary == {"rows": 40, "files": 2}
    same(sales.train_test_split(test_ratio=0.3, seed=5), sales.get_train_test_split(version))


def test_a_split_without_rows_is_there(sales: FeatureView) -> None:
    version, _ = sales.create_train_test_split(train_end="2025-01-01", test_end="2026-01-01")
    x_train, x_test, _, y_test = sales.get_train_test_split(version)
    assert (len(x_train), len(x_test), len(y_test)) == (40, 0, 0)
    assert x_test.dtypes["kind_x"] == "bool"
    same(
        sales.train_test_split(train_end="2025-01-01", test_end="2026-01-01"),
        sales.get_train_test_split(version),
    )


@pytest.mark.slow
def test_options_go_to_the_writer(view: FeatureView, tmp_path: Path) -> None:
    version, _ = view.create_training_data(
        location=str(tmp_path / "out"), data_format="csv", write_options={"compression": "gzip"}
    )
    assert {path.suffix for path in (tmp_path / "out").glob("part-*")} == {".gz"}
    assert len(view.get_training_data(version)[0]) == 6


def test_what_cannot_be_written(
    fs: FeatureStore, view: FeatureView, group: Callable[..., FeatureGroup]
) -> None:
    with pytest.raises(
        SettingsError, match=r"data_format 'excel' is not known: use 'parquet', 'csv'"
    ):
        view.create_training_data(data_format="excel")
    nested = group("nested", pd.DataFrame({"id": [1], "v": [[1.0]]}), primary_key=["id"])
    with pytest.raises(
        SchemaError,
        match=r"Column 'v' is array<double>, which csv cannot hold: write json, parquet",
    ):
        fs.create_feature_view("n", nested.select_all()).create_training_data(data_format="csv")
    with pytest.raises(
        SettingsError, match=r"Option 'data_frmat' does not exist; did you mean 'data_format'"
    ):
        view.create_training_data(data_frmat="csv")  # type: ignore[call-arg] # as the test says
    assert view.get_training_datasets() == []


def test_a_job_runs_beside_its_caller(sales: FeatureView, monkeypatch: pytest.MonkeyPatch) -> None:
    go, write = Event(), training_build.build_files

    def held(*arguments: Any) -> Any:
        go.wait(60)
        return write(*arguments)

    monkeypatch.setattr(training_build, "build_files", held)
    version, job = sales.create_train_test_split(
        test_ratio=0.3, seed=5, write_options={"wait_for_job": False}
    )
    assert (version, job.state, job.error, job.summary) == (1, "running", None, {})
    assert sales.get_training_datasets() == []
    with pytest.raises(
        NotFoundError, match=r"Training dataset 1 of .* is still being made: wait for its job"
    ):
        sales.get_train_test_split(version)
    go.set()
    assert job.wait().state == "finished"
    assert job.summary["rows"] == 40
    assert len(sales.get_train_test_split(version)[1]) == 12


def test_a_job_that_fails_says_why_and_leaves_nothing(sales: FeatureView, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("mine")
    _, job = sales.create_training_data(
        location=str(tmp_path / "used"), write_options={"wait_for_job": False}
    )
    assert job.wait(60).state == "failed"
    assert "holds files already" in str(job.error)
    assert sales.get_training_datasets() == []
    assert (tmp_path / "used" / "file").read_text() == "mine"
    _, done = sales.create_training_data()
    assert (done.state, done.error, done.wait()) == ("finished", None, done)


# -- which rows


def test_null_labels_are_kept_or_dropped_as_asked(sales: FeatureView) -> None:
    x, y = sales.training_data(null_labels="drop")
    assert (len(x), len(y), y["paid"].isna().sum()) == (36, 36, 0)
    assert sales.training_data()[1]["paid"].isna().sum() == 4
    assert [
        len(part) for part in sales.train_test_split(test_ratio=0.5, null_labels="drop")[:2]
    ] == [18, 18]
    assert (
        sales.create_train_test_split(test_ratio=0.5, null_labels="drop")[1].summary["rows"] == 36
    )
    with pytest.raises(
        SettingsError, match=r"null_labels 'remove' is not known: use 'keep', 'drop'"
    ):
        sales.training_data(null_labels="remove")


def test_an_extra_filter_narrows_the_rows_and_is_recorded(
    sales: FeatureView, fs: FeatureStore
) -> None:
    rows, shops = fs.get_feature_group("sales", 1), fs.get_feature_group("shops", 1)
    x, _ = sales.training_data(
        extra_filter=(rows["price"] >= 30) & ~shops["score"].is_null(), primary_key=True
    )
    assert x["id"].tolist() == [i for i in range(20, 40) if i % 4 != 3]
    same((x,), sales.get_training_data(1, primary_key=True)[:1])
    other = fs.create_feature_group("other", primary_key=["k"])
    other.insert(pd.DataFrame({"k": [1], "v": [1]}))
    with pytest.raises(NotFoundError, match=r"Feature group of a filter 'other' does not exist"):
        sales.training_data(extra_filter=other["v"] > 1)


def test_max_feature_age_bounds_every_match(view: FeatureView) -> None:
    old, _ = view.training_data(max_feature_age=timedelta(hours=23))
    assert old["score"].isna().all()
    x, _ = view.training_data(max_feature_age=86_400)
    assert x["score"].isna().tolist() == [True, *[False] * 5]
    same((x,), view.get_training_data(2)[:1])
    with pytest.raises(SettingsError, match=r"max_feature_age='1d' is not a length of time"):
        view.training_data(max_feature_age="1d")  # type: ignore[typeddict-item] # as the test says


@pytest.mark.slow
def test_a_frame_stands_in_for_the_leftmost_group(sales: FeatureView, fs: FeatureStore) -> None:
    asked = pd.DataFrame(
        {
            "id": [5, 5, 9],
            "at": [at("01-01 12:00")] * 2 + [at("01-03 00:00")],
            "shop": ["a", "a", "zz"],
            "price": [1.0, 1.0, 3.0],
            "kind": ["x", "x", "w"],
            "paid": [1, 1, 0],
            "note": ["one", "two", "three"],
        }
    )
    x, y = sales.training_data(spine_df=asked, primary_key=True)
    assert list(x.columns) == ["id", "shop", "price", "kind_w", "kind_x", "score", "note"]
    assert x["note"].tolist() == ["one", "two", "three"]
    assert x["score"].tolist()[:2] == [1.0, 1.0]
    assert y["paid"].tolist() == [1, 1, 0]
    changed(sales, fs)
    same((x, y), sales.get_training_data(1, primary_key=True))
    as_spark = sales.training_data(spine_df=asked, dataframe_type="spark", primary_key=True)
    assert [row["note"] for row in as_spark[0].collect()] == ["one", "two", "three"]
    parts = sales.train_test_split(test_ratio=0.34, seed=1, spine_df=asked)
    assert [len(part) for part in parts[:2]] == [2, 1]
    version, _ = sales.create_train_test_split(test_ratio=0.34, seed=1, spine_df=asked)
    same(parts, sales.get_train_test_split(version))
    sales.delete_training_dataset(version)
    sales.recreate_training_dataset(version)
    same(parts, sales.get_train_test_split(version))


def test_a_frame_that_lacks_something_is_refused(sales: FeatureView) -> None:
    whole = pd.DataFrame(
        {"id": [1], "at": [at("01-01")], "shop": ["a"], "price": [1.0], "kind": ["x"], "paid": [1]}
    )
    for name, said in (
        (
            "price",
            "Column of spine_df 'price' does not exist.* The view takes it from its leftmost group",
        ),
        ("shop", "Key column of spine_df 'shop'"),
        ("at", "event time column"),
    ):
        with pytest.raises(SparkFSError, match=said):
            sales.training_data(spine_df=whole.drop(columns=name))
    assert sales.get_training_datasets() == []


def test_data_of_an_external_group_is_kept_as_files(
    fs: FeatureStore, tmp_path: Path, group: Callable[..., FeatureGroup]
) -> None:
    pd.DataFrame({"k": [1], "v": [5]}).to_parquet(tmp_path / "outside.parquet")
    outside = fs.create_external_feature_group(
        "outside", primary_key=["k"], data_format="parquet", path=str(tmp_path / "outside.parquet")
    )
    spine = group(
        "spine",
        pd.DataFrame({"id": [1, 2], "k": [1, 1], "at": DAYS[:2]}),
        primary_key=["id"],
        event_time="at",
    )
    view = fs.create_feature_view("v", spine.select_all().join(outside.select_features(), on=["k"]))
    made = view.training_data()
    pd.DataFrame({"k": [1], "v": [6]}).to_parquet(tmp_path / "outside.parquet")
    same(made[:1], view.get_training_data(1)[:1])
    with pytest.raises(
        SettingsError,
        match=(
            r"read external feature group 'outside' version 1, whose rows at that time cannot"
            r" be read again"
        ),
    ):
        view.recreate_training_dataset(1)


# -- versions that are not there


def test_a_version_that_does_not_exist(sales: FeatureView) -> None:
    sales.training_data()
    for read in (
        sales.get_training_data,
        sales.delete_training_dataset,
        sales.recreate_training_dataset,
        sales.init_serving,
        sales.init_batch_scoring,
    ):
        with pytest.raises(
            NotFoundError,
            match=r"Training dataset of feature view 'sales' has no version 3: it has 1",
        ):
            read(3)  # type: ignore[operator] # each takes a version
    with pytest.raises(
        SettingsError,
        match=r"Training dataset 1 of .* has the splits train: read it with get_training_data",
    ):
        sales.get_train_test_split(training_dataset_version=1)
    with pytest.raises(
        SettingsError,
        match=(
            r"Give the version of a training dataset as version=..., or as"
            r" training_dataset_version=...."
        ),
    ):
        sales.get_training_data()
    with pytest.raises(
        SettingsError, match=r"dataframe_type 'duckdb' is not known: use one of 'default', 'spark'"
    ):
        sales.get_training_data(1, dataframe_type="duckdb")


def test_a_dataset_that_cannot_be_made_again_is_as_it_was(
    sales: FeatureView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "here"
    version, _ = sales.create_train_test_split(test_ratio=0.5, seed=1, location=str(place))
    before = sales.get_train_test_split(version)

    def fails(*_: object) -> None:
        raise KeyError

    for module, name in (
        (training_build, "build_files"),
        (dataset_files, "copy_dataset"),
    ):  # while it is made; while it takes its old place
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fails)
            with pytest.raises(KeyError):
                sales.recreate_training_dataset(version)
        same(before, sales.get_train_test_split(version))
        assert len(sales.get_training_datasets()) == 1
    sales.recreate_training_dataset(version)
    same(before, sales.get_train_test_split(version))


def test_a_dataset_made_again_lies_where_it_lay(sales: FeatureView, tmp_path: Path) -> None:
    place = tmp_path / "here"
    version, job = sales.create_train_test_split(test_ratio=0.5, seed=1, location=str(place))
    before = sales.get_train_test_split(version)
    (place / "train" / "_SUCCESS").write_text("a file of the old ones")
    assert sales.recreate_training_dataset(version).summary == job.summary
    (found,) = sales.get_training_datasets()
    assert (found.files and found.files.location, found.rows) == (
        str(place),
        {"train": 20, "test": 20},
    )
    assert sorted(path.name for path in place.iterdir()) == ["test", "train"]
    assert not (place / "train" / "_SUCCESS").exists()
    same(before, sales.get_train_test_split(version))
    assert (
        len(list((tmp_path / "warehouse" / "training_datasets" / "sales_1").iterdir())) == 0
    )  # nor is anything left beside


def test_a_folder_that_is_another_datasets_by_now_stays(sales: FeatureView, tmp_path: Path) -> None:
    place = str(tmp_path / "here")
    first, _ = sales.create_training_data(location=place)
    sales.delete_training_dataset(first)
    second, _ = sales.create_training_data(location=place)
    before = sales.get_training_data(second)
    with pytest.raises(
        SettingsError,
        match=(
            r"location .*here holds files already: empty it, then make the training dataset again"
        ),
    ):
        sales.recreate_training_dataset(first)
    killed = sales._stores.catalog.reserve_training_dataset(
        sales._spec, lambda number: TrainingDatasetSpec(number, files=FilesSpec(f"{place}/"))
    )
    sales.delete_training_dataset(killed.version, force=True)
    same(before, sales.get_training_data(second))


def test_what_a_killed_job_left_goes_by_force(sales: FeatureView, tmp_path: Path) -> None:
    left = tmp_path / "left"
    (left / "_staging").mkdir(parents=True)
    catalog = sales._stores.catalog
    spec = catalog.reserve_training_dataset(
        sales._spec, lambda number: TrainingDatasetSpec(number, files=FilesSpec(str(left)))
    )
    with pytest.raises(
        NotFoundError,
        match=(
            r"is still being made: wait for its job, or if that was ended, delete it with"
            r" force=True"
        ),
    ):
        sales.delete_training_dataset(spec.version)
    sales.delete_training_dataset(spec.version, force=True)
    assert not left.exists()
    assert catalog.list_training_datasets(sales._spec) == []


def test_versions_of_many_callers_at_once_are_different(sales: FeatureView) -> None:
    catalog = sales._stores.catalog
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda _: (
                    catalog.reserve_training_dataset(sales._spec, TrainingDatasetSpec).version
                ),
                range(24),
            )
        )
    assert sorted(made) == list(range(1, 25))


def test_a_feature_without_values_is_named_before_anything_is_written(
    group: Callable[..., FeatureGroup], fs: FeatureStore
) -> None:
    rows = pd.DataFrame(
        {"id": range(4), "at": DAYS[:4], "v": pd.array([None, None, 1.0, 2.0], "Float64")}
    )
    made = group("rows", rows, primary_key=["id"], event_time="at")
    view = fs.create_feature_view(
        "w",
        made.select(["v"]),
        transformation_functions={"v": fs.get_transformation_function("robust_scaler")},
    )
    for make in (view.train_test_split, view.create_train_test_split):
        with pytest.raises(
            SettingsError,
            match=(
                r"'robust_scaler' cannot learn from feature 'v': of the 2 rows of the train split"
                r" none has a value"
            ),
        ):
            make(train_end="2024-01-03")
    with pytest.raises(SettingsError, match=r"of the 0 rows of the train split"):
        view.create_train_test_split(train_end="2020-01-01", test_end="2025-01-01")
    assert view.get_training_datasets() == []
    folder = Path(view._stores.settings.warehouse) / "training_datasets" / "w_1"
    assert not folder.exists() or not list(folder.iterdir())


def test_training_data_may_begin_with_any_spine(
    fs: FeatureStore, group: Callable[..., FeatureGroup]
) -> None:
    plain = group("plain", pd.DataFrame({"k": ["b", "a"], "v": [1, 2]}), primary_key=["k"])
    view = fs.create_feature_view("p", plain.select_all())
    assert view.training_data(primary_key=True)[0].to_dict("list") == {"k": ["a", "b"], "v": [2, 1]}
    assert len(view.train_test_split(test_ratio=0.5, seed=1)[0]) == 1
    with pytest.raises(SettingsError, match=r"'plain' version 1 has no event time"):
        view.train_test_split(train_end="2024-01-01")
    with pytest.raises(
        SettingsError, match=r"Option 'spine_d' does not exist; did you mean 'spine_df'"
    ):
        view.training_data(spine_d=1)  # type: ignore[call-arg] # as the test says
