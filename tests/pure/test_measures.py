"""Associations, drift and scores of features, beside pandas, SciPy and scikit-learn."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from sklearn.feature_selection import f_classif, f_regression
from sklearn.metrics import mutual_info_score, roc_auc_score

from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.comparison import DriftReport, FeatureDrift, resolve_thresholds
from spark_fs.stats import scores
from spark_fs.stats.association import DesignMatrix, merge_sums
from spark_fs.stats.binning import Binning, ContingencyTables
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.distances import measure_drift
from spark_fs.stats.mrmr import MIN_REDUNDANCY, rank_by_mrmr

TYPES = {"a": "double", "b": "double", "c": "string", "d": "boolean", "e": "bigint"}


def table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def states(table: pa.Table) -> dict[str, ColumnState]:
    return {
        name: ColumnState.from_values(table.column(name), type_)
        for name, type_ in TYPES.items()
        if name in table.column_names
    }


def people(rows: int, gaps: float, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(50, 3, rows)
    frame = pd.DataFrame(
        {
            "a": a,
            "b": a * 2 + rng.normal(size=rows),
            "c": np.where(a > 50, "high", rng.choice(["low", "mid"], rows)),
            "d": a + rng.normal(size=rows) > 51,
            "e": rng.integers(0, 9, rows),
        }
    ).astype({"c": object, "d": object})
    for name in frame:
        frame.loc[rng.random(rows) < gaps, name] = None
    return frame.astype({"e": "Int64"})


def ratio(numbers: pd.Series, classes: pd.Series) -> float:
    """The correlation ratio, as its definition says."""
    there = numbers.notna() & classes.notna()
    x, groups = numbers[there].astype(float), classes[there]
    within = x.groupby(groups.astype(str)).transform("mean")
    return float(np.sqrt(((within - x.mean()) ** 2).sum() / ((x - x.mean()) ** 2).sum()))


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_associations_are_those_of_pandas_and_scipy_whatever_the_parts(gaps: float) -> None:
    frame = people(600, gaps)
    table = table_of(frame)
    matrix = DesignMatrix.from_states(states(table))
    parts = [
        matrix.compute_sums(table.slice(start, end - start))
        for start, end in pairwise([0, 1, 250, 251, 600])
    ]
    found = pd.DataFrame(
        matrix.compute_associations(merge_sums(parts)), matrix.features, matrix.features
    )
    corr = frame[["a", "b", "e"]].astype(float).corr()
    for x, y in (("a", "b"), ("a", "e"), ("b", "e")):
        assert found.loc[x, y] == pytest.approx(corr.loc[x, y], abs=1e-10)
    there = frame[["c", "d"]].dropna()
    cramer = scipy.stats.contingency.association(
        pd.crosstab(there.c, there.d).to_numpy(), method="cramer"
    )
    assert found.loc["c", "d"] == pytest.approx(cramer, abs=1e-10)
    for number in ("a", "b", "e"):
        assert (
            found.loc[number, "c"]
            == found.loc["c", number]
            == pytest.approx(ratio(frame[number], frame.c), abs=1e-10)
        )
        assert found.loc[number, "d"] == pytest.approx(ratio(frame[number], frame.d), abs=1e-10)


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(-1e6, 1e6)), st.floats(-1e6, 1e6)),
        min_size=3,
        max_size=40,
    )
)
@settings(max_examples=200)
def test_correlation_is_pandas_corr_and_unknown_where_pandas_has_none(
    pairs: list[tuple[float | None, float]],
) -> None:
    frame = pd.DataFrame(pairs, columns=["a", "b"]).astype(float).round(3)
    table = table_of(frame)
    matrix = DesignMatrix.from_states(states(table))
    if set(matrix.features) != {"a", "b"}:
        return
    found, wanted = (
        matrix.compute_associations(matrix.compute_sums(table))[0, 1],
        frame.corr().loc["a", "b"],
    )
    within = frame.dropna()
    if (within.std() > 1e-3 * frame.std()).all() and (
        within.std() > 1e-6 * within.abs().max()
    ).all():  # else the digits are gone, pandas' too
        assert found == pytest.approx(wanted, abs=1e-6)


def test_integers_that_no_double_holds_correlate_and_fall_into_bins() -> None:
    frame = pd.DataFrame({"key": [2**62 + 1, 2**61, 5, -(2**60)], "amount": [4.0, 2.5, 1.0, 0.5]})
    table = pa.Table.from_pandas(frame)
    known = {
        "key": ColumnState.from_values(table.column("key"), "bigint"),
        "amount": ColumnState.from_values(table.column("amount"), "double"),
    }
    matrix = DesignMatrix.from_states(known)
    found = matrix.compute_associations(matrix.compute_sums(table))[0, 1]
    assert found == pytest.approx(frame.astype(float).corr().loc["key", "amount"], abs=1e-9)
    bins = Binning.from_state("key", known["key"], 2)
    assert bins.assign_bins(table.column("key")).tolist() == [1, 1, 0, 0]


# -- drift


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=300),
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=300),
)
@settings(max_examples=200, deadline=None)
def test_drift_of_few_numbers_is_that_of_scipy(before: list[float], now: list[float]) -> None:
    sides = [
        ColumnState.from_values(pa.chunked_array([pa.array(side, pa.float64())]), "double")
        for side in (before, now)
    ]
    found = measure_drift(*sides)
    apart = max(
        abs(np.mean(np.array(before) <= at) - np.mean(np.array(now) <= at))
        for at in (*before, *now)
    )  # as its definition says
    assert found["kolmogorov_smirnov"] == pytest.approx(apart, abs=1e-12)
    assert found["wasserstein"] == pytest.approx(
        scipy.stats.wasserstein_distance(before, now), rel=1e-9, abs=1e-9
    )
    edges = np.unique(np.percentile(before, range(10, 100, 10)))
    shares = [
        np.bincount(np.searchsorted(edges, side, side="left"), minlength=len(edges) + 1) / len(side)
        for side in (before, now)
    ]
    assert found["jensen_shannon"] == pytest.approx(jensenshannon(*shares, base=2), abs=1e-7)
    p, q = (np.maximum(side, 1e-4) for side in shares)
    assert found["psi"] == pytest.approx(float(((q - p) * np.log(q / p)).sum()), abs=1e-9)


def test_drift_of_many_numbers_is_near_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=40_000), rng.normal(0.3, 1.2, size=30_000)
    parts = [
        ColumnState.from_values(pa.chunked_array([pa.array(part)]), "double")
        for part in np.split(now, 3)
    ]
    found = measure_drift(
        ColumnState.from_values(pa.chunked_array([pa.array(before)]), "double"),
        parts[0].merge(parts[1]).merge(parts[2]),
    )
    assert found["kolmogorov_smirnov"] == pytest.approx(
        scipy.stats.ks_2samp(before, now).statistic, abs=0.005
    )
    assert found["wasserstein"] == pytest.approx(
        scipy.stats.wasserstein_distance(before, now), rel=0.02
    )
    assert found["mean_shift"] == pytest.approx(
        (now.mean() - before.mean()) / before.std(), rel=1e-9
    )


@given(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=100),
    st.lists(st.sampled_from("abcxy"), min_size=1, max_size=100),
)
def test_drift_of_categories_is_the_chi_squared_test(before: list[str], now: list[str]) -> None:
    sides = [
        ColumnState.from_values(pa.chunked_array([pa.array(side)]), "string")
        for side in (before, now)
    ]
    found = measure_drift(*sides)
    names = sorted({*before, *now})
    table = np.array([[side.count(name) for name in names] for side in (before, now)])
    if len(names) > 1:
        wanted = scipy.stats.chi2_contingency(table, correction=False)
        assert (found["chi_squared"], found["chi_squared_p_value"]) == (
            pytest.approx(wanted.statistic),
            pytest.approx(wanted.pvalue),
        )
    assert found["jensen_shannon"] == pytest.approx(
        jensenshannon(*(table / table.sum(axis=1, keepdims=True)), base=2), abs=1e-7
    )


def test_drift_looks_at_nulls_and_stands_a_side_without_values() -> None:
    whole = ColumnState.from_values(pa.chunked_array([pa.array([1.0, 2.0, 3.0, 4.0])]), "double")
    none = ColumnState.from_values(
        pa.chunked_array([pa.array([None, None], pa.float64())]), "double"
    )
    assert measure_drift(whole, none) == {"null_share": 1.0}
    assert measure_drift(whole, ColumnState("double")) == {}


def test_a_threshold_is_crossed_in_both_directions_and_a_p_value_from_above() -> None:
    limits = resolve_thresholds({"mean_shift": 0.5, "chi_squared_p_value": 0.01})
    assert FeatureDrift.from_measures("x", {"mean_shift": -0.6}, limits).crossed == ("mean_shift",)
    assert FeatureDrift.from_measures("x", {"chi_squared_p_value": 0.001}, limits).crossed == (
        "chi_squared_p_value",
    )
    assert (
        FeatureDrift.from_measures(
            "x", {"mean_shift": 0.5, "chi_squared_p_value": 0.5}, limits
        ).crossed
        == ()
    )


def test_a_report_names_what_moved_and_comes_back_from_json() -> None:
    one = FeatureDrift.from_measures(
        "amount", {"psi": 0.4, "mean_shift": float("inf")}, {"psi": 0.2}
    )
    report = DriftReport(
        "March", "April", (10, 20), {"psi": 0.2}, (one, FeatureDrift("other", {"psi": 0.0}))
    )
    assert (
        str(report)
        == "April (20 rows) beside March (10 rows): 1 of 2 features drifted: amount psi 0.4 (limit"
        " 0.2)"
    )
    assert not report.ok
    assert report["amount"].crossed == ("psi",)
    moment = pd.Timestamp("2024-01-01", tz="UTC").to_pydatetime()
    assert DriftReport.from_json(moment, report.to_json()) == report.at(moment)
    with pytest.raises(
        NotFoundError, match=r"Feature of this comparison 'amonut' does not exist.*amount"
    ):
        report["amonut"]
    assert report.to_pandas().crossed.tolist() == ["psi", ""]


@pytest.mark.parametrize(
    ("given_", "error", "told"),
    [
        ({"psy": 0.1}, NotFoundError, r"Measure of drift 'psy' does not exist.*psi"),
        ({"psi": "x"}, SettingsError, r"psi='x' is not a number"),
        ({"psi": -1}, SettingsError, r"psi=-1 is not a number from 0 up"),
    ],
)
def test_a_wrong_threshold_says_what_is_wrong(
    given_: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        resolve_thresholds(given_)


# -- scores


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_f_is_that_of_scikit_learn(task: str) -> None:
    frame = people(500, 0.0)
    label = "c" if task == "classification" else "e"
    table = table_of(frame)
    matrix = DesignMatrix.from_states(states(table), (label,) if task == "classification" else ())
    strength = matrix.compute_associations(matrix.compute_sums(table))
    mine = matrix.features.index(label)
    found = scores.compute_f_statistic(
        strength[mine, :2],
        np.array([500.0, 500.0]),
        frame.c.nunique() if task == "classification" else None,
    )
    wanted = (
        f_classif(frame[["a", "b"]], frame.c)
        if task == "classification"
        else f_regression(frame[["a", "b"]], frame.e.astype(float))
    )[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


def test_tables_count_every_row_once_in_any_parts() -> None:
    table = table_of(people(800, 0.1))
    held = states(table)
    tables = ContingencyTables(
        Binning.from_state("c", held["c"], 10),
        tuple(Binning.from_state(name, held[name], 16) for name in ("a", "d", "e")),
    )
    whole = tables.count_rows(table)
    parts = sum(tables.count_rows(table.slice(start, 200)) for start in range(0, 800, 200))
    assert whole.tolist() == parts.tolist()
    for name, counts in tables.split_by_feature(whole).items():
        assert counts.sum() == held["c"].value_count
        assert (
            counts[-1].sum() == table.filter(table.column("c").is_valid()).column(name).null_count
        )


def test_mutual_information_and_auc_are_those_of_scikit_learn_on_the_bins() -> None:
    rng = np.random.default_rng(0)
    label = rng.random(4_000) < 0.3
    x = rng.normal(size=4_000) + label
    held = ColumnState.from_values(pa.chunked_array([pa.array(x)]), "double")
    cuts = Binning.from_state("x", held, 16)
    codes = cuts.assign_bins(pa.chunked_array([pa.array(x)]))
    table = np.bincount(codes * 2 + label, minlength=cuts.bin_count * 2).reshape(-1, 2)
    assert scores.compute_auc(
        np.vstack([table[-1:], table[:-1]]), bins_are_ordered=True
    ) == pytest.approx(roc_auc_score(label, codes), abs=1e-12)
    assert scores.compute_auc(
        np.vstack([table[-1:], table[:-1]]), bins_are_ordered=True
    ) == pytest.approx(roc_auc_score(label, x), abs=0.005)
    bias = (np.count_nonzero(table) - 16 - 2 + 1) / (2 * 4_000)
    assert scores.compute_mutual_information(table) == pytest.approx(
        mutual_info_score(label, codes) - bias, abs=1e-12
    )
    assert scores.compute_chi_squared(table) == pytest.approx(
        scipy.stats.chi2_contingency(table[:-1], correction=False).statistic
    )


def test_mrmr_chooses_what_the_definition_says() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2_000, 12))
    x[:, 3] = x[:, 0] + rng.normal(size=2_000) * 0.05  # nearly the same, so it must wait
    label = (x[:, 0] + 0.8 * x[:, 1] + 0.4 * x[:, 2] + rng.normal(size=2_000) > 0).astype(int)
    relevance, related = f_classif(x, label)[0], np.abs(np.corrcoef(x, rowvar=False))
    wanted: list[int] = [int(relevance.argmax())]
    while len(wanted) < 6:
        left = [f for f in range(12) if f not in wanted]
        wanted.append(
            max(
                left,
                key=lambda f: relevance[f] / max(related[f, wanted].mean(), MIN_REDUNDANCY),
            )
        )
    found = rank_by_mrmr(relevance, related, 6)
    assert [step.feature for step in found] == wanted
    assert {0, 3} - {step.feature for step in found[:2]}, (
        "of two features that are nearly one only one may be among the first two"
    )
