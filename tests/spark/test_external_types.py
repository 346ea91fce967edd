"""Values of every type in the files of others: the same by both engines, as pyarrow was given them, or a clear error."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc
from pyspark.sql import SparkSession
from values import same

import spark_fs
from spark_fs import Feature
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import SettingsError, SparkFSError

NOON = datetime(2024, 1, 2, 12, 30, 0, 123_456, UTC)
OLD = datetime(1582, 10, 10, 1, 2, 3, tzinfo=UTC)  # which the Julian calendar does not have
OLDEST = datetime(1, 1, 2, tzinfo=UTC)
NANOS = 1_704_198_600_123_456_000  # noon
LOCAL = datetime(2024, 1, 2, 12, 30, 0, 123_456)
SETTINGS = {
    "spark.sql.session.timeZone": "America/New_York",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.parquet.binaryAsString": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "LEGACY",
    "spark.sql.parquet.int96RebaseModeInRead": "LEGACY",
}


def nanos(zone: str | None = None) -> pa.DataType:
    return pa.timestamp("ns", zone)


def unsigned(bits: int) -> tuple[pa.Array, list[Any]]:
    greatest = 2**bits - 1
    value = Decimal(greatest) if bits == 64 else greatest
    return pa.array([greatest, None], f"uint{bits}"), [value, None]


STRUCT = pa.struct([("a", nanos()), ("b", pa.int64())])
# What pyarrow writes, and what is read of it, in columns of one file.
BOTH: dict[str, tuple[pa.Array, list[Any]]] = {
    **{f"u{bits}": unsigned(bits) for bits in (8, 16, 32, 64)},
    "ns": (pa.array([NANOS, None], nanos()), [NOON, None]),
    "ns_zone": (pa.array([NANOS, -1_000], nanos("Asia/Tokyo")), [NOON, datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)]),
    "ns_list": (pa.array([[NANOS, None], None], pa.list_(nanos())), [[NOON, None], None]),
    "ns_struct": (pa.array([{"a": NANOS, "b": NANOS}, None], STRUCT), [{"a": NOON, "b": NANOS}, None]),
    "ns_map": (pa.array([[("x", NANOS)], None], pa.map_(pa.string(), nanos())), [[("x", NOON)], None]),
    "ns_long": (pa.array([NANOS, None]), [NANOS, None]),
    "ms": (pa.array([1_000, None], pa.timestamp("ms", "UTC")), [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None]),
    "naive": (pa.array([LOCAL, None], pa.timestamp("us")), [NOON, None]),
    "naive_list": (pa.array([[LOCAL], []], pa.list_(pa.timestamp("us"))), [[NOON], []]),
    "old": (pa.array([OLD, OLDEST]), [OLD, OLDEST]),
    "day": (pa.array([date(1582, 10, 10), date(1, 1, 1)]), [date(1582, 10, 10), date(1, 1, 1)]),
    "day64": (pa.array([date(1899, 12, 31), None], pa.date64()), [date(1899, 12, 31), None]),
    "span": (pa.array([5, None], pa.duration("ns")), [5, None]),
    "text": (pa.array(["naïve", None], pa.large_string()), ["naïve", None]),
    "view": (pa.array(["naïve", None], pa.string_view()), ["naïve", None]),
    "code": (pa.array(["a", None]).dictionary_encode(), ["a", None]),
    "raw": (pa.array([b"ab", None], pa.large_binary()), [b"ab", None]),
    "dec": (pa.array([Decimal("1." + "1" * 18), None], pa.decimal128(38, 18)), [Decimal("1." + "1" * 18), None]),
    "big": (pa.array([[1, None], None], pa.large_list(pa.int8())), [[1, None], None]),
    "nothing": (pa.nulls(2, pa.float64()), [None, None]),
}  # fmt: skip
# What Spark alone reads, and what of it; or what it says.
BY_SPARK: dict[str, tuple[pa.Array, list[Any] | str]] = {
    "fixed": (pa.array([b"ab", None], pa.binary(2)), [b"ab", None]),
    "half": (pa.array([0.5, None], pa.float16()), "FLOAT16"),
    "hour": (pa.array([time(12, 30), None]), "TIME is not supported"),
    "hour_ns": (pa.array([time(12, 30), None], pa.time64("ns")), "TIME"),
    "wide": (pa.array([Decimal(1), None], pa.decimal256(50, 2)), "precision"),
    "null": (pa.nulls(2), [None, None]),
    "Capital": (pa.array([1, None]), "'Capital' is not a valid name"),
    "K": (pa.array([1, None]), "`k`"),
}


def declare(
    fs: FeatureStore, name: str, path: Path, features: Sequence[Feature] = ()
) -> ExternalFeatureGroup:
    return fs.create_external_feature_group(
        name, primary_key=["k"], data_format="parquet", path=str(path), features=features
    )


def read_by(engine: str, fs: FeatureStore, group: ExternalFeatureGroup) -> pa.Table:
    """The rows by Arrow in this process, or by Spark's own reader, as SQL reads them."""
    if engine == "spark":
        return fs.sql(f"SELECT * FROM {group.name}_1 ORDER BY k", "arrow")
    return group.read("arrow", engine=engine).sort_by("k")


@contextmanager
def other_settings(spark: SparkSession) -> Iterator[None]:
    """A session that its owner set otherwise, and that is so afterwards."""
    before = {name: spark.conf.get(name, None) for name in SETTINGS}
    try:
        for name, value in SETTINGS.items():
            spark.conf.set(name, value)
        yield
        kept = {name: spark.conf.get(name) for name in SETTINGS}
        assert (
            kept | {"spark.sql.session.timeZone": SETTINGS["spark.sql.session.timeZone"]}
            == SETTINGS
        )
    finally:
        for name, value in before.items():
            spark.conf.unset(name) if value is None else spark.conf.set(name, value)


@pytest.mark.slow
def test_both_engines_read_the_values_that_were_written(
    fs: FeatureStore, spark: SparkSession, tmp_path: Path
) -> None:
    columns = {name: array for name, (array, _) in BOTH.items()}
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"k": [1, 2], **columns}), path)
    group = declare(fs, "x", path)
    frames = {}
    with other_settings(spark):
        frames["sql"] = fs.sql("SELECT * FROM x_1 ORDER BY k", "spark")
        frames["query"] = group.read("spark").orderBy("k")
        spark.conf.set("spark.sql.session.timeZone", "America/New_York")
        frames["read_parquet"] = spark_fs.read_parquet(spark, str(path)).orderBy("k")
        tables = {name: frame.toArrow() for name, frame in frames.items()}
    tables["local"] = read_by("local", fs, group)
    failures = {}
    for engine, table in tables.items():
        for name, (_, wanted) in BOTH.items():
            found = table[name].to_pylist()
            if not same(found, wanted):
                failures[engine, name] = found
    assert failures == {}
    assert dict(frames["read_parquet"].dtypes) == group.schema


def test_int96_is_cut_to_the_microsecond_by_both(
    fs: FeatureStore, spark: SparkSession, tmp_path: Path
) -> None:
    """That is how it is read everywhere: it is the old type of Hive's and Spark's timestamps."""
    path = tmp_path / "x.parquet"
    table = pa.table({"k": [1, 2], "t": pa.array([NANOS + 999, -1], nanos())})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    group = declare(fs, "x", path)
    wanted = [NOON, datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)]
    with other_settings(spark):
        for engine in ("local", "spark"):
            assert same(read_by(engine, fs, group)["t"].to_pylist(), wanted)


def test_what_spark_alone_reads_is_its_value_or_a_clear_error(
    fs: FeatureStore, tmp_path: Path
) -> None:
    failures = {}
    for name, (array, wanted) in BY_SPARK.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"k": [1, 2], name: array}), path)
        try:
            group = declare(fs, f"x_{name.lower()}", path)
            with pytest.raises(SettingsError, match="Spark alone reads"):
                group.read("arrow", engine="local")
            found: Any = read_by("spark", fs, group)[name].to_pylist()
        except SparkFSError as error:
            found = str(error)
        if not (wanted in found if isinstance(wanted, str) else same(found, wanted)):
            failures[name] = found
    assert failures == {}


def test_parts_of_microseconds_are_refused_by_both(fs: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"k": [1], "t": pa.array([NANOS + 1], nanos())}), path)
    group = declare(fs, "x", path)
    for engine in ("local", "spark"):
        with pytest.raises(SparkFSError, match=rf"Column 't' of .*{NANOS + 1}.*round those of the"):
            read_by(engine, fs, group)
    with pytest.raises(Exception, match=f"{NANOS + 1} nanoseconds since 1970"):
        group.read("spark").collect()


# Files of one folder, in their order, as the columns of each; what both engines read of "t", or say.
FILES: dict[str, tuple[list[dict[str, Any]], list[Any] | str]] = {
    "more and fewer columns": (
        [
            {"k": [1], "t": pa.array([NANOS], nanos())},
            {"t": pa.array([NANOS], nanos()), "more": [0.5], "k": [2]},
            {"k": [3]},
        ],
        [NOON, NOON, None],
    ),
    "nanoseconds, then microseconds": (
        [
            {"k": [1], "t": pa.array([NANOS], nanos())},
            {"k": [2], "t": pa.array([LOCAL], pa.timestamp("us"))},
        ],
        "is in nanoseconds in some files and not in others",
    ),
    "microseconds, then nanoseconds": (
        [
            {"k": [1], "t": pa.array([LOCAL], pa.timestamp("us"))},
            {"k": [2], "t": pa.array([NANOS], nanos())},
        ],
        r"column: \[t\]",
    ),
    "nanoseconds, then integers": (
        [{"k": [1], "t": pa.array([NANOS], nanos())}, {"k": [2], "t": [NANOS]}],
        "is in nanoseconds in some files and not in others",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_differ(fs: FeatureStore, tmp_path: Path, case: str) -> None:
    files, wanted = FILES[case]
    folder = tmp_path / "files"
    folder.mkdir()
    for number, columns in enumerate(files):
        pq.write_table(pa.table(columns), folder / f"{number}.parquet")
    features = [Feature("k", "bigint"), Feature("t", "timestamp")]
    group = declare(fs, "x", folder, features)
    for engine in ("local", "spark"):
        if isinstance(wanted, list):
            assert same(read_by(engine, fs, group)["t"].to_pylist(), wanted)
            continue
        with pytest.raises(SparkFSError, match=f"{wanted}|Spark alone reads"):
            read_by(engine, fs, group)


@pytest.mark.slow
def test_times_of_other_formats_are_utc_whatever_the_session(
    fs: FeatureStore, spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("k,t\n1,2024-01-02 12:30:00.123456\n")
    (tmp_path / "x.json").write_text('{"k": 1, "t": "2024-01-02T12:30:00.123456"}\n')
    table = pa.table({"k": [1], "t": pa.array([LOCAL], pa.timestamp("us"))})
    orc.write_table(table, tmp_path / "x.orc")
    pq.write_table(table, tmp_path / "x.parquet")
    naive = spark.sql("SELECT 1L AS k, TIMESTAMP_NTZ'2024-01-02 12:30:00.123456' AS t")
    for data_format in ("avro", "delta"):
        naive.write.format(data_format).save(str(tmp_path / f"x.{data_format}"))
    features = [Feature("k", "bigint"), Feature("t", "timestamp")]
    frames = {}
    for data_format in ("csv", "json", "orc", "parquet", "avro", "delta"):
        spark.conf.set("spark.sql.session.timeZone", "America/New_York")
        group = fs.create_external_feature_group(
            f"x_{data_format}",
            primary_key=["k"],
            data_format=data_format,
            path=str(tmp_path / f"x.{data_format}"),
            features=features,
        )
        frames[data_format] = group.read("spark")
    with other_settings(spark):
        found = {name: frame.toArrow()["t"].to_pylist() for name, frame in frames.items()}
    assert {name: times for name, times in found.items() if not same(times, [NOON])} == {}
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
