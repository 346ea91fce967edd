"""The features that the Fraud Detection Handbook ships with its transactions, declared, and compared with its own.

The handbook takes pandas' rolling windows of days, which hold (t - w, t]: the transaction itself, and not the one of
the instant w before. For us that is ``closed="both"``, which holds [t - w, t], over a microsecond less. The risk of a
terminal it takes from what the last w + 7 days have beyond the last 7: a delay of 7 days.
"""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from handbook import read_days
from pyspark.sql import SparkSession

import spark_fs
from spark_fs import Aggregation, FeatureGroup, FeatureStore
from spark_fs import aggregate as agg
from spark_fs.api.window_functions import WindowFunction

pytestmark = [pytest.mark.slow, pytest.mark.long]  # and CI cannot fetch the files

DAYS = [1, 7, 30]
START, NEARLY, END = "2018-04-01", "2018-05-09", "2018-05-11"
COUNTS = [f"{of}_id_nb_tx_{days}day_window" for of in ("customer", "terminal") for days in DAYS]
AMOUNTS = [f"customer_id_avg_amount_{days}day_window" for days in DAYS]
RISKS = [f"terminal_id_risk_{days}day_window" for days in DAYS]
COLUMNS = ["transaction_id", "tx_datetime", "customer_id", "terminal_id", "tx_amount", "tx_fraud"]


def open_window(days: int) -> timedelta:
    """So many days without the instant at which they begin."""
    return timedelta(days=days) - timedelta(microseconds=1)


def declare_spending(transactions: FeatureGroup) -> Aggregation:
    """The number and the mean amount of a customer's transactions."""
    features: list[WindowFunction] = []
    for days, number, amount in zip(DAYS, COUNTS[:3], AMOUNTS, strict=True):
        features.append(agg.count(over=open_window(days), name=number))
        features.append(agg.mean("tx_amount", over=open_window(days), name=amount))
    return Aggregation(transactions, features, by=["customer_id"], closed="both")


def declare_risk(transactions: FeatureGroup) -> Aggregation:
    """The number of a terminal's transactions, and the share of fraud, which is known a week later."""
    features: list[WindowFunction] = []
    for days, number, risk in zip(DAYS, COUNTS[3:], RISKS, strict=True):
        features.append(agg.count(over=open_window(days), delay="7d", name=number))
        features.append(agg.mean("tx_fraud", over=open_window(days), delay="7d", name=risk))
    return Aggregation(transactions, features, by=["terminal_id"], closed="both")


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store with the transactions of forty days."""
    days = read_days("raw")[COLUMNS]
    ids = ["customer_id", "terminal_id"]
    days[ids] = days[ids].astype("int64")  # objects in the files
    fs = spark_fs.login({"home": tmp_path_factory.mktemp("handbook")}).get_feature_store()
    transactions = fs.create_feature_group(
        "transactions",
        primary_key=["transaction_id"],
        event_time="tx_datetime",
        statistics_config=False,
    )
    transactions.insert(days)
    return fs


@pytest.fixture(scope="module")
def theirs() -> pd.DataFrame:
    """Each third of these days, with the handbook's features, by transaction.

    Of several transactions of a customer in one second theirs has the first ones know less than the last.
    """
    days = read_days("transformed")
    counts = COUNTS[:3]
    together = days.groupby(["customer_id", "tx_datetime"])[counts]
    days = days[(days[counts] == together.transform("max")).all(axis=1)]
    return days.set_index("transaction_id").sort_index()


def compare(found: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Counts and risks to the last bit; amounts as far as pandas' running sums of doubles go."""
    ours = found.set_index("transaction_id").loc[theirs.index]
    for name in COUNTS:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    for name in RISKS:  # theirs has 0 where a window is empty
        np.testing.assert_array_equal(ours[name].fillna(0.0), theirs[name], err_msg=name)
    for name in AMOUNTS:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-10, err_msg=name)


def test_the_comparison_has_full_windows_fraud_and_empty_windows(theirs: pd.DataFrame) -> None:
    assert len(theirs) > 130_000
    assert theirs["tx_datetime"].max() > pd.Timestamp(START) + pd.Timedelta(days=30 + 7)
    assert (theirs[RISKS].max() == 1).all()
    assert (theirs[COUNTS].min() == [1, 1, 1, 0, 0, 0]).all()


def test_declared_groups_have_the_features_of_the_handbook(
    store: FeatureStore, theirs: pd.DataFrame
) -> None:
    transactions = store.get_feature_group("transactions", 1)
    query = transactions.select(["transaction_id"])
    for declare in (declare_spending, declare_risk):
        group = store.create_feature_group(
            declare.__name__.removeprefix("declare_"),
            aggregation=declare(transactions),
            statistics_config=False,
        )
        group.backfill(START, NEARLY)
        group.run_incremental(END)
        query = query.join(group.select_features(), on=group.primary_key)
    compare(query.read("pandas"), theirs)


def test_windows_at_the_instants_of_the_transactions_are_the_same(
    store: FeatureStore, theirs: pd.DataFrame
) -> None:
    transactions = store.get_feature_group("transactions", 1)
    query = transactions.select(["transaction_id"])
    for declare in (declare_spending, declare_risk):
        query = query.join(declare(transactions).select_all())
    compare(query.read("pandas"), theirs)
