"""Both engines give the same rows in the same order, to the last bit: reads that ask both."""

from typing import Any

import pandas as pd
import pyarrow as pa
import values

from spark_fs.api.query import Query
from spark_fs.engine.engines import Engines
from spark_fs.errors import SettingsError
from spark_fs.flows import read
from spark_fs.planning.plan import JoinPlan

READ_QUERY = read.read_query


def read_by_both(query: Query, strategy: str | None = None) -> pd.DataFrame:
    """The rows of a query by the local engine, which are those that Spark gives, in its order."""
    found = query.read("arrow", strategy=strategy, engine="local")
    assert_same_tables(found, query.read("arrow", strategy=strategy, engine="spark"))
    return query.read("pandas", strategy=strategy, engine="local")


def read_and_compare(
    engines: Engines,
    plan: JoinPlan,
    locate_table: Any,
    dataframe_type: str,
    versions: Any = None,
    strategy: str | None = None,
    frames: Any = None,
) -> Any:
    """``flows.read.read_query``, which fails where the engines differ."""
    options = (versions, strategy, frames)
    found = READ_QUERY(engines, plan, locate_table, dataframe_type, *options)
    if read.resolve_dataframe_type(dataframe_type) == "spark" or engines.requested != "auto":
        return found
    try:
        by_threads = READ_QUERY(
            engines.with_request("local"), plan, locate_table, "arrow", *options
        )
    except SettingsError:  # Spark alone can run it
        return found
    by_spark = READ_QUERY(engines.with_request("spark"), plan, locate_table, "arrow", *options)
    assert_same_tables(by_threads, by_spark)
    return found


def assert_same_tables(found: pa.Table, wanted: pa.Table) -> None:
    """Assert that two tables have the same columns, types and rows, in one order."""
    assert found.column_names == wanted.column_names
    assert found.schema.types == wanted.schema.types
    assert found.num_rows == wanted.num_rows
    for name in wanted.column_names:
        pairs = zip(found.column(name).to_pylist(), wanted.column(name).to_pylist(), strict=True)
        for row, (one, other) in enumerate(pairs):
            assert values.same(to_plain(one), to_plain(other)), (name, row, one, other)


def to_plain(value: Any) -> Any:
    """A value whose maps are lists of pairs, as ``values.same`` compares."""
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: to_plain(each) for name, each in value.items()}
    return value
