"""Training data and batches by threads of this process, over a store that an earlier release left."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from releases.make import CARDS, CHANGED, DAY, PAYMENTS
from releases.unpack import unpack

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import MemoryLimitError, NotFoundError, SchemaError, SettingsError

from conftest import ROOT

RELEASE = ROOT / "tests" / "releases" / "0.1.0.zip"
KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "dicts": lambda frame: frame.to_dict("records"),
}
NOW = pd.concat([PAYMENTS[~PAYMENTS.id.isin([3, 4, 39])], CHANGED])


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    unpack(RELEASE, tmp_path)
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    return fs.get_feature_view("fraud", 1)


def join_cards(payments: pd.DataFrame) -> pd.DataFrame:
    """What pandas makes of payments with the newest row of their card, in the order of training data."""
    ordered = payments.sort_values(["paid_at", "id"])
    return pd.merge_asof(
        ordered, CARDS.sort_values("known_at"), left_on="paid_at", right_on="known_at", by="card"
    )


def test_the_split_of_an_earlier_release_is_read_as_it_was(
    view: FeatureView, tmp_path: Path
) -> None:
    made = json.loads((tmp_path / "made.json").read_text())["split"]
    frames = view.get_train_test_split(1)
    for name, frame in zip(("x_train", "x_test", "y_train", "y_test"), frames, strict=True):
        assert json.loads(frame.to_json(orient="split", date_format="iso")) == made[name]


def test_files_of_an_earlier_release_are_read_and_made_again(view: FeatureView) -> None:
    before = view.get_training_data(2, primary_key=True, event_time=True)
    view.recreate_training_dataset(2)
    again = view.get_training_data(2, primary_key=True, event_time=True)
    for one, other in zip(before, again, strict=True):
        assert_frame_equal(one, other, check_exact=True)
    assert len(before[0]) == len(PAYMENTS) - 1


def test_rows_are_those_of_pandas(fs: FeatureStore) -> None:
    payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
    query = payments.select(["amount", "fraud"]).join(cards.select(["limit_", "kind"]), on=["card"])
    plain = fs.create_feature_view("plain", query, labels=["fraud"])
    x_train, x_test, y_train, y_test = plain.train_test_split(
        train_end=DAY + pd.Timedelta(days=20), primary_key=True, event_time=True
    )
    expected = join_cards(NOW)
    is_train = expected.paid_at < DAY + pd.Timedelta(days=20)
    for x, y, rows in (
        (x_train, y_train, expected[is_train]),
        (x_test, y_test, expected[~is_train]),
    ):
        for name in ("id", "amount", "limit_", "kind"):
            assert x[name].fillna(-1).tolist() == rows[name].fillna(-1).tolist()
        assert y["fraud"].tolist() == rows["fraud"].tolist()
    assert len(x_train)
    assert len(x_test)


@pytest.mark.parametrize("form", ["parquet", "csv", "tsv", "json"])
@pytest.mark.parametrize("coalesce", [False, True])
def test_files_hold_what_is_made_in_memory(view: FeatureView, form: str, coalesce: bool) -> None:
    made = view.train_test_split(test_ratio=0.3, seed=5, primary_key=True)
    version, job = view.create_train_test_split(
        test_ratio=0.3, seed=5, data_format=form, coalesce=coalesce
    )
    read = view.get_train_test_split(version, primary_key=True)
    for one, other in zip(read, made, strict=True):
        assert_frame_equal(one, other, check_exact=True)
    assert job.summary["rows"] == 39
    if coalesce:
        assert job.summary["files"] == 2


def test_parquet_is_anybodys_to_read(view: FeatureView, tmp_path: Path) -> None:
    view.create_training_data(location=str(tmp_path / "out"), coalesce=True)
    table = pq.read_table(tmp_path / "out")
    assert table.num_rows == 39
    np.testing.assert_array_equal(np.sort(table["id"].to_numpy()), np.sort(NOW.id.to_numpy()))


def test_a_failure_leaves_nothing(
    view: FeatureView, fs: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    amount = fs.get_feature_group("payments", 1)["amount"]
    with pytest.raises(SettingsError, match=r"cannot learn from feature 'amount'"):
        view.create_training_data(location=str(tmp_path / "out"), extra_filter=amount > 1e9)
    assert not (tmp_path / "out").exists()
    assert list(temporary.iterdir()) == []
    assert [dataset.version for dataset in view.get_training_datasets()] == [1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_caller_stand_in_for_the_spine(view: FeatureView, kind: str) -> None:
    rows = NOW[["id", "card", "paid_at", "amount", "fraud"]].assign(note=NOW.id.astype(str))
    options = {"primary_key": True, "event_time": True}
    x, y = view.training_data(spine_df=KINDS[kind](rows), **options)
    expected = join_cards(rows)
    assert x["note"].tolist() == expected["id"].astype(str).tolist()
    assert x["limit_"].fillna(-1).tolist() == expected["limit_"].fillna(-1).tolist()
    assert y["fraud"].tolist() == expected["fraud"].tolist()
    version = view.get_training_datasets()[-1].version
    for again in (0, 1):
        if again:
            view.recreate_training_dataset(version)
        read = view.get_training_data(version, **options)
        assert_frame_equal(read[0], x, check_exact=True)


def test_a_spine_that_does_not_fit_is_refused(view: FeatureView, fs: FeatureStore) -> None:
    rows = NOW[["id", "card", "paid_at", "amount"]]
    with pytest.raises(NotFoundError, match=r"Key column of spine_df 'card' does not exist"):
        view.training_data(spine_df=rows.drop(columns="card"))
    with pytest.raises(SchemaError, match=r"A builtins\.int holds no rows"):
        view.training_data(spine_df=3)
    with pytest.raises(
        SchemaError,
        match=r"Event time 't' holds 1704067200000000, which is not an epoch in seconds or",
    ):
        fs.create_spine([{"k": 1, "t": 1_704_067_200_000_000}], ["k"], "t")


def test_a_batch_is_scaled_by_what_was_learned(view: FeatureView) -> None:
    view.init_batch_scoring(2)
    learned = view.get_training_datasets()[1].transformations
    assert learned is not None
    state = learned[0]["state"]
    rows = NOW[["id", "card", "paid_at", "amount"]]
    for batch in (
        view.get_batch_data(primary_key=True),
        view.get_batch_data(primary_key=True, spine_df=rows),
    ):
        expected = join_cards(NOW)
        assert batch["id"].tolist() == expected["id"].tolist()
        scaled = (expected["amount"] - state["mean"]) / state["stddev"]
        np.testing.assert_array_equal(batch["amount"], scaled)


def test_frames_come_as_they_are_asked_for(view: FeatureView) -> None:
    pandas_frame, labels = view.get_training_data(2)
    polars_frame, _ = view.get_training_data(2, dataframe_type="polars")
    table, _ = view.get_training_data(2, dataframe_type="arrow")
    numbers, _ = view.get_training_data(2, dataframe_type="numpy")
    assert isinstance(polars_frame, pl.DataFrame)
    assert polars_frame.to_dicts() == table.to_pylist()
    assert_frame_equal(table.to_pandas(), pandas_frame, check_dtype=False)
    assert numbers.shape == pandas_frame.shape
    assert list(labels) == ["fraud"]
    with pytest.raises(SettingsError, match=r"dataframe_type 'duckdb' is not known"):
        view.get_training_data(2, dataframe_type="duckdb")


def test_too_little_memory_is_said(tmp_path: Path) -> None:
    unpack(RELEASE, tmp_path)
    project = spark_fs.login({"home": tmp_path, "engine": "local", "local_memory": "1k"})
    view = project.get_feature_store().get_feature_view("fraud", 1)
    with pytest.raises(MemoryLimitError):
        view.create_training_data(location=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
