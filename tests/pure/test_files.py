"""Folders of files appear whole or not at all; and the Arrow types are those that Spark takes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from spark_fs.engine import arrow
from spark_fs.errors import SchemaError, SettingsError
from spark_fs.offline.files import placed


def written(folder: str, name: str, rows: int) -> str:
    pq.write_table(pa.table({"a": range(rows)}), f"{folder}/{name}.parquet")
    return f"{folder}/{name}.parquet"


def test_what_a_failed_or_repeated_task_wrote_is_not_there(tmp_path: Path) -> None:
    with placed(str(tmp_path / "out")) as place:
        good = [written(place.staging, "one", 3), written(place.staging, "two", 4)]
        written(place.staging, "of_a_task_that_was_tried_again", 3)
        assert place.keep(good) == (2, 7)
    assert [path.suffix for path in sorted((tmp_path / "out").iterdir())] == [".parquet", ".parquet"]
    assert pq.read_table(tmp_path / "out").num_rows == 7


def test_after_a_failure_there_is_no_folder(tmp_path: Path) -> None:
    def fails() -> None:
        with placed(str(tmp_path / "out")) as place:
            place.keep([written(place.staging, "one", 3)])
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(SettingsError, match=r"holds files already"), placed(str(tmp_path)):
        pass
    assert (tmp_path / "mine").read_text() == "kept"


NESTED = T.StructType([T.StructField("x", T.TimestampType()), T.StructField("m", T.MapType(T.StringType(), T.DecimalType(5, 2)))])


@pytest.mark.parametrize("type_", [
    T.BooleanType(), T.ByteType(), T.ShortType(), T.IntegerType(), T.LongType(), T.FloatType(), T.DoubleType(), T.StringType(), T.BinaryType(),
    T.DateType(), T.TimestampType(), T.DecimalType(20, 0), T.ArrayType(NESTED), NESTED, T.MapType(T.IntegerType(), T.ArrayType(T.DecimalType(38, 10))),
], ids=lambda t: t.simpleString())
def test_a_feature_type_is_the_arrow_type_that_spark_takes(type_: T.DataType) -> None:
    wanted = to_arrow_schema(T.StructType([T.StructField("c", type_)]), timezone="UTC")
    assert arrow.schema_of({"c": type_.simpleString()}) == wanted


def test_a_type_without_an_arrow_type_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"A column of the type interval day cannot be joined"):
        arrow.type_of("interval day")
