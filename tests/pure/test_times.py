"""Instants are UTC and exact to the microsecond; intervals are half-open."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.base.arithmetic import ceil_divide, is_nan
from spark_fs.base.times import Interval, epoch_to_micros, from_micros, to_micros, to_utc
from spark_fs.errors import SettingsError

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "given_as",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=-5))),
        "2024-03-10T12:00:00Z",
        "2024-03-10 12:00",
        "2024/03/10 12",
        "2024.03.10 12:00:00.000",
        "2024031012",
        "202403101200",
        "20240310120000",
        "20240310120000000",
        1_710_072_000,
        1_710_072_000_000,
    ],
    ids=str,
)
def test_an_instant_in_any_form_is_the_same_utc_instant(given_as: datetime | str | int) -> None:
    assert to_utc(given_as) == NOON
    assert to_utc(given_as).tzinfo is UTC


def test_a_date_is_its_midnight_in_utc() -> None:
    assert to_utc(date(2024, 3, 10)) == to_utc("2024-03-10") == datetime(2024, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong", ["yesterday", "2024-13-01", "2024/1/1", "1710072000", 5, 2**60, True, None], ids=repr
)
def test_what_is_no_time_is_refused_with_its_value(wrong: object) -> None:
    with pytest.raises(SettingsError, match=f"{wrong!r} is not a time: give a datetime"):
        to_utc(wrong)  # type: ignore[arg-type] # what a caller may get wrong


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact_over_the_whole_calendar(when: datetime) -> None:
    assert from_micros(to_micros(when)) == when


@pytest.mark.parametrize(
    ("epoch", "micros"),
    [
        (0, 0),
        (-1, -1_000_000),
        (99_999_999_999, 99_999_999_999_000_000),
        (100_000_000_000, 100_000_000_000_000),
        (-100_000_000_000, -100_000_000_000_000),
    ],
)
def test_an_epoch_is_in_seconds_or_from_its_size_on_in_milliseconds(
    epoch: int, micros: int
) -> None:
    assert epoch_to_micros(epoch) == micros


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**10))
def test_a_quotient_is_rounded_up_exactly(dividend: int, divisor: int) -> None:
    quotient = ceil_divide(dividend, divisor)
    assert (quotient - 1) * divisor < dividend <= quotient * divisor


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), True),
        (pd.NaT, True),
        (np.datetime64("NaT"), True),
        (Decimal("NaN"), True),
        (float("inf"), False),
        (0.0, False),
        ("nan", False),
        (None, False),
    ],
    ids=repr,
)
def test_what_does_not_equal_itself_is_nan(value: object, expected: bool) -> None:
    assert is_nan(value) is expected


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(
        SettingsError,
        match=(
            "The interval from 2024-01-02 to 2024-01-02 is empty: its start must lie before its end"
        ),
    ):
        Interval.from_bounds("2024-01-02", "2024-01-02")


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (("2024-01-01", "2024-01-02"), ("2024-01-02", "2024-01-03"), False),
        (("2024-01-01", "2024-01-02T00:00:00.000001"), ("2024-01-02", "2024-01-03"), True),
        ((None, "2024-01-02"), ("2024-01-02", None), False),
        ((None, None), ("2024-01-02", "2024-01-03"), True),
        (("2024-01-05", None), (None, "2024-01-06"), True),
    ],
)
def test_half_open_intervals_share_no_boundary(
    first: tuple[str, str], second: tuple[str, str], overlap: bool
) -> None:
    one, other = Interval.from_bounds(*first), Interval.from_bounds(*second)
    assert one.overlaps(other) is other.overlaps(one) is overlap


def test_an_interval_reads_as_it_is_meant() -> None:
    assert str(Interval.from_bounds("2024-01-01", None)) == "[2024-01-01T00:00:00+00:00, ...)"
    assert Interval.from_bounds(
        *Interval.from_bounds("2024-01-01", None).to_json()
    ) == Interval.from_bounds("2024-01-01", None)
