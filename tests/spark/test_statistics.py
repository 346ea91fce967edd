"""Statistics of groups and training data, drift, and feature selection, on a real store; beside pandas and scikit-learn."""

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.feature_selection import f_classif

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.engine.profile import associations, column_states, tasks
from spark_fs.errors import (
    NotFoundError,
    SchemaError,
    SettingsError,
    SetupError,
    SparkFSError,
    UpgradeError,
)
from spark_fs.flows.profile_rows import RowSource
from spark_fs.spec.feature_statistics import FeatureStatistics, Statistics, StatisticsConfig
from spark_fs.stats.mrmr import MIN_REDUNDANCY

from conftest import ROOT

Group = Callable[..., FeatureGroup]
DAY = pd.Timestamp("2024-03-01", tz="UTC")


def payments(first: int, rows: int, day: int = 0, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(first)
    amount = rng.normal(50 + shift, 10, rows)
    return pd.DataFrame(
        {
            "id": range(first, first + rows),
            "at": (
                DAY
                + pd.Timedelta(days=day)
                + pd.to_timedelta(rng.integers(0, 86_400, rows), unit="s")
            ),
            "amount": amount,
            "tax": amount * 0.2 + rng.normal(size=rows),
            "shop": rng.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]),
            "note": [None if n % 4 == 0 else f"note {n}" for n in range(first, first + rows)],
        }
    )


def same_as_pandas(found: Statistics, frame: pd.DataFrame) -> None:
    for name in ("amount", "tax", "id"):
        one, values = found[name], frame[name]
        assert (one.count, one.num_null_values, one.min, one.max) == (
            len(frame),
            0,
            values.min(),
            values.max(),
        )
        assert one.mean == pytest.approx(values.mean(), rel=1e-12)
        assert one.stddev == pytest.approx(values.std(ddof=0), rel=1e-9)
        spread = values.max() - values.min()
        np.testing.assert_allclose(
            one.percentiles, np.percentile(values, range(1, 100)), atol=0.02 * spread
        )
    assert found["shop"].exact_num_distinct_values == frame.shop.nunique()
    assert found["note"].num_null_values == frame.note.isna().sum()


# -- groups


def test_each_insert_brings_the_statistics_of_its_commit_and_the_past_keeps_its_own(
    group: Group,
) -> None:
    first, second = payments(0, 300), payments(300, 200, day=1)
    fg = group("payments", first, primary_key=["id"], event_time="at")
    fg.insert(second)
    same_as_pandas(fg.get_statistics(), pd.concat([first, second]))
    same_as_pandas(fg.get_statistics(as_of=0), first)
    assert fg.get_statistics().commit == 1
    assert [f.feature_name for f in fg.get_statistics().feature_descriptive_statistics] == list(
        fg.schema
    )
    assert [
        f.feature_name
        for f in fg.get_statistics(feature_names=["tax"]).feature_descriptive_statistics
    ] == ["tax"]
    assert fg.get_statistics()["amount"].correlations is None
    instant = fg.commit_details()[-1].committed_at
    assert fg.get_statistics(as_of=instant).row_count == 300
    with pytest.raises(
        NotFoundError, match=r"Feature of these statistics 'amuont' does not exist.*amount"
    ):
        fg.get_statistics()["amuont"]
    assert fg.get_statistics().to_pandas().set_index("feature_name").loc["amount", "count"] == 500


def test_an_insert_looks_at_its_own_rows_alone(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    fg = group(
        "payments",
        payments(0, 300),
        primary_key=["id"],
        event_time="at",
        statistics_config={"correlations": True},
    )
    looked: list[int] = []
    profile_blocks = column_states.profile_blocks
    sum_blocks = associations.sum_blocks

    def profile_noted(runner: Any, blocks: Any, *rest: Any) -> Any:
        looked.append(blocks.scan.row_count)
        return profile_blocks(runner, blocks, *rest)

    def sum_noted(runner: Any, blocks: Any, matrix: Any) -> Any:
        looked.append(blocks.scan.row_count)
        return sum_blocks(runner, blocks, matrix)

    monkeypatch.setattr(column_states, "profile_blocks", profile_noted)
    monkeypatch.setattr(associations, "sum_blocks", sum_noted)
    fg.insert(payments(300, 50))
    assert looked == [50, 50]
    whole = pd.concat([payments(0, 300), payments(300, 50)])
    same_as_pandas(fg.get_statistics(), whole)
    assert fg.get_statistics()["amount"].correlations["tax"] == pytest.approx(
        whole.amount.corr(whole.tax), rel=1e-9
    )


@pytest.mark.slow
def test_changed_and_deleted_rows_leave_no_trace(group: Group) -> None:
    first = payments(0, 200)
    fg = group("payments", first, primary_key=["id"], event_time="at")
    changed = first.assign(amount=first.amount.where(first.id != 7, 9_999.0))
    fg.insert(changed)
    assert fg.get_statistics()["amount"].max == 9_999.0
    fg.insert(first)
    same_as_pandas(fg.get_statistics(), first)
    fg.delete_records(first[first.id < 100][["id"]])
    same_as_pandas(fg.compute_statistics(), first[first.id >= 100])
    fg.insert(payments(500, 10))
    same_as_pandas(fg.get_statistics(), pd.concat([first[first.id >= 100], payments(500, 10)]))


@pytest.mark.slow
def test_an_insert_that_changes_rows_of_a_large_table_leaves_the_statistics_to_be_asked_for(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = payments(0, 60)
    fg = group("payments", first, primary_key=["id"], event_time="at")
    monkeypatch.setattr("spark_fs.flows.statistics.MAX_RESCANNED_BYTES", 100)
    changed = first.assign(amount=first.amount + 1)
    fg.insert(changed)
    same_as_pandas(fg.get_statistics(), first)
    assert fg.get_statistics().commit == 0
    same_as_pandas(fg.compute_statistics(), changed)
    fg.insert(payments(60, 5))
    same_as_pandas(fg.get_statistics(), pd.concat([changed, payments(60, 5)]))


@pytest.mark.slow
def test_a_group_that_keeps_corrections_counts_each_row_as_it_is_now(group: Group) -> None:
    first = payments(0, 40)
    fg = group("payments", first, primary_key=["id"], event_time="at", keep_corrections=True)
    now = first.assign(amount=first.amount + 1)
    fg.insert(now)
    same_as_pandas(fg.get_statistics(), now)


def test_a_new_feature_is_in_the_next_statistics(group: Group) -> None:
    fg = group("payments", payments(0, 20), primary_key=["id"], event_time="at")
    fg.append_features(spark_fs.Feature("score", "double"))
    fg.insert(payments(20, 20).assign(score=1.5))
    found = fg.get_statistics()["score"]
    assert (found.count, found.num_null_values, found.mean) == (40, 20, 1.5)


@pytest.mark.slow
def test_moved_rows_are_not_counted_again(group: Group) -> None:
    fg = group("payments", payments(0, 60), primary_key=["id"], event_time="at")
    fg.insert(payments(60, 40))
    fg.optimize()
    fg.insert(payments(100, 5))
    same_as_pandas(
        fg.get_statistics(), pd.concat([payments(0, 60), payments(60, 40), payments(100, 5)])
    )


def test_the_config_says_what_is_made(group: Group, fs: FeatureStore) -> None:
    off = group(
        "off", payments(0, 20), primary_key=["id"], event_time="at", statistics_config=False
    )
    assert off.get_statistics() is None
    some = group(
        "some",
        payments(0, 2_000),
        primary_key=["id"],
        event_time="at",
        statistics_config={
            "histograms": False,
            "exact_uniqueness": True,
            "correlations": True,
            "columns": ["amount", "note", "shop"],
        },
    )
    found = some.get_statistics()
    assert [f.feature_name for f in found.feature_descriptive_statistics] == [
        "amount",
        "note",
        "shop",
    ]
    assert found["amount"].histogram is None
    assert (
        found["note"].exact_num_distinct_values,
        found["note"].uniqueness,
        found["note"].distinctness,
    ) == (1_500, 1.0, 1.0)
    assert found["note"].entropy == pytest.approx(np.log(1_500))
    assert set(found["amount"].correlations) == {"shop"}
    some.update_statistics_config({"columns": ["tax"]})
    assert [f.feature_name for f in some.compute_statistics().feature_descriptive_statistics] == [
        "tax"
    ]
    assert fs.get_feature_group("some").statistics_config.columns == ("tax",)
    with pytest.raises(
        NotFoundError, match=r"Column of statistics_config 'taxx' does not exist.*tax"
    ):
        some.update_statistics_config({"columns": ["taxx"]})
    with pytest.raises(SettingsError, match=r"has no rows yet"):
        fs.create_feature_group("none", primary_key=["id"]).compute_statistics()


def test_both_engines_give_the_same_bits(
    group: Group, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = payments(0, 5_000)
    fg = group(
        "payments",
        frame,
        primary_key=["id"],
        event_time="at",
        partition_key=["shop"],
        statistics_config=False,
    )
    fg.insert(payments(5_000, 3_000))
    config = StatisticsConfig(correlations=True, exact_uniqueness=True)
    fg.update_statistics_config(config.to_json())
    monkeypatch.setattr(tasks, "TASK_COLUMNS", 2)
    here = fg.compute_statistics(engine="local")
    there = fg.compute_statistics(engine="spark")
    source = RowSource(
        fg._stores.engines,
        fg.schema,
        get_frame=lambda: fg.read("spark").repartition(7),
    )
    plain = source.compute_profile(config).statistics
    counted = source.count_exactly({"amount": 8_000, "at": 8_000, "id": 8_000})
    for name in fg.schema:
        assert here[name].to_json() == there[name].to_json()
        assert list(here[name].correlations.coefficients) == pytest.approx(
            list(there[name].correlations.coefficients), rel=0, abs=0, nan_ok=True
        )
        assert _figures(here[name]) == _figures(plain[name], here[name])
    for name, (distinct, _, entropy) in counted.items():
        assert here[name].exact_num_distinct_values == distinct
        assert here[name].entropy == entropy
    query = fg.select_all()
    chosen = {
        engine: spark_fs.select_features(query, "amount", k=3, engine=engine, method="k_best")
        for engine in ("local", "spark")
    }
    pd.testing.assert_frame_equal(chosen["local"].scores, chosen["spark"].scores, check_exact=True)
    joined = query.join(fg.select(["amount"]), prefix="same_")
    chosen = {
        engine: spark_fs.select_features(joined, "amount", k=3, engine=engine, leak=1.0)
        for engine in ("local", "spark")
    }
    pd.testing.assert_frame_equal(chosen["local"].scores, chosen["spark"].scores, check_exact=True)


def _figures(one: FeatureStatistics, exact: FeatureStatistics | None = None) -> list[Any]:
    """What does not hang on how rows were cut into parts; what was counted one by one is taken from another look."""
    by = exact or one
    sums = [
        None if value is None else pytest.approx(value, rel=1e-12)
        for value in (one.sum, one.mean, one.stddev)
    ]
    return [
        one.count,
        one.num_null_values,
        one.min,
        one.max,
        *sums,
        one.completeness,
        by.exact_num_distinct_values,
        by.uniqueness,
    ]


@pytest.mark.slow
def test_every_type_is_profiled_as_arrow_brings_it(group: Group) -> None:
    table = pa.table(
        {
            "k": pa.array(range(4), pa.int32()),
            "tiny": pa.array([1, -1, None, 3], pa.int8()),
            "f": pa.array([1.5, float("nan"), float("inf"), None], pa.float32()),
            "dec": pa.array([Decimal(1), Decimal(2), None, Decimal(2)], pa.decimal128(20, 2)),
            "day": pa.array([0, 1, None, 19_000], pa.date32()),
            "yes": pa.array([True, False, None, True]),
            "list": pa.array([[1], None, [], [2, 3]], pa.list_(pa.int32())),
            "bytes": pa.array([b"a", None, b"", b"b"]),
        }
    )
    fg = group("types", table, primary_key=["k"])
    found = {each.feature_name: each for each in fg.get_statistics().feature_descriptive_statistics}
    assert {name: (each.count, each.num_null_values) for name, each in found.items()} == {
        name: (4, 0 if name == "k" else 1) for name in table.column_names
    }
    assert (
        found["f"].num_nan_values,
        found["f"].num_infinite_values,
        found["f"].mean,
        found["f"].max,
    ) == (1, 1, 1.5, 1.5)
    assert (found["tiny"].sum, found["dec"].approx_num_distinct_values, str(found["day"].max)) == (
        3,
        2,
        "2022-01-08",
    )
    assert found["list"].histogram is None


# -- files of other releases, and damaged ones


def noted(file: Path, **about: Any) -> None:
    """Let a file say other things of itself; None: not that."""
    table = pa.ipc.open_file(file.read_bytes()).read_all()
    kept = json.loads(table.schema.metadata[b"about"]) | about
    table = table.replace_schema_metadata(
        {"about": json.dumps({name: value for name, value in kept.items() if value is not None})}
    )
    written(file, table)


def written(file: Path, table: pa.Table) -> None:
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "of a newer release": lambda file: noted(file, format_version=2),
    "of an older one": lambda file: noted(file, format_version=0),
    "of no commit": lambda file: noted(file, commit=None),
    "without notes": lambda file: written(
        file, pa.ipc.open_file(file.read_bytes()).read_all().replace_schema_metadata(None)
    ),
    "with other columns": lambda file: written(
        file, pa.table({"y": pa.array([], pa.string())}, metadata={"about": '{"commit": 0}'})
    ),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "empty": lambda file: file.write_bytes(b""),
    "no Arrow": lambda file: file.write_text("what is this?"),
    "gone": lambda file: file.unlink(),
}


def test_statistics_go_on_whatever_is_found_of_their_state(group: Group) -> None:
    first, more = payments(0, 300), payments(300, 40)
    fg = group(
        "payments",
        first,
        primary_key=["id"],
        event_time="at",
        statistics_config={"correlations": True},
    )
    folder = Path(f"{fg.location}_statistics")
    for damage in DAMAGES.values():
        for name in ("state", "sums"):
            damage(folder / f"{name}.arrow")
        fg._update_statistics()  # what an insert does after its commit: a warning would be an error here
        same_as_pandas(fg.get_statistics(), first)
        assert fg.get_statistics()["amount"].correlations["tax"] == pytest.approx(
            first.amount.corr(first.tax), rel=1e-9
        )
        for name in ("state", "sums"):
            assert (
                json.loads(pa.ipc.open_file(folder / f"{name}.arrow").schema.metadata[b"about"])[
                    "format_version"
                ]
                == 1
            )
    noted(folder / "state.arrow", format_version=None)  # as releases left it that wrote no number
    noted(folder / "sums.arrow", format_version=2)
    fg.insert(more)
    whole = pd.concat([first, more])
    same_as_pandas(fg.get_statistics(), whole)
    assert fg.get_statistics()["amount"].correlations["tax"] == pytest.approx(
        whole.amount.corr(whole.tax), rel=1e-9
    )


def test_statistics_of_a_commit_are_read_unless_a_newer_release_made_them_and_made_again_where_they_are_damaged(
    group: Group,
) -> None:
    frame = payments(0, 200)
    fg = group("payments", frame, primary_key=["id"], event_time="at")
    file = Path(f"{fg.location}_statistics") / f"{0:020d}.arrow"
    table = pa.ipc.open_file(file.read_bytes()).read_all()
    facts = [
        json.dumps({**json.loads(each), "skewness": 1.5})
        for each in table.column("facts").to_pylist()
    ]
    written(file, table.set_column(1, "facts", pa.array(facts)))  # a figure of a newer release's
    same_as_pandas(fg.get_statistics(), frame)
    noted(file, format_version=2)
    with pytest.raises(
        UpgradeError,
        match=(
            r"is kept in format 2, which a newer spark_fs wrote; this one knows 1\. Upgrade"
            r" spark_fs"
        ),
    ):
        fg.get_statistics()
    for name in ("with other columns", "without notes", "cut off"):
        DAMAGES[name](file)
        with pytest.raises(
            SparkFSError,
            match=r"(cannot be understood|is damaged): .*Remove it, then compute_statistics\(\)",
        ):
            fg.get_statistics()
        fg._update_statistics()
        same_as_pandas(fg.get_statistics(), frame)


# -- training data


@pytest.mark.slow
def test_training_data_has_statistics_of_every_split(group: Group, fs: FeatureStore) -> None:
    frame = payments(0, 400)
    fg = group("payments", frame, primary_key=["id"], event_time="at")
    scaler = fs.get_transformation_function("standard_scaler")
    view = fs.create_feature_view(
        "tax",
        fg.select(["amount", "shop", "tax"]),
        labels=["tax"],
        transformation_functions={"amount": scaler},
    )
    x_train, x_test, y_train, _ = view.train_test_split(test_ratio=0.25, seed=3)
    found = view.get_training_dataset_statistics(1)
    assert found["amount"].mean == pytest.approx(0.0, abs=1e-12)
    assert found["tax"].mean == pytest.approx(y_train.tax.mean())
    train, test = found.split_statistics
    assert (train.split, train.row_count, test.split, test.row_count) == (
        "train",
        len(x_train),
        "test",
        len(x_test),
    )
    assert test["amount"].mean == pytest.approx(x_test.amount.mean())
    view.create_training_data(
        statistics_config={"correlations": True, "columns": ["amount", "tax"]}
    )
    filed = view.get_training_dataset_statistics(2)
    assert filed["amount"].correlations["tax"] == pytest.approx(frame.amount.corr(frame.tax))
    with pytest.raises(NotFoundError, match=r"has no version 9: it has 1, 2"):
        view.get_training_dataset_statistics(9)
    folder = next(Path(fs._stores.settings.warehouse).glob("training_datasets/tax_1/statistics/1"))
    for damage in (
        "with other columns",
        "cut off",
        "gone",
    ):  # since the rows are as they were, so are their statistics
        for name in ("train", ".train", "test"):
            DAMAGES[damage](folder / f"{name}.arrow")
        assert view.kept_statistics()[0].row_count == 400  # those of the second
        assert view.detect_drift(x_train, 1).ok
        again = view.get_training_dataset_statistics(1)
        assert [each.to_json() for each in again.feature_descriptive_statistics] == [
            each.to_json() for each in found.feature_descriptive_statistics
        ]
    noted(folder / ".train.arrow", format_version=2)
    assert view.detect_drift(x_train, 1).ok


# -- drift


def test_drift_between_windows_commits_and_batches(group: Group, fs: FeatureStore) -> None:
    fg = group("payments", payments(0, 600), primary_key=["id"], event_time="at")
    fg.insert(payments(600, 600, day=1))
    fg.insert(payments(1_200, 600, day=2, shift=15.0))
    quiet = fg.detect_drift(
        (DAY + pd.Timedelta(days=1), DAY + pd.Timedelta(days=2)), (DAY, DAY + pd.Timedelta(days=1))
    )
    assert quiet.ok, str(quiet)
    loud = fg.detect_drift(
        ("2024-03-03", "2024-03-04"), ("2024-03-01", "2024-03-03"), features=["amount", "shop"]
    )
    assert [each.feature_name for each in loud.crossed] == ["amount"]
    assert loud.rows == (1_200, 600)
    before, now = (
        pd.concat([payments(0, 600), payments(600, 600)]).amount,
        payments(1_200, 600, shift=15.0).amount,
    )
    assert loud["amount"].measures["mean_shift"] == pytest.approx(
        (now.mean() - before.mean()) / before.std(ddof=0)
    )
    assert fg.detect_drift((1, 2), (-1, 1), features=["amount"])[
        "amount"
    ].measures == pytest.approx(loud["amount"].measures, abs=0.01)
    batch = fg.detect_drift(
        payments(9_000, 300, shift=15.0)[["amount"]],
        ("2024-03-01", "2024-03-03"),
        thresholds={"psi": 99},
    )
    assert batch.ok
    assert [each.feature_name for each in batch.features] == ["amount"]
    assert len(fg.get_drift_history()) == 4
    assert fs.get_feature_group("payments").get_drift_history()[1] == loud


def test_a_comparison_that_cannot_be_made_says_why(group: Group) -> None:
    fg = group("payments", payments(0, 50), primary_key=["id"], event_time="at")
    with pytest.raises(
        SettingsError, match=r"no rows in rows of \[2030-01-01.*choose another window"
    ):
        fg.detect_drift(("2030-01-01", "2030-01-02"), ("2024-03-01", "2024-03-02"))
    with pytest.raises(
        SettingsError, match=r"'yesterday' names no rows to compare: give \(start, end\)"
    ):
        fg.detect_drift("yesterday", ("2024-03-01", "2024-03-02"))
    with pytest.raises(NotFoundError, match=r"Column of the frame 'tax' does not exist.*amount"):
        fg.detect_drift(payments(0, 5)[["amount"]], ("2024-03-01", "2024-03-02"), features=["tax"])
    with pytest.raises(SchemaError, match=r"columns are not of the types.*Cast them first"):
        fg.detect_drift(pd.DataFrame({"amount": ["much"]}), ("2024-03-01", "2024-03-02"))
    with pytest.raises(NotFoundError, match=r"has no version 7"):
        fg.detect_drift((0, 7), (-1, 0))
    assert fg.get_drift_history() == []


@pytest.mark.slow
def test_a_view_is_compared_with_what_its_model_was_trained_on(
    group: Group, fs: FeatureStore
) -> None:
    fg = group("payments", payments(0, 500), primary_key=["id"], event_time="at")
    fg.insert(payments(500, 400, day=1, shift=20.0))
    scaler = fs.get_transformation_function("standard_scaler")
    view = fs.create_feature_view(
        "tax",
        fg.select(["amount", "shop", "tax"]),
        labels=["tax"],
        transformation_functions={"amount": scaler},
    )
    view.training_data(end_time="2024-03-02")
    found = view.detect_drift(("2024-03-02", "2024-03-03"), 1)
    assert [each.feature_name for each in found.crossed] == ["amount"]
    assert found["amount"].measures["mean_shift"] == pytest.approx(2.0, abs=0.2)
    view.init_batch_scoring(1)
    assert view.detect_drift(view.get_batch_data(end_time="2024-03-02"), 1).ok
    assert [report.ok for report in view.get_drift_history()] == [False, True]


@pytest.mark.slow
def test_the_monitor_job_ends_with_one_when_a_threshold_is_crossed(
    tmp_path: Path, spark: SparkSession
) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    fg = fs.create_feature_group("payments", primary_key=["id"], event_time="at")
    fg.insert(pd.concat([payments(0, 400), payments(400, 400, day=1, shift=30.0)]))
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"home: {tmp_path}\n")
    command = [
        sys.executable,
        str(ROOT / "jobs" / "monitor.py"),
        "--group",
        "payments",
        "--now",
        "2024-03-03",
        "--reference",
        "1d",
    ]
    environment = {
        "SPARK_FS_CONFIG": str(settings),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
    }

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], capture_output=True, text=True, env=environment, check=False
        )

    plot = tmp_path / "drift.html"
    loud = run("--plot", str(plot))
    assert loud.returncode == 4, loud.stderr
    assert "amount psi" in loud.stdout
    assert "plotly" in plot.read_text()[:20_000].lower()
    quiet = run("--feature", "shop", "--threshold", "psi=0.5")
    assert quiet.returncode == 0, quiet.stderr
    assert len(fg.get_drift_history()) == 2


# -- feature selection


def planted(
    rows: int, features: int, informative: int, seed: int
) -> tuple[pd.DataFrame, list[str]]:
    """Rows with a label, of which only the first features tell."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    label = x[:, :informative] @ np.linspace(2, 1, informative) + rng.normal(size=rows) > 0
    return framed(x, label), [f"f{n:04d}" for n in range(informative)]


def framed(x: Any, label: Any) -> pd.DataFrame:
    frame = pd.DataFrame(x, columns=[f"f{n:04d}" for n in range(x.shape[1])])
    frame.insert(0, "id", range(len(frame)))
    return frame.assign(at=DAY, label=label.astype(int))


@pytest.mark.slow
def test_selection_finds_what_was_planted_and_calls_out_the_rest(
    fs: FeatureStore, group: Group
) -> None:
    frame, told = planted(1_500, 60, 5, seed=1)
    rng = np.random.default_rng(0)
    others = frame[["id", "at"]].assign(
        constant=1.0,
        leak=frame.label * 2.0,
        empty=np.where(rng.random(1_500) < 0.95, np.nan, 1.0),
        shop=np.where(frame.f0000 > 0, "a", "b"),
        name=[f"n{n}" for n in range(1_500)],
    )
    labels, more = (
        group("labels", frame, primary_key=["id"], event_time="at"),
        group("more", others, primary_key=["id"], event_time="at"),
    )
    query = labels.select_all().join(more.select_features(), prefix="m_")
    told_of: list[str] = []
    found = spark_fs.select_features(
        query, "label", k=6, progress=lambda what, done, known: told_of.append(what)
    )
    assert set(told) - set(found.features) <= {"f0000"}, "m_shop stands for it where it is left out"
    assert {name: why.split(":")[0].split(",")[0] for name, why in found.warnings.items()} == {
        "m_constant": "constant",
        "m_empty": "constant",
        "m_leak": "possible leak",
        "m_name": "of 1",
    } | ({"m_empty": "mostly null"} if found.warnings["m_empty"].startswith("mostly") else {})
    assert found.warnings["m_leak"].endswith("it alone predicts the label with an AUC of 1.0000")
    assert found.features == spark_fs.select_features(query, "label", k=6).features
    assert told_of
    assert set(told_of) <= {"joining", "profiling", "correlating", "counting"}
    assert found.scores.columns.tolist() == [
        "feature",
        "reason",
        "rank",
        "value",
        "f",
        "mutual_information",
        "chi_squared",
        "auc",
        "strength",
        "redundancy",
        "importance",
        "null_share",
    ]
    table = found.scores.set_index("feature")
    wanted = f_classif(frame[told], frame.label)[0]
    np.testing.assert_allclose(table.loc[told, "f"].astype(float), wanted, rtol=1e-6)
    assert table["rank"].dropna().tolist() == [1, 2, 3, 4, 5, 6]
    view = found.to_feature_view("chosen")
    assert set(view.schema) == set(found.features)
    assert view.labels == ["label"]
    assert [ref.name for ref in view.query.spec.iter_groups()] == (
        ["labels", "more"] if "m_shop" in found.features else ["labels"]
    )
    x, y = view.training_data()
    assert (len(x), list(y.columns)) == (1_500, ["label"])
    assert found.plot().data[0].y[0] == found.features[0]


@pytest.mark.slow
def test_mrmr_on_a_real_data_set_with_noise_is_that_of_numpy_on_the_collected_frame(
    group: Group,
) -> None:
    data = load_breast_cancer(as_frame=True)
    rng = np.random.default_rng(7)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    frame = pd.concat(
        [
            frame,
            pd.DataFrame(
                rng.normal(size=(len(frame), 40)), columns=[f"noise_{n:02d}" for n in range(40)]
            ),
        ],
        axis=1,
    )
    fg = group(
        "cells", frame.assign(id=range(len(frame)), malignant=data.target), primary_key=["id"]
    )
    relevance, related = f_classif(frame, data.target)[0], frame.corr().abs().to_numpy()
    wanted = [int(relevance.argmax())]
    while len(wanted) < 10:
        left = [f for f in range(frame.shape[1]) if f not in wanted]
        wanted.append(
            max(
                left,
                key=lambda f: relevance[f] / max(related[f, wanted].mean(), MIN_REDUNDANCY),
            )
        )
    found = spark_fs.select_features(fg.select_all(), "malignant", k=10)
    assert found.features == [frame.columns[f] for f in wanted]
    best = spark_fs.select_features(
        fg.select_all(), "malignant", k=10, method="k_best", score="auc"
    )
    assert not any(name.startswith("noise") for name in best.features)


@pytest.mark.slow
def test_a_search_from_a_baseline_finds_a_smaller_and_better_set(group: Group) -> None:
    frame, told = planted(2_500, 40, 4, seed=3)
    fg = group("labels", frame, primary_key=["id"], event_time="at")
    baseline = ["f0000", *(f"f{n:04d}" for n in range(20, 30))]
    found = spark_fs.select_features(fg.select_all(), "label", k=12, baseline=baseline)
    steps = found.steps.set_index("step")
    assert steps.loc["baseline", "features"] == 11
    assert len(found.features) < 11
    assert steps[steps.features == len(found.features)].auc.max() > steps.loc["baseline", "auc"]
    assert found.plot().layout.yaxis.title.text == "auc"
    gains = spark_fs.select_features(fg.select_all(), "label", k=4, method="importance", seed=1)
    assert set(gains.features) == set(told)


def test_a_number_is_predicted_by_regression_and_a_view_knows_its_label(
    group: Group, fs: FeatureStore
) -> None:
    frame = payments(0, 800)
    fg = group("payments", frame, primary_key=["id"], event_time="at")
    view = fs.create_feature_view("tax", fg.select(["amount", "shop", "tax"]), labels=["tax"])
    found = spark_fs.select_features(view, k=1)
    assert (found.task, found.features) == ("regression", ["amount"])
    table = found.scores.set_index("feature")
    r = frame.amount.corr(frame.tax)
    assert table.loc["amount", "f"] == pytest.approx(r**2 / (1 - r**2) * (len(frame) - 2), rel=1e-9)


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"label": "tex"}, NotFoundError, r"Label 'tex' does not exist.*tax"),
    ({}, SettingsError, r"label is needed, since a query has none"),
    (
        {"label": "tax", "method": "best"},
        SettingsError,
        r"method 'best' is not known: use 'mrmr', 'k_best', 'importance'",
    ),
    ({"label": "tax", "k": 0}, SettingsError, r"k=0 is not an integer from 1 up"),
    (
        {"label": "tax", "baseline": ["amuont"]},
        NotFoundError,
        r"Feature of the baseline 'amuont' does not exist.*amount",
    ),
    (
        {"label": "note", "task": "classification"},
        SettingsError,
        r"Label 'note' has .* distinct values: classes are 2 to 50",
    ),
    (
        {"label": "tax", "method": "k_best", "score": "auc"},
        SettingsError,
        r"score='auc' needs a label of two classes",
    ),
]


def test_a_search_that_cannot_be_made_says_why(group: Group) -> None:
    fg = group("payments", payments(0, 80), primary_key=["id"], event_time="at")
    for arguments, error, told in WRONG:
        with pytest.raises(error, match=told):
            spark_fs.select_features(fg.select_all(), **arguments)


def test_a_model_without_its_library_names_the_extra(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    fg = group("payments", payments(0, 300), primary_key=["id"], event_time="at")
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(SetupError, match=r"not installed: pip install 'spark_fs\[select\]'"):
        spark_fs.select_features(fg.select_all(), "tax", method="importance")


@pytest.mark.slow
def test_the_selection_job_ends_in_a_view_and_its_training_data(
    tmp_path: Path, spark: SparkSession
) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    frame, told = planted(600, 30, 3, seed=2)
    fg = fs.create_feature_group("candidates", primary_key=["id"], event_time="at")
    fg.insert(frame)
    fs.create_feature_view("candidates", fg.select_all(), labels=["label"])
    settings, report = tmp_path / "settings.yaml", tmp_path / "found.html"
    settings.write_text(f"home: {tmp_path}\n")
    command = [
        sys.executable,
        str(ROOT / "jobs" / "select_features.py"),
        "--view",
        "candidates",
        "--k",
        "3",
        "--name",
        "chosen",
        "--report",
        str(report),
        "--baseline",
        "f0010,f0011",
    ]
    environment = {
        "SPARK_FS_CONFIG": str(settings),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    view = fs.get_feature_view("chosen")
    assert set(view.schema) == set(told)
    assert [dict(each.rows) for each in view.get_training_datasets()] == [{"train": 600}]
    assert "baseline" in ran.stdout
    assert "f0000" in report.read_text()


@pytest.mark.long
@pytest.mark.slow
def test_selection_recovers_what_was_planted_among_two_thousand(group: Group) -> None:
    x, y = make_classification(
        4_000,
        2_000,
        n_informative=8,
        n_redundant=0,
        n_clusters_per_class=1,
        class_sep=1.5,
        shuffle=False,
        random_state=11,
    )
    frame, told = framed(x, y), [f"f{n:04d}" for n in range(8)]
    fg = group("wide", frame, primary_key=["id"], event_time="at", statistics_config=False)
    found = spark_fs.select_features(fg.select_all(), "label", k=12)
    relevance = f_classif(frame[[c for c in frame if c.startswith("f")]], frame.label)[0]
    tells = [
        name for name in told if relevance[int(name[1:])] > 40
    ]  # the others are seen only together, which no F can
    assert set(tells) <= set(found.features)
    baseline = [*told[:3], *(f"f{n:04d}" for n in range(100, 172))]
    searched = spark_fs.select_features(fg.select_all(), "label", k=40, baseline=baseline)
    steps = searched.steps.set_index("step")
    assert steps.loc["baseline", "features"] == len(baseline) == 75
    assert len(searched.features) < 75
    assert steps[steps.features == len(searched.features)].auc.max() > steps.loc["baseline", "auc"]
    gains = spark_fs.select_features(fg.select_all(), "label", k=8, method="importance")
    assert len(set(tells) & set(gains.features)) >= 0.75 * len(tells)


def test_statistics_that_fail_in_an_unforeseen_way_do_not_make_an_insert_fail(
    fs: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr("spark_fs.flows.statistics.compute_group_statistics", fails)
    group = fs.create_feature_group("late", primary_key=["k"])
    with pytest.warns(
        UserWarning,
        match=(
            r"The rows are in feature group 'late' version 1, and its statistics could not be made:"
            r" OverflowError: date value out of range\."
        ),
    ):
        job, _ = group.insert(pd.DataFrame({"k": [1, 2]}))
    assert job.summary["inserted"] == 2
    assert sorted(group.read("pandas")["k"]) == [1, 2]
