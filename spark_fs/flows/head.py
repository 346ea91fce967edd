"""A few rows of a group, for a look at them."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from spark_fs.base import arrow_types
from spark_fs.base.pandas_frames import to_pandas
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.flows import read as flows_read
from spark_fs.flows.group_rows import read_group
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.delta import history
from spark_fs.tables.delta.history import NO_TABLE


def read_first_rows(
    get_spark: Callable[[], SparkSession], group: GroupSpec, path: str, count: int
) -> pd.DataFrame:
    """Some rows of the newest version, eagerly, as pandas.

    Without Spark where files can be read as they are.
    """
    log = history.open_log(path)
    if log.version == NO_TABLE:
        return to_pandas(arrow_types.to_arrow_schema(group.types).empty_table())
    files = [file for file in history.list_data_files(log) if file.row_count != 0]
    if group.may_have_duplicates or not parquet.is_scannable(
        files, group.types, group.partition_key, None
    ):
        rows = read_group(get_spark(), group, path, log.version)
        return flows_read.collect_frame(rows.select(*group.types).limit(count), "pandas")
    scan = Scan.from_files(parquet.to_scan_files(files), group.types)
    tables = [scan.schema.empty_table()]
    remaining = count
    for number in range(len(files)):
        if remaining <= 0:
            break
        table = parquet.read_share(scan, number, max_rows=remaining)
        tables.append(table)
        remaining -= table.num_rows
    return to_pandas(pa.concat_tables(tables))
