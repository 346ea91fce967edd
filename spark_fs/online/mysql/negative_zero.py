"""The sign of zero, which the columns of MariaDB drop.

MariaDB makes 0.0 of -0.0, by whatever way it comes. There -0.0 is held as the negative number that
is nearest to zero, which for that is refused, as NaN is. MySQL holds -0.0 itself; the other number
is refused there too, since what reads a value does not ask which of the two servers it is from.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.online.column_storage import OnlineColumn

STAND_INS = {"float": -(2.0**-149), "double": -(2.0**-1074)}
_BITS = {"float": pa.int32(), "double": pa.int64()}
_SIGN_BIT = {"float": -(2**31), "double": -(2**63)}


def decode_float(value: float) -> float:
    """A value of a FLOAT."""
    return -0.0 if value == STAND_INS["float"] else value


def decode_double(value: float) -> float:
    """A value of a DOUBLE."""
    return -0.0 if value == STAND_INS["double"] else value


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
