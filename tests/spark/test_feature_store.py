"""Groups and views by name and version."""

from collections.abc import Callable

import pandas as pd
import pytest

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
    QueryError,
    SettingsError,
)

FRAME = pd.DataFrame({"k": [1, 2], "v": [1.0, 2.0]})


def test_versions_count_up_and_stand_side_by_side(fs: FeatureStore) -> None:
    assert [fs.create_feature_group("a", primary_key=["k"]).version for _ in range(2)] == [1, 2]
    assert fs.create_feature_group("a", version=7, primary_key=["k"]).version == 7
    assert [g.version for g in fs.get_feature_groups("a")] == [1, 2, 7]
    with pytest.raises(
        AlreadyExistsError,
        match="Feature group 'a' version 7 exists already: use get_feature_group",
    ):
        fs.create_feature_group("a", version=7, primary_key=["k"])


def test_no_version_means_the_first_with_a_warning_when_there_are_more(fs: FeatureStore) -> None:
    fs.create_feature_group("a", primary_key=["k"])
    assert fs.get_feature_group("a").version == 1
    fs.create_feature_group("a", primary_key=["k"])
    with pytest.warns(
        UserWarning,
        match="Feature group 'a' has versions 1, 2; no version was asked for, so this is 1.",
    ):
        assert fs.get_feature_group("a").version == 1


def test_what_does_not_exist_is_named_with_the_nearest(fs: FeatureStore) -> None:
    fs.create_feature_group("weather", primary_key=["k"])
    with pytest.raises(
        NotFoundError, match=r"Feature group 'wether' does not exist; did you mean 'weather'\?"
    ):
        fs.get_feature_group("wether")
    with pytest.raises(NotFoundError, match=r"Feature group 'weather' has no version 4: it has 1."):
        fs.get_feature_group("weather", 4)
    with pytest.raises(
        NotFoundError, match=r"Feature view 'late' does not exist; there are none yet."
    ):
        fs.get_feature_view("late")
    with pytest.raises(InvalidNameError, match="'My Group' is not a valid name"):
        fs.create_feature_group("My Group", primary_key=["k"])
    assert [g.name for g in fs.get_feature_groups()] == ["weather"]


def test_get_or_create_finds_what_is_declared_alike(fs: FeatureStore) -> None:
    declared = {"primary_key": ["k"], "event_time": "at", "description": "d"}
    assert fs.get_or_create_feature_group("a", **declared).version == 1  # type: ignore[arg-type] # a dict of arguments
    assert fs.get_or_create_feature_group("a", **declared).event_time == "at"  # type: ignore[arg-type] # a dict of arguments
    assert len(fs.get_feature_groups()) == 1
    with pytest.raises(
        AlreadyExistsError,
        match=r"declared otherwise: event_time is 'at', not 'on'; primary_key is \['k'\], not \['j'\]",
    ):
        fs.get_or_create_feature_group("a", primary_key=["j"], event_time="on", description="d")


def test_a_text_is_no_list_of_columns(fs: FeatureStore) -> None:
    with pytest.raises(
        SettingsError,
        match=r"primary_key='k' is a string: give a list of columns, as in primary_key=\['k'\]",
    ):
        fs.create_feature_group("a", primary_key="k")


def test_a_group_without_rows_cannot_be_read(fs: FeatureStore) -> None:
    empty = fs.create_feature_group("a", primary_key=["k"])
    assert (empty.schema, empty.features, empty.commit_details(), empty.watermark) == (
        {},
        [],
        [],
        None,
    )
    with pytest.raises(
        QueryError,
        match=(
            "Feature group 'a' version 1 has no schema yet: insert its first rows before it is read"
        ),
    ):
        empty.read()


def test_a_group_says_what_it_is(group: Callable[..., FeatureGroup], fs: FeatureStore) -> None:
    group("a", FRAME, primary_key=["k"], description="numbers")
    found = fs.get_feature_group("a", 1)
    assert (found.name, found.version, found.description, found.primary_key, found.event_time) == (
        "a",
        1,
        "numbers",
        ["k"],
        None,
    )
    assert found.schema == {"k": "bigint", "v": "double"}
    assert [f.name for f in found.features] == ["k", "v"]
    assert repr(found) == "FeatureGroup('a', version=1)"


def test_a_view_keeps_its_query_and_labels(
    group: Callable[..., FeatureGroup], fs: FeatureStore
) -> None:
    numbers = group("a", FRAME.assign(y=1), primary_key=["k"])
    query = numbers.select_all().filter(numbers["v"] > 1)
    fs.create_feature_view("v", query, labels=["y"])
    found = fs.get_feature_view("v", 1)
    assert (found.labels, found.schema) == (["y"], {"k": "bigint", "v": "double"})
    assert found.query.read("pandas")["k"].tolist() == [2]
    assert fs.get_or_create_feature_view("v", query, labels=["y"]).version == 1
    with pytest.raises(
        AlreadyExistsError,
        match=r"Feature view 'v' version 1 exists already and was declared otherwise: labels is",
    ):
        fs.get_or_create_feature_view("v", query, labels=["v"])
    with pytest.raises(
        NotFoundError, match=r"Label 'z' does not exist; .*Labels are columns of the query"
    ):
        fs.create_feature_view("w", query, labels=["z"])
    assert [v.name for v in fs.get_feature_views()] == ["v"]
