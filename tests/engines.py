"""Both engines give the same rows in the same order, to the last bit: reads that ask both."""

from typing import Any

import pandas as pd
import pyarrow as pa
import values

from spark_fs.api.query import Query


def read_by_both(query: Query, strategy: str | None = None) -> pd.DataFrame:
    """The rows of a query by the local engine, which are those that Spark gives, in its order."""
    found = query.read("arrow", strategy, "local")
    assert_same_tables(found, query.read("arrow", strategy, "spark"))
    return query.read("pandas", strategy, "local")


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
