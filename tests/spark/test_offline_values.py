"""Values of every type, nested ones too, on every way in and out offline: a frame, an insert, a read, a join, training data, files, a batch."""

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from pyspark.sql import SparkSession
from values import ALL_TYPES, same, tables, to_arrow

import spark_fs
from spark_fs import Feature
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base import types

Rows = list[dict[str, Any]]
START = datetime(2024, 3, 10, tzinfo=UTC)  # the clocks of New York change on this day
OFFLINE = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.generate],
    "database": None,
}
NUMBERS = itertools.count()


def in_pandas(found: Any, wanted: Any) -> bool:
    """Whether pandas shows the value: a missing one by any of its marks, a number in any width that holds it."""
    if wanted is None or wanted != wanted:
        return not isinstance(found, list | dict) and bool(pd.isna(found))
    if isinstance(found, np.generic):
        found = found.item()
    if isinstance(wanted, int) and isinstance(found, float) and not isinstance(wanted, bool):
        return abs(wanted) < 2**32 and found == wanted
    return same(found, wanted)


def check(found: pd.DataFrame, columns: dict[str, str], rows: Rows, path: str) -> None:
    """Assert that a frame holds these rows, by their number."""
    found = found.sort_values("row").reset_index(drop=True)
    assert found["row"].tolist() == list(range(len(rows))), path
    for name, type_ in columns.items():
        for row, value in zip(rows, found[name], strict=True):
            assert in_pandas(value, row[name]), (path, type_, value, row[name])
        if type_ == "bigint" and found[name].isna().any():
            assert str(found[name].dtype) == "Int64", path


def check_arrow(found: pa.Table, columns: dict[str, str], rows: Rows, path: str) -> None:
    """Assert that a table holds exactly these values, null apart from NaN."""
    found = found.sort_by("row")
    for name, type_ in columns.items():
        kept = found.column(name).to_pylist(maps_as_pydicts="strict")
        assert all(same(one, row[name]) for one, row in zip(kept, rows, strict=True)), (path, type_)


def objects(columns: dict[str, str], rows: Rows) -> pd.DataFrame:
    """The rows as pandas has them of JSON or a database: Python objects alone, in which a bare NaN means null."""

    def column(name: str) -> pd.Series:
        values = np.empty(len(rows), object)
        values[:] = [row[name] for row in rows] if "<" not in columns[name] else None
        if "<" in columns[name]:
            for i, row in enumerate(rows):
                values[i] = row[name]
        return pd.Series(values, dtype=object)

    numbers = range(len(rows))
    return pd.DataFrame(
        {"k": numbers, "at": [START] * len(rows), "row": numbers}
        | {name: column(name) for name in columns}
    )


def through_every_path(
    fs: FeatureStore, columns: dict[str, str], rows: Rows, formats: Sequence[str]
) -> None:
    """Insert rows as Arrow and as pandas, and look at them wherever they come out."""
    if all(
        value is None for row in rows for value in row.values()
    ):  # the simplest example, which hypothesis tries first
        return
    number = next(NUMBERS)
    numbers = pa.array(range(len(rows)), pa.int64())
    keys = {
        "k": numbers,
        "at": pa.array([START] * len(rows), pa.timestamp("us", "UTC")),
        "row": numbers,
    }
    table = to_arrow(columns, rows)
    group = fs.create_feature_group(f"values_{number}", primary_key=["k"], event_time="at")
    group.insert(pa.table(keys | dict(zip(table.column_names, table.columns, strict=True))))
    assert {name: type_ for name, type_ in group.schema.items() if name in columns} == columns
    declared = [
        Feature("k", "bigint"),
        Feature("at", "timestamp"),
        Feature("row", "bigint"),
        *(Feature(name, type_) for name, type_ in columns.items()),
    ]
    frame = fs.create_feature_group(
        f"objects_{number}", primary_key=["k"], event_time="at", features=declared
    )
    frame.insert(objects(columns, rows))
    check_arrow(group.read("spark").toArrow(), columns, rows, "read as Spark")
    bare = [
        {name: None if value != value else value for name, value in row.items()} for row in rows
    ]
    check_arrow(frame.read("spark").toArrow(), columns, bare, "of pandas, read as Spark")
    check(group.read("pandas"), columns, rows, "read")
    check(group.head(len(rows)), columns, rows, "head")

    labels = fs.create_feature_group(f"labels_{number}", primary_key=["k"], event_time="at")
    labels.insert(
        pd.DataFrame(
            {
                "k": range(len(rows)),
                "at": START + timedelta(hours=1),
                "row": range(len(rows)),
                "y": 1.0,
            }
        )
    )
    query = labels.select_all().join(group.select(list(columns)))
    check(query.read("pandas"), columns, rows, "join")
    check_arrow(query.read("spark").toArrow(), columns, rows, "join as Spark")
    view = fs.create_feature_view(f"view_{number}", query, labels=["y"])
    check(view.training_data()[0], columns, rows, "training data in memory")
    check(view.get_batch_data(), columns, rows, "batch")
    for data_format in formats:
        version, _ = view.create_training_data(data_format=data_format)
        check(view.get_training_data(version)[0], columns, rows, f"training data as {data_format}")


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> FeatureStore:  # a session
    """One store for all examples."""
    return spark_fs.login({"home": tmp_path_factory.mktemp("values")}).get_feature_store()


@pytest.mark.slow
@seed(20240310)
@settings(max_examples=2, **OFFLINE)
@given(tables(rows=24))
def test_values_come_out_as_they_went_in(
    store: FeatureStore, drawn: tuple[dict[str, str], Rows]
) -> None:
    through_every_path(store, *drawn, formats=("parquet",))


@pytest.mark.slow
@settings(max_examples=5, **OFFLINE)
@given(tables(rows=24, more=8))
def test_values_of_drawn_types_come_out_as_they_went_in(
    store: FeatureStore, drawn: tuple[dict[str, str], Rows]
) -> None:
    columns, rows = drawn
    through_every_path(store, columns, rows, formats=("parquet", "delta"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "elsewhere",
    [
        {"TZ": "America/New_York"},
        {"LC_ALL": "de_DE.UTF-8", "JAVA_TOOL_OPTIONS": "-Duser.language=de -Duser.country=DE"},
    ],
    ids=["in New York", "with a decimal comma"],
)
def test_values_are_the_same_wherever_the_process_runs(
    elsewhere: dict[str, str], tmp_path: Path
) -> None:
    run = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "slow or not slow",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path / 'run'}",
        f"{__file__}::test_values_come_out_as_they_went_in",
    ]
    done = subprocess.run(
        run,
        cwd=Path(__file__).parents[2],
        env=os.environ | elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout[-5000:]


def test_every_type_has_its_strategy() -> None:
    assert {types.get_base_type(type_) for type_ in ALL_TYPES} == {
        *types.TYPES_BY_NAME,
        *types.NESTED,
    }
