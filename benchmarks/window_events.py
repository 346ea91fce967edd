"""The events and the spine of the benchmark of window features, and what is asked of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

import spark_fs
from spark_fs import aggregate as agg
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_view import FeatureView
from spark_fs.base.times import DAY_MICROS
from spark_fs.tables.delta import history

Ints = npt.NDArray[np.int64]
START = 1_704_067_200_000_000  # the first of January 2024, in microseconds
INSERTED_ROWS = 5_000_000  # at a time
MOMENTS = ("count", "mean", "stddev")
EXTREMES = ("min", "max", "last", "distinct_count")
HOUR = DAY_MICROS // 24
LENGTHS = {
    "15m": HOUR // 4,
    "4h": 4 * HOUR,
    "24h": DAY_MICROS,
    "7d": 7 * DAY_MICROS,
    "90d": 90 * DAY_MICROS,
}
DECLARATIONS = {
    "count": agg.count,
    "mean": agg.mean,
    "stddev": agg.stddev,
    "min": agg.min,
    "max": agg.max,
    "last": agg.last,
    "distinct_count": agg.distinct_count,
}


@dataclass(frozen=True)
class Case:
    """The size of one measurement.

    events: how many there are, of so many keys, within so many days. hot: the share of events on
    the hottest key. spine: its rows, at whose instants windows end; 0: at each event. windows,
    functions: each function over each window is a feature. inserts: how many commits brought the
    events, one after another in time.
    """

    events: int
    keys: int
    days: int = 30
    hot: float = 0.0
    spine: int = 0
    windows: tuple[str, ...] = ("4h", "24h", "7d")
    functions: tuple[str, ...] = MOMENTS
    inserts: int = 1

    def scale(self, share: float) -> "Case":
        """The same with a share of the events, keys and rows of the spine."""
        sizes = {name: int(getattr(self, name) * share) for name in ("events", "keys", "spine")}
        return replace(self, **sizes)

    @property
    def features(self) -> list[tuple[str, str, str]]:
        """The name, the function and the window of each feature."""
        listed = []
        for window in self.windows:
            listed += [(f"x_{name}_{window}", name, window) for name in self.functions]
        return listed

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell one row of the result from another."""
        return ("id",) if self.spine else ("k", "t")


class Data:
    """A store with the group ``events`` (k, t, x) and, for some cases, ``spine`` (id, k, t)."""

    def __init__(self, home: Path, case: Case) -> None:
        self.home = home
        self.case = case
        self.fs = spark_fs.login({"home": home}).get_feature_store()
        if not self.fs.get_feature_groups("events"):
            self._insert_tables()
        self.events: FeatureGroup = self.fs.get_feature_group("events")

    @property
    def start(self) -> int:
        """Where the time of the events begins, in microseconds."""
        return START

    @property
    def end(self) -> int:
        """Where it ends."""
        return START + self.case.days * DAY_MICROS

    def aggregation(self) -> spark_fs.Aggregation:
        """The features, declared."""
        windows = list(self.case.windows)
        declared = [DECLARATIONS[name]("x", over=windows) for name in self.case.functions]
        return spark_fs.Aggregation(self.events, declared)

    @cached_property
    def view(self) -> FeatureView:
        """The spine with the features at its instants."""
        spine = self.fs.get_feature_group("spine")
        query = spine.select_all().join(self.aggregation().select_all())
        return self.fs.create_feature_view(f"view_{uuid4().hex}", query)

    def files(self, name: str) -> list[str]:
        """The Parquet files of one table."""
        folder = str(self.home / "warehouse" / f"{name}_1")
        return [file.path for file in history.list_data_files(folder)]

    def frame(self, spark: SparkSession, name: str) -> DataFrame:
        """One table, from its files."""
        return spark.read.parquet(*self.files(name)).drop("_ingested_at")

    def _insert_tables(self) -> None:
        draw = np.random.default_rng(7)
        events = self.fs.create_feature_group(
            "events", primary_key=["k"], event_time="t", statistics_config=False
        )
        for numbers in _list_batches(draw, self.case.events, self.case.inserts):
            amounts = np.round(draw.lognormal(3, 1, len(numbers)), 2)
            columns = {"k": self._draw_keys(draw, len(numbers)), "x": amounts}
            instants = self._draw_instants(draw, numbers, self.case.events)
            events.insert(pa.table({**columns, "t": instants}))
        if not self.case.spine:
            return
        spine = self.fs.create_feature_group(
            "spine", primary_key=["id"], event_time="t", statistics_config=False
        )
        for numbers in _list_batches(draw, self.case.spine):
            keys = self._draw_keys(draw, len(numbers))
            instants = self._draw_instants(draw, numbers, self.case.spine)
            spine.insert(pa.table({"id": numbers, "k": keys, "t": instants}))

    def _draw_keys(self, draw: np.random.Generator, size: int) -> Ints:
        keys = draw.integers(0, self.case.keys, size)
        keys[draw.random(size) < self.case.hot] = 0
        return keys

    def _draw_instants(self, draw: np.random.Generator, numbers: Ints, size: int) -> pa.Array:
        """Distinct instants, one for each number of so many."""
        step = self.case.days * DAY_MICROS // size
        micros = START + numbers * step + draw.integers(0, step, len(numbers))
        return pa.array(micros, pa.timestamp("us", "UTC"))


def _list_batches(draw: np.random.Generator, size: int, inserts: int = 1) -> list[Ints]:
    """The numbers of the rows of each insert: one after another in time, in no order within."""
    batches = []
    inserted_rows = min(INSERTED_ROWS, -(-size // inserts))
    for first in range(0, size, inserted_rows):
        behind = min(size, first + inserted_rows)
        batches.append(draw.permutation(np.arange(first, behind)))
    return batches


def check_results(case: Case, name: str, files: Sequence[str], expected: Sequence[str]) -> None:
    """Fail if a way gives other rows than another did.

    Counts and values that were picked are equal; means are to 1e-9 of themselves; of a deviation
    its square is, to 1e-9 of the mean's: ways that add and subtract cannot do better.

    Args:
        case: What was asked.
        name: The way.
        files: The Parquet files of its rows.
        expected: Those of the other.
    """
    keys = [_read_key(column) for column in case.key]
    conditions = []
    for feature, function, window in case.features:
        ours, theirs = f'a."{feature}"', f'b."{feature}"'
        if function not in ("mean", "stddev"):
            conditions.append(f"{ours} IS DISTINCT FROM {theirs}")
            continue
        conditions.append(f"({ours} IS NULL) <> ({theirs} IS NULL)")
        difference, scale = f"abs({ours} - {theirs})", f"abs({theirs})"
        if function == "stddev":
            difference = f"abs({ours} * {ours} - {theirs} * {theirs})"
            scale = f'(b."x_mean_{window}" * b."x_mean_{window}")'
        conditions.append(f"coalesce(NOT {difference} <= 1e-9 * {scale}, false)")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for side, paths in (("a", files), ("b", expected)):
            columns = ", ".join([*keys, *(f'"{feature}"' for feature, _, _ in case.features)])
            connection.execute(
                f"CREATE VIEW {side} AS SELECT {columns} FROM read_parquet({list(paths)})"
            )
        using = ", ".join(case.key)
        row = connection.execute(
            f"SELECT count(*), count_if({' OR '.join(conditions)}),"
            " (SELECT count(*) FROM a), (SELECT count(*) FROM b)"
            f" FROM a JOIN b USING ({using})"
        ).fetchone()
    assert row is not None
    joined, different, count, expected_count = row
    if different or not joined == count == expected_count:
        raise AssertionError(
            f"{name} gives other rows: {count} beside {expected_count}, {joined} of the same keys,"
            f" {different} of them with other values"
        )


def _read_key(column: str) -> str:
    return 'epoch_us("t") AS t' if column == "t" else f'"{column}"'
