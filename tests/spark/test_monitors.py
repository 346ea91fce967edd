"""Monitors over rows: which of them a window holds, and what is found beside pandas."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore

HOUR = timedelta(hours=1)


def payments(first: int, count: int, mean: float) -> pd.DataFrame:
    rng = np.random.default_rng(first)
    return pd.DataFrame(
        {
            "id": range(first, first + count),
            "at": pd.Timestamp("2024-01-01", tz="UTC")
            + pd.to_timedelta(np.arange(first, first + count), unit="h"),
            "amount": rng.normal(mean, 1, count),
            "shop": rng.choice(["corner", "mall"], count),
        }
    )


FIRST, SECOND = payments(0, 200, 10), payments(200, 100, 12)


@pytest.fixture
def group(fs: FeatureStore) -> FeatureGroup:
    made = fs.create_feature_group("payments", primary_key=["id"], event_time="at")
    made.insert(FIRST)
    made.insert(SECOND)
    return made


def test_a_window_of_a_group_holds_what_was_written_in_it(group: FeatureGroup) -> None:
    written_at = group.commit_details()[-1].committed_at
    start = written_at - 3 * HOUR
    schedule = {"start_date_time": start, "cron_expression": "0 * * ? * *"}
    (
        group.create_feature_monitoring("moved", **schedule)
        .with_detection_window("1h")
        .with_reference_window("2h", "1h")
        .compare_on("mean", 0.1, "amount", relative=True)
        .compare_on("count", 100, "amount")
        .compare_on_distribution(feature_name="amount")
        .compare_on("entropy", 0.5, "shop")
        .save()
    )
    group.create_scheduled_statistics("all", ["amount", "shop"], **schedule).save()
    moved, described = group.run_due_monitors(written_at + HOUR)
    results = {each.feature_name: each for each in moved.feature_statistics_results}
    amount = results["amount"]
    assert amount.detection_statistics is not None
    assert amount.reference_statistics is not None
    assert amount.detection_statistics.mean == pytest.approx(SECOND.amount.mean())
    assert amount.reference_statistics.count == 200
    found = {each.metric: each.difference for each in amount.statistics_comparison_results}
    before = FIRST.amount.mean()
    assert found["MEAN"] == pytest.approx(abs(SECOND.amount.mean() - before) / before)
    assert (found["COUNT"], moved.shifted_feature_names) == (100, {"amount"})
    assert amount.shifted_metric_names == {"MEAN", "COUNT", "PSI"}
    assert results["shop"].shift_detected is False
    assert [each.detection_statistics.count for each in described.feature_statistics_results] == [
        300,
        300,
    ]
    assert "shift of amount mean 0.2" in str(moved)
    kept = group.get_feature_monitoring_history("moved")
    assert kept == [moved]
    window = group.get_statistics_by_commit_window(0, 1, ["amount"])
    assert window is not None
    assert (window.row_count, window["amount"].max) == (100, SECOND.amount.max())
    assert group.compute_statistics(0).row_count == 200
    assert [each.commit for each in group.get_all_statistics()] == [1, 0]


@pytest.mark.parametrize("data_format", [None, "parquet"])
def test_a_view_is_compared_with_its_training_data_before_transformations(
    data_format: str | None, fs: FeatureStore, group: FeatureGroup
) -> None:
    view = fs.create_feature_view(
        "fraud",
        group.select(["amount", "shop"]),
        transformation_functions={"amount": fs.get_transformation_function("min_max_scaler")},
    )
    bounds: Any = {"start_time": "2024-01-01", "end_time": FIRST["at"].iloc[-1] + HOUR}
    if data_format is None:
        view.training_data(**bounds)
    else:
        view.create_training_data(data_format=data_format, **bounds)
    now = SECOND["at"].iloc[-1] + HOUR
    config = (
        view.create_feature_monitoring("drift", start_date_time=0)
        .with_detection_window("100h")
        .with_reference_training_dataset(1)
        .compare_on("mean", 1.0, "amount")
        .save()
    )
    assert (config.feature_view_name, config.feature_view_version) == ("fraud", 1)
    (found,) = view.run_due_monitors(now)
    amount = found.feature_statistics_results[0]
    assert amount.detection_statistics is not None
    assert amount.reference_statistics is not None
    assert amount.detection_statistics.mean == pytest.approx(SECOND.amount.mean())
    assert amount.reference_statistics.mean == pytest.approx(FIRST.amount.mean())
    assert found.shift_detected
    raw = view.get_training_dataset_statistics(1, before_transformation=True)
    assert raw["amount"].max == FIRST.amount.max()
    assert view.get_training_dataset_statistics(1)["amount"].max == 1.0
