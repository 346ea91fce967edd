"""Statistics, drift and selection by the local engine: beside NumPy, pandas and scikit-learn, and the same bits in any number of tasks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import f_classif
from threadpoolctl import threadpool_limits

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.profile import associations, column_states, distinct_counts
from spark_fs.engine.profile.tasks import (
    BlockResult,
    ScanBlocks,
    TableBlocks,
    cut_runs,
    merge_results,
)
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.stats.association import DesignMatrix
from spark_fs.stats.describe import summarize_counts

TYPES = {"id": "bigint", "at": "timestamp", "amount": "double", "tax": "double", "shop": "string"}


def make_payments(first: int, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(first)
    amount = rng.lognormal(3, 1, count)
    tax = amount * 0.2 + rng.normal(0, 1, count)
    tax[::17] = np.nan
    days = pd.to_datetime("2024-01-01", utc=True) + pd.to_timedelta(np.arange(count) % 20, "D")
    shop = np.array(["north", "south", "west"])[rng.integers(0, 3, count)]
    return pd.DataFrame(
        {"id": np.arange(first, first + count), "at": days, "amount": amount, "tax": tax}
    ).assign(shop=shop)


def to_table(frame: pd.DataFrame) -> pa.Table:
    """The frame as a table of a group holds it; NaN stands for null."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    schema = pa.schema(
        [
            field.with_type(pa.timestamp("us", "UTC"))
            if pa.types.is_timestamp(field.type)
            else field.with_type(pa.string())
            if pa.types.is_large_string(field.type)
            else field
            for field in table.schema
        ]
    )
    ingested_at = pa.array(np.full(len(frame), 1_700_000_000_000_000), pa.timestamp("us", "UTC"))
    return table.cast(schema).append_column("_ingested_at", ingested_at)


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


def make_group(
    fs: FeatureStore, name: str, frames: list[pd.DataFrame], **config: Any
) -> FeatureGroup:
    """A group whose table is written without Spark, a file for each frame."""
    types = {**TYPES, **dict.fromkeys(set(frames[0].columns) - set(TYPES), "double")}
    declared = [spark_fs.Feature(column, types[column]) for column in frames[0].columns]
    group = fs.create_feature_group(
        name, primary_key=["id"], event_time="at", features=declared, statistics_config=config
    )
    for frame in frames:
        write_deltalake(group.location, to_table(frame), mode="append")
    return group


def test_statistics_are_those_of_pandas(fs: FeatureStore) -> None:
    frames = [make_payments(0, 3_000), make_payments(3_000, 2_000)]
    group = make_group(fs, "payments", frames, correlations=True, exact_uniqueness=True)
    statistics = group.compute_statistics()
    frame = pd.concat(frames)
    for name in ("amount", "tax"):
        column = frame[name].dropna()
        figures = statistics[name]
        assert (figures.count, figures.num_null_values) == (5_000, 5_000 - len(column))
        assert (figures.min, figures.max) == (column.min(), column.max())
        assert figures.mean == pytest.approx(column.mean(), rel=1e-12)
        assert figures.stddev == pytest.approx(column.std(ddof=0), rel=1e-12)
        assert figures.exact_num_distinct_values == column.nunique()
        ranks = column.rank(pct=True)
        near_median = ranks[(column - figures.percentiles[49]).abs().idxmin()]
        assert np.max(near_median) == pytest.approx(0.5, abs=0.01)
    counts = frame["shop"].value_counts(normalize=True)
    assert statistics["shop"].entropy == pytest.approx(-(counts * np.log(counts)).sum(), rel=1e-12)
    correlation = statistics["amount"].correlations["tax"]
    assert correlation == pytest.approx(frame["amount"].corr(frame["tax"]), rel=1e-9)


def test_drift_of_two_windows_is_told(fs: FeatureStore) -> None:
    frame = make_payments(0, 4_000)
    is_late = frame["at"] >= "2024-01-11"
    frame.loc[is_late, "amount"] *= 5
    group = make_group(fs, "payments", [frame], enabled=False)
    report = group.detect_drift(
        ("2024-01-11", "2024-01-21"), ("2024-01-01", "2024-01-11"), ["amount", "shop"]
    )
    assert [drift.feature_name for drift in report.features if drift.crossed] == ["amount"]
    later = frame[is_late]
    table = pa.Table.from_pandas(later, preserve_index=False)
    for rows in (later, table, table.to_reader(), pl.from_arrow(table), table.to_pylist()):
        batch = group.detect_drift(rows, ("2024-01-11", "2024-01-21"), ["amount", "shop"])
        assert {drift.measures["psi"] for drift in batch.features} == {0.0}


def test_selection_of_joined_rows_is_the_mrmr_of_its_definition(fs: FeatureStore) -> None:
    rng = np.random.default_rng(3)
    count = 2_000
    columns = {f"f{n}": rng.normal(size=count) for n in range(12)}
    columns["f1"] = columns["f0"] + rng.normal(size=count) * 0.1
    frame = make_payments(0, count)[["id", "at"]].assign(**columns)
    labels = frame[["id", "at"]].copy()
    score = frame["f0"] + 0.6 * frame["f2"] + 0.3 * frame["f3"] + rng.normal(size=count)
    labels["amount"] = (score > 0).astype(float)
    candidates = make_group(fs, "candidates", [frame], enabled=False)
    spine = make_group(fs, "labels", [labels], enabled=False)
    query = spine.select(["amount"]).join(candidates.select_features())
    steps: list[tuple[str, int, int]] = []
    selection = spark_fs.select_features(
        query, "amount", k=4, progress=lambda *step: steps.append(step)
    )
    names = list(columns)
    relevance = f_classif(frame[names], labels["amount"])[0]
    correlations = np.abs(np.corrcoef(frame[names].to_numpy(), rowvar=False))
    chosen = [int(relevance.argmax())]
    while len(chosen) < 4:
        redundancy = np.maximum(correlations[:, chosen].mean(axis=1), 1e-3)
        score = np.where(np.isin(np.arange(12), chosen), -np.inf, relevance / redundancy)
        chosen.append(int(score.argmax()))
    assert selection.features == [names[number] for number in chosen]
    scores = selection.scores.set_index("feature")["f"]
    assert scores.loc[names].to_numpy() == pytest.approx(relevance, rel=1e-6)
    assert {step for step, _, _ in steps} == {"joining", "profiling", "correlating", "counting"}
    assert all(0 <= done <= known for _, done, known in steps)


# -- the same bits however the rows are shared among tasks


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 70), st.integers(0, 70))
def test_blocks_are_merged_along_one_tree_by_however_many_tasks(blocks: int, wanted: int) -> None:
    def merge(left: str, right: str) -> str:
        return f"({left} {right})"

    def merge_run(run: range) -> BlockResult[str]:
        return merge_results((BlockResult(number, 1, str(number)) for number in run), merge)

    runs = cut_runs(blocks, wanted)
    assert [number for run in runs for number in run] == list(range(blocks))
    assert len(runs) >= min(blocks, wanted)
    assert merge_results(map(merge_run, runs), merge) == merge_run(range(blocks))


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """Nine files of few rows."""
    files = []
    for part in range(9):
        path = str(tmp_path / f"{part}.parquet")
        table = to_table(make_payments(part * 500, 500 + part))
        pq.write_table(table, path)
        files.append(ScanFile(path, Path(path).stat().st_size, table.num_rows, ()))
    return Scan.from_files(files, TYPES)


def test_figures_are_the_same_bits_in_any_number_of_threads(
    scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_states, "FOLD_ROWS", 600)
    config = StatisticsConfig()
    blocks = ScanBlocks.from_scan(scan, len(TYPES), 600)
    assert blocks.count == 5
    found = []
    for threads in (1, 2, 3, 8):
        runner = LocalRunner(threads)
        states = column_states.profile_blocks(runner, blocks, TYPES, config).collect()
        profile = column_states.collect_profile(states, TYPES, config)
        matrix = DesignMatrix.from_states(profile.states)
        sums = associations.sum_blocks(runner, blocks, matrix).collect()
        coefficients = matrix.compute_associations(associations.collect_sums(sums, matrix))
        figures = [feature.to_json() for feature in profile.statistics.values()]
        found.append((repr(figures), coefficients.tobytes()))
    assert len(set(found)) == 1


def test_values_are_counted_in_buckets_as_in_one(
    scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = list(ScanBlocks.from_scan(scan, 1, 10**9).read(0, list(TYPES)))
    table = pa.concat_tables(tables)
    halves = pa.array(np.arange(len(table)) % 1_500 / 2 - 0.0)
    zeros = pa.array(np.where(np.arange(len(table)) % 2, -0.0, 0.0))
    table = table.append_column("half", halves).append_column("zero", zeros)
    estimates = {"amount": 5_000, "tax": 4_000, "at": 20, "shop": 3, "half": 1_500, "zero": 1}
    counts = []
    for bucket_values in (10**6, 700):
        monkeypatch.setattr(distinct_counts, "_BUCKET_VALUES", bucket_values)
        blocks = TableBlocks(table, 1_000)
        counted = distinct_counts.count_values(LocalRunner(2), blocks, estimates).collect()
        counts.append(distinct_counts.collect_counts(counted, list(estimates)))
    assert counts[0] == counts[1]
    frame = table.to_pandas()
    for name, row_counts in counts[0].items():
        rows = frame[name].value_counts()
        shares = rows / rows.sum()
        distinct, once, entropy = summarize_counts(row_counts)
        assert (distinct, once) == (frame[name].nunique(), (rows == 1).sum())
        assert entropy == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("has_missing", [False, True])
def test_sums_are_the_same_bits_with_any_number_of_threads_of_the_product(
    has_missing: bool,
) -> None:
    rng = np.random.default_rng(5)
    for rows, width in ((1_777, 333), (4_096, 37), (5_003, 130)):
        columns = {f"f{n}": rng.normal(size=rows) for n in range(width)}
        if has_missing:
            columns["f0"][::7] = np.nan
        table = pa.table(columns).append_column("shop", pa.array(["a", "b", "c"] * rows)[:rows])
        states = column_states.profile_tables(
            [table], {**dict.fromkeys(columns, "double"), "shop": "string"}
        )
        matrix = DesignMatrix.from_states(states)
        with threadpool_limits(1):
            expected = matrix.compute_sums(table)
        for part, expected_part in zip(matrix.compute_sums(table), expected, strict=True):
            np.testing.assert_array_equal(part, expected_part)
