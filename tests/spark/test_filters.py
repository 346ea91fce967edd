"""A condition keeps the rows that plain Python keeps, wherever it stands and whoever evaluates it: Spark's SQL, Arrow in workers, files left out."""

from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import values
from conditions import DAY, NOON, TABLE, TYPES, conditions, holds
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.engine.join.spark_filters import to_spark_condition
from spark_fs.spec.conditions import cast_condition

from conftest import first_quick

ROWS = [
    dict(zip(TABLE, row, strict=True))
    for row in zip_longest(*(rows for _, rows, _ in TABLE.values()))
]
START = datetime(2024, 1, 1)


@pytest.mark.slow
def test_spark_says_what_python_says(spark: SparkSession) -> None:
    frame = (
        spark.createDataFrame(
            values.to_arrow({"n": "int", **TYPES}, [{"n": n, **row} for n, row in enumerate(ROWS)])
        )
        .coalesce(1)
        .cache()
    )
    asked = conditions()
    for start in range(0, len(asked), 400):
        some = asked[start : start + 400]
        made = [
            to_spark_condition(
                cast_condition(each, lambda c: TYPES[c.column]), lambda c: F.col(c.column)
            )
            for each in some
        ]
        found = (
            frame.orderBy("n").select(*(one.alias(f"c{i}") for i, one in enumerate(made))).collect()
        )
        for each, said in zip(some, zip(*found, strict=True), strict=True):
            assert list(said) == [holds(each, row) for row in ROWS], each


@pytest.fixture(scope="module")
def home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a group of every type, some rows a file, and labels beside it."""
    home = tmp_path_factory.mktemp("conditions")
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.create_feature_group("g", primary_key=["n"], event_time="t")
    for low in (0, 4):
        rows = [{"n": n, "t": values_at(n), **row} for n, row in enumerate(ROWS)][
            low : low + 4 if low == 0 else None
        ]
        group.insert(values.to_arrow({"n": "bigint", "t": "timestamp", **TYPES}, rows))
    labels = fs.create_feature_group("labels", primary_key=["n"], event_time="t")
    labels.insert(
        pd.DataFrame(
            {
                "n": range(len(ROWS)),
                "t": [values_at(n + 1) for n in range(len(ROWS))],
                "y": range(len(ROWS)),
            }
        )
    )
    return home


def values_at(n: int) -> Any:
    return NOON.replace(minute=n)


def cases(g: FeatureGroup) -> list[Any]:
    """The conditions that ended in others' errors, or were answered otherwise by one engine than by another."""
    return [
        g["big"] > 0.5,
        g["big"] < 2**70,
        ~(g["single"] == 16777217),
        g["single"] >= 16777216,
        g["big"].isin([2.0**53, 2**63, np.uint64(2**64 - 1)]),
        g["at"] >= DAY,
        g["day"] > datetime(1582, 10, 4, 1),
        g["amount"] != Decimal("1.101"),
        g["raw"] >= b"\x80",
        ~g["word"].isin([]),
        g["double"] > -(10**400),
        g["big"] >= np.float32(2**53),
        g["at"] == pd.Timestamp("2024-01-01 12:00"),
        ~(g["whole"] == 0.5) & g["flag"].isin([np.True_]),
        g["fine"] > Decimal("1E-39"),
        g["word"].like("%0%"),
        g["wide"] < 10**38,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", first_quick(list(range(17)), ci=6))
def test_every_path_keeps_the_rows_that_python_keeps(
    home: Path, spark: SparkSession, number: int
) -> None:
    fs = spark_fs.login({"home": home}).get_feature_store()
    group, labels = fs.get_feature_group("g", 1), fs.get_feature_group("labels", 1)
    cond = cases(group)[number]
    wanted = [
        n
        for n, row in enumerate(ROWS)
        if ("0" in (row["word"] or "") if number == 15 else holds(cond.condition, row))
    ]
    for strategy in (None, "sql"):
        found = group.select(["n"]).filter(cond).read("pandas", strategy=strategy)
        assert sorted(found["n"]) == wanted, strategy
        whole = (
            labels.select(["n"])
            .join(group.select(["tiny", "n"]), prefix="g_")
            .filter(cond)
            .read("pandas", strategy=strategy)
        )
        assert sorted(whole["n"]) == wanted, strategy
        joined = (
            labels.select(["n"])
            .join(group.select(["n"]).filter(cond), prefix="g_")
            .read("pandas", strategy=strategy)
        )
        assert sorted(joined.loc[joined["g_n"].notna(), "n"]) == wanted, strategy
    _training(fs, group, labels, cond, wanted, number)


def _training(
    fs: FeatureStore,
    group: FeatureGroup,
    labels: FeatureGroup,
    cond: Any,
    wanted: list[int],
    number: int,
) -> None:
    query = labels.select(["n", "y"]).join(group.select(["tiny", "n"]), prefix="g_")
    view = fs.get_or_create_feature_view("v", query, version=1, labels=["y"])
    assert sorted(np.ravel(view.training_data(extra_filter=cond)[1])) == wanted
    kept = fs.create_feature_view(
        f"kept{number}",
        labels.select(["n"]).join(group.select(["n"]).filter(cond), join_type="inner", prefix="g_"),
    )
    assert (
        sorted(
            fs.get_feature_view(f"kept{number}", kept.version).get_batch_data(primary_key=True)["n"]
        )
        == wanted
    )
