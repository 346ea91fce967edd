"""Values for tests of window features: few of each type, so that they are often equal."""

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

START = datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))
OTHERS = ("string", "boolean", "date", "timestamp", "binary")
# What functions take beside a column.
ARGUMENTS = {
    "percentile": 0.3,
    "approx_percentile": 0.9,
    "top_k": 2,
    "last_n": 3,
    "last_distinct_n": 2,
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "float": st.sampled_from([0.0, -0.0, 1.5, -3.25, math.nan, math.inf]),
    "double": st.one_of(
        st.sampled_from([0.0, -0.0, 0.1, 1e300, -1e300, 5e-324, math.nan, math.inf, -math.inf]),
        st.floats(width=64),
        st.integers(-1000, 1000).map(lambda cents: cents / 100),
    ),
    "decimal(12,3)": st.decimals(-1000, 1000, places=3),
    "string": st.sampled_from(["", "a", "b", "ä", "a\U0001f600", "Z"]),
    "boolean": st.booleans(),
    "date": st.dates(date(1999, 1, 1), date(2001, 1, 1)),
    "timestamp": st.integers(-5, 5).map(lambda hours: START + timedelta(hours=hours)),
    "binary": st.binary(max_size=2),
}


def integers_with(least: int, greatest: int) -> st.SearchStrategy[int]:
    """Small integers, and these two."""
    return st.one_of(st.integers(-3, 3), st.sampled_from([least, greatest]))


def long_decimals(digits: int) -> st.SearchStrategy[Decimal]:
    """Whole decimals of so many digits and one."""
    return st.integers(-(10**digits), 10**digits).map(Decimal)
