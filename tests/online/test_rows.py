"""The rows of the online store as a frame, in a process without Spark."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spark_fs.errors import OnlineStoreError, SettingsError

from conftest import ONLINE, online_store
from serving import put, store

TYPES = {
    "id": "bigint",
    "flag": "boolean",
    "tiny": "tinyint",
    "whole": "bigint",
    "ratio": "double",
    "single": "float",
    "price": "decimal(20,2)",
    "at": "timestamp",
    "day": "date",
    "text": "string",
    "raw": "binary",
    "tags": "array<string>",
    "counts": "map<string,bigint>",
    "place": "struct<x:double,n:bigint>",
}
AT = datetime(2024, 1, 1, 12, 0, 0, 1, UTC)
FULL = {
    "id": 2**60 + 1,
    "flag": True,
    "tiny": -128,
    "whole": 2**53 + 1,
    "ratio": float("inf"),
    "single": 0.5,
    "price": Decimal("123456789012345678.90"),
    "at": AT,
    "day": date(1, 1, 1),
    "text": "a\u2028b😀 ",
    "raw": b"\x00\xff",
    "tags": ["a", None],
    "counts": {"a": 2**53 + 1},
    "place": {"x": None, "n": 2**53 + 1},
}


@pytest.mark.parametrize("kind", ONLINE)
def test_rows_are_those_of_the_online_table_with_the_types_of_training(
    tmp_path: Path, kind: str
) -> None:
    full = FULL | ({} if kind == "sqlite" else {"ratio": 0.1 + 0.2})  # MySQL holds no infinities
    with online_store(kind, tmp_path) as fs:
        group = put(fs, "all", TYPES, [full, {"id": 1}], ["id"])
        found = group.read("pandas", online=True).sort_values("id").reset_index(drop=True)
        assert (
            group.read(online=True, dataframe_type="pandas", read_options=None)
            .sort_values("id")
            .reset_index(drop=True)
            .equals(found)
        )
    assert list(found.columns) == list(TYPES)
    assert found.iloc[1].to_dict() == full | {"at": pd.Timestamp(AT)}
    assert found.drop(columns="id").iloc[0].isna().all()
    assert (found["whole"].dtype, found["id"].dtype, found["ratio"].dtype) == (
        pd.Int64Dtype(),
        np.dtype("int64"),
        np.dtype("float64"),
    )


def test_a_row_past_its_ttl_is_not_there(tmp_path: Path) -> None:
    fs, now = store(tmp_path), datetime.now(UTC).replace(microsecond=0)
    types = {"id": "bigint", "at": "timestamp"}
    group = put(
        fs,
        "young",
        types,
        [{"id": 1, "at": now}, {"id": 2, "at": now - timedelta(hours=2)}],
        ["id"],
        event_time="at",
        ttl=3_600,
    )
    assert group.read("pandas", online=True)["id"].tolist() == [1]


def test_what_is_not_online_says_so(tmp_path: Path) -> None:
    fs = store(tmp_path)
    group = put(fs, "online", {"id": "bigint"}, [], ["id"])
    assert len(group.read("pandas", online=True)) == 0
    offline = fs.create_feature_group("offline", primary_key=["id"], features=group.features)
    with pytest.raises(
        SettingsError,
        match=(
            r"Feature group 'offline' version 1 is not online_enabled, so no row of it is online:"
            r" read it with online=False\."
        ),
    ):
        offline.read(online=True)
    with pytest.raises(
        SettingsError,
        match=r"The online store holds the latest rows alone: leave out wallclock_time",
    ):
        group.read(online=True, wallclock_time="2024-01-01")
    with pytest.raises(SettingsError, match=r"dataframe_type 'nope' is not known"):
        group.read(online=True, dataframe_type="nope")
    never = fs.create_feature_group(
        "never", primary_key=["id"], features=group.features, online_enabled=True
    )
    with pytest.raises(
        OnlineStoreError, match=r"lacks the table never_1: run sync_online for its group first"
    ):
        never.read("pandas", online=True)
    with pytest.warns(UserWarning, match=r"read_options 'arrow_flight_config' mean nothing here"):
        group.read("pandas", online=True, read_options={"arrow_flight_config": {}})


def test_no_jvm_is_started_for_it(tmp_path: Path) -> None:
    put(store(tmp_path), "clicks", {"id": "bigint", "n": "bigint"}, [{"id": 1, "n": 3}], ["id"])
    code = """
import sys, spark_fs
from pyspark import SparkContext
group = spark_fs.login({"home": sys.argv[1]}).get_feature_store().get_feature_group("clicks", 1)
print(group.read(online=True).to_dict("records"), SparkContext._gateway)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert run.stdout == "[{'id': 1, 'n': 3}] None\n", run.stderr
