"""Groups written as code for Hopsworks writes them: all rows replaced, names in capitals, parts."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import KeyValueError

from oracles import same_rows

Make = Callable[..., FeatureGroup]
DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 2, 3], "at": DAY, "v": [1.0, 2.0, 3.0]})
NEXT = pd.DataFrame({"k": [3, 4], "at": DAY[1:], "v": [30.0, 40.0]})


@pytest.fixture
def clicks(group: Make) -> FeatureGroup:
    return group("clicks", FIRST, primary_key=["k"], event_time="at", online_enabled=True)


def test_a_frame_takes_the_place_of_all_rows_in_one_commit(clicks: FeatureGroup) -> None:
    before = clicks.commit_details()[0].version
    job, _ = clicks.insert(NEXT, overwrite=True)
    assert job.summary == {
        "read": 2,
        "inserted": 2,
        "updated": 0,
        "unchanged": 0,
        "set_aside": 0,
        "deleted": 3,
    }
    same_rows(clicks.read("pandas"), NEXT, ["k", "at"])
    same_rows(clicks.as_of(before).read("pandas"), FIRST, ["k", "at"])
    newest = clicks.commit_details()[0]
    assert (newest.version, newest.operation) == (before + 1, "overwrite")
    assert (newest.inserted, newest.updated, newest.deleted) == (2, 0, 3)


def test_what_follows_the_rows_follows_an_overwrite(clicks: FeatureGroup) -> None:
    clicks.sync_online()
    clicks.insert(NEXT, overwrite=True)
    statistics = clicks.get_statistics()
    assert statistics is not None
    assert statistics.feature_descriptive_statistics[2].mean == 35.0
    clicks.sync_online()
    assert clicks.verify_online().ok
    assert sorted(clicks.read("pandas", online=True)["k"]) == [3, 4]
    first = clicks.commit_details()[-1].version
    changes = clicks.read_changes(first, None, dataframe_type="pandas")
    kinds = changes.groupby("_change_type")["k"].apply(sorted).to_dict()
    assert kinds == {"delete": [1, 2, 3], "insert": [3, 4]}


def test_an_overwrite_that_is_refused_or_repeated_changes_nothing(clicks: FeatureGroup) -> None:
    with pytest.raises(KeyValueError, match="several rows of one identity"):
        clicks.insert(FIRST.assign(k=1, at=DAY[0]), overwrite=True)
    same_rows(clicks.read("pandas"), FIRST, ["k", "at"])
    options = {"batch_id": "nightly"}
    clicks.insert(NEXT, overwrite=True, write_options=options)
    again, _ = clicks.insert(FIRST, overwrite=True, write_options=options)
    assert again.summary["read"] == 0
    same_rows(clicks.read("pandas"), NEXT, ["k", "at"])


def test_a_first_frame_may_overwrite_and_none_may_empty(fs: FeatureStore) -> None:
    group = fs.create_feature_group("g", primary_key=["k"], event_time="at")
    assert group.insert(FIRST, overwrite=True)[0].summary["deleted"] == 0
    assert group.insert(FIRST[:0], overwrite=True)[0].summary["deleted"] == 3
    assert group.read("pandas").empty
    assert group.insert(NEXT)[0].summary["inserted"] == 2


def test_frames_with_names_in_capitals_are_inserted_and_deleted_by(
    fs: FeatureStore, spark: SparkSession
) -> None:
    with pytest.warns(UserWarning, match="'PassengerId' is 'passengerid'"):
        group = fs.create_feature_group("titanic", primary_key=["PassengerId"])
    frame = pd.DataFrame({"PassengerId": [1, 2], "Sex Age": ["a", "b"]})
    with pytest.warns(UserWarning, match="The frame has names in lower snake case here"):
        group.insert(frame)
    with pytest.warns(UserWarning, match="The frame has names in lower snake case here"):
        group.insert(spark.createDataFrame([(3, "c")], ["PassengerId", "Sex Age"]))
    assert group.column_names == ["passengerid", "sex_age"]
    with pytest.warns(UserWarning, match="The frame has names in lower snake case here"):
        assert group.remove_rows(pd.DataFrame({"PassengerId": [1]})).summary["deleted"] == 1
    assert sorted(group.read("pandas")["sex_age"]) == ["b", "c"]
    order = {"keep": "last", "order_by": "Sex Age"}
    both = pd.DataFrame({"PassengerId": [4, 4], "Sex Age": ["x", "y"]})
    with pytest.warns(UserWarning, match="The frame has names in lower snake case here"):
        group.insert(both, write_options=order)
    assert sorted(group.read("pandas")["sex_age"]) == ["b", "c", "y"]


def test_parts_and_arrays_are_inserted(fs: FeatureStore) -> None:
    group = fs.create_feature_group("parts", primary_key=["col_0"])
    with group.multi_part_insert() as writer:
        writer.insert(np.array([[1, 10], [1, 10]]), write_options={"wait_for_job": False})
        writer.insert(np.array([[2, 20]]))
    group.multi_part_insert(np.array([[3, 30]]))
    group.finalize_multi_part_insert()
    saved = group.save(np.array([[3, 31]]), wait=True)
    assert saved is not None
    assert saved[0].summary["updated"] == 1
    assert dict(group.read("pandas").itertuples(index=False)) == {1: 10, 2: 20, 3: 31}


def test_an_event_time_is_a_whole_key(group: Make) -> None:
    days = FIRST[["at", "v"]]
    group_ = group("days", days, primary_key=["at"], event_time="at", online_enabled=True)
    job, _ = group_.insert(days.assign(v=[1.0, 20.0, 3.0]))
    assert (job.summary["updated"], job.summary["unchanged"]) == (1, 2)
    group_.delete_records(days[:1])
    same_rows(group_.read("pandas"), days.assign(v=[1.0, 20.0, 3.0])[1:], ["at"])
    group_.sync_online()
    assert group_.verify_online().ok
    assert sorted(group_.read("pandas", online=True)["v"]) == [3.0, 20.0]


def test_views_are_deleted_with_their_group(clicks: FeatureGroup, fs: FeatureStore) -> None:
    fs.create_feature_view("v", clicks.select_all())
    with pytest.raises(spark_fs.errors.SettingsError, match="is read by feature view"):
        clicks.delete()
    clicks.delete(delete_feature_views=True)
    assert fs.get_feature_views() == []
    assert fs.get_feature_groups() == []
