"""External groups over Parquet and Delta that are read without Spark: the same columns and values as by Spark, or Spark reads them."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from values import same

from spark_fs.engine.scan import parquet
from spark_fs.spec.external_source import SourceSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.external_files import find_group_files, find_source_files

NOON = datetime(2024, 1, 2, 12, 30, 0, 123_456)
OLD = datetime(1234, 5, 6, 7, 8, 9)
DECIMALS = {f"d{p}_{s}": (p, s) for p, s in ((5, 2), (9, 0), (10, 2), (18, 6), (20, 0), (38, 18))}
PLAIN = pa.table({"k": pa.array([1, 2, None]), "s": pa.array(["a", "", None])})


def write(path: Path, *tables: pa.Table, **options: Any) -> None:
    """A folder with a file of each table."""
    path.mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, path / f"part-{number}.parquet", **options)


def nested() -> pa.Table:
    struct = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])
    return pa.table(
        {
            "l": pa.array([[1, None], [], None]),
            "big": pa.array([["x"], None, [None]], pa.large_list(pa.large_string())),
            "fixed": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2)),
            "st": pa.array([{"a": 1, "b": ["x"]}, {"a": None, "b": None}, None], struct),
            "m": pa.array([[("x", 0.5)], [], None], pa.map_(pa.string(), pa.float64())),
            "ls": pa.array([[{"a": 1, "b": []}], [None], None], pa.list_(struct)),
            "at": pa.array([[NOON], [None], None], pa.list_(pa.timestamp("us", "UTC"))),
        }
    )


def widths() -> pa.Table:
    columns = {}
    for bits in (8, 16, 32, 64):
        columns[f"i{bits}"] = pa.array([-(2 ** (bits - 1)), None], getattr(pa, f"int{bits}")())
        columns[f"u{bits}"] = pa.array([2**bits - 1, None], getattr(pa, f"uint{bits}")())
    for name, sizes in DECIMALS.items():
        columns[name] = pa.array([Decimal(-1).scaleb(-sizes[1]), None], pa.decimal128(*sizes))
    columns["text"] = pa.array(["naïve 🙂", None], pa.large_string())
    columns["code"] = pa.array(["a", None]).dictionary_encode()
    columns["raw"] = pa.array([b"\x00\xff", None], pa.large_binary())
    columns["f"] = pa.array([float("nan"), None], pa.float32())
    columns["span"] = pa.array([5, None], pa.duration("us"))  # Spark knows of no duration in it
    columns["day"] = pa.array([date(2024, 2, 29), None])
    columns["day64"] = pa.array([date(2024, 2, 29), None], pa.date64())
    columns["known"] = pa.nulls(2, pa.float64())
    return pa.table(columns)


def times() -> pa.Table:
    instants = [NOON.replace(microsecond=123_000), None]
    return pa.table(
        {
            "ms": pa.array(instants, pa.timestamp("ms", "UTC")),
            "us": pa.array([NOON, None], pa.timestamp("us", "UTC")),
            "there": pa.array([NOON, None], pa.timestamp("us", "America/New_York")),
            "naive": pa.array([NOON, None], pa.timestamp("us")),
            "naive_ms": pa.array(instants, pa.timestamp("ms")),
        }
    )


def write_renamed(path: Path) -> None:
    write(path, PLAIN, PLAIN.rename_columns(["K", "s"]))


def write_partitioned(path: Path) -> None:
    path.mkdir()
    write(path / "day=1", PLAIN)


Writer = Callable[[Path], None]
READ: dict[str, Writer] = {
    "plain": lambda path: write(path, PLAIN),
    "nested": lambda path: write(path, nested()),
    "integers, decimals and texts": lambda path: write(path, widths()),
    "times": lambda path: write(path, times()),
    "times of nanoseconds, as milliseconds": lambda path: write(
        path,
        pa.table({"t": pa.array([1_700_000_000_000_000_000], pa.timestamp("ns"))}),
        coerce_timestamps="ms",
    ),
    "int96": lambda path: write(
        path,
        pa.table({"t": pa.array([NOON, datetime(1969, 12, 31, 23, 59, 59, 999_999), None])}),
        use_deprecated_int96_timestamps=True,
    ),
    "days long ago": lambda path: write(
        path, pa.table({"t": pa.array([OLD], pa.timestamp("us", "UTC")), "d": [date(1234, 5, 6)]})
    ),
    "columns in another order, missing, and more": lambda path: write(
        path,
        PLAIN,
        PLAIN.select(["s", "k"]),
        PLAIN.select(["k"]),
        PLAIN.append_column("more", pa.array([1.5] * 3)),
    ),
    "no rows": lambda path: write(path, PLAIN.slice(0, 0)),
    "without Arrow's schema": lambda path: write(path, nested(), store_schema=False),
    "zstd": lambda path: write(path, PLAIN, compression="zstd"),
}
LEFT_TO_SPARK: dict[str, tuple[Writer, str]] = {
    "two units of time": (
        lambda path: write(
            path,
            pa.table({"t": pa.array([1], pa.timestamp("us"))}),
            pa.table({"t": pa.array([1], pa.timestamp("ns"))}),
        ),
        "column 't' is timestamp_ntz in one file, and another has 't', which is timestamp_ntz_ns",
    ),
    "two types": (
        lambda path: write(path, PLAIN, PLAIN.set_column(0, "k", pa.array([1, 2, 3], pa.int32()))),
        "column 'k' is bigint in one file, and another has 'k', which is int",
    ),
    "two spellings": (write_renamed, "another has 'K'"),
    "partitions": (write_partitioned, "it has folders, such as day=1"),
    "legacy lists": (
        lambda path: write(path, pa.table({"l": [[1]]}), use_compliant_nested_type=False),
        "",
    ),
    "brotli": (lambda path: write(path, PLAIN, compression="brotli"), "compressed by BROTLI"),
    "a fixed width": (
        lambda path: write(path, pa.table({"x": pa.array([b"ab"], pa.binary(2))})),
        "FIXED_LEN_BYTE_ARRAY",
    ),
    "half floats": (
        lambda path: write(path, pa.table({"x": pa.array([0.5], pa.float16())})),
        "Float16",
    ),
}


def read_by_spark(spark: SparkSession, path: Path, data_format: str) -> pa.Table:
    """The rows by Spark's reader, with UTC instants for times without a zone."""
    frame = spark.read.format(data_format).load(str(path))
    for name, type_ in frame.dtypes:
        if type_ == "timestamp_ntz":
            frame = frame.withColumn(name, frame[name].cast("timestamp"))
    return frame.toArrow()


def check_source(spark: SparkSession, path: Path, data_format: str) -> None:
    """The files of a source give Spark's columns, types, values and rows."""
    source = SourceSpec(data_format, str(path))
    found = find_source_files(source)
    assert found.need_of_spark is None
    assert found.types is not None
    assert found.files is not None
    wanted = read_by_spark(spark, path, data_format)
    frame = spark.read.format(data_format).load(str(path))
    spark_types = {name: type_.replace("_ntz", "") for name, type_ in frame.dtypes}
    assert list(found.types.items()) == list(spark_types.items())
    scan = parquet.Scan.from_files(parquet.to_scan_files(found.files), found.types)
    tables = [scan.schema.empty_table(), *parquet.iter_tables(scan)]
    rows = pa.concat_tables(tables).to_pylist(maps_as_pydicts="strict")
    wanted_rows = wanted.to_pylist(maps_as_pydicts="strict")
    assert len(rows) == len(wanted_rows)
    assert same(sorted(rows, key=repr), sorted(wanted_rows, key=repr))


def test_odd_parquet_files_hold_what_spark_reads(spark: SparkSession, tmp_path: Path) -> None:
    failures = {}
    for number, (name, write_files) in enumerate(READ.items()):
        path = tmp_path / str(number)
        write_files(path)
        try:
            check_source(spark, path, "parquet")
        except AssertionError as error:
            failures[name] = str(error)
    assert failures == {}


def test_files_that_spark_wrote_hold_what_it_reads(spark: SparkSession, tmp_path: Path) -> None:
    for data_format, options in (
        ("parquet", {}),
        ("parquet", {"compression": "gzip"}),
        ("delta", {}),
    ):
        frame = spark.sql(
            "SELECT id AS k, CAST(id AS DECIMAL(10,2)) AS d, TIMESTAMP'2024-01-02 12:30:00' AS at,"
            " TIMESTAMP_NTZ'2024-01-02 12:30:00.000001' AS naive, array(map('a', id)) AS deep,"
            " named_struct('x', id, 'y', array(1)) AS st, CAST(NULL AS STRING) AS none, DATE'1500-01-01'"
            " AS day FROM range(20)"
        )
        path = tmp_path / f"{data_format}{len(options)}"
        frame.write.options(**options).format(data_format).save(str(path))
        check_source(spark, path, data_format)


def test_a_partitioned_delta_table_holds_what_spark_reads(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "table"
    frame = spark.sql("SELECT id AS k, DATE'2024-01-01' AS day, id % 2 AS part FROM range(9)")
    frame.write.format("delta").partitionBy("day", "part").save(str(path))
    more = spark.sql("SELECT id AS k, DATE'2024-01-02' AS day, id AS part, 1.5D AS x FROM range(2)")
    more.write.format("delta").mode("append").option("mergeSchema", True).save(str(path))
    check_source(spark, path, "delta")


@pytest.mark.parametrize("case", LEFT_TO_SPARK)
def test_files_that_the_two_could_read_differently_are_left_to_spark(
    tmp_path: Path, case: str
) -> None:
    write_files, reason = LEFT_TO_SPARK[case]
    path = tmp_path / "files"
    write_files(path)
    found = find_source_files(SourceSpec("parquet", str(path)))
    if not reason:  # the one and the other agree on what the lists are called
        assert found.types == {"l": "array<bigint>"}
        return
    assert found.files is None
    assert found.need_of_spark is not None
    assert f"Spark alone reads {path} as parquet: " in found.need_of_spark
    assert reason in found.need_of_spark


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (SourceSpec("table", "a.b"), "it is no folder of Parquet files or Delta table"),
        (SourceSpec("jdbc", "SELECT 1"), "it is no folder of Parquet files or Delta table"),
        (SourceSpec("parquet", "/x", {"mergeSchema": "true"}), "options of Spark's (mergeSchema)"),
        (SourceSpec("parquet", "s3a://bucket/x"), "not on a disk of this machine"),
        (SourceSpec("parquet", "/x/*"), "its path is a pattern"),
        (SourceSpec("delta", "/nowhere/at/all"), "there is no table"),
    ],
)
def test_sources_that_spark_alone_opens_are_named(source: SourceSpec, reason: str) -> None:
    need = find_source_files(source).need_of_spark
    assert need is not None
    assert reason in need


def test_a_group_of_other_types_than_its_files_is_left_to_spark(tmp_path: Path) -> None:
    path = tmp_path / "files"
    write(path, PLAIN)
    source = SourceSpec("parquet", str(path))
    for types, event_time, reason in (
        ({"k": "int"}, None, "column 'k' is int in the group and bigint in it"),
        ({"k": "bigint", "z": "int"}, None, "column 'z' is int in the group and not there in it"),
        ({"k": "bigint", "s": "string"}, "k", "its event time is an epoch"),
    ):
        group = declare(source, types, event_time)
        need = find_group_files(group).need_of_spark
        assert need is not None
        assert reason in need
    assert find_group_files(declare(source, {"s": "string"})).files


def declare(source: SourceSpec, types: dict[str, str], event_time: str | None = None) -> GroupSpec:
    """An external group with these columns."""
    key = next(name for name in types if name != event_time)
    group = GroupSpec("x", 1, primary_key=(key,), event_time=event_time, source=source)
    return group.with_schema(types)
