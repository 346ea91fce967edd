"""A few rows of a group, for a look at them."""

import pandas as pd
import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.pandas_frames import to_pandas
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.flows.group_rows import read_group
from spark_fs.flows.spark_reads import collect_frame
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.table import GroupTable


def read_first_rows(table: GroupTable, count: int) -> pd.DataFrame:
    """Some rows of the newest version, eagerly, as pandas.

    Without Spark where files can be read as they are.
    """
    types = table.group.types
    if table.version == NO_TABLE:
        return to_pandas(arrow_types.to_arrow_schema(types).empty_table())
    files = [file for file in table.list_files() if file.row_count != 0]
    partition_key = table.group.partition_key
    if table.group.may_have_duplicates or not parquet.is_scannable(
        files, types, partition_key, None
    ):
        rows = read_group(table, table.version)
        return collect_frame(rows.select(*types).limit(count), "pandas")
    scan = Scan.from_files(parquet.to_scan_files(files), types)
    tables = [scan.schema.empty_table()]
    remaining = count
    for number in range(len(files)):
        if remaining <= 0:
            break
        rows_read = parquet.read_share(scan, number, max_rows=remaining)
        tables.append(rows_read)
        remaining -= rows_read.num_rows
    return to_pandas(pa.concat_tables(tables))
