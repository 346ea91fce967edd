"""Each online store holds the latest row of each entity, whatever is synced in whatever order."""

import decimal
from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa
import pytest

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import NotFoundError, OnlineStoreError, SettingsError
from spark_fs.flows.jobs import Job

from conftest import at


def rows(*given: tuple[int, str, int]) -> pd.DataFrame:
    """Rows of (key, event time, value)."""
    times = pd.to_datetime([at(text) for _, text, _ in given], utc=True)
    return pd.DataFrame({"k": [k for k, _, _ in given], "at": times, "v": [v for _, _, v in given]})


@pytest.fixture
def clicks(served: FeatureStore) -> FeatureGroup:
    return served.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", online_enabled=True
    )


def counts(job: Job) -> dict[str, object]:
    """What a sync counted, its lag aside."""
    return {name: value for name, value in job.summary.items() if name != "lag_seconds"}


def online(fs: FeatureStore, group: FeatureGroup, *keys: int) -> list[object]:
    """The value ``v`` of each key; None where it has no row."""
    name = f"{group.name}_all"
    view = fs.get_or_create_feature_view(name, group.select(["v"]))
    return [
        vector[0]
        for vector in view.get_feature_vectors(
            entry=[{"k": key} for key in keys], allow_missing=True
        )
    ]


def test_the_latest_row_of_each_key_is_online(served: FeatureStore, clicks: FeatureGroup) -> None:
    clicks.insert(rows((1, "01-01", 10), (1, "01-03", 30), (1, "01-02", 20), (2, "01-01", 5)))
    job = clicks.sync_online()
    assert counts(job) == {
        "written": 2,
        "deleted": 0,
        "skipped": 0,
        "expired": 0,
        "from_version": None,
        "to_version": 0,
    }
    assert 0 <= job.summary["lag_seconds"] < 600
    assert online(served, clicks, 1, 2, 3) == [30, 5, None]


def test_a_second_sync_writes_what_changed_and_a_third_nothing(
    served: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(rows((1, "01-01", 10), (2, "01-01", 5)))
    clicks.sync_online()
    clicks.insert(rows((2, "01-02", 6), (3, "01-01", 7)))
    clicks.insert(rows((2, "01-02", 8)))
    assert counts(clicks.sync_online()) == {
        "written": 2,
        "deleted": 0,
        "skipped": 0,
        "expired": 0,
        "from_version": 0,
        "to_version": 2,
    }
    assert online(served, clicks, 1, 2, 3) == [10, 8, 7]
    assert counts(clicks.sync_online()) == {
        "written": 0,
        "deleted": 0,
        "skipped": 0,
        "expired": 0,
        "from_version": 2,
        "to_version": 2,
    }


def test_a_late_row_never_displaces_a_newer_one(served: FeatureStore, clicks: FeatureGroup) -> None:
    clicks.insert(rows((1, "01-05", 50)))
    clicks.sync_online()
    clicks.insert(rows((1, "01-04 23:59:59.999999", 49)))
    clicks.sync_online()
    assert online(served, clicks, 1) == [50]
    clicks.insert(rows((1, "01-05 00:00:00.000001", 51)))
    clicks.sync_online()
    assert online(served, clicks, 1) == [51]


@pytest.mark.slow
def test_a_group_without_event_time_keeps_the_last_ingested(served: FeatureStore) -> None:
    users = served.create_feature_group("users", primary_key=["k"], online_enabled=True)
    users.insert(pd.DataFrame({"k": [1, 2], "v": [1, 2]}))
    users.sync_online()
    users.insert(pd.DataFrame({"k": [1], "v": [9]}))
    users.sync_online()
    assert online(served, users, 1, 2) == [9, 2]


VALUES = {
    "flag": True,
    "i8": -128,
    "i64": -(2**63),
    "u64": decimal.Decimal(2**64 - 1),
    "f32": 0.5,
    "f64": 0.1 + 0.2,
    "tiny": 5e-324,
    "amount": decimal.Decimal("-12345678.90"),
    "at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "day": date(2024, 2, 29),
    "text": "naïve 🙂 'quoted' \\ \"x\" ",
    "raw": b"\x00\xff'",
}
TYPES = {
    "flag": pa.bool_(),
    "i8": pa.int8(),
    "i64": pa.int64(),
    "u64": pa.uint64(),
    "f32": pa.float32(),
    "f64": pa.float64(),
    "tiny": pa.float64(),
    "amount": pa.decimal128(10, 2),
    "at": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "text": pa.string(),
    "raw": pa.binary(),
}


def test_every_type_is_served_as_it_went_in(served: FeatureStore) -> None:
    typed = served.create_feature_group("typed", primary_key=["k"], online_enabled=True)
    columns = {name: pa.array([value, None], TYPES[name]) for name, value in VALUES.items()}
    typed.insert(pa.table({"k": pa.array([1, 2], pa.int64()), **columns}))
    typed.sync_online()
    view = served.create_feature_view("typed", typed.select_features())
    full, empty = view.get_feature_vectors(entry=[{"k": 1}, {"k": 2}])
    assert dict(zip(view.schema, full, strict=True)) == VALUES
    assert [type(value) for value in full] == [type(value) for value in VALUES.values()]
    assert empty == [None] * len(VALUES)


def test_keys_differ_by_case_and_by_a_space_at_the_end(served: FeatureStore) -> None:
    names = served.create_feature_group("names", primary_key=["k"], online_enabled=True)
    keys = ["a", "A", "a ", "ä", ""]
    names.insert(pd.DataFrame({"k": keys, "v": range(5)}))
    assert names.sync_online().summary["written"] == 5
    view = served.create_feature_view("names", names.select_features())
    assert view.get_feature_vectors(entry=[{"k": key} for key in keys]) == [[0], [1], [2], [3], [4]]


def test_a_longer_text_finds_room(served: FeatureStore) -> None:
    texts = served.create_feature_group("texts", primary_key=["k"], online_enabled=True)
    for number, length in enumerate((3, 250, 5_000)):
        texts.insert(pd.DataFrame({"k": [number], "v": ["🙂" * length]}))
        texts.sync_online()
    view = served.create_feature_view("texts", texts.select_features())
    assert [
        len(vector[0]) for vector in view.get_feature_vectors(entry=[{"k": 0}, {"k": 1}, {"k": 2}])
    ] == [3, 250, 5_000]


def test_a_group_that_is_not_online_or_has_no_rows_says_so(served: FeatureStore) -> None:
    offline = served.create_feature_group("offline", primary_key=["k"])
    with pytest.raises(
        SettingsError,
        match="Feature group 'offline' version 1 is not online_enabled: create a version that is",
    ):
        offline.sync_online()
    empty = served.create_feature_group("empty", primary_key=["k"], online_enabled=True)
    with pytest.raises(
        NotFoundError,
        match="Feature group 'empty' version 1 has no rows to sync yet: insert its first rows",
    ):
        empty.sync_online()
    declared = served.create_feature_group(
        "declared",
        primary_key=["k"],
        online_enabled=True,
        features=[spark_fs.Feature("k", "bigint")],
    )
    with pytest.raises(
        NotFoundError,
        match="Feature group 'declared' version 1 has no rows to sync yet: insert its first rows",
    ):
        declared.sync_online()
    assert served.sync_online() == served.verify_online() == []


def test_a_server_that_is_not_there_is_named_without_its_password(
    fs: FeatureStore, tmp_path: object
) -> None:
    url = "mysql://me:secret@127.0.0.1:1/db"
    away = spark_fs.login({"home": tmp_path, "online_url": url}).get_feature_store()
    group = away.create_feature_group("a", primary_key=["k"], online_enabled=True)
    group.insert(pd.DataFrame({"k": [1]}))
    with pytest.raises(
        OnlineStoreError,
        match=r"The online store 127.0.0.1:1/db failed \(2003\): .*Check online_url",
    ) as raised:
        group.sync_online()
    assert "secret" not in str(raised.value)
    assert raised.value.retryable


def test_a_name_with_no_room_for_its_version_is_refused_when_it_is_created(
    served: FeatureStore,
) -> None:
    if served._stores.online.capabilities.max_identifier < 65:
        with pytest.raises(
            SettingsError,
            match=r"its table 'a+_1' has 65 characters and mysql takes 64. Choose a shorter name",
        ):
            served.create_feature_group("a" * 63, primary_key=["k"], online_enabled=True)
        assert served.get_feature_groups() == []
    assert (
        served.create_feature_group("a" * 62, primary_key=["k"], online_enabled=True).version == 1
    )
