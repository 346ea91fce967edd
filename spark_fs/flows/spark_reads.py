"""Rows that Spark reads, as its own DataFrames* or as what users ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, overload

import pandas as pd
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from spark_fs.base.dataframes import check_dataframe_type, convert_table
from spark_fs.redact import get_safe_cause
from spark_fs.tables.spark_errors import make_read_error


@overload
def collect_frame(frame: DataFrame, dataframe_type: Literal["pandas"]) -> pd.DataFrame: ...
@overload
def collect_frame(frame: DataFrame, dataframe_type: str) -> Any: ...
def collect_frame(frame: DataFrame, dataframe_type: str) -> Any:
    """The frame as it is for "spark" and "default", else eagerly as a frame of that type."""
    check_dataframe_type(dataframe_type)
    if dataframe_type in ("spark", "default"):
        return frame
    with translate_spark_errors():
        return convert_table(frame.toArrow(), dataframe_type)


@contextmanager
def translate_spark_errors() -> Iterator[None]:
    """Say what went wrong in one line."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise make_read_error(error) from get_safe_cause(error)
