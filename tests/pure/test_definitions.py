"""Definitions are checked when they are made, and come back from JSON as they were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.errors import InvalidNameError, SettingsError, SparkFSError
from spark_fs.spec.external_source import SourceSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Combination, Comparison, Condition, parse_condition
from spark_fs.spec.query import JoinSpec, QuerySpec

GROUP = GroupRef("flights", 1)


@pytest.mark.parametrize(
    "name",
    ["Flights", "1st", "a-b", "a b", "", "a" * 64, "a;drop table b", "é", "_a", 5, None, "a\n"],
    ids=repr,
)
def test_a_name_that_is_no_plain_identifier_is_refused(name: str) -> None:
    with pytest.raises(
        InvalidNameError, match=r"Feature group .* is not a valid name: use lower snake case"
    ):
        GroupSpec(name, 1, primary_key=("k",))
    with pytest.raises(InvalidNameError, match=r"Primary key column .* is not a valid name"):
        GroupSpec("a", 1, primary_key=(name,))
    with pytest.raises(InvalidNameError, match=r"Feature view .* is not a valid name"):
        ViewSpec(name, 1, QuerySpec(GROUP, ()))


def test_the_longest_name_is_taken() -> None:
    assert GroupSpec("a" * 63, 1, primary_key=("k",)).name == "a" * 63


@pytest.mark.parametrize("version", [0, -1, 1.5, True, "1"], ids=repr)
def test_a_version_is_a_whole_number_from_one(version: int) -> None:
    with pytest.raises(
        SettingsError,
        match=rf"Feature group 'a': version {version!r} is not an integer from 1 up",
    ):
        GroupSpec("a", version, primary_key=("k",))


def test_keys_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(
        SettingsError, match="Feature group 'a' version 1 has no primary key: give primary_key="
    ):
        GroupSpec("a", 1)
    with pytest.raises(
        SettingsError, match="Primary key of 'a' version 1 names a column twice: k, k"
    ):
        GroupSpec("a", 1, primary_key=("k", "k"))
    with pytest.raises(SettingsError, match="names 't' both as primary key and as event time"):
        GroupSpec("a", 1, primary_key=("k", "t"), event_time="t")


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.datetimes()
    | st.decimals(allow_nan=False)
)
COMPARISONS = st.builds(
    Comparison,
    st.just(GROUP),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["==", "<", "in"]),
    VALUES | st.tuples(VALUES, VALUES),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.builds(Combination, st.sampled_from(["and", "or"]), st.tuples(inner, inner))
        | st.builds(Combination, st.just("not"), st.tuples(inner))
    ),
    max_leaves=6,
)


@given(CONDITIONS)
def test_a_condition_comes_back_from_json(condition: Condition) -> None:
    assert parse_condition(json.loads(json.dumps(condition.to_json()))) == condition


@given(
    CONDITIONS,
    st.sampled_from([None, ("a",)]),
    st.sampled_from(["left", "inner"]),
    st.sampled_from(["", "w_"]),
)
def test_a_query_comes_back_from_json(
    condition: Condition, on: tuple[str] | None, how: str, prefix: str
) -> None:
    joined = JoinSpec(QuerySpec(GroupRef("weather", 2), ("c",), True), on, on, how, prefix)  # type: ignore[arg-type] # drawn
    query = (
        QuerySpec(GROUP, ("a", "b")).with_filter(condition).with_join(joined).with_filter(condition)
    )
    assert QuerySpec.from_json(json.loads(json.dumps(query.to_json()))) == query


def test_a_join_of_another_kind_is_refused() -> None:
    with pytest.raises(
        SettingsError,
        match="join_type 'cross' is not known: use one of 'left', 'inner', 'right', 'outer'",
    ):
        JoinSpec(QuerySpec(GROUP, ()), join_type="cross")  # type: ignore[arg-type] # what a caller may get wrong


# -- external groups

URL = "jdbc:mysql://host:3306/shop"
LITERAL: list[dict[str, Any]] = [  # options with a secret in them, as drivers have them
    {"password": "pa55w0rd"},
    {"PASSWORD": "pa55w0rd"},
    {"sfPassword": "pa55w0rd"},
    {"pem_private_key": "pa55w0rd"},
    {"fs.s3a.secret.key": "pa55w0rd"},
    {"sfToken": "pa55w0rd"},
    {"url": "jdbc:mysql://me:pa55w0rd@host/shop"},
    {"url": "jdbc:mysql://me:pa55/w0rd@host/shop"},
    {"url": "jdbc:mysql://host/shop?user=me&password=pa55w0rd"},
    {"url": "jdbc:sqlserver://host;user=me;password=pa55w0rd;encrypt=true"},
    {"url": "jdbc:oracle:thin:me/pa55w0rd@//host:1521/x"},
    {"url": "jdbc:snowflake://host/?private_key_pwd=pa55w0rd"},
    {"url": URL, "password": "${SPARK_FS_SECRET_SHOP}pa55w0rd"},
    {"connectionProperties": "a=b;password=pa55w0rd"},
]


@pytest.mark.parametrize("options", LITERAL, ids=str)
def test_no_secret_is_kept_with_an_external_group(options: dict[str, Any]) -> None:
    with pytest.raises(
        SettingsError,
        match=(
            r"would be kept in the metadata database with a password or key in it: write"
            r" '\$\{SPARK_FS_SECRET_NAME\}'"
        ),
    ) as refused:
        SourceSpec.from_declaration("jdbc", "SELECT 1", options)
    assert "pa55" not in str(refused.value)
    kept = SourceSpec("jdbc", "SELECT 1", options)  # one that an earlier release kept is still read
    assert kept.resolve_options({"SPARK_FS_SECRET_SHOP": "x"}).keys() == options.keys()
    assert "pa55w0rd" not in str(SparkFSError("Access denied (pa55w0rd)"))


@pytest.mark.parametrize("path", ["s3a://KEY:pa55w0rd@box/rates", "https://me:pa55w0rd@host/rates"])
def test_no_secret_is_kept_in_a_path(path: str) -> None:
    with pytest.raises(SettingsError, match="Option 'path' would be kept"):
        SourceSpec.from_declaration("parquet", path, {})


def test_secrets_come_from_variables_that_are_meant_for_it() -> None:
    options = {
        "url": (
            "jdbc:mysql://${SPARK_FS_SECRET_USER}:${SPARK_FS_SECRET_PASS}@host/shop?password=${SPARK_FS_SECRET_PASS}"
        ),
        "user": "me",
        "fetchsize": 100,
        "password": "${SPARK_FS_SECRET_PASS}",
    }
    source = SourceSpec.from_declaration(
        "jdbc", "SELECT password FROM t WHERE token = 'x'", options
    )
    environment = {"SPARK_FS_SECRET_USER": "reader", "SPARK_FS_SECRET_PASS": "p@ss/w0rd ${HOME}"}
    assert source.resolve_options(environment) == {
        "url": "jdbc:mysql://reader:p@ss/w0rd ${HOME}@host/shop?password=p@ss/w0rd ${HOME}",
        "user": "me",
        "fetchsize": "100",
        "password": "p@ss/w0rd ${HOME}",
    }
    assert str(SparkFSError("denied: p@ss/w0rd ${HOME}")) == "denied: ***"
    with pytest.raises(
        SettingsError,
        match=(
            "The environment variable SPARK_FS_SECRET_PASS of an external feature group is not set:"
            " export it"
        ),
    ):
        source.resolve_options({"SPARK_FS_SECRET_USER": "reader"})


@pytest.mark.parametrize(
    "name",
    [
        "HOME",
        "AWS_SECRET_ACCESS_KEY",
        "SPARK_FS_ONLINE_PASSWORD",
        "spark_fs_secret_x",
        "XSPARK_FS_SECRET_X",
    ],
)
def test_no_other_variable_of_a_reader_is_read(name: str) -> None:
    """Neither by a new definition nor by one that an earlier release kept."""
    options = {"url": URL, "sessionInitStatement": f"SELECT '${{{name}}}'"}
    for use in (
        lambda: SourceSpec.from_declaration("jdbc", "SELECT 1", options),
        lambda: SourceSpec("jdbc", "SELECT 1", options).resolve_options({name: "value"}),
    ):
        with pytest.raises(
            SettingsError,
            match=(
                rf"asks for the environment variable {name}, and only those named"
                rf" SPARK_FS_SECRET_\.\.\. are read. Export SPARK_FS_SECRET_{name} with its value,"
                r" delete the group"
            ),
        ):
            use()
