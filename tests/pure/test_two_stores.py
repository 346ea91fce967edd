"""Two feature stores in one process: what is of one is never taken for what is of the other."""

from collections.abc import Callable
from pathlib import Path

import pytest

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.project import Project
from spark_fs.errors import QueryError
from spark_fs.settings import load_settings

COLUMNS = [spark_fs.Feature("k", "bigint"), spark_fs.Feature("v", "double")]


def _group(store: FeatureStore) -> FeatureGroup:
    return store.get_or_create_feature_group("g", primary_key=["k"], features=COLUMNS)


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "one", tmp_path / "two"


@pytest.fixture
def projects(homes: tuple[Path, Path]) -> list[Project]:
    return [spark_fs.login({"home": home}) for home in homes]


WAYS: dict[str, Callable[[list[Project], FeatureGroup, FeatureGroup], object]] = {
    "join": lambda _, own, other: own.select_all().join(other.select(["v"]), prefix="b_"),
    "join of a join": (
        lambda _, own, other: own.select_all().join(
            own.select(["v"]).join(other.select(["v"]), prefix="b_"), prefix="c_"
        )
    ),
    "filter": lambda _, own, other: own.select_all().filter(other["v"] > 1),
    "filter, negated": lambda _, own, other: own.select_all().filter(~(other["v"] > 1)),
    "filter, combined": (
        lambda _, own, other: own.select_all().filter((own["v"] > 1) | other["v"].is_null())
    ),
    "filter, of features": (
        lambda _, own, other: own.select_all().filter(other.features[1].isin([1.0]))
    ),
    "filter on the result": (
        lambda _, own, other: (
            own.select_all().join(own.select(["v"]), prefix="b_").filter(other["v"].is_null())
        )
    ),
    "view": (
        lambda projects, _, other: (
            projects[0].get_feature_store().create_feature_view("w", other.select_all())
        )
    ),
    "view, got or created": (
        lambda projects, _, other: (
            projects[0].get_feature_store().get_or_create_feature_view("w", other.select_all())
        )
    ),
    "extra_filter": (
        lambda projects, own, other: _view(projects[0], own).training_data(
            extra_filter=other["v"] > 1
        )
    ),
    "extra_filter of a split": (
        lambda projects, own, other: _view(projects[0], own).create_train_test_split(
            0.5, extra_filter=other["v"] > 1
        )
    ),
    "parent": (
        lambda projects, _, other: (
            projects[0]
            .get_feature_store()
            .create_feature_group("h", primary_key=["k"], parents=[other])
        )
    ),
    "parent, got or created": (
        lambda projects, _, other: (
            projects[0]
            .get_feature_store()
            .get_or_create_feature_group("h", primary_key=["k"], parents=[other])
        )
    ),
    "parent of an external group": (
        lambda projects, _, other: (
            projects[0]
            .get_feature_store()
            .create_external_feature_group(
                "h", primary_key=["k"], path="/somewhere", features=COLUMNS, parents=[other]
            )
        )
    ),
    "model": (
        lambda projects, _, other: (
            projects[0]
            .get_model_registry()
            .python.create_model("m", feature_view=_view(projects[1], other))
        )
    ),
}


def _view(project: Project, group: FeatureGroup) -> FeatureView:
    return project.get_feature_store().get_or_create_feature_view("v", group.select_all())


@pytest.mark.parametrize("way", WAYS)
def test_what_is_of_another_store_is_refused_with_both_names(
    way: str, projects: list[Project], homes: tuple[Path, Path]
) -> None:
    own, other = (_group(project.get_feature_store()) for project in projects)
    with pytest.raises(QueryError, match="of another feature store") as refused:
        WAYS[way](projects, own, other)
    assert all(str(home) in str(refused.value) for home in homes)


@pytest.mark.parametrize("again", ["the same", "a link", "a relative path", "other online store"])
def test_two_log_ins_to_one_store_work_together(
    again: str, homes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = homes[0]
    own = _group(spark_fs.login({"home": home}).get_feature_store())
    if again == "a link":
        homes[1].symlink_to(home)
    monkeypatch.chdir(home.parent)
    same: dict[str, dict[str, object]] = {
        "the same": {"home": home},
        "a link": {"home": homes[1]},
        "a relative path": {"home": "one"},
        "other online store": {"home": home, "online_url": f"sqlite:///{home}/other.db"},
    }
    project = spark_fs.login(same[again])
    other = _group(project.get_feature_store())
    query = (
        own.select_all()
        .filter((other["v"] > 1) & (own["v"] > 1))
        .join(other.select(["v"]), prefix="b_")
    )
    assert list(query.plan().schema) == ["k", "v", "b_v"]
    view = project.get_feature_store().create_feature_view("v", query)
    assert view.get_parent_feature_groups()[0].name == "g"


@pytest.mark.parametrize(
    "other",
    [
        {"catalog_url": "mysql://b:q@Host:3306/store"},
        {"catalog_url": "mysql+mysqlconnector://host/store"},
        {"warehouse": "/there/"},
        {"warehouse": "file:///there"},
    ],
)
def test_one_store_has_one_name(other: dict[str, str]) -> None:
    own = {"catalog_url": "mysql://a:p%40w@host/store", "warehouse": "/there"}
    assert (
        load_settings(own).store_identity
        == load_settings({**own, **other}).store_identity
        == ("mysql://host:3306/store", "/there")
    )


@pytest.mark.parametrize(
    "other",
    [
        {"catalog_url": "mysql://a@host:3307/store"},
        {"catalog_url": "mysql://a@host/other"},
        {"warehouse": "s3://there"},
    ],
)
def test_other_stores_have_other_names(other: dict[str, str]) -> None:
    own = {"catalog_url": "mysql://a:p%40w@host/store", "warehouse": "/there"}
    assert load_settings(own).store_identity != load_settings({**own, **other}).store_identity
