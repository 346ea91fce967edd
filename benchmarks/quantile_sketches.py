"""Quantile sketches beside those of Apache DataSketches, for ``feature_statistics.py``."""

import time
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import datasketches
import numpy as np
from rich.table import Table

from spark_fs.stats.sketches.quantiles import QuantileSketch

SKETCHED_PARTS = {
    "1 part of 1,000,000": [1_000_000],
    "100 parts of 10,000": [10_000] * 100,
    "1,000 parts of 500": [500] * 1_000,
}


class SketchError(NamedTuple):
    """The greatest error of 99 percentiles in ranks and the microseconds for each part."""

    name: str
    error: float
    kll_error: float
    micros: float
    kll_micros: float


def measure_sketches() -> list[SketchError]:
    """The errors of quantiles of parts that were merged, beside KLL of the same size."""
    errors = []
    for name, sizes in SKETCHED_PARTS.items():
        rng = np.random.default_rng(len(sizes))
        parts = [rng.lognormal(size=size) for size in sizes]
        start = time.perf_counter()
        sketches = (QuantileSketch.from_sorted(np.sort(part)) for part in parts)
        sketch = reduce(QuantileSketch.merge, sketches)
        micros = (time.perf_counter() - start) / len(parts) * 1e6
        start = time.perf_counter()
        kll = merge_kll(parts)
        kll_micros = (time.perf_counter() - start) / len(parts) * 1e6
        error, kll_error = find_greatest_errors(np.sort(np.concatenate(parts)), sketch, kll)
        errors.append(SketchError(name, error, kll_error, micros, kll_micros))
    return errors


def find_greatest_errors(
    ordered: np.ndarray, sketch: QuantileSketch, kll: Any
) -> tuple[float, float]:
    """The greatest errors of 99 percentiles of sorted values, in ranks: ours and those of KLL."""
    percentiles = ordered[np.linspace(0, len(ordered) - 1, 101).astype(int)[1:-1]]
    ranks = np.searchsorted(ordered, percentiles, side="right") / len(ordered)
    values, weights = sketch.weighted_points
    weights_below = np.concatenate([[0], np.cumsum(weights)])
    sketch_ranks = weights_below[np.searchsorted(values, percentiles, side="right")]
    kll_ranks = np.array([kll.get_rank(value, True) for value in percentiles])
    error = float(np.abs(sketch_ranks / len(ordered) - ranks).max())
    return error, float(np.abs(kll_ranks - ranks).max())


def merge_kll(parts: Sequence[Any]) -> Any:
    """A sketch of Apache DataSketches for each part, merged."""
    merged = datasketches.kll_doubles_sketch(1024)
    for part in parts:
        sketch = datasketches.kll_doubles_sketch(1024)
        sketch.update(part)
        merged.merge(sketch)
    return merged


def tabulate_sketches(errors: Sequence[SketchError]) -> Table:
    """The table of the sketches."""
    table = Table("sketch of quantiles", "rank error", "of KLL", "us a part", "of KLL")
    for sketch in errors:
        table.add_row(
            sketch.name,
            f"{sketch.error:.3%}",
            f"{sketch.kll_error:.3%}",
            f"{sketch.micros:,.0f}",
            f"{sketch.kll_micros:,.0f}",
        )
    return table
