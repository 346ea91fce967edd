"""The fraud system: its source, its features beside pandas, and one transaction online as in training."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from credit_card_fraud import features, generate, groups
from spark_fs.api.feature_store import FeatureStore

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 15, tzinfo=UTC)
KAGGLE = [
    "trans_date_trans_time",
    "cc_num",
    "merchant",
    "category",
    "amt",
    "first",
    "last",
    "gender",
    "street",
    "city",
    "state",
    "zip",
    "lat",
    "long",
    "city_pop",
    "job",
    "dob",
    "trans_num",
    "unix_time",
    "merch_lat",
    "merch_long",
    "is_fraud",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty cards over two weeks, as the generator writes them."""
    folder = tmp_path_factory.mktemp("fraud")
    for name, table in zip(
        ("transactions", "cards", "profiles"), next(generate.chunks(40, 14, seed=2)), strict=True
    ):
        (folder / name).mkdir()
        table.to_parquet(
            folder / name / "0.parquet",
            index=False,
            coerce_timestamps="us",
            allow_truncated_timestamps=True,
        )
    return folder


@pytest.fixture(scope="module")
def store(
    source: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> FeatureStore:
    """The groups, backfilled but for the last three hours, which came hour by hour, and synced."""
    fs = spark_fs.login({"home": tmp_path_factory.mktemp("store")}).get_feature_store()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRAUD_SOURCE", str(source))
        for declare, build in groups.PIPELINE.items():
            group = declare(fs)
            group.backfill(build, START, END - timedelta(hours=2))
            group.run_incremental(build, END, groups.EVERY.get(declare, timedelta(hours=1)))
            if group.online_enabled:
                group.sync_online()
    return fs


def haversine(lat: Any, long: Any, lat_before: Any, long_before: Any) -> Any:
    lat, long, lat_before, long_before = map(np.radians, (lat, long, lat_before, long_before))
    a = (
        np.sin((lat - lat_before) / 2) ** 2
        + np.cos(lat) * np.cos(lat_before) * np.sin((long - long_before) / 2) ** 2
    )
    return 2 * 6371 * np.arctan2(np.sqrt(a), np.sqrt(1 - a))


def expected(source: Path) -> pd.DataFrame:
    """The features of every transaction, by pandas."""
    rows = (
        pd.read_parquet(source / "transactions")
        .rename(columns={"trans_date_trans_time": "datetime"})
        .sort_values(["cc_num", "datetime"], ignore_index=True)
    )
    before = rows.groupby("cc_num")[["datetime", "merch_lat", "merch_long"]].shift()
    rows["time_delta_t_minus_1"] = (rows["datetime"] - before["datetime"]).dt.total_seconds()
    rows["loc_delta_t_minus_1"] = haversine(
        rows["merch_lat"], rows["merch_long"], before["merch_lat"], before["merch_long"]
    )
    for name, column in (("profiles", "dob"), ("cards", "cc_expiration_date")):
        known = pd.read_parquet(source / name)[["cc_num", "updated_at", column]].sort_values(
            "updated_at"
        )
        rows = pd.merge_asof(
            rows.sort_values("datetime"),
            known,
            left_on="datetime",
            right_on="updated_at",
            by="cc_num",
        ).drop(columns="updated_at")
    day = rows["datetime"].dt.tz_localize(None).dt.normalize()
    rows["age_at_transaction"] = (day - pd.to_datetime(rows["dob"])).dt.days / 365.25
    rows["days_until_card_expires"] = (pd.to_datetime(rows["cc_expiration_date"]) - day).dt.days
    return rows.sort_values(["cc_num", "datetime"], ignore_index=True)


def test_the_generator_is_deterministic_and_has_the_public_columns() -> None:
    first, again, other = (next(generate.chunks(30, 10, seed)) for seed in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, two)
    assert not first[0].equals(other[0])
    transactions, cards, profiles = first
    assert set(KAGGLE) == {*transactions.columns, *profiles.columns} - {"updated_at"}
    assert "cc_expiration_date" in cards
    assert not transactions.duplicated(["cc_num", "trans_date_trans_time"]).any()
    assert not transactions["trans_num"].duplicated().any()
    assert [len(t["cc_num"].unique()) for t in (cards, profiles)] == [30, 30]
    more = [table for chunk in generate.chunks(1_200, 2, 1) for table in chunk[:1]]
    assert sum(table["cc_num"].nunique() for table in more) >= 1_150


def test_fraud_shows_in_no_single_transaction() -> None:
    transactions = pd.concat([chunk[0] for chunk in generate.chunks(500, 60, 1)])
    fraud, genuine = (transactions[transactions["is_fraud"] == flag] for flag in (1, 0))
    assert 0.003 < len(fraud) / len(transactions) < 0.03
    assert fraud["amt"].median() == pytest.approx(genuine["amt"].median(), rel=0.1)


def test_the_public_file_may_be_taken(tmp_path: Path) -> None:
    transactions, _, profiles = next(generate.chunks(5, 3, seed=1))
    wide = transactions.merge(
        profiles.drop_duplicates("cc_num").drop(columns="updated_at"), on="cc_num"
    )[KAGGLE]
    wide["trans_date_trans_time"] = wide["trans_date_trans_time"].dt.strftime("%Y-%m-%d %H:%M:%S")
    pd.concat([wide, wide.iloc[:1].assign(trans_num="f" * 32)]).to_csv(tmp_path / "fraudTrain.csv")
    taken, cards, people = generate.of_file(tmp_path / "fraudTrain.csv")
    assert len(taken) == len(transactions) + 1
    assert not taken.duplicated(["cc_num", "trans_date_trans_time"]).any()
    assert list(taken.columns) == [
        "trans_date_trans_time",
        *(c for c in taken.columns if c != "trans_date_trans_time"),
    ]
    assert set(taken.columns) == set(transactions.columns)
    assert (len(cards), len(people)) == (profiles["cc_num"].nunique(),) * 2


@pytest.mark.slow
def test_the_features_of_transactions_are_those_of_pandas(
    store: FeatureStore, source: Path
) -> None:
    found = (
        store.get_feature_group("cc_trans_fraud", 1)
        .read("pandas")
        .sort_values(["cc_num", "datetime"], ignore_index=True)
    )
    wanted = expected(source)
    assert len(found) == len(wanted)
    for name in ("trans_num", "category", "amt", "days_until_card_expires"):
        assert found[name].tolist() == wanted[name].tolist()
    for name in ("age_at_transaction", "loc_delta_t_minus_1", "time_delta_t_minus_1"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, atol=1e-6)


@pytest.mark.slow
def test_the_windows_hold_the_four_hours_before(store: FeatureStore, source: Path) -> None:
    found = (
        store.get_feature_group("cc_trans_fraud_4h", 1)
        .read("pandas")
        .sort_values(["cc_num", "known_at"], ignore_index=True)
    )
    rows = expected(source)
    assert len(found) == len(rows)
    assert (found["known_at"] - rows["datetime"]).unique().tolist() == [pd.Timedelta("1us")]
    for place in np.random.default_rng(0).integers(0, len(rows), 60):
        own = rows.iloc[place]
        age = own["datetime"] - rows["datetime"]
        is_recent = age.between(pd.Timedelta(0), pd.Timedelta(hours=4))
        window = rows[(rows["cc_num"] == own["cc_num"]) & is_recent]
        row = found.iloc[place]
        assert row["trans_freq"] == len(window)
        assert row["trans_volume_mavg"] == pytest.approx(window["amt"].mean())
        assert row["trans_volume_mstd"] == pytest.approx(window["amt"].std(ddof=0), abs=1e-9)
        mean = window["loc_delta_t_minus_1"].mean()
        assert row["loc_delta_mavg"] == pytest.approx(mean, rel=1e-9, abs=1e-6) or (
            (math.isnan(mean) and row["loc_delta_mavg"] is None) or pd.isna(row["loc_delta_mavg"])
        )


@pytest.mark.slow
def test_hour_by_hour_gives_what_a_backfill_gives(
    store: FeatureStore, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_SOURCE", str(source))
    whole = spark_fs.login({"home": tmp_path}).get_feature_store()
    for declare in (groups.transactions, groups.windows):
        group = declare(whole)
        group.backfill(groups.PIPELINE[declare], START, END)
        keys = ["cc_num", str(group.event_time)]
        frames = [
            each.read("pandas").sort_values(keys, ignore_index=True)
            for each in (group, declare(store))
        ]
        pd.testing.assert_frame_equal(*frames, check_exact=True)


@pytest.mark.slow
def test_no_window_knows_its_own_transaction(store: FeatureStore, source: Path) -> None:
    view = groups.fraud_view(store)
    x, _ = view.training_data(primary_key=True, event_time=True)
    rows = expected(source)
    merged = x.sort_values(["cc_num", "datetime"], ignore_index=True)
    gap = rows["time_delta_t_minus_1"]
    assert (merged["trans_freq"].isna() == ~(gap + 1e-6 <= 4 * 3600 + 1e-6)).mean() > 0.999
    close = merged["trans_freq"].notna()
    before = [
        (
            (rows["cc_num"] == r.cc_num)
            & (rows["datetime"] < r.datetime)
            & (rows["datetime"] >= r.datetime - pd.Timedelta(seconds=r.gap + 4 * 3600))
        ).sum()
        for r in merged[close].assign(gap=gap[close]).head(30).itertuples()
    ]
    assert merged.loc[close, "trans_freq"].head(30).tolist() == before


@pytest.mark.slow
def test_one_transaction_online_has_the_features_of_training(
    store: FeatureStore, source: Path
) -> None:
    """The last transaction of each card is asked for as if it were just made, when the store knows those before it."""
    rows = expected(source)
    last = rows.groupby("cc_num").tail(1)
    fs = spark_fs.login({"home": store._stores.settings.home.parent / "before"}).get_feature_store()
    with pytest.MonkeyPatch.context() as patch:
        earlier = store._stores.settings.home.parent / "earlier"
        for name in ("transactions", "cards", "profiles"):
            table = pd.read_parquet(source / name)
            (earlier / name).mkdir(parents=True)
            kept = (
                table[~table["trans_num"].isin(last["trans_num"])]
                if name == "transactions"
                else table
            )
            kept.to_parquet(
                earlier / name / "0.parquet",
                index=False,
                coerce_timestamps="us",
                allow_truncated_timestamps=True,
            )
        patch.setenv("FRAUD_SOURCE", str(earlier))
        for declare in (
            groups.labels,
            groups.transactions,
            groups.windows,
            groups.profiles,
            groups.cards,
        ):
            group = declare(fs)
            group.backfill(groups.PIPELINE[declare], START, END)
            if group.online_enabled:
                group.sync_online(now=START)
    trained = groups.fraud_view(store)
    trained.training_data()
    version = trained.get_training_datasets()[-1].version
    batch = groups.fraud_view(store)
    batch.init_batch_scoring(version)
    wanted = batch.get_batch_data(primary_key=True).groupby("cc_num").tail(1).set_index("cc_num")
    online = groups.fraud_view(fs)
    spec = trained.get_training_datasets()[-1]
    fs._stores.catalog.reserve_training_dataset(online._spec, lambda _: spec)
    online.init_serving(version)
    for row in last.itertuples():
        now = row.datetime.to_pydatetime()
        known = online.get_inference_helper(
            {"cc_num": row.cc_num}, return_type="dict", allow_missing=True, now=now
        )
        transaction = {
            "datetime": now,
            "category": row.category,
            "amt": row.amt,
            "merch_lat": row.merch_lat,
            "merch_long": row.merch_long,
        }
        passed = features.of_one(transaction, known)
        vector = dict(
            zip(
                wanted.columns,
                online.get_feature_vector(
                    {"cc_num": row.cc_num}, passed_features=passed, allow_missing=True, now=now
                ),
                strict=True,
            )
        )
        for (
            name,
            value,
        ) in vector.items():  # windows past their ttl are as absent online as they are in training
            found, trained_on = (
                np.nan if pd.isna(v) else float(v) for v in (value, wanted.loc[row.cc_num, name])
            )
            np.testing.assert_allclose(found, trained_on, rtol=1e-9, atol=1e-6, err_msg=name)
