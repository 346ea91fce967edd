"""The sign of zero in the rows that are loaded, which a serving process does without."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.mysql.negative_zero import STAND_INS

_BITS = {"float": pa.int32(), "double": pa.int64()}
_SIGN_BIT = {"float": -(2**31), "double": -(2**63)}


def find_stand_in(rows: pa.Table, columns: Sequence[OnlineColumn]) -> tuple[str, int] | None:
    """A column that holds the number that stands for -0.0, and the first row that does."""
    for column in columns:
        if column.type in STAND_INS:
            stand_in = pa.scalar(STAND_INS[column.type], rows.schema.field(column.name).type)
            row_index = pc.index(rows.column(column.name), stand_in).as_py()
            if row_index >= 0:
                return column.name, row_index
    return None


def replace_negative_zeros(rows: pa.Table, columns: Sequence[OnlineColumn]) -> pa.Table:
    """The rows as MariaDB holds them, but for those of a key, in which 0.0 and -0.0 are one."""
    for column in columns:
        if column.type not in STAND_INS or column.is_key:
            continue
        values = rows.column(column.name)
        bits = pa.chunked_array(
            [chunk.view(_BITS[column.type]) for chunk in values.chunks], _BITS[column.type]
        )
        is_negative_zero = pc.equal(bits, _SIGN_BIT[column.type])
        if pc.any(is_negative_zero).as_py():
            stand_in = pa.scalar(STAND_INS[column.type], values.type)
            position = rows.schema.get_field_index(column.name)
            held = pc.if_else(is_negative_zero, stand_in, values)
            rows = rows.set_column(position, column.name, held)
    return rows
