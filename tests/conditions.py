"""Conditions on columns of every type beside values of every kind, and what plain Python says of each row."""

import math
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import values
from hypothesis import strategies as st

from spark_fs.base.python_values import to_python
from spark_fs.spec.conditions import to_comparable
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Combination, Comparison, Condition

GROUP = GroupRef("g", 1)
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
DAY = date(2024, 1, 1)
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
# Columns, their rows and what they are compared with: where types meet, where they end, and what lies between two of their values.
TABLE: dict[str, tuple[str, list[Any], list[Any]]] = {
    "tiny": (
        "tinyint",
        [-128, -1, 0, 1, 127, None],
        [
            0.5,
            -0.5,
            128,
            -129,
            1e300,
            math.inf,
            -math.inf,
            Decimal("0.1"),
            np.int8(1),
            np.float32(0.5),
            10**400,
            1.0,
        ],
    ),
    "small": ("smallint", [-(2**15), 0, 2**15 - 1, None], [2**15, 40_000.5, np.uint16(0)]),
    "whole": ("int", [-(2**31), 0, 2**31 - 1, None], [2**31, 2**31 - 0.5, -(2**40), np.int64(0)]),
    "big": (
        "bigint",
        [2**53 - 1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1, 0, 1, None],
        [
            0.5,
            2.0**53,
            2**53 + 1,
            2**63,
            -(2**63) - 1,
            2**70,
            9.3e18,
            Decimal("9007199254740992.5"),
            Decimal(2**63 - 1),
            np.uint64(2**64 - 1),
            np.float64(0.5),
            1.0,
        ],
    ),
    "single": (
        "float",
        [16777216.0, 0.10000000149011612, -0.0, math.nan, math.inf, 1.401298464324817e-45, None],
        [
            16777217,
            16777216,
            0.1,
            np.float32(0.1),
            0,
            -0.0,
            Decimal("0.1"),
            1e300,
            10**400,
            16777216.5,
            5e-324,
        ],
    ),
    "double": (
        "double",
        [9007199254740992.0, 0.1, -0.0, math.nan, -math.inf, math.inf, 5e-324, 1e22, None],
        [
            2**53 + 1,
            2**53,
            Decimal("0.1"),
            0.1,
            0,
            10**400,
            -(10**400),
            Decimal("1E-400"),
            Decimal("-1E-400"),
            10**22,
            math.inf,
            np.float32(0.1),
        ],
    ),
    "amount": (
        "decimal(10,2)",
        [
            Decimal("1.10"),
            Decimal("-0.01"),
            Decimal("0.00"),
            Decimal("99999999.99"),
            Decimal("-99999999.99"),
            None,
        ],
        [
            Decimal("1.1"),
            Decimal("1.101"),
            Decimal("-0.001"),
            1,
            0.5,
            10**9,
            -(10**9),
            Decimal("1E+30"),
            math.inf,
            np.int32(1),
            Decimal("-0"),
        ],
    ),
    "fine": (
        "decimal(38,38)",
        [Decimal("1E-38"), Decimal("0E-38"), Decimal("0." + "9" * 38), None],
        [0, 1, Decimal("1E-39"), Decimal("1E-38"), 0.5],
    ),
    "wide": (
        "decimal(38,0)",
        [Decimal(10**38 - 1), Decimal(2**63), Decimal(0), None],
        [2**63, 10**38, 2**63 + 0.0, Decimal("9223372036854775807.5")],
    ),
    "at": (
        "timestamp",
        [
            NOON,
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(1582, 10, 4, 12, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            None,
        ],
        [
            NOON,
            datetime(2024, 1, 1, 12),
            DAY,
            pd.Timestamp("2024-01-01 12:00"),
            pd.Timestamp("2024-01-01 07:00", tz="America/New_York"),
            np.datetime64("2024-01-01T12", "ns"),
            datetime(1, 1, 1),
            datetime(1582, 10, 4, 12),
            np.datetime64("2024-01-01"),
            date(1582, 10, 15),
        ],
    ),
    "day": (
        "date",
        [DAY, date(1, 1, 1), date(1582, 10, 4), date(9999, 12, 31), None],
        [
            DAY,
            NOON,
            datetime(2024, 1, 1),
            NOON.replace(hour=0),
            pd.Timestamp("2024-01-01"),
            date(1582, 10, 4),
            datetime(1582, 10, 4, 1),
            np.datetime64("2024-01-01"),
            date(1, 1, 1),
        ],
    ),
    "word": (
        "string",
        ["", "a", "A", "ä", "🙂", "\ue000", "it's", "100%", None],
        ["", "a", "ä", np.str_("🙂"), "\ue000", "it's", "'; --"],
    ),
    "raw": (
        "binary",
        [b"", b"\x00", b"\x7f", b"\xff", None],
        [b"", b"\x80", bytearray(b"\xff"), b"'"],
    ),
    "flag": ("boolean", [True, False, None], [True, False, np.True_]),
}
TYPES = {column: type_ for column, (type_, _, _) in TABLE.items()}


def compared(column: str, operator_: Any, value: Any) -> Comparison:
    """The comparison as ``fg[column]`` makes it."""
    value = (
        tuple(to_comparable(column, TYPES[column], each) for each in value)
        if operator_ == "in"
        else to_comparable(column, TYPES[column], value)
    )
    return Comparison(GROUP, column, operator_, value)


def conditions() -> list[Condition]:
    """Every column beside each of its values by every operator; lists of them; what is not so, and nothing at all."""
    found: list[Condition] = []
    for column, (_, _, others) in TABLE.items():
        every: list[Condition] = [
            compared(column, each, value) for value in others for each in OPERATORS
        ]
        every += [
            compared(column, "in", others),
            compared(column, "in", others[:1]),
            compared(column, "in", ()),
            Comparison(GROUP, column, "is_null"),
        ]
        found += every + [Combination("not", (each,)) for each in every]
    return [
        *found,
        *(
            Combination(logic, (found[i], found[-i]))
            for i in range(0, len(found), 7)
            for logic in ("and", "or")
        ),
    ]  # type: ignore[arg-type] # both are


def holds(condition: Condition, row: Mapping[str, Any]) -> bool | None:
    """What Python says: None where a null makes it unknown; NaN is above every number, as in Spark."""
    if isinstance(condition, Combination):
        parts = [holds(part, row) for part in condition.parts]
        if condition.operator == "not":
            return None if parts[0] is None else not parts[0]
        decisive = condition.operator == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    value, asked = row[condition.column], condition.value
    if condition.operator == "is_null":
        return value is None
    if condition.operator == "in":
        return (
            False
            if not asked
            else None
            if value is None
            else any(_meets("==", value, each) for each in asked)
        )
    return None if value is None else _meets(condition.operator, value, asked)


def _meets(operator_: str, value: Any, asked: Any) -> bool:
    if isinstance(value, float) and math.isnan(value):
        return operator_ in ("!=", ">", ">=")
    return bool(OPERATORS[operator_](_instant(value), _instant(asked)))


def _instant(value: Any) -> Any:
    value = to_python(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return (
        value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
    )


def numbers() -> st.SearchStrategy[Any]:
    """Numbers of any kind, near what columns hold."""
    near = st.sampled_from([0, 1, 2**7, 2**15, 2**24, 2**31, 2**53, 2**63, 10**8, 10**38]).flatmap(
        lambda n: st.tuples(
            st.sampled_from([-1, 1]),
            st.sampled_from(
                [-1, Decimal("-0.5"), Decimal("-0.001"), 0, Decimal("0.01"), Decimal("0.5"), 1]
            ),
        ).map(lambda pair: pair[0] * n + pair[1])
    )
    return (
        near
        | near.map(float)
        | values.DOUBLES.filter(lambda v: not math.isnan(v))
        | st.integers()
        | st.decimals(allow_nan=False, allow_infinity=False)
    )
