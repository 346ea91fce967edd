"""Training data and batches are the same by either engine: one specification, run by both."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import SettingsError

from conftest import first_quick

ROWS = 60
Tables = tuple[pa.Table, ...]
ENGINES = ["local", "spark"]
NESTED = ("raw", "scores", "pair", "counts")  # columns that lines of separated values cannot hold


def fill(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    hours = pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="UTC")
    sales = group(
        "sales",
        pa.table(
            {
                "id": pa.array(range(ROWS), pa.int64()),
                "at": pa.array(hours, pa.timestamp("us", "UTC")),
                "shop": ["a", "b", "c", None] * 15,
                "price": [i * 1.5 for i in range(ROWS)],
                "kind": ["x", 'y "z", é', ""] * 20,
                "paid": [None if i % 10 == 0 else i % 3 for i in range(ROWS)],
            }
        ),
        primary_key=["id"],
        event_time="at",
    )
    shops = group("shops", list_values(hours[0]), primary_key=["shop"], event_time="t")
    joined = sales.select(["price", "kind", "paid"]).join(shops.select_features(), on=["shop"])
    fs.create_feature_view("values", joined, labels=["paid"])
    flat = [name for name in list_values(hours[0]).column_names if name not in NESTED]
    flat_query = sales.select(["price", "kind", "paid"]).join(shops.select(flat[2:]), on=["shop"])
    fs.create_feature_view("flat", flat_query, labels=["paid"])
    functions = {
        "price": fs.get_transformation_function("robust_scaler"),
        "kind": fs.get_transformation_function("one_hot_encoder"),
    }
    narrow = sales.select(["price", "kind", "paid"]).join(shops.select(["number"]), on=["shop"])
    fs.create_feature_view("learned", narrow, labels=["paid"], transformation_functions=functions)


def list_values(first: pd.Timestamp) -> pa.Table:
    """Two rows of each type that a column may have, the second with what is odd about it, and one of nulls."""
    return pa.table(
        {
            "shop": ["a", "b", "c"],
            "t": pa.array([first] * 3, pa.timestamp("us", "UTC")),
            "number": pa.array([1, -(2**63), None], pa.int64()),
            "tiny": pa.array([1, -128, None], pa.int8()),
            "real": pa.array([0.1, float("nan"), None], pa.float64()),
            "single": pa.array([0.1, float("-inf"), None], pa.float32()),
            "big": pa.array([1e300, -0.0, None], pa.float64()),
            "flag": [True, False, None],
            "text": ['a,"b"\n\tc\\', "", None],
            "amount": pa.array([Decimal("1.50"), Decimal("-0.01"), None], pa.decimal128(10, 2)),
            "day": [date(1969, 12, 31), date(2024, 2, 29), None],
            "seen": pa.array([-1, 1_700_000_000_123_456, None], pa.timestamp("us", "UTC")),
            "raw": [b"\x00\xff", b"", None],
            "scores": pa.array([[1.5, None], [], None], pa.list_(pa.float64())),
            "pair": pa.array([{"p": 1, "q": "é"}, {"p": None, "q": None}, None]),
            "counts": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        }
    )


@pytest.fixture
def values(fs: FeatureStore) -> FeatureView:
    return fs.get_feature_view("values", 1)


@pytest.fixture
def learned(fs: FeatureStore) -> FeatureView:
    return fs.get_feature_view("learned", 1)


def check_same(ours: Tables, theirs: Tables) -> None:
    """The same rows in the same order, to the last bit, of the same types."""
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.schema.names == other.schema.names
        assert one.cast(other.schema).schema == other.schema
        assert repr(one.to_pylist()) == repr(other.to_pylist())


SPLITS: dict[str, Callable[..., Any]] = {
    "three": lambda view, **options: view.train_validation_test_split(
        validation_ratio=0.2, test_ratio=0.3, seed=7, **options
    ),
    "whole": lambda view, **options: view.training_data(**options),
    "bounded": lambda view, **options: view.training_data("2024-01-01 05:00", **options),
    "times": lambda view, **options: view.train_test_split(train_end="2024-01-02", **options),
    "random": lambda view, **options: view.train_test_split(test_ratio=0.3, seed=7, **options),
    "dropped": lambda view, **options: view.training_data(null_labels="drop", **options),
    "aged": lambda view, **options: view.training_data(max_feature_age=36_000, **options),
}
IDENTITY = {"primary_key": True, "event_time": True}


@pytest.mark.parametrize("name", ["values", "learned"])
@pytest.mark.parametrize("split", first_quick(list(SPLITS), 1))
def test_both_engines_make_the_same_training_data(fs: FeatureStore, name: str, split: str) -> None:
    view = fs.get_feature_view(name, 1)
    local, spark = (
        SPLITS[split](view, dataframe_type="arrow", engine=engine, **IDENTITY) for engine in ENGINES
    )
    check_same(local, spark)
    made = view.get_training_datasets()
    assert made[0].states == made[1].states
    assert made[0].rows == made[1].rows


def test_a_filter_is_asked_by_both(learned: FeatureView, fs: FeatureStore) -> None:
    sales = fs.get_feature_group("sales", 1)
    condition = (sales["price"] > 10) & (sales["kind"] == "x")
    local, spark = (
        learned.training_data(
            extra_filter=condition, dataframe_type="arrow", engine=engine, primary_key=True
        )
        for engine in ENGINES
    )
    check_same(local, spark)
    assert local[0]["id"].to_pylist() == [i for i in range(9, ROWS, 3) if i * 1.5 > 10]


FILES: dict[str, Callable[..., Any]] = {
    "whole": lambda view, **options: view.create_training_data(**options),
    "times": lambda view, **options: view.create_train_test_split(
        train_end="2024-01-02", **options
    ),
    "random": lambda view, **options: view.create_train_test_split(
        test_ratio=0.3, seed=7, **options
    ),
}
READERS: dict[str, Callable[..., Any]] = {
    "whole": lambda view, version, **options: view.get_training_data(version, **options),
    "times": lambda view, version, **options: view.get_train_test_split(version, **options),
    "random": lambda view, version, **options: view.get_train_test_split(version, **options),
}


@pytest.mark.parametrize("coalesce", first_quick([False, True], 1))
@pytest.mark.parametrize("split", first_quick(["random", "whole", "times"], 1))
@pytest.mark.parametrize("name", first_quick(["values", "learned"], 1))
def test_what_one_engine_wrote_the_other_reads(
    fs: FeatureStore, name: str, split: str, coalesce: bool
) -> None:
    view = fs.get_feature_view(name, 1)
    expected = SPLITS[split](view, dataframe_type="arrow", engine="local", **IDENTITY)
    for maker in ENGINES:
        version, _ = FILES[split](view, engine=maker, coalesce=coalesce)
        for reader in ENGINES:
            read = READERS[split](view, version, dataframe_type="arrow", engine=reader, **IDENTITY)
            check_same(read, expected)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("json", "values"),
        *first_quick([("csv", "flat"), ("tsv", "flat"), ("json", "learned")], 1),
    ],
)
def test_text_that_one_engine_wrote_the_other_reads(fs: FeatureStore, form: str, name: str) -> None:
    view = fs.get_feature_view(name, 1)
    expected = SPLITS["random"](view, dataframe_type="arrow", engine="local", **IDENTITY)
    for maker in ENGINES:
        version, _ = FILES["random"](view, engine=maker, data_format=form)
        for reader in ENGINES:
            read = view.get_train_test_split(
                version, dataframe_type="arrow", engine=reader, **IDENTITY
            )
            check_same(read, expected)


@pytest.mark.slow
def test_orc_without_times_is_written_and_read_by_both(
    fs: FeatureStore, group: Callable[..., FeatureGroup]
) -> None:
    rows = list_values(pd.Timestamp("2024-01-01", tz="UTC")).drop_columns(["t", "seen"])
    made = group("timeless", rows, primary_key=["shop"])
    view = fs.create_feature_view("timeless", made.select_all())
    expected = view.training_data(dataframe_type="arrow", engine="local")
    for maker in ENGINES:
        version, _ = view.create_training_data(engine=maker, data_format="orc")
        for reader in ENGINES:
            read = view.get_training_data(version, dataframe_type="arrow", engine=reader)
            check_same(read[:1], expected[:1])  # without labels y is None


@pytest.mark.parametrize("engine", ENGINES)
def test_either_engine_makes_it_again(learned: FeatureView, engine: str) -> None:
    made = learned.train_test_split(test_ratio=0.3, seed=7, dataframe_type="arrow", engine="local")
    version, _ = learned.create_train_test_split(test_ratio=0.3, seed=7, engine="local")
    before = learned.get_training_datasets()[1]
    learned.recreate_training_dataset(version, engine=engine)
    after = learned.get_training_datasets()[1]
    assert after == before
    check_same(learned.get_train_test_split(version, dataframe_type="arrow"), made)


def test_a_batch_is_the_same(learned: FeatureView) -> None:
    learned.training_data(engine="local")
    local, spark = (
        learned.get_batch_data("2024-01-02", dataframe_type="arrow", engine=engine, **IDENTITY)
        for engine in ENGINES
    )
    check_same((local,), (spark,))
    assert local.num_rows == ROWS - 24


def test_frames_come_as_they_are_asked_for(learned: FeatureView) -> None:
    table, _ = learned.training_data(dataframe_type="arrow", engine="local", **IDENTITY)
    frame, labels = learned.training_data(engine="local", **IDENTITY)
    polars_frame, _ = learned.training_data(dataframe_type="polars", engine="local", **IDENTITY)
    numbers, _ = learned.training_data(dataframe_type="numpy", engine="local")
    assert isinstance(polars_frame, pl.DataFrame)
    assert polars_frame.to_dicts() == table.to_pylist()
    assert frame["id"].tolist() == table["id"].to_pylist()
    assert (len(labels), list(labels)) == (ROWS, ["paid"])
    assert numbers.shape == (ROWS, len(learned.training_columns(1)))
    spark_frame, _ = learned.training_data(dataframe_type="default")
    assert spark_frame.count() == ROWS  # a session is active here


def test_what_only_spark_writes_says_so(learned: FeatureView, tmp_path: Path) -> None:
    for form in ("avro", "delta"):
        with pytest.raises(
            SettingsError,
            match=rf"The local engine cannot run this: Spark alone writes and reads {form}\.",
        ):
            learned.create_training_data(data_format=form, engine="local")
    with pytest.raises(SettingsError, match=r"column 'at', timestamp, as orc\. Leave engine out"):
        learned.create_training_data(data_format="orc", engine="local")
    with pytest.raises(SettingsError, match=r"write_options 'compression' are for Spark's writer"):
        learned.create_training_data(write_options={"compression": "gzip"}, engine="local")
    with pytest.raises(SettingsError, match=r"engine 'dask' is not known"):
        learned.training_data(engine="dask")
    assert learned.get_training_datasets() == []


def test_options_of_sparks_writer_leave_files(learned: FeatureView) -> None:
    version, job = learned.create_training_data(write_options={"compression": "gzip"})
    assert job.summary["files"] > 0
    expected = learned.training_data(dataframe_type="arrow", engine="local")
    read = learned.get_training_data(version, dataframe_type="arrow")
    check_same(read, expected)


# -- rows of the caller in the place of the spine


def make_spine(kind: str, spark: SparkSession) -> Any:
    frame = pd.DataFrame(
        {
            "id": range(20),
            "at": pd.date_range("2024-01-01", periods=20, freq="3h", tz="UTC"),
            "shop": ["a", "b", "c", "nowhere"] * 5,
            "price": [i * 2.5 for i in range(20)],
            "kind": ["x", "z"] * 10,
            "paid": [i % 2 for i in range(20)],
            "note": [f"n{i}" for i in range(20)],
        }
    )
    makers: dict[str, Callable[[], Any]] = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "arrow": lambda: pa.Table.from_pandas(frame, preserve_index=False),
        "dicts": lambda: frame.to_dict("records"),
        "spark": lambda: spark.createDataFrame(frame),
    }
    return makers[kind]()


@pytest.mark.parametrize("kind", first_quick(["spark", "pandas", "polars", "arrow", "dicts"], 2))
def test_rows_of_the_caller_are_a_spine_for_both(
    learned: FeatureView, fs: FeatureStore, spark: SparkSession, kind: str
) -> None:
    spine = make_spine(kind, spark)
    sales = fs.get_feature_group("sales", 1)
    options = {"spine_df": spine, "extra_filter": sales["price"] >= 5.0, **IDENTITY}
    made = [
        learned.train_test_split(
            train_end="2024-01-02", dataframe_type="arrow", engine=engine, **options
        )
        for engine in ENGINES
    ]
    check_same(*made)
    x_train, x_test, y_train, _ = made[0]
    assert x_train["id"].to_pylist() == list(range(2, 8))
    assert x_test["note"].to_pylist() == [f"n{i}" for i in range(8, 20)]
    assert y_train["paid"].to_pylist() == [0, 1] * 3
    for version in (1, 2):
        for engine in ENGINES:
            read = learned.get_train_test_split(
                version, dataframe_type="arrow", engine=engine, **IDENTITY
            )
            check_same(read, made[0])
    learned.recreate_training_dataset(1, engine="spark")
    learned.recreate_training_dataset(2, engine="local")


@pytest.mark.parametrize("kind", ["pandas", "spark"])
def test_a_batch_takes_rows_of_the_caller(
    learned: FeatureView, spark: SparkSession, kind: str
) -> None:
    learned.training_data(engine="local")
    spine = make_spine(kind, spark)
    batches = [
        learned.get_batch_data(spine_df=spine, dataframe_type="arrow", engine=engine, **IDENTITY)
        for engine in (ENGINES if kind == "pandas" else ["auto", "spark"])
    ]
    check_same((batches[0],), (batches[1],))
    assert batches[0]["id"].to_pylist() == list(range(20))


def test_a_query_of_a_spine_is_read_by_both(fs: FeatureStore, spark: SparkSession) -> None:
    spine = fs.create_spine(make_spine("polars", spark), ["id"], "at")
    shops = fs.get_feature_group("shops", 1)
    query = spine.select_all().join(shops.select(["number", "text"]), on=["shop"])
    local, by_spark = (query.read("arrow", engine=engine) for engine in ENGINES)
    check_same((local,), (by_spark,))
    assert local["number"].to_pylist() == [1, -(2**63), None, None] * 5
