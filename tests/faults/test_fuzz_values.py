"""Twenty thousand columns of values of every kind: a column is refused by an error of ours, or every value comes back as it went in.

What is right is said by plain Python here (``kept``), not by the package.
"""

import os
import random
import warnings
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.errors import SparkFSError
from spark_fs.tables import arrow_frames

COLUMNS = int(os.environ.get("SPARK_FS_INPUTS", "20000"))
STORED = 240  # of the columns, so many go through tables and the online store
ZONE = timezone(timedelta(hours=5, minutes=45))
MISSING: list[Any] = [None, float("nan"), pd.NaT, pd.NA, np.float64("nan"), np.datetime64("NaT")]
KINDS: dict[str, list[Any]] = {
    "bool": [True, False, np.bool_(True)],
    "int": [
        0,
        -1,
        7,
        2**53 + 1,
        -(2**53) - 1,
        2**63 - 1,
        -(2**63),
        2**63,
        2**64,
        np.int8(-5),
        np.uint64(2**64 - 1),
        np.int64(2**53 + 1),
    ],
    "float": [
        0.0,
        -0.0,
        0.1,
        1e308,
        5e-324,
        float("inf"),
        float("-inf"),
        np.float32(0.1),
        np.float16(0.1),
        2.0**53,
    ],
    "decimal": [
        Decimal("1.10"),
        Decimal("-0.00"),
        Decimal("1E+3"),
        Decimal("12345678901234567890.123456789"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal(10) ** 40,
    ],
    "instant": [
        datetime(2024, 1, 2, 12, 30),
        datetime(1, 1, 1),
        datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime(2024, 1, 2, 12, 30, tzinfo=UTC),
        datetime(2024, 1, 2, 12, 30, 0, 5, tzinfo=ZONE),
        pd.Timestamp("2024-01-02 12:30"),
        pd.Timestamp("2024-01-02 12:30:00.000001", tz="Asia/Tokyo"),
        pd.Timestamp("2024-01-02 12:30:00.000000001"),
        np.datetime64("2024-01-02T12:30"),
        np.datetime64("2024-01-02", "D"),
    ],
    "date": [date(2024, 1, 2), date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 10)],
    "text": [
        "",
        " ",
        "a",
        "naïve",
        "😀",
        "\x00",
        "\u2028",
        "\u2029",
        "\u0085",
        "\r\n",
        "\ufeff",
        "\U0010ffff",
        "NaN",
        "null",
        "1.0",
        "__HIVE_DEFAULT_PARTITION__",
        "{}",
    ],
    "surrogate": ["\ud800", "a\udfffb"],
    "bytes": [b"", b"\x00", b"\xff\xfe", bytearray(b"ab"), memoryview(b"cd")],
    "other": [
        time(1, 2),
        timedelta(days=1),
        np.timedelta64(1, "s"),
        1j,
        Fraction(1, 3),
        UUID(int=1),
        object(),
        pd.Interval(0, 1),
        pd.Period("2024-01"),
        len,
        {1, 2},
        frozenset("a"),
        ...,
    ],
}
DTYPES = [
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "bool",
    "Int8",
    "Int64",
    "UInt8",
    "UInt64",
    "Float32",
    "Float64",
    "boolean",
    "string",
    "category",
    "datetime64[s]",
    "datetime64[us]",
    "datetime64[ns]",
    "datetime64[ns, Asia/Kathmandu]",
    "timedelta64[ns]",
    "complex128",
    "Sparse[int]",
    "period[D]",
]


class Draw:
    """Columns by the draw: most of one kind, some of two, some nested, some with a dtype of their own."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, kinds: list[str], depth: int) -> Any:
        roll = self.random.random()
        if depth and roll < 0.2:
            return self.random.choice([list, tuple, list])(
                self.value(kinds, depth - 1) for _ in range(self.random.randint(0, 3))
            )
        if depth and roll < 0.35:
            names = self.random.sample(
                ["a", "b", "First Name", "ünï", "", 1, None], self.random.randint(0, 2)
            )
            return {name: self.value(kinds, depth - 1) for name in names}
        if roll > 0.9:
            return self.random.choice(MISSING)
        kind = self.random.choice(kinds)
        if kind == "text" and self.random.random() < 0.3:  # of every plane, surrogates aside
            return "".join(
                chr(
                    self.random.choice(
                        [self.random.randrange(0xD800), self.random.randrange(0xE000, 0x110000)]
                    )
                )
                for _ in range(3)
            )
        return self.random.choice(KINDS[kind])

    def column(self) -> pd.Series:
        rows = self.random.randint(1, 5)
        if self.random.random() < 0.15:
            return self.typed(rows)
        kinds = self.random.sample(list(KINDS), self.random.choice([1, 1, 1, 2, 3]))
        depth = self.random.choice([0, 0, 0, 1, 2])
        return pd.Series([self.value(kinds, depth) for _ in range(rows)], dtype=object)

    def typed(self, rows: int) -> pd.Series:
        dtype = self.random.choice(DTYPES)
        numbers = [self.random.randrange(100) for _ in range(rows)]
        try:
            column = pd.Series(numbers).astype(dtype)
        except (TypeError, ValueError):  # pandas itself has no such cast
            column = pd.Series([str(number) for number in numbers], dtype="category")
        return (
            column.where(column.index != 0) if rows > 1 and self.random.random() < 0.3 else column
        )


def kept(given: Any, found: Any, nested: bool = False) -> bool:
    """Whether a value came back as it went in, by plain Python: None for what is missing, UTC instants, nothing rounded."""
    if (
        given is None
        or given is pd.NaT
        or given is pd.NA
        or (isinstance(given, np.datetime64) and np.isnat(given))
    ):
        return found is None
    if isinstance(given, bool | np.bool_):
        return isinstance(found, bool) and bool(given) == found
    if isinstance(given, Decimal) and given.is_nan():  # pandas takes it for missing
        return found is None and not nested
    if isinstance(given, float | np.floating) and given != given:
        return found is None if not nested else isinstance(found, float) and found != found
    if isinstance(given, int | float | np.integer | np.floating | Decimal):
        return (
            not isinstance(found, bool)
            and isinstance(found, int | float | Decimal)
            and exact(given) == exact(found)
        )
    if isinstance(given, np.datetime64):
        return kept(pd.Timestamp(given), found)
    if isinstance(given, datetime):
        if isinstance(given, pd.Timestamp) and given.nanosecond:
            return False
        aware = given.replace(tzinfo=UTC) if given.tzinfo is None else given
        return isinstance(found, datetime) and found.tzinfo is not None and aware == found
    if isinstance(given, date):
        return type(found) is date and given == found
    if isinstance(given, bytes | bytearray | memoryview):
        return isinstance(found, bytes) and bytes(given) == found
    if isinstance(given, list | tuple | np.ndarray):
        return (
            isinstance(found, list)
            and len(given) == len(found)
            and all(kept(a, b, nested=True) for a, b in zip(given, found, strict=True))
        )
    if isinstance(given, dict):
        return (
            isinstance(found, dict)
            and all(kept(given.get(name), value, nested=True) for name, value in found.items())
            and set(given) <= set(found)
        )
    return type(given) is type(found) and bool(given == found)


def exact(number: Any) -> Any:
    """A number without rounding; infinities as they are."""
    plain = number.item() if isinstance(number, np.generic) else number
    return (
        plain
        if isinstance(plain, float) and plain in (float("inf"), float("-inf"))
        else Fraction(plain)
    )


def as_table(column: pd.Series) -> pa.Table | None:
    """The column as the package takes it in; None where it refuses it by an error of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return arrow_frames.to_arrow(pd.DataFrame({"c": column}), {})
        except SparkFSError:
            return None


def test_a_column_is_refused_or_every_value_stays() -> None:
    wrong: Counter[str] = Counter()
    examples: dict[str, str] = {}
    taken = 0
    for seed in range(COLUMNS):
        column = Draw(seed).column()
        given = column.astype(object).tolist()
        try:
            table = as_table(column)
        except Exception as error:
            kind = f"{type(error).__name__}"
            examples.setdefault(kind, f"seed {seed}: {given!r}: {error}"[:400])
            wrong[kind] += 1
            continue
        if table is None:
            continue
        taken += 1
        found = table.column("c").to_pylist()
        if not all(map(kept, given, found)):
            kind = f"changed, as {table.schema.field('c').type}"
            examples.setdefault(kind, f"seed {seed}: {given!r} -> {found!r}"[:400])
            wrong[kind] += 1
    print(f"{COLUMNS} columns: {taken} taken, {COLUMNS - taken - wrong.total()} refused")
    assert not wrong, "\n".join(
        f"{count} x {kind}: {examples[kind]}" for kind, count in wrong.most_common()
    )
    assert taken > COLUMNS / 5


@pytest.fixture(scope="module")
def stored(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, list[Any]]]:
    """A group of columns that were taken, three rows each, synced; and their values by column, in the order of ``k``."""
    columns: dict[str, pa.ChunkedArray] = {}
    seed = 0
    while len(columns) < STORED:
        draw = Draw(seed)
        table = as_table(pd.Series([draw.column().iloc[0] for _ in range(3)], dtype=object))
        seed += 1
        if table is not None and not pa.types.is_null(table.schema.field("c").type):
            columns[f"c{len(columns)}"] = table.column("c")
    frame = pa.table({"k": [1, 2, 3], **columns})
    home = tmp_path_factory.mktemp("values")
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.create_feature_group(
        "wide", primary_key=["k"], online_enabled=True, statistics_config=False
    )
    group.insert(frame)
    fs.create_feature_view("wide", group.select_all()).training_data()
    group.sync_online()
    return home, {name: column.to_pylist() for name, column in columns.items()}


def test_what_was_taken_is_read_and_served_as_it_went_in(
    stored: tuple[Path, dict[str, list[Any]]],
) -> None:
    home, given = stored
    fs = spark_fs.login({"home": home}).get_feature_store()
    rows = fs.get_feature_group("wide", 1).read("pandas").sort_values("k")
    view = fs.get_feature_view("wide", 1)
    view.init_serving(1)
    vectors = [
        dict(zip(view.serving_columns, vector, strict=True))
        for vector in view.get_feature_vectors([{"k": k} for k in (1, 2, 3)])
    ]
    for name, values in given.items():
        read = [
            None if not isinstance(value, list | dict) and pd.isna(value) else value
            for value in rows[name].tolist()
        ]
        assert all(kept(a, plain(b)) for a, b in zip(values, read, strict=True)), (
            name,
            values,
            read,
        )
        assert all(kept(a, vector[name]) for a, vector in zip(values, vectors, strict=True)), (
            name,
            values,
            [vector[name] for vector in vectors],
        )


def plain(value: Any) -> Any:
    """The Python value of a NumPy scalar or a Timestamp of pandas."""
    return value.item() if isinstance(value, np.generic) else value
