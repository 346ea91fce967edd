"""Folders of files appear whole or not at all; and the Arrow types are those that Spark takes."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from spark_fs.base import arrow_types
from spark_fs.engine.scan import filters
from spark_fs.errors import SchemaError, SettingsError
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Combination, Comparison, Condition
from spark_fs.spec.training_dataset import DataFormat, FilesSpec
from spark_fs.tables import dataset_files
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.dataset_files import StagedFolder, stage_folder


def written(folder: str, name: str, rows: int) -> str:
    pq.write_table(pa.table({"a": range(rows)}), f"{folder}/{name}.parquet")
    return f"{folder}/{name}.parquet"


def place_of(
    path: Path, parts: tuple[str, ...] = ("train",)
) -> AbstractContextManager[StagedFolder]:
    return stage_folder(str(path), parts, len(parts) > 1)


def test_what_a_failed_or_repeated_task_wrote_is_not_there(tmp_path: Path) -> None:
    with place_of(tmp_path / "out") as place:
        good = [
            written(f"{place.staging_path}/train", "one", 3),
            written(f"{place.staging_path}/train", "two", 4),
        ]
        written(f"{place.staging_path}/train", "of_a_task_that_was_tried_again", 3)
        assert place.publish(good) == 2
    assert [path.suffix for path in sorted((tmp_path / "out").iterdir())] == [
        ".parquet",
        ".parquet",
    ]
    assert pq.read_table(tmp_path / "out").num_rows == 7


def test_each_split_has_a_folder(tmp_path: Path) -> None:
    with place_of(tmp_path / "out", ("train", "test")) as place:
        written(f"{place.staging_path}/train", "one", 3)
        assert place.publish(None) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test", "train"]
    assert pq.read_table(tmp_path / "out" / "train").num_rows == 3


def test_after_a_failure_there_is_no_folder(tmp_path: Path) -> None:
    def fails() -> None:
        with place_of(tmp_path / "out") as place:
            place.publish([written(f"{place.staging_path}/train", "one", 3)])
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(SettingsError, match=r"holds files already"), place_of(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "kept"


def test_who_comes_second_is_refused_and_takes_nothing_away(tmp_path: Path) -> None:
    with place_of(tmp_path / "out") as place:
        with pytest.raises(SettingsError, match=r"holds files already"), place_of(tmp_path / "out"):
            pass
        place.publish([written(f"{place.staging_path}/train", "one", 3)])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one.parquet"]


def test_who_fails_removes_its_own_files_alone(tmp_path: Path) -> None:
    def fails() -> None:
        with place_of(tmp_path / "out", ("train", "test")) as place:
            written(f"{place.staging_path}/train", "one", 3)
            place.publish(None)
            (tmp_path / "out" / "of_another").write_text("kept")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["of_another"]


def test_of_many_that_come_at_once_one_has_the_folder(tmp_path: Path) -> None:
    gate = Barrier(8)

    def make(number: int) -> bool:
        gate.wait()
        try:
            with place_of(tmp_path / "out") as place:
                written(f"{place.staging_path}/train", str(number), number + 1)
                place.publish(None)
        except SettingsError:
            return False
        return True

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(make, range(8)))
        assert done.count(True) == 1
        assert [path.name for path in (tmp_path / "out").iterdir()] == [
            f"{done.index(True)}.parquet"
        ]
        shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize("parts", [("train",), ("train", "test")])
def test_a_copy_is_whole_or_not_there(parts: tuple[str, ...], tmp_path: Path) -> None:
    with place_of(tmp_path / "out", parts) as place:
        written(f"{place.staging_path}/train", "one", 3)
        place.publish(None)
    dataset_files.copy_dataset(
        str(tmp_path / "out"), str(tmp_path / "again"), parts, len(parts) > 1
    )
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(
        path.name for path in (tmp_path / "out").iterdir()
    )
    assert pq.read_table(tmp_path / "again").num_rows == 3
    with pytest.raises(SettingsError, match=r"holds files already"):
        dataset_files.copy_dataset(
            str(tmp_path / "out"), str(tmp_path / "again"), parts, len(parts) > 1
        )
    assert pq.read_table(tmp_path / "again").num_rows == 3


GROUP = GroupRef("g", 1)
comparisons = st.one_of(
    st.builds(
        Comparison,
        st.just(GROUP),
        st.sampled_from(["n", "p"]),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.integers(-2, 3) | st.just(0.5),
    ),
    st.builds(
        Comparison,
        st.just(GROUP),
        st.sampled_from(["n", "p"]),
        st.just("in"),
        st.lists(st.integers(-2, 3), max_size=3).map(tuple),
    ),
    st.builds(Comparison, st.just(GROUP), st.sampled_from(["n", "p"]), st.just("is_null")),
    st.builds(
        Comparison,
        st.just(GROUP),
        st.just("s"),
        st.sampled_from(["==", "<"]),
        st.sampled_from(["", "a", "b"]),
    ),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(Combination, st.sampled_from(["and", "or"]), st.tuples(inner, inner)),
        st.builds(Combination, st.just("not"), st.tuples(inner)),
    ),
    max_leaves=5,
)


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.integers(-2, 3), st.sampled_from([None, "a", "b"])),
        min_size=1,
        max_size=4,
    ),
    st.none() | st.integers(-2, 3),
    conditions,
)
def test_a_file_with_a_row_that_meets_a_filter_is_read(
    rows: list[tuple[int | None, str | None]], partition: int | None, condition: Condition
) -> None:
    types = {"n": "bigint", "p": "int", "s": "string"}
    numbers = [n for n, _ in rows if n is not None]
    bounds = ({"n": min(numbers)}, {"n": max(numbers)}) if numbers else ({}, {})
    file = DataFile(
        "f", 1, len(rows), {"p": None if partition is None else str(partition)}, *bounds, True
    )
    columns = {
        "n": pa.array([n for n, _ in rows], pa.int64()),
        "p": pa.array([partition] * len(rows), pa.int32()),
        "s": pa.array([s for _, s in rows], pa.string()),
    }
    meets = any(
        filters.evaluate_condition(
            condition, {name: pa.chunked_array([column]) for name, column in columns.items()}, types
        ).to_pylist()
    )
    assert filters.may_match(file, condition, types) or not meets


def test_a_file_of_another_partition_or_of_other_numbers_is_left_out() -> None:
    file = DataFile("f", 1, 9, {"p": "ch"}, {"n": 1}, {"n": 9}, True)
    types = {"n": "bigint", "p": "string"}
    assert not filters.may_match(file, Comparison(GROUP, "p", "==", "de"), types)
    assert not filters.may_match(file, Comparison(GROUP, "n", ">", 9), types)
    assert filters.may_match(file, Comparison(GROUP, "n", ">=", 9), types)


def test_a_file_of_other_times_is_left_out() -> None:
    low = {"t": "2024-01-01T00:00:00.000Z", "d": "2024-01-01"}
    high = {"t": "2024-01-02T12:00:00.123Z", "d": "2024-01-02"}
    file = DataFile("f", 1, 9, {}, low, high, True)
    types = {"t": "timestamp", "d": "date"}
    last = datetime(2024, 1, 2, 12, 0, 0, 123_999, UTC)
    assert filters.may_match(file, Comparison(GROUP, "t", ">=", last), types)
    assert not filters.may_match(file, Comparison(GROUP, "t", ">", last), types)
    assert not filters.may_match(file, Comparison(GROUP, "t", "<", datetime(2024, 1, 1)), types)
    assert not filters.may_match(file, Comparison(GROUP, "d", ">", date(2024, 1, 2)), types)
    assert filters.may_match(file, Comparison(GROUP, "d", ">=", date(2024, 1, 2)), types)
    after = DataFile("f", 1, 9, {}, low, {"t": "+10000-01-01T00:00:00.000Z"}, True)
    assert filters.may_match(after, Comparison(GROUP, "t", "<", datetime(2024, 1, 1)), types)


NESTED = T.StructType(
    [
        T.StructField("x", T.TimestampType()),
        T.StructField("m", T.MapType(T.StringType(), T.DecimalType(5, 2))),
    ]
)


@pytest.mark.parametrize(
    "type_",
    [
        T.BooleanType(),
        T.ByteType(),
        T.ShortType(),
        T.IntegerType(),
        T.LongType(),
        T.FloatType(),
        T.DoubleType(),
        T.StringType(),
        T.BinaryType(),
        T.DateType(),
        T.TimestampType(),
        T.DecimalType(20, 0),
        T.ArrayType(NESTED),
        NESTED,
        T.MapType(T.IntegerType(), T.ArrayType(T.DecimalType(38, 10))),
    ],
    ids=lambda t: t.simpleString(),
)
def test_a_feature_type_is_the_arrow_type_that_spark_takes(type_: T.DataType) -> None:
    wanted = to_arrow_schema(T.StructType([T.StructField("c", type_)]), timezone="UTC")
    assert arrow_types.to_arrow_schema({"c": type_.simpleString()}) == wanted


def test_a_type_without_an_arrow_type_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"A column of the type interval day cannot be joined"):
        arrow_types.to_arrow_type("interval day")


@pytest.mark.parametrize(
    ("form", "type_", "remedy"),
    [
        ("csv", "array<int>", "json, parquet, orc, avro or delta"),
        ("json", "map<bigint,string>", "parquet, orc or delta"),
        ("avro", "array<struct<m:map<date,int>>>", "parquet, orc or delta"),
        ("json", "struct<m:map<string,map<int,int>>>", "parquet, orc or delta"),
    ],
)
def test_a_type_that_a_format_cannot_hold_is_refused_before_anything_is_written(
    form: DataFormat, type_: str, remedy: str
) -> None:
    with pytest.raises(
        SchemaError,
        match=(
            rf"Column 'v' is {re.escape(type_)}, which {form} cannot hold: write {remedy}, or leave"
            r" it out"
        ),
    ):
        dataset_files.check_types(FilesSpec("somewhere", form), {"k": "bigint", "v": type_})
    dataset_files.check_types(FilesSpec("somewhere", form), {"k": "bigint", "v": "string"})
    dataset_files.check_types(FilesSpec("somewhere", "json"), {"m": "map<string,array<bigint>>"})
