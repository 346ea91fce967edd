"""A query says what it stands for and how it would run, begins with a group or a DataFrame, and knows what was known when."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.query import Query
from spark_fs.engine.join import inputs, sampling
from spark_fs.errors import QueryError, SettingsError, SparkFSError
from spark_fs.tables.delta import history

from conftest import at, first_quick
from oracles import duckdb_asof, same_rows

Make = Callable[..., FeatureGroup]
STRATEGIES = ["sql", "columnar", "broadcast"]


def frame(columns: str, *rows: tuple[Any, ...]) -> pd.DataFrame:
    """A frame of rows; in a column ``at`` or ``t`` a text such as "01-31 12:00" is that instant of 2024, in UTC."""
    table = pd.DataFrame(rows, columns=columns.split())
    times = {
        c: pd.to_datetime([None if text is None else at(text) for text in table[c]], utc=True)
        for c in ("at", "t")
        if c in table
    }
    return table.assign(**times)


@pytest.fixture
def orders(group: Make) -> FeatureGroup:
    return group(
        "orders",
        frame(
            "id customer city at",
            (1, "a", "x", "01-02 00:00"),
            (2, "a", "x", "01-01 12:00"),
            (3, "a", None, "01-05 00:00"),
            (4, "b", "y", "01-02 00:00"),
        ),
        primary_key=["id"],
        event_time="at",
    )


@pytest.fixture
def scores(group: Make) -> FeatureGroup:
    return group(
        "scores",
        frame(
            "customer t score kind",
            ("a", "01-01 00:00", 1.0, "it's"),
            ("a", "01-02 00:00", 2.0, "b"),
            ("b", "01-03 00:00", 9.0, "b"),
        ),
        primary_key=["customer"],
        event_time="t",
        ttl=timedelta(days=2),
    )


@pytest.fixture
def cities(group: Make) -> FeatureGroup:
    return group(
        "cities", pd.DataFrame({"city": ["x", "y"], "people": [10, 20]}), primary_key=["city"]
    )


def rich(orders: FeatureGroup, scores: FeatureGroup, cities: FeatureGroup) -> Query:
    joined = (
        orders.select_all()
        .join(scores.select_features(), on=["customer"])
        .join(cities.select_features(), on=["city"], join_type="left")
    )
    quoted = scores.select(["score"]).filter(
        (scores["kind"] == "it's") | scores["kind"].isin(["c", "d"])
    )
    return joined.join(quoted, on=["customer"], prefix="quoted_").filter(orders["id"] < 4)


# -- what it says


def test_its_sql_gives_the_same_rows_in_another_engine(
    fs: FeatureStore, orders: FeatureGroup, scores: FeatureGroup, cities: FeatureGroup
) -> None:
    query = rich(orders, scores, cities)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for group in (orders, scores, cities):
            files = [file.path for file in history.list_data_files(group.location)]
            connection.execute(
                f'CREATE VIEW "{group.name}_1" AS SELECT * FROM read_parquet({files})'
            )
        wanted = connection.execute(query.to_string()).df()
    same_rows(query.read("pandas"), wanted, ["id"])
    assert wanted["score"].tolist() != wanted["quoted_score"].tolist()


def test_its_sql_names_versions_and_what_was_known(
    orders: FeatureGroup, scores: FeatureGroup
) -> None:
    query = (
        orders.select(["id"])
        .join(scores.select(["score"]).as_of(scores.commit_details(1)[0]), on=["customer"])
        .join(scores.select(["kind"]), on=["customer"], prefix="k_")
        .as_known()
    )
    text = query.to_string()
    assert '"scores_1" VERSION AS OF' in text
    assert 'r._ingested_at <= "orders"."at"' in text
    assert 'AS "scores_again2"' in text


def test_it_explains_how_it_runs(
    orders: FeatureGroup,
    scores: FeatureGroup,
    cities: FeatureGroup,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rich(orders, scores, cities).explain()
    said = capsys.readouterr().out
    assert "spine: 'orders' version 1, event time 'at'" in said
    assert (
        "match: customer = orders.customer, the greatest t not after orders.at, at most 172,800"
        " seconds older" in said
    )
    assert (
        "event times: from 2023-12-30T12:00:00+00:00 and before 2024-01-05T00:00:00.001000+00:00"
        in said
    )
    assert (
        "filter before the match: (kind = 'it''s')" in said
        or "filter before the match: ((kind = 'it''s') OR" in said
    )
    assert "filter on the result: (orders.id < 4)" in said
    assert "broadcast: every task reads the joined groups itself" in said
    assert "why: the joined rows are few, less than 1 MB" in said


def test_it_shows_rows(orders: FeatureGroup, capsys: pytest.CaptureFixture[str]) -> None:
    orders.select(["id", "city"]).filter(orders["city"] == "y").show(1)
    assert "|4  |y   |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("way", "said"), [("fast", "strategy 'fast' is not known: use 'broadcast', 'columnar', 'sql'")]
)
def test_a_strategy_that_is_unknown_is_refused(orders: FeatureGroup, way: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        orders.select_all().read(strategy=way)


# -- what is left unread


@pytest.mark.slow
def test_files_in_which_no_row_can_match_are_not_read(
    group: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    spine = group(
        "spine",
        frame("id k at", (1, 1, "03-01 00:00"), (2, 1, "03-02 00:00")),
        primary_key=["id"],
        event_time="at",
    )
    right = group(
        "right",
        frame("k t v", (1, "01-01 00:00", 1)),
        primary_key=["k"],
        event_time="t",
        ttl=timedelta(days=10),
    )
    for day, value in (("02-25", 2), ("03-01", 3), ("03-04", 4)):
        right.insert(frame("k t v", (1, f"{day} 00:00", value)))
    query = spine.select(["id"]).join(right.select_features(), on=["k"])
    wanted = {
        way: query.read("pandas", strategy=way).set_index("id")["v"].to_dict() for way in STRATEGIES
    }
    assert list(wanted.values()) == [{1: 3, 2: 3}] * 3
    query.explain()
    assert "files: 2 of 4" in capsys.readouterr().out
    for file in history.list_data_files(right.location):
        if pd.Timestamp(file.min_values["t"]) in (
            pd.Timestamp("2024-01-01", tz="UTC"),
            pd.Timestamp("2024-03-04", tz="UTC"),
        ):
            Path(urlsplit(file.path).path).unlink()
    for way in STRATEGIES:
        assert query.read("pandas", strategy=way).set_index("id")["v"].to_dict() == {1: 3, 2: 3}


@pytest.mark.slow
def test_files_that_a_filter_leaves_nothing_of_are_not_read(
    group: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    spine = group(
        "spine",
        frame("id k at", (1, 1, "03-01 00:00"), (2, 2, "03-01 00:00")),
        primary_key=["id"],
        event_time="at",
    )
    right = group(
        "right",
        frame(
            "k t land v",
            (1, "02-01 00:00", "ch", 1),
            (1, "02-02 00:00", "de", 2),
            (2, "02-01 00:00", "de", 3),
        ),
        primary_key=["k"],
        event_time="t",
        partition_key=["land"],
    )
    query = spine.select(["id"]).join(right.select(["v"]).filter(right["land"] == "ch"), on=["k"])
    for way in STRATEGIES:
        assert query.read("pandas", strategy=way).set_index("id")["v"].dropna().to_dict() == {1: 1}
    query.explain()
    assert "files: 1 of 2" in capsys.readouterr().out


@pytest.mark.slow
def test_spark_reads_only_the_columns_and_files_that_matter(fs: FeatureStore, group: Make) -> None:
    spine = group(
        "spine", frame("id k at", (1, 1, "03-01 00:00")), primary_key=["id"], event_time="at"
    )
    right = group(
        "right",
        frame("k t v w", (1, "02-01 00:00", 1, 1)),
        primary_key=["k"],
        event_time="t",
        partition_key=["month"],
    )
    right.insert(frame("k t v w", (1, "04-01 00:00", 2, 2), (1, "05-01 00:00", 3, 3)))
    read = spine.select(["id"]).join(right.select(["v"]), on=["k"]).read(strategy="sql")
    assert read.collect()[0]["v"] == 1
    plan: Any = read._jdf.queryExecution().executedPlan()
    scans = [line for line in plan.toString().splitlines() if "FileScan" in line]
    assert scans
    assert all(",w#" not in line for line in scans)
    assert files_read(plan) == [1, 1]  # of one file of the spine and three of the other


def files_read(plan: Any) -> list[int]:
    """The metric "number of files read" of each scan of an executed plan."""
    found: list[int] = []
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        kind = node.getClass().getSimpleName()
        if kind == "AdaptiveSparkPlanExec":
            waiting.append(node.executedPlan())
        elif kind.endswith("QueryStageExec"):
            waiting.append(node.plan())
        if node.metrics().contains("numFiles"):
            found.append(node.metrics().apply("numFiles").value())
        waiting += [node.children().apply(i) for i in range(node.children().size())]
    return found


@pytest.mark.slow
def test_keys_with_many_rows_are_sliced_and_keys_that_the_spine_lacks_stay(
    group: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    looked = sampling.detect_skew
    monkeypatch.setattr(sampling, "SAMPLING_MIN_BYTES", 0)
    monkeypatch.setattr(inputs, "BUCKET_BYTES", 4_000)
    monkeypatch.setattr(
        sampling, "detect_skew", lambda *given: looks.append(looked(*given)) or looks[-1]
    )
    draw = np.random.default_rng(5)
    began = pd.Timestamp("2024-01-01", tz="UTC")
    left = pd.DataFrame(
        {
            "id": range(60),
            "k": draw.integers(0, 3, 60),
            "at": began + pd.to_timedelta(draw.integers(0, 5000, 60), "s"),
        }
    )
    keys = np.where(draw.random(2000) < 0.3, 1, draw.integers(0, 50, 2000))
    right = pd.DataFrame(
        {
            "k": keys,
            "t": began + pd.to_timedelta(draw.permutation(5000)[:2000], "s"),
            "v": draw.normal(size=2000),
        }
    )
    query = group("spine", left, primary_key=["id"], event_time="at").select_all()
    query = query.join(
        group("history", right, primary_key=["k"], event_time="t").select_features(), on=["k"]
    )
    same_rows(
        query.read("pandas", strategy="columnar"), duckdb_asof(left, right, "k", "at", "t"), ["id"]
    )
    assert sorted(map(repr, query.read(strategy="columnar").collect())) == sorted(
        map(repr, query.read(strategy="sql").collect())
    )
    (hot, only), *_ = looks
    assert len(hot.hashes) == 1
    assert hot.bucket_count > hot.first_bucket + 2
    assert only is not None


# -- a DataFrame as the spine


@pytest.mark.parametrize("way", first_quick(STRATEGIES))
def test_a_spine_of_a_frame_keeps_every_row_and_column(
    fs: FeatureStore, scores: FeatureGroup, way: str
) -> None:
    rows = frame(
        "customer at amount",
        ("a", "01-01 12:00", 5.0),
        ("a", "01-01 12:00", 5.0),
        (None, "01-02 00:00", 1.0),
        ("a", None, 2.0),
        ("b", "01-09 00:00", 3.0),
    )
    spine = fs.create_spine(rows, primary_key=["customer"], event_time="at")
    found = (
        spine.select_all()
        .join(scores.select(["score"]))
        .filter(spine["amount"] > 1.5)
        .read("pandas", strategy=None if way == "broadcast" else way)
    )
    values = sorted((r.amount, None if pd.isna(r.score) else r.score) for r in found.itertuples())
    assert values == [(2.0, None), (3.0, None), (5.0, 1.0), (5.0, 1.0)]
    assert list(found.columns) == ["customer", "at", "amount", "score"]


def test_a_spine_without_event_time_takes_the_latest(
    fs: FeatureStore, scores: FeatureGroup
) -> None:
    spine = fs.create_spine(pa.table({"customer": ["a", "b", "c"]}), primary_key=["customer"])
    found = (
        spine.select_all()
        .join(scores.select(["score"]))
        .read("pandas")
        .set_index("customer")["score"]
    )
    assert found.dropna().to_dict() == {"a": 2.0, "b": 9.0}
    assert len(found) == 3


def test_a_spine_is_refused_where_it_cannot_stand(
    fs: FeatureStore, orders: FeatureGroup, scores: FeatureGroup
) -> None:
    spine = fs.create_spine(
        frame("customer at", ("a", "01-01 12:00")), primary_key=["customer"], event_time="at"
    )
    with pytest.raises(
        QueryError,
        match=r"A spine is a DataFrame of this session, which feature view 'v' cannot keep",
    ):
        fs.create_feature_view("v", spine.select_all().join(scores.select(["score"])))
    with pytest.raises(SparkFSError, match=r"it can only stand leftmost"):
        orders.select_all().join(spine.select_all(), on=["customer"]).read()
    with pytest.raises(
        SparkFSError, match=r"of feature group 'spine' \(a DataFrame\) 'client' does not exist"
    ):
        fs.create_spine(frame("customer at", ("a", "01-01 12:00")), primary_key=["client"])
    with pytest.raises(SettingsError, match=r"primary_key='customer' is a string"):
        fs.create_spine(frame("customer at", ("a", "01-01 12:00")), primary_key="customer")


# -- what was known


@pytest.mark.slow
def test_a_correction_that_came_later_does_not_leak(fs: FeatureStore) -> None:
    prices = fs.create_feature_group(
        "prices", primary_key=["k"], event_time="t", keep_corrections=True
    )
    day = datetime(2024, 1, 1, tzinfo=UTC)
    old, new = day, day + timedelta(days=1)
    prices.insert(pd.DataFrame({"k": [1, 2], "t": [old, old], "v": [10.0, 20.0]}))
    before = pause()
    job, _ = prices.insert(
        pd.DataFrame({"k": [1, 2, 1], "t": [old, old, new], "v": [11.0, 20.0, 12.0]})
    )  # a correction, the same again, a late row
    after = pause()
    assert job.summary == {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1, "set_aside": 0}
    assert sorted(map(tuple, prices.read("pandas")[["k", "v"]].to_numpy())) == [
        (1, 11.0),
        (1, 12.0),
        (2, 20.0),
    ]
    asked = pd.DataFrame(
        {"id": [1, 2, 3, 4], "k": [1, 1, 2, 1], "at": [before, after, before, new]}
    )
    spine = fs.create_spine(asked, primary_key=["id"], event_time="at")
    query = spine.select(["id"]).join(prices.select(["v"]), on=["k"])
    for way in ("sql", "columnar", None):
        known = query.as_known().read("pandas", strategy=way).set_index("id")["v"]
        assert known.dropna().to_dict() == {
            1: 10.0,
            2: 12.0,
            3: 20.0,
        }  # the fourth asks for a time before anything was ingested
        assert query.read("pandas", strategy=way).set_index("id")["v"].to_dict() == {
            1: 12.0,
            2: 12.0,
            3: 20.0,
            4: 12.0,
        }


def pause() -> datetime:
    """An instant after what was ingested and before what will be."""
    time.sleep(0.01)
    now = datetime.now(UTC)
    time.sleep(0.01)
    return now


@pytest.mark.slow
def test_a_group_without_event_time_has_the_value_that_was_known(fs: FeatureStore) -> None:
    cities = fs.create_feature_group("cities", primary_key=["k"], keep_corrections=True)
    cities.insert(pd.DataFrame({"k": [1], "v": [10]}))
    before = pause()
    cities.insert(pd.DataFrame({"k": [1], "v": [11]}))
    after = pause()
    spine = fs.create_spine(
        pd.DataFrame({"id": [1, 2], "k": [1, 1], "at": [before, after]}),
        primary_key=["id"],
        event_time="at",
    )
    query = spine.select(["id"]).join(cities.select(["v"]), on=["k"])
    for way in ("sql", "columnar", None):
        assert query.as_known().read("pandas", strategy=way).set_index("id")["v"].to_dict() == {
            1: 10,
            2: 11,
        }
        assert query.read("pandas", strategy=way).set_index("id")["v"].to_dict() == {1: 11, 2: 11}


@pytest.mark.slow
def test_a_correction_goes_online(fs: FeatureStore) -> None:
    prices = fs.create_feature_group(
        "prices", primary_key=["k"], event_time="t", keep_corrections=True, online_enabled=True
    )
    view = None
    for value in (10.0, 11.0):
        prices.insert(
            pd.DataFrame({"k": [1], "t": [datetime(2024, 1, 1, tzinfo=UTC)], "v": [value]})
        )
        prices.sync_online()
        view = view or fs.create_feature_view("prices", prices.select(["v"]))
        view.init_serving()
        assert view.get_feature_vector({"k": 1}) == [value]
    assert [(c.inserted, c.updated) for c in prices.commit_details(2)] == [(0, 1), (1, 0)]


@pytest.mark.slow
def test_a_table_whose_columns_are_mapped_is_read_through_spark(
    fs: FeatureStore,
    spark: SparkSession,
    orders: FeatureGroup,
    scores: FeatureGroup,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mapped = {
        "delta.columnMapping.mode": "name",
        "delta.minReaderVersion": "2",
        "delta.minWriterVersion": "5",
    }
    spark.sql(
        f"ALTER TABLE delta.`{scores.location}` SET TBLPROPERTIES"
        f" ({', '.join(f'{k!r} = {v!r}' for k, v in mapped.items())})"
    )
    spark.sql(f"ALTER TABLE delta.`{scores.location}` RENAME COLUMN kind TO sort")
    query = orders.select(["id"]).join(scores.select(["score"]), on=["customer"])
    assert query.read("pandas").set_index("id")["score"].dropna().to_dict() == {1: 2.0, 2: 1.0}
    query.explain()
    said = capsys.readouterr().out
    assert re.search(r"files: \d of \d, about \d+ kB, by Spark", said)
    assert "why: not every task can read all of the joined groups itself" in said


@pytest.mark.slow
def test_as_known_is_refused_where_it_would_mislead(
    fs: FeatureStore, orders: FeatureGroup, scores: FeatureGroup, cities: FeatureGroup
) -> None:
    with pytest.raises(
        QueryError,
        match=(
            r"as_known asks what was known at the spine's event time, and 'cities' version 1 has"
            r" none"
        ),
    ):
        cities.select_all().as_known().read()
    with pytest.raises(QueryError, match=r"call it on the outermost"):
        orders.select_all().join(scores.select_all().as_known(), on=["customer"]).read()
    kept = fs.create_feature_group(
        "kept", primary_key=["customer"], event_time="t", keep_corrections=True
    )
    kept.insert(frame("customer t v", ("a", "01-01 00:00", 1)))
    with pytest.raises(
        QueryError, match=r"a filter on 'kept' version 1, which keeps several versions of a row"
    ):
        orders.select_all().join(
            kept.select(["v"]).filter(kept["v"] > 0), on=["customer"]
        ).as_known().read()


# -- written as files


def test_training_data_in_files_is_what_the_query_gives(
    fs: FeatureStore, orders: FeatureGroup, scores: FeatureGroup, tmp_path: Path
) -> None:
    view = fs.create_feature_view(
        "v",
        orders.select_all()
        .join(scores.select_features(), on=["customer"])
        .filter(~(orders["id"] == 2)),
        labels=["city"],
    )
    version, job = view.create_training_data(
        "2024-01-01", "2024-01-03", location=str(tmp_path / "files")
    )
    assert job.summary == {"rows": 2, "files": len(list((tmp_path / "files").iterdir()))}
    assert all(path.suffix == ".parquet" for path in (tmp_path / "files").iterdir())
    x, y = view.get_training_data(version, primary_key=True, event_time=True)
    assert list(x.columns) == ["id", "customer", "at", "score", "kind"]
    assert list(y.columns) == ["city"]
    assert x.set_index("id")["score"].dropna().to_dict() == {1: 2.0}
    assert sorted(x["id"]) == [1, 4]
    scores.insert(frame("customer t score kind", ("b", "01-01 00:00", 7.0, "late")))
    again, _ = view.get_training_data(version)
    assert again["score"].dropna().tolist() == [2.0]
    with pytest.raises(SettingsError, match=r"holds files already"):
        view.create_training_data(location=str(tmp_path / "files"))


@pytest.mark.slow
def test_like_and_nested_values_are_the_same_by_every_way(fs: FeatureStore, group: Make) -> None:
    nested = pa.table(
        {
            "k": [1, 2],
            "v": [[1.5], None],
            "m": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
            "s": ["abc", "b"],
        }
    )
    right = fs.create_feature_group("nested", primary_key=["k"])
    right.insert(nested)
    spine = group(
        "spine",
        frame("id k at", (1, 1, "01-01 00:00"), (2, 2, "01-01 00:00")),
        primary_key=["id"],
        event_time="at",
    )
    query = spine.select(["id"]).join(right.select_features(), on=["k"])
    for way in STRATEGIES:
        rows = {row.id: (row.v, row.m) for row in query.read(strategy=way).collect()}
        assert rows == {1: ([1.5], {"a": 1}), 2: (None, {})}
        liked = query.filter(right["s"].like("a%")).read("pandas", strategy=way)
        assert liked["id"].tolist() == [1]
    view = fs.create_feature_view("v", query.filter(right["s"].like("a%")))
    version, job = view.create_training_data()
    assert job.summary["rows"] == 1
    assert view.get_training_data(version)[0]["s"].tolist() == ["abc"]


def test_files_of_a_join_that_fails_are_not_left(
    fs: FeatureStore, orders: FeatureGroup, scores: FeatureGroup, tmp_path: Path
) -> None:
    view = fs.create_feature_view(
        "v", orders.select_all().join(scores.select_features(), on=["customer"])
    )
    for file in history.list_data_files(scores.location):
        Path(urlsplit(file.path).path).write_bytes(b"no Parquet")
    with pytest.raises(SparkFSError, match=r"The data file .*scores_1.*parquet cannot be read: "):
        view.create_training_data(location=str(tmp_path / "files"))
    assert not (tmp_path / "files").exists()
    assert view.get_training_datasets() == []
