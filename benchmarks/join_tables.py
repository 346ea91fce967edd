"""The tables that the benchmarks of the join and of training data read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.base.times import DAY_MICROS
from spark_fs.tables.delta import history

Ints = npt.NDArray[np.int64]
Columns = dict[str, Any]
FEATURES = 5
MONTH = 30 * DAY_MICROS
START = 1_704_067_200_000_000  # the first of January 2024, in microseconds
INSERTED_ROWS = 5_000_000  # at a time
BRANCHES = 10  # of each account of a composite key


@dataclass(frozen=True)
class Case:
    """The size of the tables of one measurement.

    spine: its rows. histories: how many. rows: of each history. keys: of the histories. hot: the
    share of rows on the hottest key. asked: the share of keys that the spine has. composite:
    whether a key is a string and an integer, few keys have most rows, and two features are strings.
    """

    spine: int
    histories: int
    rows: int
    keys: int
    hot: float = 0.0
    asked: float = 1.0
    composite: bool = False


class Data:
    """Tables of one store, and the view that joins them.

    They are a spine ``(id, key, at)`` and histories ``(key, t, features)``; the key is ``k``, or
    ``account`` and ``branch``.
    """

    def __init__(self, home: Path, case: Case) -> None:
        fs = spark_fs.login({"home": home}).get_feature_store()
        self.case = case
        self.count = case.histories
        self.folder = {}
        for name in ("spine", *self.histories):
            self.folder[name] = str(home / "warehouse" / f"{name}_1")
        if not fs.get_feature_views("v"):
            self._make_view(fs)
        self.view: FeatureView = fs.get_feature_view("v", 1)
        self.query = self.view.query

    @property
    def keys(self) -> list[str]:
        """The columns of the key."""
        return ["account", "branch"] if self.case.composite else ["k"]

    @property
    def histories(self) -> list[str]:
        """The names of the histories."""
        return [f"h{i}" for i in range(self.count)]

    def features(self, i: int) -> list[str]:
        """The columns of one history."""
        return [f"f{i}_{j}" for j in range(FEATURES)]

    @property
    def columns(self) -> list[str]:
        """The columns of the result."""
        columns = ["id", *self.keys, "at"]
        for i in range(self.count):
            columns += self.features(i)
        return columns

    def files(self, name: str) -> list[str]:
        """The Parquet files of one table."""
        return [file.path for file in history.list_data_files(self.folder[name])]

    def frame(self, spark: SparkSession, name: str) -> DataFrame:
        """One table, from its files."""
        return spark.read.parquet(*self.files(name)).drop("_ingested_at")

    def _make_view(self, fs: FeatureStore) -> None:
        draw = np.random.default_rng(7)
        query = self._make_spine(fs, draw).select_all()
        for number in range(self.count):
            group = self._make_history(fs, draw, number)
            query = query.join(group.select_features(), on=self.keys)
        fs.create_feature_view("v", query)

    def _make_spine(self, fs: FeatureStore, draw: np.random.Generator) -> FeatureGroup:
        group = fs.create_feature_group("spine", primary_key=["id"], event_time="at")
        asked_keys = int(self.case.keys * self.case.asked)
        asked_keys = max(1, asked_keys)
        for numbers in _list_batches(draw, self.case.spine):
            keys = self._draw_keys(draw, asked_keys, len(numbers))
            instants = _draw_instants(draw, numbers, self.case.spine)
            rows = pa.table({"id": numbers, **keys, "at": instants})
            group.insert(rows)
        return group

    def _make_history(
        self, fs: FeatureStore, draw: np.random.Generator, number: int
    ) -> FeatureGroup:
        group = fs.create_feature_group(f"h{number}", primary_key=self.keys, event_time="t")
        for numbers in _list_batches(draw, self.case.rows):
            keys = self._draw_keys(draw, self.case.keys, len(numbers))
            instants = _draw_instants(draw, numbers, self.case.rows)
            columns = self._draw_features(draw, self.features(number), len(numbers))
            rows = pa.table({**columns, **keys, "t": instants})
            group.insert(rows)
        return group

    def _draw_keys(self, draw: np.random.Generator, count: int, size: int) -> Columns:
        if self.case.composite:
            numbers = (count * draw.random(size) ** 3).astype(np.int64)
            return {
                "account": _name_values("account", numbers // BRANCHES),
                "branch": pa.array(numbers % BRANCHES, pa.int32()),
            }
        numbers = draw.integers(0, count, size)
        numbers[draw.random(size) < self.case.hot] = 0
        return {"k": numbers}

    def _draw_features(self, draw: np.random.Generator, names: Sequence[str], size: int) -> Columns:
        columns: Columns = {}
        for name in names:
            columns[name] = np.round(draw.normal(size=size), 3)
        if self.case.composite:
            columns[names[0]] = _name_values("category", draw.integers(0, 14, size))
            columns[names[1]] = _name_values("merchant", draw.integers(0, 5_000, size))
        return columns


def _name_values(kind: str, numbers: Ints) -> pa.Array:
    """A string for each number."""
    names = [f"{kind} {number:,}" for number in range(int(numbers.max()) + 1)]
    return pa.array(names).take(pa.array(numbers))


def _list_batches(draw: np.random.Generator, size: int) -> Iterator[Ints]:
    """The numbers of the rows of each insert, in no order."""
    for first in range(0, size, INSERTED_ROWS):
        behind = min(size, first + INSERTED_ROWS)
        yield draw.permutation(np.arange(first, behind))


def _draw_instants(draw: np.random.Generator, numbers: Ints, size: int) -> pa.Array:
    """Distinct instants within the month, one for each number of so many."""
    step = MONTH // size
    offsets = draw.integers(0, step, len(numbers))
    micros = START + numbers * step + offsets
    return pa.array(micros, pa.timestamp("us", "UTC"))
