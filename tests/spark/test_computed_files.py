"""Files of a table that workers write: as Delta's own, for every reader, or as if they were not there."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.errors import SparkFSError
from spark_fs.flows.shared_rows import share_rows
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.computed_rows import ComputedRows, TableReader
from spark_fs.tables.delta import layout
from spark_fs.tables.delta.staging import DeltaTransaction
from spark_fs.tables.delta.transaction import DeltaTableWrite
from spark_fs.tables.staged_files import StagedFiles

from conftest import first_quick

NAN, INF = float("nan"), float("inf")
NOON = datetime(2024, 1, 1, 12, 0, 0, 123456, UTC)
BEFORE = datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)
# What the columns of a table hold, of each type, with the bounds that are hardest to write.
VALUES: dict[str, list[Any]] = {
    "k bigint": [1, -(2**63), 2**63 - 1, 4],
    "t timestamp": [NOON, BEFORE, NOON + timedelta(days=1), datetime(1, 1, 2, tzinfo=UTC)],
    "s string": ["a" * 40, "b" * 31 + "\U0001f600" + "zz", None, ""],
    "long string": ["é" * 40, "z" * 32 + "\x7f" + "a", "z" * 40, "\x7f" * 33],
    "beyond string": ["\U0010ffff" * 40, "a", None, "b"],
    "b boolean": [True, False, None, True],
    "y binary": [b"x", b"", None, b"\xff"],
    "i8 tinyint": [1, -128, None, 127],
    "i16 smallint": [1, None, -32768, 2],
    "i int": [None, None, None, None],
    "f float": [1.1, -0.0, 1e20, None],
    "f_nan float": [NAN, 1.5, 3e-40, None],
    "d double": [0.1, 1e300, -1e-320, None],
    "d_nan double": [NAN, NAN, None, NAN],
    "d_inf double": [INF, -INF, 1.0, NAN],
    "small decimal(5,2)": [Decimal("1.25"), Decimal("-1.25"), None, Decimal("0")],
    "middle decimal(15,10)": [Decimal("1E-10"), Decimal("0"), None, Decimal("12345.5")],
    "large decimal(30,3)": [Decimal("12345678901234567890.123"), None, Decimal("-5"), Decimal(0)],
    "day date": [date(2024, 1, 1), date(1900, 2, 28), None, date(9999, 12, 31)],
    "ns array<bigint>": [[1, None], [], None, [3]],
    "xs array<double>": [[1.5], [NAN, None], None, []],
    "ws array<string>": [["a"], None, [], ["b", None]],
    "p string": ["a b/%=c", "é:[x]", None, "a b/%=c"],
}
TYPES = dict(column.split() for column in VALUES)
ROWS = pa.table(list(VALUES.values()), schema=to_arrow_schema(TYPES))


def give(*tables: pa.Table, fails: bool = False) -> TableReader:
    """A reader that gives tables that are there already: those whose numbers it is given."""

    def read_tables(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield tables[number]
            if fails:
                raise SparkFSError("The worker gave up.")

    return read_tables


def computed(spark: SparkSession, *tables: pa.Table) -> ComputedRows:
    """Rows that one task has as tables."""
    source = spark.range(0, len(tables), 1, 1)
    types = {name: TYPES.get(name, "bigint") for name in tables[0].column_names}
    return ComputedRows(source, give(*tables), types, True)


def spec(*partition_key: str, types: dict[str, str] = TYPES) -> GroupSpec:
    made = GroupSpec("g", 1, primary_key=("k",), event_time="t", partition_key=partition_key)
    return made.with_schema(types)


def prepare(frame: DataFrame, group: GroupSpec) -> DataFrame:
    stamped = frame.selectExpr("*", "timestamp_micros(7) AS _ingested_at")
    return layout.prepare_rows(stamped, group).coalesce(1)


def stage_both(
    spark: SparkSession, path: Path, group: GroupSpec, *tables: pa.Table
) -> tuple[StagedFiles, StagedFiles]:
    """The same rows staged by the workers and by Delta, in a transaction that makes the table."""
    rows = computed(spark, *tables)
    laid_out = prepare(rows.to_frame(), group)
    transaction = DeltaTransaction(spark, str(path))
    transaction.create_table(laid_out, layout.build_layout(group))
    file_layout = layout.build_file_layout(group, str(path), ("_ingested_at", 7))
    assert file_layout
    assert transaction.accepts_worker_files()
    by_workers = transaction.stage_tables(rows, file_layout, laid_out.schema)
    return by_workers, transaction.stage_rows(laid_out)


def describe(staged: StagedFiles) -> dict[str, Any]:
    """What the log would say of the files, by their folders; numbers as they are written."""
    described = {}
    for i in range(staged.handle.size()):
        add = json.loads(staged.handle.apply(i).json())["add"]
        stats = json.loads(add["stats"], parse_float=Decimal, parse_int=Decimal)
        folder = unquote(add["path"]).rpartition("/")[0]
        assert add["dataChange"] is True
        described[folder] = (add["partitionValues"], stats)
    return described


def without_large_bound(described: dict[str, Any]) -> dict[str, Any]:
    """Where a string begins with forty of the greatest character, Delta has no bound, and we the string."""
    for _, stats in described.values():
        stats["maxValues"].pop("beyond", None)
    return described


@pytest.mark.parametrize(
    "partition_key",
    first_quick([((),), (("month", "p"),), (("day",),), (("p", "i16"),), (("year",),)], 2),
)
def test_a_files_statistics_and_folder_are_those_that_delta_gives(
    spark: SparkSession, tmp_path: Path, partition_key: tuple[str, ...]
) -> None:
    types = {name: type_ for name, type_ in TYPES.items() if name != "day"}
    ours, deltas = stage_both(spark, tmp_path, spec(*partition_key, types=types), ROWS.drop("day"))
    assert without_large_bound(describe(ours)) == without_large_bound(describe(deltas))
    assert "beyond" not in deltas.bounds  # of which one end is not known
    assert ours.row_count == deltas.row_count == 4
    assert ours.null_counts == deltas.null_counts
    assert ours.partitions == deltas.partitions


def test_a_file_of_several_row_groups_has_the_statistics_of_all(
    spark: SparkSession, tmp_path: Path
) -> None:
    tables = [ROWS.slice(i, 1) for i in range(4)]
    ours, deltas = stage_both(spark, tmp_path, spec(), *tables)
    assert without_large_bound(describe(ours)) == without_large_bound(describe(deltas))


def test_parquet_has_the_types_that_spark_writes(spark: SparkSession, tmp_path: Path) -> None:
    ours, deltas = stage_both(spark, tmp_path, spec(), ROWS)
    schemas = [str(pq.ParquetFile(staged.paths[0]).schema) for staged in (ours, deltas)]
    assert schemas[0].splitlines()[2:] == schemas[1].splitlines()[2:]


@pytest.mark.parametrize("partition_key", first_quick([(("p", "i16"),), ((),), (("day",),)]))
def test_every_reader_gives_the_rows_back(
    spark: SparkSession, tmp_path: Path, partition_key: tuple[str, ...]
) -> None:
    types = {name: type_ for name, type_ in TYPES.items() if name != "day"}
    group = spec(*partition_key, types=types)
    tables = ROWS.drop("day")
    rows = computed(spark, tables)
    laid_out = prepare(rows.to_frame(), group)
    table_layout = layout.build_layout(group)
    with DeltaTableWrite(spark, str(tmp_path), group) as write:
        write.table_transaction.create_table(laid_out, table_layout)
        staged = write.stage_computed_rows(rows, 7, laid_out.schema)
        assert staged
        write.commit(lambda now: now.commit(staged, table_layout, (), {}), lambda _: None)
        write.keep_files(staged)
    expected = sorted(map(str, laid_out.collect()))
    assert sorted(map(str, staged.frame.select(laid_out.columns).collect())) == expected
    by_spark = spark.read.format("delta").load(str(tmp_path))
    assert sorted(map(str, by_spark.select(laid_out.columns).collect())) == expected
    by_deltalake = DeltaTable(str(tmp_path)).to_pyarrow_table().select(tables.column_names)
    assert by_deltalake.num_rows == 4
    assert sorted(map(str, by_deltalake.to_pylist())) == sorted(map(str, tables.to_pylist()))
    metrics = spark.sql(f"DESCRIBE HISTORY '{tmp_path}'").collect()[0]["operationMetrics"]
    assert (metrics["numOutputRows"], metrics["numFiles"]) == ("4", str(len(staged.paths)))


WINDOWS = {"k": "bigint", "t": "timestamp", "n": "bigint", "m": "double"}


def make_windows(values: list[float], start: int = 0) -> pa.Table:
    columns = [range(start, start + len(values)), [NOON] * len(values), [1] * len(values), values]
    return pa.table([list(column) for column in columns], schema=to_arrow_schema(WINDOWS))


def insert(spark: SparkSession, group: FeatureGroup, table: pa.Table) -> dict[str, int]:
    rows = ComputedRows(spark.range(1), give(table), WINDOWS, True)
    return group.insert(rows)[0].summary


@pytest.fixture
def windows(fs: FeatureStore) -> FeatureGroup:
    return fs.create_feature_group(
        "w", primary_key=["k"], event_time="t", partition_key=["day"], statistics_config=False
    )


def list_files(group: FeatureGroup) -> set[str]:
    return {str(path) for path in Path(group.location).rglob("*.parquet")}


def test_computed_rows_are_inserted_as_a_frame_is(
    spark: SparkSession, windows: FeatureGroup
) -> None:
    first = insert(spark, windows, make_windows([1.0, 2.0, 3.0]))
    assert first == {"read": 3, "inserted": 3, "updated": 0, "unchanged": 0, "set_aside": 0}
    assert all("part-00000" not in path for path in list_files(windows))  # as Spark would name it
    again = insert(spark, windows, make_windows([1.0, 2.0, 3.0]))
    assert again == {"read": 3, "inserted": 0, "updated": 0, "unchanged": 3, "set_aside": 0}
    changed = insert(spark, windows, make_windows([1.0, 9.0, 3.0, 4.0]))
    assert (changed["inserted"], changed["updated"], changed["unchanged"]) == (1, 1, 2)
    assert windows.read("pandas").sort_values("k").m.tolist() == [1.0, 9.0, 3.0, 4.0]


def test_files_that_no_commit_names_are_read_by_nobody(
    spark: SparkSession, windows: FeatureGroup
) -> None:
    insert(spark, windows, make_windows([1.0]))
    named = list_files(windows)
    table = windows._stores.open_table(windows._spec)
    file_layout = layout.build_file_layout(table.group, table.path, ("_ingested_at", 7))
    assert file_layout
    rows = ComputedRows(spark.range(1), give(make_windows([7.0], 5)), WINDOWS, True)
    schema = spark.read.format("delta").load(table.path).schema
    transaction = DeltaTransaction(spark, table.path)
    transaction.stage_tables(rows, file_layout, schema)  # and the process ends here
    assert len(list_files(windows) - named) == 1
    assert windows.read("pandas").m.tolist() == [1.0]
    insert(spark, windows, make_windows([2.0], 1))
    assert sorted(windows.read("pandas").m.tolist()) == [1.0, 2.0]


def test_a_task_that_fails_leaves_no_file(spark: SparkSession, windows: FeatureGroup) -> None:
    insert(spark, windows, make_windows([1.0]))
    named = list_files(windows)
    rows = ComputedRows(spark.range(1), give(make_windows([7.0], 5), fails=True), WINDOWS, True)
    with pytest.raises(SparkFSError, match="The worker gave up"):
        windows.insert(rows)
    assert list_files(windows) == named
    assert windows.read("pandas").m.tolist() == [1.0]


def test_rows_that_may_repeat_an_identity_are_looked_at(
    spark: SparkSession, windows: FeatureGroup
) -> None:
    twice = pa.concat_tables([make_windows([1.0]), make_windows([2.0])])
    rows = ComputedRows(spark.range(1), give(twice), WINDOWS, False)
    with pytest.raises(SparkFSError, match="several rows of one identity"):
        windows.insert(rows)


def test_a_null_key_is_refused(spark: SparkSession, windows: FeatureGroup) -> None:
    table = make_windows([1.0]).set_column(0, "k", pa.array([None], pa.int64()))
    with pytest.raises(SparkFSError, match="cannot take null keys or event times"):
        insert(spark, windows, table)


def test_what_workers_cannot_write_goes_through_spark(
    spark: SparkSession, fs: FeatureStore
) -> None:
    types = {"k": "bigint", "m": "map<string,bigint>"}
    table = pa.table([[1], [[("a", 2)]]], schema=to_arrow_schema(types))
    group = fs.create_feature_group("m", primary_key=["k"], statistics_config=False)
    group.insert(ComputedRows(spark.range(1), give(table), types, True))
    assert group.read("spark").collect()[0].m == {"a": 2}


def test_a_table_that_asks_more_of_its_writers_is_written_by_delta(
    spark: SparkSession, windows: FeatureGroup
) -> None:
    insert(spark, windows, make_windows([1.0]))
    path = windows.location
    spark.sql(f"ALTER TABLE delta.`{path}` ADD CONSTRAINT small CHECK (m < 5)")
    assert not DeltaTransaction(spark, path).accepts_worker_files()
    with pytest.raises(SparkFSError, match="CHECK constraint small"):
        insert(spark, windows, make_windows([9.0], 5))
    insert(spark, windows, make_windows([2.0], 6))
    assert sorted(windows.read("pandas").m.tolist()) == [1.0, 2.0]


@pytest.mark.parametrize("count", first_quick([200_001, 0, 99_999], 2))
@pytest.mark.parametrize("writer", ["threads", "Delta"])
def test_rows_of_this_process_are_written_by_its_threads_or_by_delta(
    spark: SparkSession, windows: FeatureGroup, count: int, writer: str
) -> None:
    others = []
    if writer == "Delta":
        others = [-1.0]
        insert(spark, windows, make_windows(others, 300_000))
        spark.sql(f"ALTER TABLE delta.`{windows.location}` ADD CONSTRAINT small CHECK (m < 1e9)")
    rows = make_windows([float(number) for number in range(count)])
    with share_rows(spark, rows) as shared:
        job, _ = windows.insert(shared)
    assert job.summary["inserted"] == count
    if count:
        assert sorted(windows.read("pandas").m) == [*others, *range(count)]
