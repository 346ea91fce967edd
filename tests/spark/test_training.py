"""Training data: split by event time, read at one version of each table, recorded."""

from collections.abc import Callable

import pandas as pd
import pytest

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.project import FeatureStore
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.query import GroupRef

from conftest import at

DAYS = pd.date_range("2024-01-01", periods=6, tz="UTC")


@pytest.fixture
def view(group: Callable[..., FeatureGroup], fs: FeatureStore) -> FeatureView:
    """Six days of labels, each with the score of the day before."""
    labels = group("labels", pd.DataFrame({"id": range(6), "day": DAYS, "k": 1, "y": [0, 1] * 3}), primary_key=["id"], event_time="day")
    scores = group("scores", pd.DataFrame({"k": 1, "t": DAYS + pd.Timedelta("1us"), "score": range(10, 16)}), primary_key=["k"], event_time="t")
    return fs.create_feature_view("v", labels.select(["y"]).join(scores.select_features(), on=["k"]), labels=["y"])


def test_a_split_takes_its_start_and_leaves_its_end(view: FeatureView) -> None:
    x_train, x_test, y_train, y_test = view.train_test_split(
        train_start="2024-01-02", train_end="2024-01-04", test_end="2024-01-06", primary_key=True, event_time=True
    )
    assert (list(x_train.columns), list(y_train.columns)) == (["id", "day", "score"], ["y"])
    assert sorted(x_train["id"]) == [1, 2]
    assert sorted(x_test["id"]) == [3, 4]
    assert x_train.set_index("id")["score"].to_dict() == {1: 10, 2: 11}
    assert x_train["day"].min() == at("01-02")
    assert y_train.loc[x_train["id"] == 1, "y"].tolist() == [1]
    assert len(y_test) == len(x_test)


def test_without_asking_x_has_the_features_alone(view: FeatureView) -> None:
    x_train, x_test, _, _ = view.train_test_split(train_end="2024-01-04", test_start="2024-01-05")
    assert list(x_train.columns) == list(view.schema) == ["score"]
    assert (len(x_train), len(x_test)) == (3, 2)
    assert x_train["score"].isna().sum() == 1


def test_spark_frames_hold_the_same_rows(view: FeatureView) -> None:
    x_train, x_test, y_train, _ = view.train_test_split(train_end="2024-01-04", primary_key=True, dataframe_type="spark")
    assert x_train.columns == ["id", "score"]
    assert (x_train.count(), x_test.count(), y_train.count()) == (3, 3, 3)


def test_what_was_read_is_recorded(view: FeatureView, fs: FeatureStore) -> None:
    view.train_test_split(train_end="2024-01-04", description="first")
    fs.get_feature_group("scores", 1).insert(pd.DataFrame({"k": [1], "t": pd.to_datetime(["2024-02-01"], utc=True), "score": [99]}))
    view.train_test_split(train_end="2024-01-05")
    first, second = fs.get_feature_view("v", 1).get_training_datasets()
    assert (first.version, first.description, second.version) == (1, "first", 2)
    assert first.group_versions == {GroupRef("labels", 1): 0, GroupRef("scores", 1): 0}
    assert second.group_versions == {GroupRef("labels", 1): 0, GroupRef("scores", 1): 1}
    assert str(first.splits["train"]) == "[..., 2024-01-04T00:00:00+00:00)"
    assert first.created_at is not None


def test_splits_that_share_rows_are_refused(view: FeatureView) -> None:
    with pytest.raises(SettingsError, match=r"The train split .* and the test split .* overlap: a row would be in both. Let test start at or after"):
        view.train_test_split(train_end="2024-01-04", test_start="2024-01-03")
    with pytest.raises(SettingsError, match=r"How to split is not said: give test_ratio, or times such as train_end"):
        view.train_test_split()
    with pytest.raises(SettingsError, match="The interval from 2024-01-04 to 2024-01-01 is empty"):
        view.train_test_split(train_start="2024-01-04", train_end="2024-01-01")
    assert view.get_training_datasets() == []


def test_serving_needs_a_training_dataset_that_exists(view: FeatureView) -> None:
    with pytest.raises(NotFoundError, match="Training dataset of feature view 'v' has no version 3"):
        view.init_serving(training_dataset_version=3)
