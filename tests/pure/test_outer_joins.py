"""Right and outer joins at points in time, beside a plain computation and DuckDB's answer to their SQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import QueryError, SettingsError

Row = tuple[Any, ...]


def make_rows(seed: int, name: str, days: int) -> pd.DataFrame:
    """Rows of few keys, at times of which some are equal."""
    random = np.random.default_rng(seed)
    count = 25
    rows = pd.DataFrame(
        {
            "k": random.integers(0, 6, count),
            "t": pd.Timestamp("2024-01-01", tz="UTC")
            + pd.to_timedelta(random.integers(0, days, count), unit="D"),
            name: np.arange(count) + 100 * seed,
        }
    )
    return rows.drop_duplicates(["k", "t"]).reset_index(drop=True)


LEFT = make_rows(1, "y", 9)
RIGHT = make_rows(2, "x", 9)
NAMES = pd.DataFrame({"k": [0, 1, 9], "name": ["zero", "one", "nine"]})


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    store = spark_fs.login({"home": tmp_path / "home"}).get_feature_store()
    tables: list[tuple[str, pd.DataFrame, str | None]] = [
        ("labels", LEFT, "t"),
        ("facts", RIGHT, "t"),
        ("names", NAMES, None),
    ]
    for name, frame, event_time in tables:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, tmp_path / f"{name}.parquet", coerce_timestamps="us")
        store.create_external_feature_group(
            name,
            primary_key=["k"],
            event_time=event_time,
            data_format="parquet",
            path=str(tmp_path / f"{name}.parquet"),
        )
    return store


def find_match(key: int, at: pd.Timestamp, threshold: int) -> Row | None:
    """The newest fact of a key that is not newer than an instant: its time and its value."""
    known = RIGHT[(RIGHT["k"] == key) & (RIGHT["t"] <= at) & (RIGHT["x"] >= threshold)]
    if known.empty:
        return None
    newest = known.sort_values("t").iloc[-1]
    return newest["t"], int(newest["x"])


def join_by_hand(kind: str, threshold: int) -> Iterator[Row]:
    matched = set()
    for key, at, y in LEFT.itertuples(index=False):
        match = find_match(key, at, threshold)
        if match:
            matched.add((key, match[0]))
        if match or kind in ("left", "outer"):
            yield key, at, y, match and match[1]
    if kind in ("right", "outer"):
        for key, at, x in RIGHT[RIGHT["x"] >= threshold].itertuples(index=False):
            if (key, at) not in matched:
                yield key, at, None, x


def to_plain(frame: pd.DataFrame) -> list[Row]:
    rows = []
    for row in frame.itertuples(index=False):
        plain = []
        for value in row:
            if pd.isna(value):
                plain.append(None)
            elif isinstance(value, pd.Timestamp):
                plain.append(value.tz_convert("UTC").tz_localize(None).isoformat())
            else:
                plain.append(value if isinstance(value, str) else int(value))
        rows.append(tuple(plain))
    return sorted(rows, key=repr)


@pytest.mark.parametrize("threshold", [0, 212])
@pytest.mark.parametrize("kind", ["left", "inner", "right", "outer"])
def test_each_kind_of_join_gives_its_rows(fs: FeatureStore, kind: str, threshold: int) -> None:
    labels, facts = (fs.get_external_feature_group(name, 1) for name in ("labels", "facts"))
    chosen = facts.select(["x"]).filter(facts["x"] >= threshold)
    query = labels.select_all().join(chosen, join_type=kind.upper())
    expected = pd.DataFrame(join_by_hand(kind, threshold), columns=["k", "t", "y", "x"])
    assert to_plain(query.read("pandas")) == to_plain(expected)
    assert to_plain(run_sql(query.to_string())) == to_plain(expected)


def run_sql(text: str) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, frame in (("labels_1", LEFT), ("facts_1", RIGHT), ("names_1", NAMES)):
            ingested = frame.assign(_ingested_at=pd.Timestamp("2024-02-01", tz="UTC"))
            connection.register(name, ingested)
        return connection.execute(text).df()


def test_groups_that_follow_answer_the_rows_that_were_added(fs: FeatureStore) -> None:
    labels, facts, names = (
        fs.get_external_feature_group(name, 1) for name in ("labels", "facts", "names")
    )
    query = labels.select(["k", "t", "y"]).join(facts.select(["x"]), join_type="outer")
    with_names = query.join(names.select(["name"]), on="k", join_type="full")
    found = with_names.read("pandas")
    assert to_plain(found) == to_plain(run_sql(with_names.to_string()))
    by_key = dict(NAMES.itertuples(index=False))
    nine = found[found["k"] == 9]
    assert nine[["y", "x"]].isna().all(axis=None)
    assert nine["t"].isna().all()
    for key, name in zip(found["k"], found["name"], strict=True):
        assert name == by_key.get(key) or (pd.isna(name) and key not in by_key)
    assert len(found) == len(query.read("pandas")) + 1


def test_such_a_query_can_only_be_read(fs: FeatureStore) -> None:
    labels, facts, names = (
        fs.get_external_feature_group(name, 1) for name in ("labels", "facts", "names")
    )
    outer = labels.select_all().join(facts.select(["x"]), join_type="outer")
    text = "has a join_type 'outer', which gives rows that its leftmost group does not have"
    for use in (
        lambda: fs.create_feature_view("v", outer),
        lambda: names.select_all().join(outer, on="k"),
        lambda: spark_fs.select_features(outer, "y", 1),
    ):
        with pytest.raises(QueryError, match=text):
            use()
    with pytest.raises(QueryError, match="outer join cannot be combined with as_known"):
        outer.as_known().read("pandas")
    assert len(outer.limit(3).read("pandas")) == 3
    late = outer.read("pandas", start_time="2024-01-05")
    everything = outer.read("pandas")
    assert to_plain(late) == to_plain(everything[everything["t"] >= "2024-01-05"])
    with pytest.raises(SettingsError, match="join_type 'cross' is not known: use one of 'left', "):
        labels.select_all().join(facts.select(["x"]), join_type="cross")
