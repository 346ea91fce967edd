"""Vectors as lists, NumPy and pandas hold every value as it is online, with the types that training data has."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loaded import loaded

import spark_fs
from spark_fs.base import pandas_frames
from spark_fs.errors import SparkFSError
from spark_fs.online.vector_frames import as_numpy, as_pandas

BIG = 2**53 + 1
MIXED = {
    "k": "bigint",
    "id": "bigint",
    "n": "double",
    "word": "string",
    "flag": "boolean",
    "small": "int",
    "at": "timestamp",
    "l": "array<bigint>",
    "m": "array<bigint>",
}
FULL = {
    "k": 1,
    "id": BIG,
    "n": 0.5,
    "word": "a\0",
    "flag": True,
    "small": 3,
    "at": datetime(2024, 1, 1, 12, tzinfo=UTC),
    "l": [BIG, None],
    "m": [1, 2],
}
EMPTY = {"k": 2} | dict.fromkeys(name for name in MIXED if name != "k")


def test_pandas_has_the_types_of_training_data(tmp_path: Path) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    group = loaded(fs, "mixed", MIXED, [FULL, EMPTY])
    view = fs.create_feature_view("mixed", group.select_features(), inference_helper_columns=["id"])
    names = [name for name in MIXED if name not in ("k", "id")]
    for entries, rows in (
        ([1, 2], [FULL, EMPTY]),
        ([1, 9], [FULL, EMPTY]),
        ([2], [EMPTY]),
        ([1], [FULL]),
        ([], []),
    ):
        found = view.get_feature_vectors(
            [{"k": k} for k in entries], return_type="pandas", allow_missing=True
        )
        wanted = pandas_frames.to_pandas(
            values.to_arrow({name: MIXED[name] for name in names}, rows)
        )
        pd.testing.assert_frame_equal(found, wanted)
    whole = fs.create_feature_view("whole", group.select(["id", "n"]))
    beside = whole.get_feature_vectors([{"k": 1}, {"k": 2}], return_type="pandas")
    assert [str(dtype) for dtype in beside.dtypes] == ["Int64", "float64"]
    assert beside["id"][0] == BIG
    helper = view.get_inference_helper({"k": 2}, return_type="pandas")
    assert (str(helper["id"].dtype), helper["id"][0]) == ("Int64", pd.NA) or helper[
        "id"
    ].isna().all()
    assert view.get_inference_helper({"k": 1}, return_type="pandas")["id"].tolist() == [BIG]


NUMPY: list[tuple[dict[str, str], list[Any], type]] = [
    ({"a": "double", "b": "float"}, [0.5, 0.25], np.float64),
    ({"a": "int", "b": "double", "c": "boolean"}, [2**31 - 1, 0.5, True], np.float64),
    ({"a": "bigint", "b": "tinyint"}, [2**63 - 1, 1], np.int64),
    ({"a": "boolean"}, [True], np.bool_),
    ({"a": "bigint", "b": "double"}, [BIG, 0.5], np.object_),
    ({"a": "bigint", "b": "float"}, [1, 0.5], np.object_),
    ({"a": "double", "b": "string"}, [0.1, "x"], np.object_),
    ({"a": "string"}, ["a\0"], np.object_),
    ({"a": "double", "b": "double"}, [0.5, None], np.object_),
    ({"a": "bigint"}, [None], np.object_),
    ({"a": "array<bigint>", "b": "array<bigint>"}, [[1, 2], [3, 4]], np.object_),
    ({"a": "array<bigint>", "b": "array<bigint>"}, [[1], [3, 4]], np.object_),
    ({"a": "decimal(3,1)", "b": "date"}, [Decimal("1.5"), date(2024, 1, 1)], np.object_),
    ({"a": "double"}, [math.inf], np.float64),
    ({"a": "double"}, [-0.0], np.float64),
    ({"a": "map<string,bigint>", "b": "binary"}, [{"x": BIG}, b"\x00"], np.object_),
]


@pytest.mark.parametrize(("columns", "vector", "dtype"), NUMPY, ids=str)
def test_numpy_is_of_a_type_that_holds_every_value(
    columns: dict[str, str], vector: list[Any], dtype: npt.DTypeLike
) -> None:
    found = as_numpy(columns, [vector, vector])
    assert (found.dtype, found.shape) == (dtype, (2, len(columns)))
    assert repr(found[0].tolist()) == repr(
        [float(v) if dtype is np.float64 and v is not None else v for v in vector]
    )
    assert as_numpy(columns, []).shape == (0, len(columns))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(data=st.data())
def test_every_value_is_in_every_form_as_it_is(data: st.DataObject) -> None:
    columns, rows = data.draw(values.tables(rows=3))
    vectors = [[row[name] for name in columns] for row in rows]
    assert all(
        values.same(found, wanted)
        for found, wanted in zip(
            as_numpy(columns, vectors).ravel(),
            [v for vector in vectors for v in vector],
            strict=True,
        )
    )
    pd.testing.assert_frame_equal(
        as_pandas(columns, vectors), pandas_frames.to_pandas(values.to_arrow(columns, rows))
    )


def test_a_value_that_a_transformation_gave_amiss_is_said() -> None:
    with pytest.raises(
        SparkFSError,
        match=(
            r"Feature 'a' has a value that is not a bigint: .*x.* Change what its transformation gives"
        ),
    ):
        as_pandas({"a": "bigint"}, [["x"]])
