"""Windows at the instants of a spine, through everything that reads a query, beside plain Python."""

import contextlib
import io
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import window_oracle

from spark_fs import Aggregation, FeatureGroup, FeatureStore, FeatureView
from spark_fs import aggregate as agg
from spark_fs.engine.join import inputs, sampling
from spark_fs.errors import QueryError, SettingsError
from spark_fs.tables.delta import history

Make = Callable[..., FeatureGroup]
Events = pd.DataFrame
BEGAN = pd.Timestamp("2024-01-01", tz="UTC")
EPOCH = pd.Timestamp(0, tz="UTC")
HOUR = 3_600_000_000


def make_events(seed: int, count: int, first_id: int = 0) -> Events:
    draw = np.random.default_rng(seed)
    happened = BEGAN + pd.to_timedelta(draw.integers(0, 48 * 60, count), "min")
    late = pd.to_timedelta(draw.integers(0, 120, count), "min")
    amounts = np.where(draw.random(count) < 0.1, np.nan, draw.normal(50, 30, count))
    return pd.DataFrame(
        {
            "id": range(first_id, first_id + count),
            "card": pd.array(draw.integers(0, 6, count), "Int64"),
            "at": happened,
            "arrived": happened + late,
            "amount": pd.array(amounts, "Float64"),
            "category": draw.choice(["food", "fuel", "fun"], count),
        }
    )


def make_labels(seed: int, count: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    cards = pd.array(draw.integers(0, 8, count), "Int64")
    cards[:2] = pd.NA
    asked = BEGAN + pd.to_timedelta(draw.integers(0, 50 * 60, count), "min")
    fraud = draw.integers(0, 2, count)
    return pd.DataFrame({"label": range(count), "card": cards, "t": asked, "is_fraud": fraud})


EVENTS = make_events(1, 300)
LABELS = make_labels(2, 40)
LIMITS = pd.DataFrame(
    {
        "card": range(5),
        "since": BEGAN + pd.to_timedelta([0, 10, 20, 30, 40], "h"),
        "card_limit": [100.0, 200.0, 300.0, 400.0, 500.0],
    }
)


def fill(fs: FeatureStore, group: Make) -> None:
    payments = group("payments", EVENTS[:200], primary_key=["id"], event_time="at")
    payments.insert(EVENTS[200:])
    group("labels", LABELS, primary_key=["label"], event_time="t")
    group("limits", LIMITS, primary_key=["card"], event_time="since")


@pytest.fixture
def payments(fs: FeatureStore) -> FeatureGroup:
    return fs.get_feature_group("payments", 1)


@pytest.fixture
def labels(fs: FeatureStore) -> FeatureGroup:
    return fs.get_feature_group("labels", 1)


def aggregate(payments: FeatureGroup, source: Any = None, known_at: str = "at") -> Aggregation:
    is_food = payments["category"] == "food"
    return Aggregation(
        payments if source is None else source,
        [
            agg.count(over="4h", name="n"),
            agg.sum("amount", over="24h", name="total"),
            agg.mean("amount", over="24h", delay="1h", name="mean"),
            agg.stddev("amount", over=None, name="spread"),
            agg.max("amount", over="12h", where=is_food, name="food_max"),
            agg.last("category", over="12h", name="newest"),
            agg.top_k("category", 2, over="24h", name="kinds"),
            agg.time_since_last(over=None, name="age"),
        ],
        by=["card"],
        known_at=known_at,
    )


# The name, function, column, length, delay, argument and category of each of these features.
FEATURES: list[tuple[str, str, str | None, int | None, int, int | None, str | None]] = [
    ("n", "count", None, 4 * HOUR, 0, None, None),
    ("total", "sum", "amount", 24 * HOUR, 0, None, None),
    ("mean", "mean", "amount", 24 * HOUR, HOUR, None, None),
    ("spread", "stddev", "amount", None, 0, None, None),
    ("food_max", "max", "amount", 12 * HOUR, 0, None, "food"),
    ("newest", "last", "category", 12 * HOUR, 0, None, None),
    ("kinds", "top_k", "category", 24 * HOUR, 0, 2, None),
    ("age", "time_since_last", None, None, 0, None, None),
]
NAMES = [feature[0] for feature in FEATURES]


def to_micros(instant: pd.Timestamp) -> int:
    return (instant - EPOCH) // pd.Timedelta(1, "us")


def evaluate(events: Events, card: Any, instant: Any, known_at: str = "at") -> dict[str, Any]:
    """Every feature of a card at an instant, in plain Python."""
    own = events[events["card"] == card] if not pd.isna(card) else events[:0]
    features = {}
    for name, function, column, over, delay, argument, category in FEATURES:
        kept = own if category is None else own[own["category"] == category]
        known = [to_micros(each) for each in kept[known_at]]
        values = [0] * len(kept) if column is None else kept[column].tolist()
        pairs = [pair for pair in zip(known, values, strict=True) if not pd.isna(pair[1])]
        features[name] = window_oracle.evaluate(
            function, pairs, to_micros(instant), over, delay, "left", argument
        )
    return features


def is_same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return found is not None and list(found) == expected
    if expected is None:
        return found is None or bool(pd.isna(found))
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-12)
    return bool(found == expected)


def check_rows(
    rows: pd.DataFrame,
    events: Events,
    known_at: str = "at",
    prefix: str = "",
    names: Sequence[str] = NAMES,
) -> None:
    """Each row has the features of its card at its instant."""
    for row in rows.to_dict("records"):
        expected = evaluate(events, row["card"], row["t"], known_at)
        for name in names:
            assert is_same(row[prefix + name], expected[name]), (row, name, expected[name])


def sort_by_label(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("label").reset_index(drop=True)


@pytest.mark.parametrize("strategy", ["columnar", "broadcast"])
def test_a_query_gives_each_row_its_windows(
    fs: FeatureStore, payments: FeatureGroup, labels: FeatureGroup, strategy: str
) -> None:
    limits = fs.get_feature_group("limits", 1)
    query = labels.select_all().join(aggregate(payments).select_all(), prefix="w_")
    query = query.join(limits.select(["card_limit"]), on=["card"])
    found = query.read("pandas", strategy=strategy)
    assert sorted(found["label"]) == list(range(len(LABELS)))
    check_rows(found, EVENTS, prefix="w_")
    for row in found.to_dict("records"):
        began = LIMITS[(LIMITS["card"] == row["card"]) & (LIMITS["since"] <= row["t"])]
        expected = began["card_limit"].tolist() if not pd.isna(row["card"]) else []
        assert [row["card_limit"]] == expected or (not expected and pd.isna(row["card_limit"]))


def test_the_source_may_be_filtered_late_and_of_an_older_version(
    payments: FeatureGroup, labels: FeatureGroup
) -> None:
    source = payments.select_all().filter(payments["category"] != "fun")
    windows = aggregate(payments, source, "arrived").select(["n", "total", "age"])
    first = payments.commit_details(10)[-1]
    query = labels.select(["label", "card", "t"]).join(windows)
    kept = EVENTS[EVENTS["category"] != "fun"]
    check_rows(query.read("pandas"), kept, "arrived", names=["n", "total", "age"])
    query = labels.select(["label", "card", "t"]).join(windows.as_of(first))
    old = kept[kept["id"] < 200]
    check_rows(query.read("pandas"), old, "arrived", names=["n", "total", "age"])


def test_duckdb_runs_its_sql_to_the_same_rows(payments: FeatureGroup, labels: FeatureGroup) -> None:
    query = labels.select_all().join(aggregate(payments).select_all())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for group in (payments, labels):
            files = [file.path for file in history.list_data_files(group.location)]
            connection.execute(
                f'CREATE VIEW "{group.name}_1" AS SELECT * FROM read_parquet({files})'
            )
        wanted = sort_by_label(connection.execute(query.to_string()).df())
    found = sort_by_label(query.read("pandas"))
    for name in NAMES:
        for value, other in zip(found[name], wanted[name], strict=True):
            other = None if not isinstance(other, Iterable) and pd.isna(other) else other
            other = list(other) if isinstance(other, np.ndarray) else other
            assert is_same(value, other), name


def test_a_key_with_many_events_is_cut_into_slices(
    group: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    looked = sampling.detect_skew
    monkeypatch.setattr(sampling, "SAMPLING_MIN_BYTES", 0)
    monkeypatch.setattr(inputs, "BUCKET_BYTES", 4_000)
    monkeypatch.setattr(
        sampling, "detect_skew", lambda *given: looks.append(looked(*given)) or looks[-1]
    )
    events = make_events(3, 1500)
    events["card"] = events["card"].where(events["id"] % 3 > 0, 1)
    hot = group("hot_payments", events, primary_key=["id"], event_time="at")
    spine = make_labels(4, 60)
    labels = group("hot_labels", spine, primary_key=["label"], event_time="t")
    features = [
        agg.count(over="4h", name="n"),
        agg.sum("amount", over="2h", delay="30m", name="total"),
    ]
    windows = Aggregation(hot, features, by=["card"])
    found = labels.select_all().join(windows.select_all()).read("pandas", strategy="columnar")
    assert len(found) == len(spine)
    for row in found.to_dict("records"):
        own = events[events["card"] == row["card"]] if not pd.isna(row["card"]) else events[:0]
        pairs = [
            (to_micros(known), amount)
            for known, amount in zip(own["at"], own["amount"], strict=True)
        ]
        instants = [(known, 0) for known, _ in pairs]
        known = [pair for pair in pairs if not pd.isna(pair[1])]
        instant = to_micros(row["t"])
        assert row["n"] == window_oracle.evaluate("count", instants, instant, 4 * HOUR)
        expected = window_oracle.evaluate("sum", known, instant, 2 * HOUR, HOUR // 2)
        assert is_same(row["total"], expected)
    (skewed, _), *_ = looks
    assert len(skewed.hashes) >= 1
    assert skewed.bucket_count > skewed.first_bucket + 1
    looks.clear()
    endless = Aggregation(hot, [agg.count(over=None, name="ever")], by=["card"])
    labels.select_all().join(endless.select_all()).read("pandas", strategy="columnar")
    assert looks[0][0].hashes == ()


# -- feature views


@pytest.fixture
def view(fs: FeatureStore, payments: FeatureGroup, labels: FeatureGroup) -> FeatureView:
    """It is loaded again from the catalog."""
    query = labels.select_all().join(aggregate(payments).select(["n", "total", "age"]))
    fs.create_feature_view("scored", query, labels=["is_fraud"])
    return fs.get_feature_view("scored", 1)


def test_training_data_is_made_again_as_it_was(view: FeatureView, payments: FeatureGroup) -> None:
    names = ["n", "total", "age"]
    features, wanted = view.training_data(primary_key=True, event_time=True)
    assert list(features.columns) == ["label", "card", "t", *names]
    assert len(features) == len(LABELS)
    check_rows(features, EVENTS, names=names)
    assert (
        wanted["is_fraud"].tolist()
        == LABELS.set_index("label")["is_fraud"][features["label"]].tolist()
    )
    version, _ = view.create_train_test_split(test_ratio=0.25, seed=3)
    split = view.get_train_test_split(version, primary_key=True, event_time=True)
    check_rows(pd.concat(split[:2]), EVENTS, names=names)
    payments.insert(make_events(9, 50, first_id=1000))
    again, _ = view.get_training_data(1, primary_key=True, event_time=True)
    pd.testing.assert_frame_equal(again, features)
    view.recreate_training_dataset(version)
    remade = view.get_train_test_split(version, primary_key=True, event_time=True)
    for part, other in zip(remade, split, strict=True):
        pd.testing.assert_frame_equal(part, other)
    newest, _ = view.training_data(primary_key=True, event_time=True)
    assert not newest["total"].equals(features["total"])


def test_a_batch_has_the_windows_of_now_and_of_a_frame(view: FeatureView, fs: FeatureStore) -> None:
    names = ["n", "total", "age"]
    start = BEGAN + timedelta(hours=12)
    batch = view.get_batch_data(start_time=start, primary_key=True, event_time=True)
    assert len(batch) == int((LABELS["t"] >= start).sum())
    check_rows(batch, EVENTS, names=names)
    frame = pd.DataFrame({"label": [1, 2], "card": [3, 77], "t": [BEGAN + timedelta(hours=30)] * 2})
    batch = view.get_batch_data(spine_df=frame, primary_key=True, event_time=True)
    check_rows(batch, EVENTS, names=names)
    assert batch.sort_values("card")["n"].tolist()[1] == 0


# -- what is said


def test_it_explains_itself_and_refuses_sql(payments: FeatureGroup, labels: FeatureGroup) -> None:
    query = labels.select_all().join(aggregate(payments).select(["n", "total"]), prefix="w_")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        query.explain()
    assert "windows: of 'payments' version 1, prefix 'w_'" in said.getvalue()
    assert "  match: card = labels.card, every row with at before labels.t" in said.getvalue()
    assert "features: 2, of at most 86,400 seconds before (n, total)" in said.getvalue()
    with pytest.raises(
        SettingsError, match=r"strategy 'sql' cannot run this query: the windows of"
    ):
        query.read("pandas", strategy="sql")
    with pytest.raises(QueryError, match=r"The windows of 'payments' version 1 stand leftmost"):
        aggregate(payments).select_all().read("pandas")
