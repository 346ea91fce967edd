"""What is written of a data file, and which folder its rows go to, without a session."""

import json
import math
import struct
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.errors import KeyValueError
from spark_fs.tables.delta.file_partitions import PartitionColumn, build_folder, split_by_partition
from spark_fs.tables.delta.file_summary import FileSummary, truncate_greatest

LETTERS = st.sampled_from(["a", "z", "\x7e", "\x7f", "é", "\ud7ff", "\ue000", "\U0001f600", "\U0010ffff"])  # fmt: skip


def summarize(column: pa.Array, *cuts: int, indexed: int = 32) -> dict[str, object]:
    """The statistics of a file of one column whose rows come in pieces."""
    table = pa.table({"c": column})
    summary = FileSummary(table.schema, indexed)
    for start, end in zip((0, *cuts), (*cuts, len(table)), strict=True):
        summary.add_rows(table.slice(start, end - start))
    read: dict[str, object] = json.loads(summary.to_json(), parse_float=Decimal)
    return read


@given(st.lists(LETTERS, max_size=70).map("".join))
def test_the_greatest_value_of_a_long_string_is_not_below_it(text: str) -> None:
    bound = truncate_greatest(text)
    assert bound.encode() >= text.encode()
    java_length = len(text.encode("utf-16-le")) // 2
    assert java_length > 32 or bound == text
    assert len(bound) <= 33 or set(text[32:]) == {"\U0010ffff"} or "\U0010ffff" in bound


@given(st.lists(st.none() | st.floats(width=32), max_size=20), st.integers(0, 20))
def test_bounds_of_floats_hold_every_value_and_put_nan_last(
    values: list[float | None], cut: int
) -> None:
    stats = summarize(pa.array(values, pa.float32()), min(cut, len(values)))
    known = [value for value in values if value is not None]
    assert stats["nullCount"] == {"c": len(values) - len(known)}
    if not known:
        assert stats["minValues"] == stats["maxValues"] == {}
        return
    ordered = sorted(known, key=lambda value: (math.isnan(value), value))
    for kind, expected in (("minValues", ordered[0]), ("maxValues", ordered[-1])):
        written = float(stats[kind]["c"])  # type: ignore[index] # a mapping
        packed = struct.unpack("f", struct.pack("f", written))[0]
        assert packed == expected or (math.isnan(packed) and math.isnan(expected))


def test_decimals_keep_their_digits_and_times_their_milliseconds() -> None:
    large = pa.array([Decimal("12345678901234567890.123"), Decimal("-0.001")], pa.decimal128(30, 3))
    stats = summarize(large)
    assert stats["minValues"] == {"c": Decimal("-0.001")}
    assert stats["maxValues"] == {"c": Decimal("12345678901234567890.123")}
    micros = [datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(987, 6, 5, tzinfo=UTC)]
    stats = summarize(pa.array(micros, pa.timestamp("us", "UTC")))
    assert stats["minValues"] == {"c": "0987-06-05T00:00:00.000Z"}
    assert stats["maxValues"] == {"c": "1969-12-31T23:59:59.999Z"}


def test_an_instant_beyond_python_has_no_bounds() -> None:
    stats = summarize(pa.array([0, 10**18], pa.int64()).cast(pa.timestamp("us", "UTC")))
    assert stats["minValues"] == stats["maxValues"] == {}
    assert stats["nullCount"] == {"c": 0}


def test_columns_beyond_the_indexed_ones_are_not_looked_at() -> None:
    assert summarize(pa.array([1]), indexed=0) == {"numRecords": 1, "minValues": {}, "maxValues": {}, "nullCount": {}}  # fmt: skip


def split(table: pa.Table, *columns: PartitionColumn) -> list[tuple[str, list[int]]]:
    return [
        (build_folder(columns, values), rows.column("n").to_pylist())
        for values, rows in split_by_partition(table, columns)
    ]


def test_rows_are_cut_by_day_month_and_year_of_their_event_time_in_utc() -> None:
    times = [datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 1, 31, 23, 59, 59, 999999, UTC)]
    times += [datetime(1969, 12, 31, 23, tzinfo=UTC), datetime(2024, 2, 1, 5, tzinfo=UTC)]
    table = pa.table({"n": range(4), "t": pa.array(times, pa.timestamp("us", "UTC"))})
    day, month, year = (
        PartitionColumn(f"_{grain}", "t", "timestamp", grain) for grain in ("day", "month", "year")
    )
    by_day = sorted(split(table, day))
    assert by_day == [("_day=1969-12-31/", [2]), ("_day=2024-01-31/", [1]), ("_day=2024-02-01/", [0, 3])]  # fmt: skip
    assert sorted(split(table, month)) == [("_month=1969-12/", [2]), ("_month=2024-01/", [1]), ("_month=2024-02/", [0, 3])]  # fmt: skip
    assert sorted(split(table, year)) == [("_year=1969/", [2]), ("_year=2024/", [0, 1, 3])]


def test_epochs_and_dates_have_days_too() -> None:
    table = pa.table({"n": [0, 1], "t": [86_400, 1_704_067_200_000]})
    assert sorted(split(table, PartitionColumn("_day", "t", "bigint", "day"))) == [
        ("_day=1970-01-02/", [0]),
        ("_day=2024-01-01/", [1]),
    ]
    table = pa.table({"n": [0], "t": pa.array([date(2024, 1, 1)])})
    assert split(table, PartitionColumn("_day", "t", "date", "day")) == [("_day=2024-01-01/", [0])]


def test_values_of_several_columns_make_a_folder_of_each_combination() -> None:
    table = pa.table({"n": range(5), "a": ["x", None, "x", "y", None], "b": [1, 1, 1, 1, 1]})
    columns = (PartitionColumn("a", "a", "string"), PartitionColumn("b", "b", "bigint"))
    assert sorted(split(table, *columns)) == [
        ("a=__HIVE_DEFAULT_PARTITION__/b=1/", [1, 4]),
        ("a=x/b=1/", [0, 2]),
        ("a=y/b=1/", [3]),
    ]


@pytest.mark.parametrize("text", ["", "__HIVE_DEFAULT_PARTITION__"])
def test_a_string_that_delta_takes_for_null_is_refused(text: str) -> None:
    table = pa.table({"n": [0, 1], "a": ["x", text]})
    with pytest.raises(KeyValueError, match="which Delta reads as null"):
        split(table, PartitionColumn("a", "a", "string"))
