"""Monitors: what they declare, when they are due, and what their runs find; without a JVM."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import entropy, wasserstein_distance

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.cron import CronSchedule
from spark_fs.engine.profile.column_states import profile_tables
from spark_fs.errors import AlreadyExistsError, NotFoundError, NotOfferedError, SettingsError
from spark_fs.spec.monitoring import JobSchedule, MonitorSpec, StatisticsComparisonConfig
from spark_fs.stats.binned_distances import Binning, measure_distance

NOON = datetime(2024, 1, 5, 12, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 12 ? * * *", "2024-01-06T12:00:00"),
        ("0 0 12 ? * MON *", "2024-01-08T12:00:00"),
        ("0 0 12 ? * 2 *", "2024-01-08T12:00:00"),
        ("0 6,26,46 * ? * * *", "2024-01-05T12:06:00"),
        ("0 0/15 9-17 * * MON-FRI", "2024-01-05T12:15:00"),
        ("30 59 23 31 * ?", "2024-01-31T23:59:30"),
        ("0 0 0 29 FEB ?", "2024-02-29T00:00:00"),
        ("0 0 0 1 1 ? 2030", "2030-01-01T00:00:00"),
        ("0 0 0 1 1 ? 2020", None),
        ("0 0 0 30 2 ?", None),
    ],
)
def test_a_schedule_is_due_when_quartz_says_so(expression: str, expected: str | None) -> None:
    due = CronSchedule.parse(expression).find_next(NOON)
    assert due == (None if expected is None else datetime.fromisoformat(expected + "+00:00"))


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("0 12 * * *", r"has 5 fields: write six or seven"),
        ("0 60 * ? * *", r"its minute is '60': write numbers from 0 to 59"),
        ("0 0 12 ? * FOO", r"its day of the week is 'FOO': .* or SUN to SAT"),
        ("0 0 12 L * ?", r"its day of the month is 'L'"),
        ("0 0/0 12 ? * *", r"its minute is '0/0'"),
    ],
)
def test_an_expression_that_is_not_valid_says_what_is_not(expression: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        CronSchedule.parse(expression)


def test_a_monitor_is_due_once_for_each_instant() -> None:
    schedule = JobSchedule("0 0 12 ? * * *", (NOON - timedelta(days=3)).isoformat())
    assert schedule.is_due(None, NOON)
    assert not schedule.is_due(None, NOON - timedelta(days=3, hours=1))  # it has not begun
    assert not schedule.is_due(NOON, NOON + timedelta(hours=23))
    assert schedule.is_due(NOON, NOON + timedelta(days=1))
    schedule.enabled = False
    assert not schedule.is_due(None, NOON)
    ended = JobSchedule("0 0 12 ? * * *", None, NOON.isoformat())
    assert not ended.is_due(None, NOON)
    assert ended.is_due(None, NOON - timedelta(days=1))


def test_the_difference_of_figures_follows_hopsworks_formula() -> None:
    assert StatisticsComparisonConfig("MEAN", 1).compute_difference(5, 8) == 3
    assert StatisticsComparisonConfig("MEAN", 1, relative=True).compute_difference(5, 8) == 0.375
    assert StatisticsComparisonConfig("MEAN", 1, relative=True).compute_difference(5, 0) == math.inf
    assert StatisticsComparisonConfig("MEAN", 1, specific_value=4).compute_difference(5, None) == 1
    assert StatisticsComparisonConfig("MEAN", 1).compute_difference(None, 4) is None
    assert StatisticsComparisonConfig("MEAN", 3).is_shift(3)
    assert not StatisticsComparisonConfig("MEAN", 3, strict=True).is_shift(3)


def test_distances_are_those_of_scipy_over_the_same_bins() -> None:
    rng = np.random.default_rng(3)
    reference, detected = rng.normal(0, 1, 900), rng.normal(0.4, 1.3, 700)
    states = [
        profile_tables([pa.table({"x": values})], {"x": "double"})["x"]
        for values in (detected, reference)
    ]
    edges = [-2.0, -1.0, 0.0, 1.0, 2.0]
    inner = [-np.inf, *edges[1:-1], np.inf]
    counts = [np.histogram(values, inner)[0] + 1e-6 for values in (detected, reference)]
    p, q = (each / each.sum() for each in counts)
    binning = Binning("CUSTOM_EDGES", edges=edges)
    expected = {
        "PSI": entropy(p, q) + entropy(q, p),
        "KL_DIVERGENCE": entropy(p, q),
        "JS_DIVERGENCE": (entropy(p, (p + q) / 2) + entropy(q, (p + q) / 2)) / 2,
        "HELLINGER": math.sqrt(1 - np.sqrt(p * q).sum()),
        "WASSERSTEIN": wasserstein_distance(detected, reference),
    }
    for metric, value in expected.items():
        assert measure_distance(metric, *states, binning) == pytest.approx(value, rel=1e-6), metric
    quantiles = Binning("EQUI_FREQUENCY", 4)
    cuts = [-np.inf, *np.quantile(reference, [0.25, 0.5, 0.75]), np.inf]
    p, q = (np.histogram(values, cuts)[0] + 1e-6 for values in (detected, reference))
    assert measure_distance("KL_DIVERGENCE", *states, quantiles) == pytest.approx(
        entropy(p, q), rel=1e-6
    )


def test_distances_of_categories_see_every_category() -> None:
    states = [
        profile_tables([pa.table({"x": values})], {"x": "string"})["x"]
        for values in (["a"] * 30 + ["b"] * 70, ["a"] * 50 + ["c"] * 50)
    ]
    p, q = np.array([30, 70, 0]) + 1e-6, np.array([50, 0, 50]) + 1e-6
    assert measure_distance("KL_DIVERGENCE", *states, Binning("CATEGORICAL")) == pytest.approx(
        entropy(p, q)
    )
    assert measure_distance("WASSERSTEIN", *states, Binning("CATEGORICAL")) is None


@pytest.fixture
def group(tmp_path: Path) -> spark_fs.FeatureGroup:
    store: FeatureStore = spark_fs.login({"home": tmp_path}).get_feature_store()
    return store.create_feature_group(
        "payments",
        primary_key=["id"],
        event_time="at",
        features=[
            spark_fs.Feature("id", "bigint"),
            spark_fs.Feature("at", "timestamp"),
            spark_fs.Feature("amount", "double"),
            spark_fs.Feature("shop", "string"),
        ],
    )


def test_a_monitor_is_declared_and_kept_with_hopsworks_names(group: spark_fs.FeatureGroup) -> None:
    with pytest.warns(UserWarning, match=r"row_percentage=0.2 changes nothing"):
        config = group.create_feature_monitoring(
            name="amounts",
            feature_name="amount",
            description="d",
            cron_expression="0 0 9 ? * MON *",
        ).with_detection_window(time_offset="1w", row_percentage=0.2)
    config.with_reference_value(value=100).compare_on(metric="mean", threshold=50).save()
    kept = group.get_feature_monitoring_configs(name="amounts")
    assert isinstance(kept, type(config))
    assert (kept.id, kept.enabled, kept.description) == (config.id, True, "d")
    assert kept.feature_monitoring_type == "STATISTICS_COMPARISON"
    assert (kept.detection_window_config.time_offset, kept.job_schedule.cron_expression) == (
        "1w",
        "0 0 9 ? * MON *",
    )
    compared = kept.feature_statistics_configs[0].statistics_comparison_configs[0]
    assert (compared.metric, compared.threshold, compared.specific_value) == ("MEAN", 50.0, 100)
    kept.detection_window_config.window_length = "1d"
    kept.job_schedule._cron_expression = "0 0 8 ? * * *"  # as the tutorial of Hopsworks does
    with pytest.warns(UserWarning, match=r"row_percentage=0.2 changes nothing"):
        kept.update()
    kept.job_schedule.cron_expression = "never"
    with pytest.raises(SettingsError, match=r"Cron expression 'never' has 1 fields"):
        kept.update()
    kept.job_schedule.cron_expression = "0 0 8 ? * * *"
    kept.disable()
    again = group.get_feature_monitoring_configs(config_id=config.id)
    assert isinstance(again, type(config))
    assert (again.enabled, again.detection_window_config.window_length) == (False, "1d")
    assert again.job_schedule.cron_expression == "0 0 8 ? * * *"
    assert group.get_feature_monitoring_configs(feature_name="shop") == []
    assert group.get_feature_monitoring_configs(name="other") is None
    kept.delete()
    assert group.get_feature_monitoring_configs() == []


def test_a_comparison_without_a_feature_is_of_all_that_have_the_figure(
    group: spark_fs.FeatureGroup,
) -> None:
    config = group.create_feature_monitoring("all").with_reference_window("2d", "1d")
    assert config.compare_on("mean", 1.0).get_feature_names() == ["id", "amount"]
    assert config.compare_on("completeness", 0.1).get_feature_names() == [
        "id",
        "amount",
        "at",
        "shop",
    ]
    config.compare_on_distribution(feature_name="shop")
    assert config.feature_monitoring_type == "DISTRIBUTION_COMPARISON"
    kept = MonitorSpec.from_json(config._spec.to_json())
    assert kept == config._spec


def test_a_run_over_no_rows_says_so(group: spark_fs.FeatureGroup) -> None:
    config = group.create_feature_monitoring("none").with_detection_window("1d")
    config.compare_on("count", 1, "amount", specific_value=5).save()
    assert config.run_once().state == "finished"
    found = config.get_history()[0]
    assert (found.empty_detection_window, found.shifted_feature_names) == (True, {"amount"})
    of_amount = found.feature_statistics_results[0]
    assert (of_amount.shifted_metric_names, of_amount.detection_statistics_id) == ({"COUNT"}, None)
    assert group.get_feature_monitoring_history("none", with_statistics=False) == [found]
    assert group.get_feature_monitoring_history("none", end_time=1) == []
    due = datetime.now(UTC) + timedelta(days=1)
    assert [each.monitor for each in group.run_due_monitors(due)] == ["none"]
    assert group.run_due_monitors(due) == []


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "no reference": (
        lambda g: g.create_feature_monitoring("x").compare_on("mean", 1),
        SettingsError,
        r"Monitor 'x' has nothing to compare with",
    ),
    "no comparison": (
        lambda g: g.create_feature_monitoring("x").with_reference_window("1d").save(),
        SettingsError,
        r"compares nothing with it: add compare_on",
    ),
    "no threshold": (
        lambda g: (
            g.create_feature_monitoring("x")
            .with_reference_window()
            .compare_on_distribution("hellinger")
        ),
        SettingsError,
        r"threshold is missing",
    ),
    "minutes": (
        lambda g: g.create_feature_monitoring("x").with_detection_window("30m"),
        SettingsError,
        r"time_offset='30m' is not a length of time: give weeks, days and hours, as in 1w2d3h",
    ),
    "a length alone": (
        lambda g: g.create_feature_monitoring("x").with_detection_window(None, "1d"),
        SettingsError,
        r"window_length='1d' has no time_offset",
    ),
    "an unknown figure": (
        lambda g: g.create_feature_monitoring("x").with_reference_window().compare_on("median", 1),
        NotFoundError,
        r"Figure 'median' does not exist.*mean",
    ),
    "a figure of numbers": (
        lambda g: (
            g.create_feature_monitoring("x").with_reference_window().compare_on("max", 1, "shop")
        ),
        SettingsError,
        r"MAX is of numbers, and feature 'shop' is string",
    ),
    "an unknown feature": (
        lambda g: g.create_scheduled_statistics("x", ["amuont"]),
        NotFoundError,
        r"Feature 'amuont' does not exist; did you mean 'amount'",
    ),
    "a training dataset of a group": (
        lambda g: g.create_feature_monitoring("x").with_reference_training_dataset(1),
        SettingsError,
        r"a feature group, which has no training datasets",
    ),
    "not saved": (
        lambda g: g.create_scheduled_statistics("x").run_once(),
        SettingsError,
        r"Monitor 'x' is not saved: save\(\) it before run_once",
    ),
    "saved twice": (
        lambda g: [g.create_scheduled_statistics("x").save() for _ in range(2)],
        AlreadyExistsError,
        r"Feature group 'payments' version 1 has a monitor 'x' already",
    ),
    "alerts": (
        lambda g: g.create_alert("me", "feature_validation_failure", "warning"),
        NotOfferedError,
        r"FeatureGroup.create_alert sends a message .* exit code 4",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_monitored_says_why(name: str, group: spark_fs.FeatureGroup) -> None:
    call, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        call(group)


def test_the_monitors_of_a_group_end_with_it(group: spark_fs.FeatureGroup) -> None:
    group.create_scheduled_statistics("x").save()
    catalog, spec = group._stores.catalog, group.spec
    catalog.delete_group(spec.ref)
    catalog.add_group(spec)
    assert catalog.list_monitors(spec) == []
