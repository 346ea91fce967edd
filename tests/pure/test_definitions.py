"""Definitions are checked when they are made, and come back from JSON as they were."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.errors import InvalidNameError, SettingsError
from spark_fs.spec.definitions import GroupSpec, ViewSpec
from spark_fs.spec.query import Combination, Comparison, Condition, GroupRef, JoinSpec, QuerySpec, condition_from_json

GROUP = GroupRef("flights", 1)


@pytest.mark.parametrize("name", ["Flights", "1st", "a-b", "a b", "", "a" * 64, "a;drop table b", "é", "_a", 5, None, "a\n"], ids=repr)
def test_a_name_that_is_no_plain_identifier_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match=r"Feature group .* is not a valid name: use lower snake case"):
        GroupSpec(name, 1, primary_key=("k",))
    with pytest.raises(InvalidNameError, match=r"Primary key column .* is not a valid name"):
        GroupSpec("a", 1, primary_key=(name,))
    with pytest.raises(InvalidNameError, match=r"Feature view .* is not a valid name"):
        ViewSpec(name, 1, QuerySpec(GROUP, ()))


def test_the_longest_name_is_taken() -> None:
    assert GroupSpec("a" * 63, 1, primary_key=("k",)).name == "a" * 63


@pytest.mark.parametrize("version", [0, -1, 1.5, True, "1"], ids=repr)
def test_a_version_is_a_whole_number_from_one(version: int) -> None:
    with pytest.raises(SettingsError, match=rf"Feature group 'a': version {version!r} is not a whole number from 1 up"):
        GroupSpec("a", version, primary_key=("k",))


def test_keys_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match="Feature group 'a' version 1 has no primary key: give primary_key="):
        GroupSpec("a", 1)
    with pytest.raises(SettingsError, match="Primary key of 'a' version 1 names a column twice: k, k"):
        GroupSpec("a", 1, primary_key=("k", "k"))
    with pytest.raises(SettingsError, match="names 't' both as primary key and as event time"):
        GroupSpec("a", 1, primary_key=("k", "t"), event_time="t")


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates() | st.datetimes() | st.decimals(allow_nan=False)
COMPARISONS = st.builds(
    Comparison, st.just(GROUP), st.sampled_from(["a", "b"]), st.sampled_from(["==", "<", "in"]), VALUES | st.tuples(VALUES, VALUES)
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    COMPARISONS,
    lambda inner: st.builds(Combination, st.sampled_from(["and", "or"]), st.tuples(inner, inner))
    | st.builds(Combination, st.just("not"), st.tuples(inner)),
    max_leaves=6,
)


@given(CONDITIONS)
def test_a_condition_comes_back_from_json(condition: Condition) -> None:
    assert condition_from_json(json.loads(json.dumps(condition.to_json()))) == condition


@given(CONDITIONS, st.sampled_from([None, ("a",)]), st.sampled_from(["left", "inner"]), st.sampled_from(["", "w_"]))
def test_a_query_comes_back_from_json(condition: Condition, on: tuple[str] | None, how: str, prefix: str) -> None:
    joined = JoinSpec(QuerySpec(GroupRef("weather", 2), ("c",), True), on, on, how, prefix)  # type: ignore[arg-type] # drawn
    query = QuerySpec(GROUP, ("a", "b")).filtered(condition).joined(joined).filtered(condition)
    assert QuerySpec.from_json(json.loads(json.dumps(query.to_json()))) == query


def test_a_join_of_another_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="join_type 'outer' is not known: use 'left' or 'inner'"):
        JoinSpec(QuerySpec(GROUP, ()), join_type="outer")  # type: ignore[arg-type] # what a caller may get wrong
