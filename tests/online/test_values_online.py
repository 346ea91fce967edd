"""Values of every type go online and come back as they went in: as lists, pandas, NumPy and JSON, on every store, in any zone and locale."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loaded import loaded, rows_of
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base import pandas_frames
from spark_fs.base.json_values import from_json, to_json
from spark_fs.base.types import get_base_type
from spark_fs.base.values import to_canonical
from spark_fs.errors import OnlineRefusedError
from spark_fs.online import text_format
from spark_fs.online.mysql.negative_zero import STAND_INS
from spark_fs.online.registry import make_writer
from spark_fs.online.table_layout import build_online_table

from conftest import ONLINE, online_store

Columns, Rows = dict[str, str], list[dict[str, Any]]


@pytest.fixture(scope="module", params=ONLINE)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureStore]:
    """One store for the module, over each online store in turn."""
    with online_store(request.param, tmp_path_factory.mktemp("values")) as found:
        yield found


def held(store: FeatureStore, type_: str, value: Any) -> Any:
    """What the store holds of a value: no server takes NaN and infinities, nor the number by which -0.0 is held; they are nulls here."""
    if (
        get_base_type(type_) not in ("float", "double")
        or value is None
        or store._stores.online.capabilities.name == "sqlite"
    ):
        return value
    return None if not math.isfinite(value) or value == STAND_INS[type_] else value


def check(store: FeatureStore, group: FeatureGroup, columns: Columns, rows: Rows) -> None:
    """Every way out gives what went in."""
    names = list(columns)
    view = store.create_feature_view(f"v{len(store.get_feature_views())}", group.select(names))
    entries = [{"k": k} for k in range(len(rows))]
    wanted = [[row[name] for name in names] for row in rows]
    found = view.get_feature_vectors(entries)
    for name, type_, one, two in (
        (n, t, f[i], w[i])
        for f, w in zip(found, wanted, strict=True)
        for i, (n, t) in enumerate(columns.items())
    ):
        assert values.same(one, two), (name, type_, one, two)
        sent = json.loads(json.dumps(to_json(one), allow_nan=False))
        assert values.same(to_canonical(type_, from_json(type_, sent)), two), (name, type_)
    assert all(
        values.same(view.get_feature_vector(entry), vector)
        for entry, vector in zip(entries, wanted, strict=True)
    )
    pd.testing.assert_frame_equal(
        view.get_feature_vectors(entries, return_type="pandas"),
        pandas_frames.to_pandas(values.to_arrow(columns, rows)),
    )
    assert all(
        values.same(list(one), two)
        for one, two in zip(
            view.get_feature_vectors(entries, return_type="numpy"), wanted, strict=True
        )
    )
    passed = view.get_feature_vectors(
        entries[::-1], passed_features=[{name: row[name] for name in names} for row in rows]
    )
    assert all(values.same(one, two) for one, two in zip(passed, wanted, strict=True))


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=8)
@given(drawn=values.tables(rows=3, more=3))
def test_every_value_comes_back_as_it_went_in(
    store: FeatureStore, drawn: tuple[Columns, Rows]
) -> None:
    columns, rows = drawn
    rows = [
        {name: held(store, columns[name], value) for name, value in row.items()} for row in rows
    ]
    group = loaded(
        store,
        f"g{len(store.get_feature_groups())}",
        {"k": "bigint", **columns},
        [{"k": k, **row} for k, row in enumerate(rows)],
    )
    check(store, group, columns, rows)


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=15)
@given(data=st.data(), types=st.lists(st.sampled_from(values.KEY_TYPES), min_size=1, max_size=3))
def test_every_key_finds_its_row(
    store: FeatureStore, data: st.DataObject, types: list[str]
) -> None:
    columns = {f"k{i}": type_ for i, type_ in enumerate(types)}
    keys = [
        {name: data.draw(values.values(type_, nulls=False)) for name, type_ in columns.items()}
        for _ in range(3)
    ]
    keys = list({repr(key): key for key in keys}.values())
    rows = [{**key, "v": n} for n, key in enumerate(keys)]
    group = loaded(
        store,
        f"g{len(store.get_feature_groups())}",
        {**columns, "v": "bigint"},
        rows,
        list(columns),
    )
    view = store.create_feature_view(f"v{len(store.get_feature_views())}", group.select(["v"]))
    assert (
        view.get_feature_vectors(keys)
        == [view.get_feature_vector(key) for key in keys]
        == [[n] for n in range(len(keys))]
    )
    sent = [
        {
            name: from_json(columns[name], json.loads(json.dumps(to_json(value))))
            for name, value in key.items()
        }
        for key in keys
    ]
    assert view.get_feature_vectors(sent) == [[n] for n in range(len(keys))]


ZEROS = {"k": "bigint", "v": "double", "w": "float", "l": "array<double>"}


def test_minus_zero_keeps_its_sign(store: FeatureStore) -> None:
    pairs = [(-0.0, 0.0), (0.0, -0.0), (None, -0.0), (-1.5, 5e-324), (1e-300, -(2.0**-148))]
    lines = [{"k": k, "v": v, "w": w, "l": [v, w]} for k, (v, w) in enumerate(pairs)]
    lines[3]["w"] = 2.0**-149
    group = loaded(store, "zero", ZEROS, lines)
    view = store.create_feature_view("zero", group.select(["v", "w", "l"]))
    wanted = [[line[name] for name in "vwl"] for line in lines]
    entries = [{"k": k} for k in range(len(lines))]
    assert all(map(values.same, view.get_feature_vectors(entries), wanted))
    assert all(map(values.same, map(view.get_feature_vector, entries), wanted))
    assert all(map(values.same, map(list, sorted(rows_of(store, group))), map(with_key, lines)))
    assert checksum_of(store, group) == checksum_of(store, group, lines)
    turned = [{**lines[0], "v": 0.0}, *lines[1:]]
    assert checksum_of(store, group) != checksum_of(store, group, turned)


def with_key(line: dict[str, Any]) -> list[Any]:
    return [line[name] for name in ZEROS]


def checksum_of(
    store: FeatureStore, group: FeatureGroup, lines: Rows | None = None
) -> tuple[int, int]:
    """The number of rows and the sum of their checksums: online, or of these lines."""
    online = store._stores.online
    table = build_online_table(group.spec, online.capabilities)
    if lines is None:
        return make_writer(online).compute_checksums(table, 1, None)[0]
    sums = text_format.compute_checksums(values.to_arrow(ZEROS, lines), table.columns)
    return len(lines), int(sums.astype("int64").sum())


@pytest.mark.parametrize(("type_", "value"), STAND_INS.items())
def test_the_number_that_stands_for_minus_zero_is_refused(
    store: FeatureStore, type_: str, value: float
) -> None:
    columns = {"k": "bigint", "v": type_}
    lines = [{"k": 1, "v": 0.0}, {"k": 2, "v": value}]
    if store._stores.online.capabilities.name == "sqlite":
        group = loaded(store, f"least_{type_}", columns, lines)
        assert sorted(rows_of(store, group)) == [(1, 0.0), (2, value)]
        return
    expected = re.escape(f"holds {value} (key {{'k': 2}}), by which -0.0 is held in MariaDB")
    with pytest.raises(OnlineRefusedError, match=expected):
        loaded(store, f"least_{type_}", columns, lines)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=2)
@given(drawn=values.tables(rows=4, more=4))
def test_from_an_insert_by_a_sync_to_a_vector(
    store: FeatureStore, spark: SparkSession, drawn: tuple[Columns, Rows]
) -> None:
    columns, rows = drawn
    rows = [
        {name: held(store, columns[name], value) for name, value in row.items()} for row in rows
    ]
    group = store.create_feature_group(
        f"synced{len(store.get_feature_groups())}", primary_key=["k"], online_enabled=True
    )
    group.insert(
        values.to_arrow({"k": "bigint", **columns}, [{"k": k, **row} for k, row in enumerate(rows)])
    )
    group.sync_online()
    check(store, group, columns, rows)
    assert group.verify_online().ok
    assert (
        len(build_online_table(group.spec, store._stores.online.capabilities).columns)
        == len(columns) + 1
    )


ELSEWHERE = {
    "New York": {"TZ": "America/New_York"},
    "a comma for a point": {
        "LC_ALL": "de_DE.UTF-8",
        "JAVA_TOOL_OPTIONS": "-Duser.language=de -Duser.country=DE -Duser.timezone=Asia/Kolkata",
    },
}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("where", ELSEWHERE)
def test_it_is_so_in_any_zone_and_locale(where: str, tmp_path: Path) -> None:
    here = Path(__file__)
    names = ["test_every_value_comes_back_as_it_went_in", "test_every_key_finds_its_row"]
    names += (
        ["test_from_an_insert_by_a_sync_to_a_vector"]
        if "JAVA_TOOL_OPTIONS" in ELSEWHERE[where]
        else []
    )  # the JVM elsewhere too, once
    asked = [f"{here}::{name}" for name in names]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        str(tmp_path),
        "-m",
        "slow or not slow",
        *asked,
        str(here.with_name("test_keys.py")),
    ]
    done = subprocess.run(
        command,
        env={**os.environ, **ELSEWHERE[where]},
        capture_output=True,
        text=True,
        check=False,
        cwd=here.parents[2],
    )
    assert done.returncode == 0, done.stdout[-3_000:]
