"""Feature selection beside scikit-learn and NumPy on the collected frame: ``make bench-selection``.

A group of 2,000 candidates and 200,000 rows, of which 60 tell of the label and many others are near
copies of these. Beside the search is the same mRMR as its definition says, with F by scikit-learn
and correlations by NumPy, on a frame that is in memory already; what collecting it would cost is
not counted. Both must choose the same features in the same order.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from rich.console import Console
from rich.table import Table
from sklearn.feature_selection import f_classif

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.stats.mrmr import MIN_REDUNDANCY
from spark_fs.tables.delta.session import get_session

TELLING_FEATURES = 60
COPIED_FEATURES = 400


def make_rows(first: int, count: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates (rows x features) and the label of each row."""
    rng = np.random.default_rng([first, features])
    candidates = rng.normal(size=(count, features))
    weights = np.linspace(1, 0.1, TELLING_FEATURES)
    scores = candidates[:, :TELLING_FEATURES] @ weights + rng.normal(size=count) * 2
    originals = np.random.default_rng(0).integers(0, TELLING_FEATURES, COPIED_FEATURES)
    copies = candidates[:, originals] + rng.normal(size=(count, COPIED_FEATURES)) * 0.5
    candidates[:, TELLING_FEATURES : TELLING_FEATURES + COPIED_FEATURES] = copies
    return candidates, (scores > 0).astype(np.int64)


def choose_by_definition(candidates: np.ndarray, label: np.ndarray, k: int) -> list[int]:
    """The features of mRMR in their order."""
    relevance = f_classif(candidates, label)[0]
    correlations = np.abs(np.corrcoef(candidates, rowvar=False))
    chosen = [int(relevance.argmax())]
    is_left = np.ones(len(relevance), bool)
    while len(chosen) < k:
        is_left[chosen[-1]] = False
        redundancy = np.maximum(correlations[:, chosen].mean(axis=1), MIN_REDUNDANCY)
        chosen.append(int(np.where(is_left, relevance / redundancy, -np.inf).argmax()))
    return chosen


def make_group(
    fs: FeatureStore, names: Sequence[str], row_count: int, part_count: int
) -> FeatureGroup:
    """A group of candidates whose table is written without Spark, part by part."""
    declared = [spark_fs.Feature("id", "bigint")]
    declared += [spark_fs.Feature(name, "double") for name in names]
    declared.append(spark_fs.Feature("label", "bigint"))
    group = fs.create_feature_group(
        "candidates", primary_key=["id"], features=declared, statistics_config=False
    )
    size = row_count // part_count
    ingested_at = pa.array(np.full(size, 1_700_000_000_000_000), pa.timestamp("us", "UTC"))
    for part in range(part_count):
        candidates, label = make_rows(part, size, len(names))
        columns = {"id": np.arange(part * size, (part + 1) * size)}
        columns |= dict(zip(names, candidates.T, strict=True))
        columns["label"] = label
        table = pa.table(columns).append_column("_ingested_at", ingested_at)
        write_deltalake(group.location, table, mode="append")
    return group


def search(
    names: Sequence[str], row_count: int, part_count: int, k: int, engine: str
) -> tuple[list[str], float, dict[str, float]]:
    """The chosen features, the seconds of the search, and when each of its steps had begun."""
    home = tempfile.mkdtemp(prefix="spark_fs-bench-")
    steps: dict[str, float] = {}
    try:
        if engine == "spark":
            get_session({"spark.driver.memory": "4g", "spark.sql.debug.maxToStringFields": "10"})
        fs = spark_fs.login({"home": home}).get_feature_store()
        group = make_group(fs, names, row_count, part_count)
        start = time.perf_counter()

        def record_step(step: str, *_: int) -> None:
            steps.setdefault(step, time.perf_counter() - start)

        selection = spark_fs.select_features(
            group.select_all(), "label", k=k, progress=record_step, engine=engine
        )
        return list(selection.features), time.perf_counter() - start, steps
    finally:
        shutil.rmtree(home, ignore_errors=True)


def search_by_definition(
    names: Sequence[str], row_count: int, part_count: int, k: int
) -> tuple[list[str], float]:
    """The features by the definition of mRMR, and its seconds."""
    parts = [make_rows(part, row_count // part_count, len(names)) for part in range(part_count)]
    candidates = np.concatenate([part_candidates for part_candidates, _ in parts])
    label = np.concatenate([part_label for _, part_label in parts])
    del parts
    start = time.perf_counter()
    chosen = [names[feature] for feature in choose_by_definition(candidates, label, k)]
    return chosen, time.perf_counter() - start


def main() -> None:
    """Search both ways, compare, print the table and write it as JSON beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--engine", choices=["local", "spark"], default="local")
    options = parser.parse_args()
    names = [f"f{n:04d}" for n in range(options.features)]
    chosen, seconds, steps = search(names, options.rows, options.parts, options.k, options.engine)
    expected, beside = search_by_definition(names, options.rows, options.parts, options.k)
    same = sum(a == b for a, b in zip(chosen, expected, strict=True))
    what = f"{options.k} of {options.features:,} x {options.rows:,}, {options.engine} engine"
    table = Table("mRMR", "seconds", "beside", "ratio", "the same features, in order")
    ratio = f"{seconds / beside:.2f}"
    table.add_row(what, f"{seconds:.1f}", f"{beside:.1f}", ratio, f"{same} of {options.k}")
    rounded_steps = {step: round(step_seconds, 1) for step, step_seconds in steps.items()}
    Console(width=140).print(table, f"known by then, in seconds: {rounded_steps}")
    figures = {"what": what, "seconds": seconds, "beside": beside, "same": same, "steps": steps}
    Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
