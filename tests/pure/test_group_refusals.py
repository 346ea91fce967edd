"""What a feature group of Hopsworks has and ours has not says what to use here."""

import inspect

import pytest

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.group_refusals import GroupRefusals
from spark_fs.errors import NotOfferedError

CALLS = [name for name in dir(GroupRefusals) if not name.startswith("_")]


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> FeatureGroup:
    fs = spark_fs.login({"home": tmp_path_factory.mktemp("refused")}).get_feature_store()
    return fs.create_feature_group("cards", version=1, primary_key=["card"])


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_not_offered_says_so_whatever_it_is_given(
    group: FeatureGroup, name: str
) -> None:
    with pytest.raises(NotOfferedError, match="on Hopsworks, and spark_fs has no such thing: "):
        getattr(group, name)("a", 1, other=None)


def test_what_a_remedy_names_is_there(group: FeatureGroup) -> None:
    for name in (
        "add_tag",
        "get_tags",
        "delete_tag",
        "sync_online",
        "verify_online",
        "optimize",
        "report",
    ):
        assert inspect.ismethod(getattr(group, name))
