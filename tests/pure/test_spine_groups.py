"""Spine groups: a frame under a name, which feature views may begin with."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from releases.make import CARDS
from releases.unpack import unpack

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.spine import Spine
from spark_fs.errors import AlreadyExistsError, NotFoundError, SchemaError, SettingsError

from conftest import ROOT

ASKED = CARDS.known_at.max() + pd.Timedelta(days=1)
REQUESTS = pd.DataFrame({"card": CARDS.card.unique(), "asked": ASKED})
REQUESTS["y"] = range(len(REQUESTS))


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


def declare(fs: FeatureStore, frame: Any = REQUESTS, **others: Any) -> Spine:
    return fs.get_or_create_spine_group(
        "requests", 1, primary_key=["card"], dataframe=frame, **{"event_time": "asked", **others}
    )


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    cards = fs.get_feature_group("cards", 1)
    query = declare(fs).select(["y"]).join(cards.select(["kind"]))
    return fs.create_feature_view("answers", query, labels=["y"])


def newest_kinds(frame: pd.DataFrame) -> list[Any]:
    newest = CARDS.sort_values("known_at").groupby("card")["kind"].last()
    return frame["card"].map(newest).tolist()


def test_a_query_reads_the_frame(fs: FeatureStore) -> None:
    spine = declare(fs)
    assert spine.dataframe is REQUESTS
    cards = fs.get_feature_group("cards", 1)
    query = spine.select_all().join(cards.select(["kind"]))
    assert query.read("pandas")["kind"].tolist() == newest_kinds(REQUESTS)
    spine.dataframe = REQUESTS[:2]
    again = spine.select_all().join(cards.select(["kind"])).read("pandas")
    assert again["card"].tolist() == REQUESTS["card"][:2].tolist()


def test_a_view_that_begins_with_one_is_given_rows_each_time(view: FeatureView) -> None:
    frame = REQUESTS[::-1]
    features, labels = view.training_data(spine_df=frame)
    by_label = dict(zip(labels["y"], features["kind"], strict=True))
    assert by_label == dict(zip(REQUESTS["y"], newest_kinds(REQUESTS), strict=True))
    kept, _ = view.get_training_data(1)
    pd.testing.assert_frame_equal(kept, features)
    view.init_batch_scoring(1)
    asked = REQUESTS[["card", "asked"]][:3]
    assert sorted(view.get_batch_data(spine_df=asked)["kind"]) == sorted(newest_kinds(asked))


@pytest.mark.parametrize(
    "call",
    [
        lambda view: view.training_data(),
        lambda view: view.get_batch_data(),
        lambda view: view.query.read("pandas"),
    ],
    ids=["training data", "batch", "query"],
)
def test_a_view_without_rows_says_what_to_give(view: FeatureView, call: Any) -> None:
    with pytest.raises(
        SettingsError,
        match=r"begins with spine group 'requests' version 1, whose rows are kept nowhere: give a"
        r" frame of its columns \(card, asked, y\), as spine= of training data and batches.",
    ):
        call(view)


def test_a_spine_is_no_feature_group(fs: FeatureStore) -> None:
    declare(fs)
    before = [group.name for group in fs.get_feature_groups()]
    assert "requests" not in before
    assert fs.get_external_feature_groups("requests") == []
    for find in (fs.get_feature_group, fs.get_external_feature_group):
        with pytest.raises(NotFoundError, match="is a spine group, whose rows are kept nowhere"):
            find("requests", 1)
    with pytest.raises(NotFoundError, match=r"^'requests' version 1 is a spine group: use"):
        fs.get_or_create_feature_group("requests", 1)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"frame": REQUESTS.assign(z=1)}, SchemaError, r"'z' \(bigint\) is only in one of the two"),
        ({"frame": None}, SettingsError, "Spine group 'requests' needs its rows: give dataframe="),
        ({"event_time": None}, AlreadyExistsError, "is a spine group with the key and event time"),
    ],
    ids=["columns", "no rows", "event time"],
)
def test_another_spine_of_the_name_is_refused(
    fs: FeatureStore, arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    declare(fs)
    with pytest.raises(error, match=text):
        declare(fs, **arguments)


def test_a_spine_says_what_it_is_and_is_forgotten(fs: FeatureStore, view: FeatureView) -> None:
    spine = declare(fs, description="who asks")
    assert (spine.name, spine.version, spine.description) == ("requests", 1, "")
    assert list(spine.schema) == [column.name for column in spine.features] == list(REQUESTS)
    assert [column.name for column in spine.columns if column.primary] == ["card"]
    with pytest.raises(SettingsError, match="is what feature view 'answers' version 1 begins with"):
        spine.delete()
    view.delete(force=True)
    spine.delete()
    assert declare(fs, event_time=None).event_time is None
    unnamed = fs.create_spine(REQUESTS, ["card"], "asked")
    with pytest.raises(SettingsError, match="This spine has no name, so nothing of it is stored"):
        unnamed.delete()
