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
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from rich.console import Console
from rich.table import Table
from sklearn.feature_selection import f_classif

import spark_fs
from spark_fs.stats.scores import MIN_REDUNDANCY
from spark_fs.tables.delta.session import get_session

TELLING, COPIES = 60, 400


def rows(first: int, count: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates (rows x features) and the label of each row."""
    rng = np.random.default_rng([first, features])
    x = rng.normal(size=(count, features))
    label = (x[:, :TELLING] @ np.linspace(1, 0.1, TELLING) + rng.normal(size=count) * 2 > 0).astype(
        np.int64
    )
    copied = np.random.default_rng(0).integers(0, TELLING, COPIES)
    x[:, TELLING : TELLING + COPIES] = x[:, copied] + rng.normal(size=(count, COPIES)) * 0.5
    return x, label


def by_definition(x: np.ndarray, label: np.ndarray, k: int) -> list[int]:
    """The features of mRMR in their order."""
    relevance, related = f_classif(x, label)[0], np.abs(np.corrcoef(x, rowvar=False))
    chosen = [int(relevance.argmax())]
    left = np.ones(len(relevance), bool)
    while len(chosen) < k:
        left[chosen[-1]] = False
        chosen.append(
            int(
                np.where(
                    left,
                    relevance / np.maximum(related[:, chosen].mean(axis=1), MIN_REDUNDANCY),
                    -np.inf,
                ).argmax()
            )
        )
    return chosen


def main() -> None:
    """Search both ways, compare, print the table and write it as JSON beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--parts", type=int, default=10)
    options = parser.parse_args()
    home = tempfile.mkdtemp(prefix="spark_fs-bench-")
    names = [f"f{n:04d}" for n in range(options.features)]
    try:
        get_session({"spark.driver.memory": "4g", "spark.sql.debug.maxToStringFields": "10"})
        fs = spark_fs.login({"home": home}).get_feature_store()
        declared = [
            spark_fs.Feature(name, "double" if name in set(names) else "bigint")
            for name in ("id", *names, "label")
        ]
        group = fs.create_feature_group(
            "candidates", primary_key=["id"], features=declared, statistics_config=False
        )
        size = options.rows // options.parts
        for part in range(options.parts):
            x, label = rows(part, size, options.features)
            columns = {
                "id": np.arange(part * size, (part + 1) * size),
                **dict(zip(names, x.T, strict=True)),
                "label": label,
            }
            stamp = pa.array(np.full(size, 1_700_000_000_000_000), pa.timestamp("us", "UTC"))
            write_deltalake(
                group.location,
                pa.table(columns).append_column("_ingested_at", stamp),
                mode="append",
            )
        begun, steps = time.perf_counter(), {}

        def told(what: str, *_: int) -> None:
            steps[what] = time.perf_counter() - begun

        found = spark_fs.select_features(group.select_all(), "label", k=options.k, progress=told)
        took = time.perf_counter() - begun
    finally:
        shutil.rmtree(home, ignore_errors=True)
    parts = [rows(part, size, options.features) for part in range(options.parts)]
    x, label = np.concatenate([x for x, _ in parts]), np.concatenate([label for _, label in parts])
    del parts
    begun = time.perf_counter()
    wanted = [names[f] for f in by_definition(x, label, options.k)]
    beside = time.perf_counter() - begun
    same = sum(a == b for a, b in zip(found.features, wanted, strict=True))
    table = Table("mRMR", "seconds", "beside", "ratio", "the same features, in order")
    what = f"{options.k} of {options.features:,} x {options.rows:,}"
    table.add_row(
        what, f"{took:.1f}", f"{beside:.1f}", f"{took / beside:.2f}", f"{same} of {options.k}"
    )
    console = Console(width=140)
    console.print(
        table,
        f"known by then, in seconds: { ({name: round(at, 1) for name, at in steps.items()}) }",
    )
    figures = {"what": what, "seconds": took, "beside": beside, "same": same, "steps": steps}
    Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
