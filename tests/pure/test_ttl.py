"""Lengths of time are exact to the microsecond, wherever they decide; and numbers that are no epoch are told apart."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.api.options import to_seconds
from spark_fs.base.times import describe_bad_epoch
from spark_fs.errors import QueryError, SettingsError
from spark_fs.online.sqlite.store import CAPABILITIES
from spark_fs.online.table_layout import build_online_table
from spark_fs.planning.bind import bind_query
from spark_fs.planning.sql_text import to_sql
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.query import JoinSpec, QuerySpec

FEATURES = (FeatureSpec("k", "bigint"), FeatureSpec("at", "timestamp"), FeatureSpec("v", "double"))
SPINE = GroupSpec("spine", 1, primary_key=("k",), event_time="at", features=FEATURES)
AGED = replace(SPINE, name="aged", ttl_seconds=to_seconds("ttl", 1.5))


@pytest.mark.parametrize(
    ("length", "held"),
    [
        (1.5, 1.5),
        (2, 2),
        (2.0, 2),
        (timedelta(milliseconds=1500), 1.5),
        (timedelta(microseconds=1), 1e-06),
        (0.1 + 0.2, 0.3),
        (timedelta(days=30), 2_592_000),
        (None, None),
    ],
)
def test_a_length_is_kept_to_the_microsecond(length: Any, held: float | None) -> None:
    found = to_seconds("ttl", length)
    assert (found, type(found)) == (held, type(held))


@given(st.integers(1, 10**17))
def test_every_whole_microsecond_comes_back(micros: int) -> None:
    group = replace(SPINE, ttl_seconds=to_seconds("ttl", timedelta(microseconds=micros)))
    if micros < 2**52:  # of 142 years
        assert GroupSpec.from_json(group.to_json()).ttl_micros == micros


def test_a_group_that_was_stored_with_whole_seconds_opens() -> None:
    stored = replace(SPINE, ttl_seconds=90).to_json()
    assert stored["ttl_seconds"] == 90
    assert GroupSpec.from_json(stored).ttl_micros == 90_000_000


def test_a_length_below_a_microsecond_is_none() -> None:
    with pytest.raises(
        SettingsError, match="ttl must be a length of time above zero, not 0 seconds"
    ):
        replace(SPINE, ttl_seconds=to_seconds("ttl", 1e-9))


def test_every_place_that_a_ttl_decides_in_has_the_same_one() -> None:
    plan = bind_query(
        QuerySpec(SPINE.ref, ("k", "at")).with_join(JoinSpec(QuerySpec(AGED.ref, ("v",)))),
        {SPINE.ref: SPINE, AGED.ref: AGED},
    )
    assert "INTERVAL '1.5' SECOND" in to_sql(plan)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert build_online_table(AGED, CAPABILITIES).ttl_cutoff(now) == now - timedelta(
        milliseconds=1500
    )
    assert plan.with_max_age(0.000001).nodes[1].group.ttl_micros == 1
    assert plan.with_max_age(7).nodes[1].group.ttl_micros == 1_500_000


@pytest.mark.parametrize(
    ("value", "likely"),
    [
        (1_704_067_200, None),
        (1_704_067_200_000, None),
        (-62_135_596_800, None),
        (253_402_300_799_999, None),
        (0, None),
        (99_999_999_999, None),
        (1_704_067_200_000_000, "microseconds: divide it by 1,000,"),
        (1_704_067_200_000_000_000, "nanoseconds: divide it by 1,000,000,"),
        (253_402_300_800_000, "microseconds"),
        (-62_135_596_801, "microseconds"),
        (-(2**63), "nanoseconds"),
        (2**63 - 1, "nanoseconds"),
    ],
)
def test_a_number_that_is_no_epoch_is_said_to_be_in_the_likely_unit(
    value: int, likely: str | None
) -> None:
    said = describe_bad_epoch(value)
    assert said is None if likely is None else f"looks like {likely}" in str(said)


@given(st.datetimes(datetime(1979, 1, 1), datetime(9999, 12, 31)))
def test_microseconds_and_nanoseconds_of_our_time_are_told(when: datetime) -> None:
    micros = (when - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    assert describe_bad_epoch(micros // 1_000_000) is None
    assert "microseconds" in str(describe_bad_epoch(micros)) or micros >= 10**17
    assert describe_bad_epoch(micros * 1_000) is not None


def test_numbers_of_two_kinds_are_not_said_never_to_be_equal() -> None:
    query = QuerySpec(SPINE.ref, ("k", "at", "v")).with_join(
        JoinSpec(QuerySpec(AGED.ref, ("v",)), ("v",), ("k",))
    )
    with pytest.raises(
        QueryError,
        match=(
            "'v' of 'spine' version 1 is double and 'k' of 'aged' version 1 is bigint: a number of"
            " one may be rounded in the other; join on"
        ),
    ):
        bind_query(query, {SPINE.ref: SPINE, AGED.ref: AGED})
