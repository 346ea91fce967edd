"""External groups over files, declared and read by the local engine."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import SchemaError, SettingsError


def at(day: int) -> datetime:
    """Midnight of a day in January."""
    return datetime(2024, 1, day, tzinfo=UTC)


RATES = [
    {"k": 1, "at": at(1), "rate": 1.0},
    {"k": 1, "at": at(2), "rate": 2.0},
    {"k": 2, "at": at(3), "rate": 3.0},
]
LABELS = [
    {"k": 1, "t": at(1), "label": 0},
    {"k": 1, "t": at(3), "label": 1},
    {"k": 2, "t": at(1), "label": 0},
]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store with two external groups over Parquet, one of them in two files."""
    fs = spark_fs.login({"home": tmp_path / "home"}).get_feature_store()
    for name, files in (("rates", [RATES[:1], RATES[1:]]), ("labels", [LABELS])):
        (tmp_path / name).mkdir()
        for number, rows in enumerate(files):
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / name / f"{number}.parquet")
    declare(fs, "rates", tmp_path / "rates", "at")
    declare(fs, "labels", tmp_path / "labels", "t")
    return fs


def declare(fs: FeatureStore, name: str, path: Path, event_time: str) -> None:
    """An external group with the schema of its files."""
    fs.create_external_feature_group(
        name, primary_key=["k"], event_time=event_time, data_format="parquet", path=str(path)
    )


def test_the_schema_and_the_rows_are_those_of_the_files(store: FeatureStore) -> None:
    rates = store.get_external_feature_group("rates")
    assert rates.schema == {"k": "bigint", "at": "timestamp", "rate": "double"}
    assert rates.read("arrow", engine="local").to_pylist() == RATES


def test_times_in_nanoseconds_are_read_to_the_microsecond(
    store: FeatureStore, tmp_path: Path
) -> None:
    """As pandas writes them, and refused where that would cut them."""
    days = pd.to_datetime(["2024-01-01", "2024-01-02 00:00:00.000001"], format="ISO8601")
    pd.DataFrame({"k": [1, 1], "at": days}).to_parquet(tmp_path / "days.parquet")
    declare(store, "days", tmp_path / "days.parquet", "at")
    group = store.get_external_feature_group("days")
    assert group.schema == {"k": "bigint", "at": "timestamp"}
    read = group.read("arrow", engine="local")["at"].to_pylist()
    assert read == [at(1), at(2).replace(microsecond=1)]
    nanoseconds = pa.array([1_700_000_000_000_000_001], pa.timestamp("ns"))
    pq.write_table(pa.table({"k": [1], "at": nanoseconds}), tmp_path / "days.parquet")
    text = r"Column 'at' of .*days\.parquet does not fit .*1700000000000000001.*round those of"
    with pytest.raises(SchemaError, match=text):
        group.read("arrow", engine="local")


def test_external_groups_are_joined_by_the_local_engine(
    store: FeatureStore, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = store.get_external_feature_group("rates").select_features()
    query = store.get_external_feature_group("labels").select_all().join(rates)
    query.explain()
    assert "files: 2 of 2" in capsys.readouterr().out
    found = query.read("arrow", engine="local").select(["k", "t", "rate"])
    assert found.to_pylist() == [
        {"k": 1, "t": at(1), "rate": 1.0},
        {"k": 2, "t": at(1), "rate": None},
        {"k": 1, "t": at(3), "rate": 2.0},
    ]


def test_sql_is_spark_s_alone(store: FeatureStore) -> None:
    text = r"The local engine cannot run this: sql is Spark's SQL, which no other engine speaks\."
    with pytest.raises(SettingsError, match=text):
        store.sql("SELECT 1", engine="local")


def test_what_spark_alone_reads_is_said_with_the_reason(
    store: FeatureStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = store.get_external_feature_group("rates")
    (tmp_path / "rates" / "day=1").mkdir()
    text = rf"Spark alone reads {tmp_path}/rates as parquet: it has folders, such as day=1"
    rates.select_all().explain()
    assert text in capsys.readouterr().out
    with pytest.raises(SettingsError, match=f"The local engine cannot run this: {text}"):
        rates.read("arrow", engine="local")


def test_a_relative_path_is_read_from_any_folder(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declare(store, "relative", Path("rates"), "at")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    relative = store.get_external_feature_group("relative")
    assert relative.location == str(tmp_path / "rates")
    assert relative.read("arrow", engine="local").to_pylist() == RATES
