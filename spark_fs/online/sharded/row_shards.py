"""The shard of each row of an Arrow table, as ``key_hash`` says it of one key."""

import zlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.types import INTEGERS
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.sharded.key_hash import SEPARATOR, format_key_value
from spark_fs.online.table_layout import OnlineTable


def choose_shards(rows: pa.Table, table: OnlineTable, shard_count: int) -> npt.NDArray[np.uint32]:
    """The shard of each row, from 0, by its key.

    Args:
        rows: The rows, with the key's columns.
        table: Their table.
        shard_count: How many shards there are.

    Returns:
        As many numbers as rows.
    """
    strings = [_format_keys(rows.column(column.name), column) for column in table.key_columns]
    separator = pa.scalar(SEPARATOR, pa.large_string())
    joined = pc.binary_join_element_wise(*strings, separator)
    keys = joined.cast(pa.large_binary()).to_numpy(zero_copy_only=False)
    return np.fromiter(map(zlib.crc32, keys), np.uint32, len(rows)) % shard_count


def _format_keys(values: pa.ChunkedArray, column: OnlineColumn) -> pa.Array:
    if column.type == "string" or column.type in INTEGERS:
        strings = values.cast(pa.large_string())
    else:
        formatted = [format_key_value(value) for value in values.to_pylist()]
        strings = pa.chunked_array([formatted], pa.large_string())
    return strings.combine_chunks()
