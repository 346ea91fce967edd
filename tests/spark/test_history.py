"""The group as it was, what changed in between, what is deleted, compacted and cleaned up."""

from collections.abc import Callable
from datetime import timedelta

import pandas as pd
import pytest

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import KeyValueError, NotFoundError, QueryError, SchemaError, SettingsError

from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
SECOND = pd.DataFrame({"k": [1, 3], "at": [DAY[0], DAY[0]], "v": [9.0, 5.0]})
Make = Callable[..., FeatureGroup]


def fill(fs: FeatureStore, group: Make) -> None:
    """Two commits: three rows, then one of them changed and one more."""
    group("clicks", FIRST, primary_key=["k"], event_time="at", online_enabled=True).insert(SECOND)


@pytest.fixture
def clicks(fs: FeatureStore) -> FeatureGroup:
    return fs.get_feature_group("clicks", 1)


BOTH = pd.concat([FIRST, SECOND]).drop_duplicates(["k", "at"], keep="last")


def test_as_of_a_version_a_commit_and_an_instant(clicks: FeatureGroup) -> None:
    newest, first = clicks.commit_details()
    for when in (0, first, first.committed_at, newest.committed_at - timedelta(microseconds=1)):
        same_rows(clicks.as_of(when).read("pandas"), FIRST, ["k", "at"])
    for when in (1, newest, newest.committed_at, newest.committed_at.isoformat(), "2999-01-01"):
        same_rows(clicks.as_of(when).read("pandas"), BOTH, ["k", "at"])


def test_what_is_not_there_has_no_as_of(clicks: FeatureGroup, fs: FeatureStore) -> None:
    with pytest.raises(NotFoundError, match=r"has no version 7: it has 0 to 1"):
        clicks.as_of(7)
    with pytest.raises(
        NotFoundError, match=r"had no rows yet at 2020-01-01T00:00:00.*its first commit is of"
    ):
        clicks.as_of("2020-01-01")
    joined = clicks.select_all().join(clicks.select(["v"]), prefix="b_")
    with pytest.raises(
        SettingsError,
        match=(
            r"as_of\(1\) names a version of one table and the query joins several: give an instant"
        ),
    ):
        joined.as_of(1)


def test_a_view_keeps_its_as_of(clicks: FeatureGroup, fs: FeatureStore) -> None:
    old = clicks.select(["v"]).join(clicks.select(["v"]).as_of(0), prefix="old_")
    view = fs.create_feature_view("both", old, labels=["v"])
    x, _, y, _ = fs.get_feature_view("both", 1).train_test_split(
        train_end="2024-02-01", primary_key=True, event_time=True
    )
    found = x.assign(v=y["v"]).sort_values(["k", "at"])
    assert found["v"].tolist() == [9.0, 2.0, 3.0, 5.0]
    assert found["old_v"].fillna(-1).tolist() == [1.0, 2.0, 3.0, -1.0]
    assert view.query.read("pandas")["old_v"].count() == 3


@pytest.mark.slow
def test_as_of_the_start_and_the_changes_make_the_end(clicks: FeatureGroup) -> None:
    clicks.delete_records(pd.DataFrame({"k": [2]}))
    changes = clicks.read_changes(0, 2, "pandas")
    assert changes.sort_values(["_commit_version", "k", "_change_type"])[
        ["k", "v", "_change_type", "_commit_version"]
    ].values.tolist() == [
        [1, 9.0, "update_postimage", 1],
        [1, 1.0, "update_preimage", 1],
        [3, 5.0, "insert", 1],
        [2, 3.0, "delete", 2],
    ]
    start = {(r.k, r.at): r.v for r in clicks.as_of(0).read("pandas").itertuples()}
    for change in changes.sort_values("_commit_version").to_dict("records"):
        key = (change["k"], change["at"])
        if change["_change_type"] == "delete":
            del start[key]
        elif change["_change_type"] != "update_preimage":
            start[key] = change["v"]
    assert start == {(r.k, r.at): r.v for r in clicks.as_of(2).read("pandas").itertuples()}
    assert len(clicks.read_changes(dataframe_type="pandas")) == 3 + 3 + 1
    assert clicks.read_changes(2, 2, "pandas").empty
    with pytest.raises(
        SettingsError, match=r"read_changes from 2 to 1: the end lies before the start"
    ):
        clicks.read_changes(2, 1)


def test_rows_that_were_written_since_a_commit(clicks: FeatureGroup, fs: FeatureStore) -> None:
    """As pandas has them: the newest row of each identity that a later commit wrote and none deleted."""
    clicks.insert(FIRST.tail(1).assign(v=7.0))
    clicks.delete_records(pd.DataFrame({"k": [3]}))
    newest = clicks.commit_details()[0].version
    rewritten = pd.DataFrame({"k": [1, 2], "at": [DAY[0], DAY[2]], "v": [9.0, 7.0]})
    since = clicks.as_of(exclude_until=0)
    assert since.is_time_travel()
    same_rows(since.read("pandas"), rewritten, ["k", "at"])
    same_rows(clicks.as_of(1, exclude_until=0).read("pandas"), SECOND, ["k", "at"])
    pulled = clicks.select_all().pull_changes("2000-01-01", clicks.commit_details()[-1])
    same_rows(pulled.read("pandas"), FIRST, ["k", "at"])
    assert clicks.as_of(newest, exclude_until=newest).read("pandas").empty
    few = clicks.select(["v"]).filter(clicks["k"] == 2).as_of(None, 0)
    assert few.read("pandas").values.tolist() == [[7.0]]
    assert few.limit(1).read("spark").collect()[0].asDict() == {"v": 7.0}
    with pytest.raises(SettingsError, match=r"exclude_until=1 lies after wallclock_time"):
        clicks.as_of(0, exclude_until=1)
    with pytest.raises(QueryError, match=r"has exclude_until, which is for a look at what was"):
        fs.create_feature_view("since", since)
    joined = clicks.select_all().join(clicks.select(["v"]), prefix="b_")
    with pytest.raises(QueryError, match=r"exclude_until gives what was written to one feature"):
        joined.as_of(exclude_until="2024-01-01")


def test_rows_know_when_they_were_ingested(clicks: FeatureGroup) -> None:
    _, first = clicks.commit_details()
    changes = clicks.read_changes(dataframe_type="pandas").query(
        "_change_type != 'update_preimage'"
    )
    assert (changes["_ingested_at"] <= changes["_commit_timestamp"]).all()
    assert (changes.query("_commit_version == 1")["_ingested_at"] > first.committed_at).all()


# -- deletes


@pytest.mark.slow
def test_a_key_deletes_its_history_and_a_key_with_time_one_row(clicks: FeatureGroup) -> None:
    job = clicks.delete_records(pd.DataFrame({"k": [1, 1, 8], "at": [DAY[0], DAY[0], DAY[0]]}))
    assert job.summary == {"read": 2, "deleted": 1}
    same_rows(clicks.read("pandas"), BOTH[(BOTH.k != 1) | (BOTH["at"] != DAY[0])], ["k", "at"])
    assert clicks.remove_rows(pd.DataFrame({"k": [1, 2], "other": ["a", "b"]})).summary == {
        "read": 2,
        "deleted": 2,
    }
    assert clicks.read("pandas")["k"].tolist() == [3]
    newest = clicks.commit_details(1)[0]
    assert (newest.operation, newest.deleted, newest.inserted) == ("delete", 2, 0)


def test_what_names_no_row_deletes_nothing(clicks: FeatureGroup, fs: FeatureStore) -> None:
    with pytest.raises(
        KeyValueError,
        match=(
            r"A null key or event time names no row of feature group 'clicks' version 1: the frame"
            r" has 1 in 'k'"
        ),
    ):
        clicks.delete_records(pd.DataFrame({"k": pd.array([1, None], dtype="Int64")}))
    with pytest.raises(
        SchemaError, match=r"key column 'k' \(bigint\) is missing. Nothing was deleted"
    ):
        clicks.delete_records(pd.DataFrame({"v": [1.0]}))
    with pytest.raises(SchemaError, match=r"column 'k' is string, the group has bigint"):
        clicks.delete_records(pd.DataFrame({"k": ["1"]}))
    with pytest.raises(NotFoundError, match=r"has no rows to delete yet"):
        fs.create_feature_group("none", primary_key=["k"]).delete_records(pd.DataFrame({"k": [1]}))
    assert len(clicks.commit_details()) == 2


@pytest.mark.slow
def test_a_deletion_goes_online(served: FeatureStore) -> None:
    clicks = served.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", online_enabled=True
    )
    clicks.insert(FIRST)
    view = served.create_feature_view("clicks", clicks.select_features())
    clicks.sync_online()
    view.init_serving()
    assert view.get_feature_vectors([{"k": 1}, {"k": 2}]) == [[2.0], [3.0]]
    clicks.delete_records(pd.DataFrame({"k": [1], "at": [DAY[1]]}))
    clicks.delete_records(pd.DataFrame({"k": [2]}))
    assert clicks.sync_online().summary["deleted"] == 1
    assert view.get_feature_vectors([{"k": 1}, {"k": 2}], allow_missing=True) == [[1.0], [None]]


# -- storage


@pytest.mark.slow
def test_compaction_changes_no_row(clicks: FeatureGroup) -> None:
    job = clicks.optimize()
    assert job.summary["files_added"] == 1
    assert job.summary["files_removed"] > 1
    same_rows(clicks.read("pandas"), BOTH, ["k", "at"])
    assert clicks.read_changes(1, dataframe_type="pandas").empty
    assert clicks.commit_details(1)[0].operation == "optimize"


def test_a_clean_up_takes_a_length_of_time(clicks: FeatureGroup) -> None:
    with pytest.raises(SettingsError, match=r"retention_hours=-1 is not a length of time"):
        clicks.vacuum(-1)


@pytest.mark.slow
def test_a_deleted_group_leaves_nothing(clicks: FeatureGroup, fs: FeatureStore) -> None:
    clicks.sync_online()
    view = fs.create_feature_view("v", clicks.select_all())
    with pytest.raises(
        SettingsError,
        match=(
            r"'clicks' version 1 is read by feature view 'v' version 1: it is not deleted. Delete"
            r" these first, or say force=True"
        ),
    ):
        clicks.delete()
    assert [v.name for v in clicks.get_generated_feature_views()] == [view.name]
    clicks.delete(force=True)
    assert fs.get_feature_groups() == []
    again = fs.create_feature_group("clicks", primary_key=["k"], online_enabled=True)
    again.insert(pd.DataFrame({"k": ["a"], "w": [1]}))
    same_rows(again.read("pandas"), pd.DataFrame({"k": ["a"], "w": [1]}), ["k"])
    assert again.sync_online().summary["written"] == 1
