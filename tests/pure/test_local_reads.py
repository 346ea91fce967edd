"""Whole queries by threads of this process, over Parquet files of their own: the rows and the order that plain Python says, without a JVM."""

import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import values
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.engine.engines import Engines
from spark_fs.engine.join import inputs
from spark_fs.errors import MemoryLimitError, SettingsError, SparkFSError
from spark_fs.flows import read
from spark_fs.flows.head import read_first_rows
from spark_fs.planning.bind import bind_query
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import JoinSpec, QuerySpec
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.ingestion import INGESTED_AT

from oracles import join_by_looking, sort_rows

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TIMES = {
    "timestamp": lambda n: START + timedelta(microseconds=n),
    "date": lambda n: START.date() + timedelta(days=n),
    "bigint": lambda n: 1_704_067_200 + n,
}
KEYS = {
    "bigint": lambda n: n,
    "string": lambda n: f"k{n}",
    "double": lambda n: (0.0, 1.5, math.nan)[n],
    "decimal(10,2)": lambda n: Decimal(n) / 4,
    "date": lambda n: date(2024, 1, 1 + n),
    "boolean": lambda n: n == 1,
}
VALUES = {
    "bigint": st.integers(-3, 3),
    "double": st.sampled_from([0.0, -0.0, 1.5, math.nan, -math.inf]),
    "string": st.sampled_from(["", "a", "ä"]),
    "decimal(10,2)": st.sampled_from([Decimal("0.00"), Decimal("-1.25")]),
    "array<bigint>": st.lists(st.none() | st.integers(0, 2), max_size=2),
    "struct<a:bigint,b:string>": st.fixed_dictionaries(
        {"a": st.none() | st.integers(0, 1), "b": st.none() | st.just("x")}
    ),
}


@dataclass(frozen=True)
class Drawn:
    """A group, its rows with their ingestion, and how they lie in files."""

    group: GroupSpec
    rows: list[dict[str, Any]]
    file_sizes: list[int]


@st.composite
def groups(draw: st.DrawFn, name: str, key_type: str, role: str) -> Drawn:
    is_spine = role == "spine"
    time = draw(st.sampled_from(["timestamp", "timestamp", "date", "bigint", None]))
    value_types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=2))
    prefix = name[0]
    types = {f"{prefix}k": key_type}
    if is_spine:
        types = {"id": "bigint", **types}
    if time:
        types[f"{prefix}t"] = time
    types |= {f"{prefix}v{i}": type_ for i, type_ in enumerate(value_types)}
    partition = draw(st.sampled_from([None, f"{prefix}p"]))
    if partition:
        types[partition] = draw(st.sampled_from(["string", "date", "bigint"]))
    group = GroupSpec(
        name,
        1,
        primary_key=("id",) if is_spine else (f"{prefix}k",),
        partition_key=(partition,) if partition else (),
        event_time=f"{prefix}t" if time else None,
        ttl_seconds=draw(st.sampled_from([None, 2e-6, 2.0])) if time else None,
        may_have_duplicates=draw(st.booleans()),
    ).with_schema(types)
    count = draw(st.sampled_from([9, 6, 3, 0]))
    between = DAY if time == "date" else timedelta(seconds=1 if time == "bigint" else 1e-6)
    rows: list[dict[str, Any]] = []
    seen = set()
    for number in range(count):
        key = draw(st.sampled_from([0, 0, 1, 2]))
        at = draw(st.integers(0, 5))
        row = {f"{prefix}k": KEYS[key_type](key)}
        if is_spine:
            row["id"] = draw(st.integers(0, 4)) if group.may_have_duplicates else number
            if draw(st.integers(0, 5)) == 0:
                row[f"{prefix}k"] = None
        if time:
            row[f"{prefix}t"] = TIMES[time](at)
        for column, type_ in types.items():
            if column not in row:
                row[column] = None if draw(st.integers(0, 4)) == 0 else draw(values_of(type_))
        identity = repr([row[column] for column in group.identity])
        if identity in seen and not group.may_have_duplicates:
            continue
        seen.add(identity)
        row[INGESTED_AT] = START + len(rows) * between
        rows.append(row)
    order = draw(st.permutations(range(len(rows))))
    sizes = draw(st.lists(st.integers(0, 4), max_size=3))
    return Drawn(group, [rows[place] for place in order], sizes)


def values_of(type_: str) -> st.SearchStrategy[Any]:
    if type_ == "date":
        return st.sampled_from([date(2024, 1, 1), date(1969, 12, 31)])
    return VALUES[type_]


@st.composite
def queries(draw: st.DrawFn) -> tuple[JoinPlan, list[Drawn]]:
    """A query of a spine and up to two groups, each with its filter, beside or behind each other."""
    key_type = draw(st.sampled_from(list(KEYS)))
    spine = draw(groups("spine", key_type, "spine"))
    drawn = [spine]
    query = QuerySpec(spine.group.ref, tuple(spine.group.types), explicit=True)
    left_key = "sk"
    sub_queries = []
    as_known = draw(st.booleans())
    for name in draw(st.sampled_from([["a_group"], ["a_group", "b_group"], []])):
        right = draw(groups(name, key_type, "right"))
        drawn.append(right)
        how = draw(st.sampled_from(["left", "inner"]))
        sub_query = QuerySpec(right.group.ref, tuple(right.group.types), explicit=True)
        value_column = f"{name[0]}v0"
        value_type = right.group.types[value_column]
        if not as_known and draw(st.booleans()) and value_type in ("bigint", "double", "string"):
            value = draw(VALUES[value_type].filter(lambda v: v == v))
            operator = draw(st.sampled_from(["==", ">", "<"]))
            sub_query = sub_query.with_filter(
                Comparison(right.group.ref, value_column, operator, value)
            )
        sub_queries.append((sub_query, (left_key,), (f"{name[0]}k",), how))
        if value_type in KEYS and draw(st.booleans()):
            key_type, left_key = value_type, value_column
    if len(sub_queries) == 2 and sub_queries[1][1] == ("av0",):
        (first, *first_on), (second, *second_on) = sub_queries
        sub_queries = [(first.with_join(JoinSpec(second, *second_on)), *first_on)]
    for sub_query, *on in sub_queries:
        query = query.with_join(JoinSpec(sub_query, *on))
    if query.joins and spine.group.types["sv0"] == "bigint" and draw(st.booleans()):
        query = query.with_filter(Comparison(spine.group.ref, "sv0", ">", 0))
    plan = bind_query(query, {each.group.ref: each.group for each in drawn})
    if spine.group.event_time:
        plan = replace(plan, as_known=as_known)
    return plan, drawn


def write_files(drawn: Drawn, folder: Path) -> list[DataFile]:
    """The rows as Parquet files, each of one partition; columns of nulls alone are left out, as before they were added."""
    group = drawn.group
    places: dict[Any, list[dict[str, Any]]] = {}
    sizes = list(drawn.file_sizes)
    chunks = []
    rest = drawn.rows
    while rest:
        size = (sizes.pop() if sizes else len(rest)) or 1
        chunks.append(rest[:size])
        rest = rest[size:]
    for number, chunk in enumerate(chunks):
        for row in chunk:
            partition = row[group.partition_key[0]] if group.partition_key else None
            places.setdefault((number, partition), []).append(row)
    files = []
    for number, ((_, partition), rows) in enumerate(places.items()):
        types = {**group.types, INGESTED_AT: "timestamp"}
        partition_values = {}
        for column in group.partition_key:
            del types[column]
            partition_values[column] = None if partition is None else str(partition)
            if partition == "":
                partition_values[column] = ""
        for column in group.types:
            is_new = column not in group.identity and all(row[column] is None for row in rows)
            if is_new and len(types) > 3:
                types.pop(column, None)
        path = folder / f"{group.name}-{number}.parquet"
        pq.write_table(values.to_arrow(types, rows), path, row_group_size=2)
        size = path.stat().st_size
        files.append(DataFile(str(path), size, len(rows), partition_values, {}, {}, True))
    return files


def read_locally(
    plan: JoinPlan, files: Mapping[str, Sequence[DataFile]], strategy: str | None
) -> list[dict[str, Any]]:
    """What the flow gives, of files that are listed here instead of in a log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "open_log", lambda path, version: Log(files[path]))
        engines = Engines(refuse_spark, "local")  # type: ignore[arg-type] # never asked
        found = read.read_query(engines, plan, lambda group: group.name, "arrow", strategy=strategy)
    return found.to_pylist()  # type: ignore[no-any-return] # Arrow's


@dataclass(frozen=True)
class Log:
    files: Sequence[DataFile]

    def list_files(self) -> Sequence[DataFile]:
        return self.files


def refuse_spark() -> None:
    raise AssertionError("Spark was asked for.")


@settings(max_examples=150, deadline=None)
@given(queries(), st.booleans())
def test_a_query_gives_the_rows_that_a_look_at_every_row_finds_in_their_order(
    query: tuple[JoinPlan, list[Drawn]], many_tasks: bool
) -> None:
    plan, drawn = query
    wanted = join_by_looking(plan, {each.group.name: each.rows for each in drawn})
    wanted = sort_rows(wanted, plan.spine)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if many_tasks:
            patch.setattr(inputs, "_ONE_TASK_BYTES", 0)
        files = {each.group.name: write_files(each, Path(folder)) for each in drawn}
        for strategy in ("columnar", None):
            found = read_locally(plan, files, strategy)
            assert len(found) == len(wanted), strategy
            for one, other in zip(found, wanted, strict=True):
                assert values.same(one, other), (strategy, one, other)


# -- one query, by hand


TIMED = {"k": "bigint", "t": "timestamp", "v": "double"}


def one_group(name: str, types: Mapping[str, str], count: int, **declared: Any) -> Drawn:
    group = GroupSpec(name, 1, primary_key=("k",), event_time="t", **declared).with_schema(types)
    rows = []
    for number in range(count):
        at = START + timedelta(seconds=number)
        row = {"k": number % 3, "t": at, "v": number / 4, INGESTED_AT: at}
        rows.append(row)
    return Drawn(group, rows, [])


def join_two(spine: Drawn, right: Drawn) -> JoinPlan:
    joined = QuerySpec(right.group.ref, ("v",), explicit=True)
    query = QuerySpec(spine.group.ref, ("k", "t"), explicit=True)
    query = query.with_join(JoinSpec(joined, ("k",), ("k",)))
    return bind_query(query, {spine.group.ref: spine.group, right.group.ref: right.group})


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[DataFile]]:
    """The files of the groups left and right."""
    files = {}
    for name in ("left_side", "right_side"):
        files[name] = write_files(one_group(name, TIMED, 9), tmp_path)
    monkeypatch.setattr(read, "open_log", lambda path, version: Log(files[path]))
    return files


def explain(
    engine: str, memory: int = 1 << 30, key_types: tuple[str, str] = ("bigint", "bigint")
) -> list[str]:
    """What explain says of the engine."""
    sides = []
    for name, type_ in zip(("left_side", "right_side"), key_types, strict=True):
        sides.append(one_group(name, {**TIMED, "k": type_}, 0))
    engines = Engines(refuse_spark, "auto", memory).with_request(engine)  # type: ignore[arg-type] # never asked
    said = read.explain_plan(engines, join_two(*sides), lambda group: group.name, None, {})
    return said.splitlines()[-2:]


def test_explain_says_which_engine_runs_it_and_why(two: dict[str, list[DataFile]]) -> None:
    assert explain("auto") == [
        "engine: local, in threads of this process",
        "  why: it takes about 1 MB, and this process may take 1,024 MB (setting local_memory)",
    ]
    assert explain("local", memory=1)[-1] == "  why: it was asked for"
    assert explain("spark") == ["engine: spark, in workers of Spark", "  why: it was asked for"]
    assert explain("auto", memory=100) == [
        "engine: spark, in workers of Spark",
        "  why: it would take about 1 MB, and this process may take 1 MB (setting local_memory)",
    ]
    decimals = ("decimal(9,2)", "decimal(9,3)")
    need = "key 'k' of 'right_side' version 1 is decimal(9,3) and is compared with decimal(9,2)"
    assert explain("auto", key_types=decimals)[-1] == f"  why: {need}, which only Spark does"
    refusal = re.escape(f"The local engine cannot run this: {need}, which only Spark does. Leave")
    with pytest.raises(SettingsError, match=refusal):
        explain("local", key_types=decimals)
    with pytest.raises(
        SettingsError,
        match=r"^engine 'duckdb' is not known: use 'auto', 'local', 'spark', or leave",
    ):
        explain("duckdb")


def test_files_that_only_spark_reads_are_left_to_it(two: dict[str, list[DataFile]]) -> None:
    two["right_side"] = [two["right_side"][0]._replace(readable_as_is=False)]
    assert explain("auto")[-1] == "  why: Spark alone reads 'right_side' version 1"


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_data_file_that_cannot_be_read_is_named(
    two: dict[str, list[DataFile]], damage: str
) -> None:
    path = Path(two["right_side"][0].path)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:40] if damage == "cut" else b"no Parquet")
    plan = join_two(one_group("left_side", TIMED, 0), one_group("right_side", TIMED, 0))
    engines = Engines(refuse_spark, "local")  # type: ignore[arg-type] # never asked
    for strategy in ("columnar", "broadcast"):
        with pytest.raises(
            SparkFSError, match=f"^The data file {path} cannot be read: .* read an earlier state"
        ):
            read.read_query(engines, plan, lambda group: group.name, "arrow", strategy=strategy)


def test_a_run_of_too_little_memory_says_so_before_it_gives_rows(
    two: dict[str, list[DataFile]], tmp_path: Path
) -> None:
    large = one_group("right_side", TIMED, 200_000)
    two["right_side"] = write_files(large, tmp_path)
    plan = join_two(one_group("left_side", TIMED, 0), large)
    engines = Engines(refuse_spark, "local", 1 << 20)  # type: ignore[arg-type] # never asked
    with pytest.raises(MemoryLimitError, match="more than 1 MB of memory"):
        read.read_query(engines, plan, lambda group: group.name, "arrow")


def test_the_first_rows_of_a_group_with_duplicates_are_none_that_came_later_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = one_group("right_side", TIMED, 6, may_have_duplicates=True)
    new = [{**row, "v": -1.0, INGESTED_AT: START + DAY} for row in old.rows[:4]]
    files = write_files(replace(old, rows=[*old.rows, *new], file_sizes=[3, 3]), tmp_path)
    monkeypatch.setattr(read, "open_log", lambda path, version: Log(files))
    query = QuerySpec(old.group.ref, ("k", "t", "v"), explicit=True)
    plan = bind_query(query, {old.group.ref: old.group})
    engines = Engines(refuse_spark)  # type: ignore[arg-type] # never asked
    found = read_first_rows(engines, plan, lambda group: group.name, 5)
    assert found.column("v").to_pylist() == [-1.0, -1.0, -1.0, -1.0, 1.0]
