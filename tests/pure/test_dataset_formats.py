"""Files of training data that Arrow writes: every value comes back, and other readers see the same."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.base.arrow_types import to_feature_types
from spark_fs.errors import SparkFSError
from spark_fs.spec.training_dataset import DataFormat, FilesSpec
from spark_fs.tables import arrow_dataset_files

TEXTS = ['a,"b"\n\tc\\', "", None, " é ", "NULL", "\r", "'", "nan", "1", "#x", "\x01"]
ROWS = len(TEXTS)


def repeat(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(ROWS)]


FLAT = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "text": TEXTS,
        "tiny": pa.array(repeat(1, -128, None), pa.int8()),
        "number": pa.array(repeat(1, -(2**63), None, 2**63 - 1), pa.int64()),
        "real": repeat(0.1, float("nan"), None, float("inf"), -0.0, 1e300, 5e-324, 3.0, 1e16),
        "single": pa.array(repeat(0.1, float("-inf"), None, 3.4e38, 2.0), pa.float32()),
        "flag": repeat(True, False, None),
        "amount": pa.array(
            repeat(Decimal("1.50"), Decimal("-0.01"), None, Decimal("0")), pa.decimal128(10, 2)
        ),
        "fine": pa.array(repeat(Decimal("1E-10"), Decimal("0"), None), pa.decimal128(38, 10)),
        "day": repeat(date(1969, 12, 31), date(1, 1, 1), None, date(9999, 12, 31)),
    }
)
TIMES = pa.array(
    repeat(
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        None,
        datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ),
    pa.timestamp("us", "UTC"),
)
NESTED = pa.table(
    {
        "raw": repeat(b"\x00\xff", b"", None),
        "scores": pa.array(repeat([1.5, None, float("nan")], [], None), pa.list_(pa.float64())),
        "days": pa.array(repeat([date(2024, 2, 29)], [None], None), pa.list_(pa.date32())),
        "pair": pa.array(
            repeat({"p": 1, "q": 'é"'}, {"p": None, "q": None}, None),
            pa.struct([("p", pa.int64()), ("q", pa.string())]),
        ),
        "counts": pa.array(
            repeat([("k", 1), ("", None)], [], None), pa.map_(pa.string(), pa.int64())
        ),
        "prices": pa.array(repeat([Decimal("0.10")], [None]), pa.list_(pa.decimal128(10, 2))),
        "seen": pa.array(
            repeat([{"at": datetime(2024, 1, 1, 0, 0, 0, 1, UTC)}], None),
            pa.list_(pa.struct([("at", pa.timestamp("us", "UTC"))])),
        ),
    }
)


def join(*tables: pa.Table) -> pa.Table:
    columns = [column for table in tables for column in table.columns]
    return pa.table(columns, [name for table in tables for name in table.column_names])


TIMED = FLAT.append_column("at", TIMES)
TABLES: Mapping[str, pa.Table] = {
    "csv": TIMED,
    "tsv": TIMED,
    "json": join(TIMED, NESTED),
    "orc": join(FLAT, NESTED.drop_columns("seen")),
}


def write(table: pa.Table, form: str) -> bytes:
    sink = pa.BufferOutputStream()
    with arrow_dataset_files.open_writer(form, sink, table.schema) as writer:
        writer.write_table(table, 1 << 20)
    return sink.getvalue().to_pybytes()


def read(data: bytes, form: str, schema: pa.Schema, folder: Path) -> pa.Table:
    path = folder / f"rows.{form}"
    path.write_bytes(data)
    return arrow_dataset_files.read_file(form, str(path), to_feature_types(schema))


@pytest.mark.parametrize("form", TABLES)
def test_every_value_comes_back(form: DataFormat, tmp_path: Path) -> None:
    table = TABLES[form]
    assert (
        arrow_dataset_files.explain_need_of_spark(
            FilesSpec("x", form), to_feature_types(table.schema)
        )
        is None
    )
    found = read(write(table, form), form, table.schema, tmp_path)
    assert found.schema.names == table.schema.names
    for name in table.column_names:
        assert repr(found[name].to_pylist()) == repr(table[name].to_pylist()), name


def test_pythons_reader_of_csv_sees_the_same_texts() -> None:
    text = write(TABLES["csv"], "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["text"] for row in rows] == [text or "" for text in TEXTS]
    assert [row["real"] for row in rows][:9] == [
        "0.1",
        "NaN",
        "",
        "Infinity",
        "-0.0",
        "1e+300",
        "5e-324",
        "3.0",
        "1e+16",
    ]
    assert [row["at"] for row in rows][:2] == [
        "1969-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00.000000Z",
    ]
    assert [row["amount"] for row in rows][:4] == ["1.50", "-0.01", "", "0.00"]
    assert text.splitlines()[0] == "id,text,tiny,number,real,single,flag,amount,fine,day,at"


def test_pandas_reads_the_numbers() -> None:
    frame = pd.read_csv(io.BytesIO(write(FLAT, "csv")), float_precision="round_trip")
    assert frame["real"].dtype == np.float64
    np.testing.assert_array_equal(frame["real"], FLAT["real"].to_numpy())


def test_pythons_reader_of_json_sees_the_same_values() -> None:
    lines = write(TABLES["json"], "json").decode().split("\n")[:-1]
    rows = [json.loads(line) for line in lines]
    assert [row.get("text") for row in rows] == TEXTS
    assert [row.get("number") for row in rows] == FLAT["number"].to_pylist()
    assert rows[0]["pair"] == {"p": 1, "q": 'é"'}
    assert rows[1]["pair"] == {}  # as Spark writes it
    assert "pair" not in rows[2]
    assert rows[0]["counts"] == {"k": 1, "": None}
    assert rows[1]["real"] == "NaN"
    assert rows[0]["raw"] == "AP8="


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            st.none() | st.floats(),
            st.none() | st.floats(width=32),
        ),
        min_size=1,
    )
)
@pytest.mark.parametrize("form", ["csv", "tsv", "json"])
def test_any_text_and_number_comes_back(form: str, rows: list[tuple[Any, ...]]) -> None:
    texts, reals, singles = zip(*rows, strict=True)
    table = pa.table(
        {
            "id": range(len(rows)),
            "text": pa.array(texts, pa.string()),
            "real": pa.array(reals, pa.float64()),
            "single": pa.array(singles, pa.float32()),
        }
    )
    source = pa.BufferReader(write(table, form))
    read_file = arrow_dataset_files.FORMATS[form].read_file
    found = read_file(source, source.size(), to_feature_types(table.schema))
    assert repr(found.select(table.column_names).to_pylist()) == repr(table.to_pylist())


def test_what_spark_alone_writes() -> None:
    def explain(form: DataFormat, types: Mapping[str, str], **options: str) -> str | None:
        files = FilesSpec("x", form, options=options)
        return arrow_dataset_files.explain_need_of_spark(files, types)

    assert explain("avro", {"a": "int"}) == "Spark alone writes and reads avro"
    assert explain("csv", {"a": "int"}, compression="gzip") == (
        "write_options 'compression' are for Spark's writer"
    )
    assert explain("orc", {"a": "array<timestamp>"}) == (
        "Spark alone writes and reads column 'a', array<timestamp>, as orc"
    )
    assert explain("parquet", {"a": "array<timestamp>"}) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64())])
    for form, data in (("csv", b"a\nx\n"), ("json", b'{"a": \n'), ("orc", b"ORC")):
        with pytest.raises(SparkFSError, match=rf"rows\.{form} of training data cannot be read: "):
            read(data, form, schema, tmp_path)
