"""Monitors over the rows of a store that an earlier release made, beside pandas; without a JVM."""

from datetime import timedelta
from pathlib import Path

import pytest
from releases.unpack import unpack

import spark_fs
from spark_fs.api.feature_store import FeatureStore

from conftest import ROOT

HOUR = timedelta(hours=1)
SOON = timedelta(seconds=10)  # before the next commit


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


def test_a_window_of_a_group_holds_what_was_written_in_it(store: FeatureStore) -> None:
    payments = store.get_feature_group("payments", 1)
    written_at = payments.commit_details()[-1].committed_at
    first = payments.as_of(0).read("pandas")
    config = payments.create_feature_monitoring("amounts", start_date_time=written_at - HOUR)
    (
        config.with_detection_window("1h")
        .with_reference_window()
        .compare_on("sum", 0.0, "amount", strict=True)
        .compare_on("count", 1, "amount", specific_value=40)
        .compare_on("distinctness", 1.0, "card")
        .save()
    )
    config.job_schedule.cron_expression = "0 * * ? * *"
    config.update()
    (found,) = payments.run_due_monitors(written_at + SOON)
    amount, card = found.feature_statistics_results
    assert amount.detection_statistics is not None
    assert card.detection_statistics is not None
    assert amount.detection_statistics.count == len(first) == 40
    assert amount.detection_statistics.sum == pytest.approx(first["amount"].sum())
    expected = first["card"].nunique() / first["card"].count()
    assert card.detection_statistics.distinctness == pytest.approx(expected)
    differences = [each.difference for each in amount.statistics_comparison_results]
    whole = payments.as_of(written_at + SOON).read("pandas")
    assert differences == [
        pytest.approx(abs(first["amount"].sum() - whole["amount"].sum())),
        0,
    ]
    window = payments.get_statistics_by_commit_window(None, 0, "amount")
    assert window is not None
    assert (window.row_count, window["amount"].max) == (40, first["amount"].max())
    assert payments.compute_statistics(0).row_count == 40


@pytest.mark.parametrize("version", [1, 2], ids=["in memory", "files"])
def test_a_view_is_compared_with_its_training_data_before_transformations(
    version: int, store: FeatureStore
) -> None:
    view = store.get_feature_view("fraud", 1)
    learned = view.get_training_datasets()[version - 1].transformations[0]["state"]
    raw = view.get_training_dataset_statistics(version, before_transformation=True)
    seen = view.get_training_dataset_statistics(version)
    assert (raw["amount"].mean, raw["amount"].stddev) == (learned["mean"], learned["stddev"])
    assert raw["kind"].feature_type == "string"
    assert seen["amount"].mean == pytest.approx(0, abs=1e-9)  # scaled
    config = (
        view.create_feature_monitoring("drift", start_date_time=0)
        .with_detection_window("9999w")
        .with_reference_training_dataset(version)
        .compare_on("mean", 1e-9, "amount")
        .compare_on_distribution("KL_DIVERGENCE", 0.1, "kind")
        .save()
    )
    assert (config.feature_view_name, config.feature_view_version) == ("fraud", 1)
    config.run_once()
    found = config.get_history()[0]
    amount = found.feature_statistics_results[0]
    now = store.get_feature_group("payments", 1).read("pandas")
    assert amount.detection_statistics is not None
    assert amount.detection_statistics.mean == pytest.approx(now["amount"].mean())
    (compared,) = amount.statistics_comparison_results
    assert compared.difference == pytest.approx(abs(now["amount"].mean() - learned["mean"]))
