"""A few rows of a group, for a look at them."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from spark_fs import arrow
from spark_fs.engine import scan
from spark_fs.engine.scan import Scan
from spark_fs.flows import queries
from spark_fs.flows.rows import read_group
from spark_fs.frames import to_pandas
from spark_fs.offline import history
from spark_fs.offline.history import NO_TABLE
from spark_fs.spec.definitions import GroupSpec


def read_first_rows(get_spark: Callable[[], SparkSession], group: GroupSpec, path: str, count: int) -> Any:
    """Some rows of the newest version, eagerly, as pandas; without Spark where files can be read as they are."""
    types, log = group.types, history.open_log(path)
    if log.version == NO_TABLE:
        return to_pandas(arrow.to_arrow_schema(types).empty_table())
    files = [file for file in history.list_data_files(log) if file.row_count != 0]
    if group.vouched or not scan.is_scannable(files, types, group.partition_key, None):
        return queries.collect_frame(read_group(get_spark(), group, path, log.version).select(*types).limit(count), "pandas")
    read = Scan.from_files(scan.to_scan_files(files), types)
    found, left = [read.schema.empty_table()], count
    for number in range(len(files)):
        if left <= 0:
            break
        found.append(scan.read_share(read, number, max_rows=left))
        left -= found[-1].num_rows
    return to_pandas(pa.concat_tables(found))
