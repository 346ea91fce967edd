"""Feature views: labels, helper columns, transformations by name, tags, lineage, and when they may go."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.model_registry import ModelRegistry
from spark_fs.errors import AlreadyExistsError, NotFoundError, QueryError, SettingsError

DAYS = pd.date_range("2024-01-01", periods=4, tz="UTC")


@spark_fs.udf(float, mode="python")
def doubled(v):
    return None if v is None else 2.0 * v


@pytest.fixture
def rows(group: Callable[..., FeatureGroup]) -> FeatureGroup:
    frame = pd.DataFrame(
        {
            "id": range(4),
            "at": DAYS,
            "v": [1.0, 2.0, 3.0, None],
            "note": list("wxyz"),
            "extra": range(10, 14),
            "y": ["no", "yes"] * 2,
        }
    )
    return group("rows", frame, primary_key=["id"], event_time="at")


@pytest.fixture
def view(rows: FeatureGroup, fs: FeatureStore) -> FeatureView:
    return fs.create_feature_view(
        "v",
        rows.select(["v", "note", "extra", "y"]),
        label="y",
        transformation_functions={
            "v": doubled,
            "y": fs.get_transformation_function("label_encoder"),
        },
        training_helper_columns=["note"],
        inference_helper_columns=["extra"],
        description="first",
    )


def test_helpers_are_no_features(view: FeatureView) -> None:
    assert (view.labels, view.training_helper_columns, view.inference_helper_columns) == (
        ["y"],
        ["note"],
        ["extra"],
    )
    assert list(view.schema) == ["v"]
    x, y = view.training_data(training_helper_columns=True)
    assert list(x.columns) == ["v", "note"]
    assert x["v"].tolist()[:3] == [2.0, 4.0, 6.0]
    assert y["y"].tolist() == [0, 1, 0, 1]
    assert list(view.training_data()[0].columns) == ["v"]
    version, _ = view.create_training_data()
    assert view.get_training_data(version, training_helper_columns=True)[0][
        "note"
    ].tolist() == list("wxyz")
    assert list(view.get_batch_data(inference_helper_columns=True).columns) == ["v", "extra"]


def test_a_view_comes_back_as_it_was_declared(view: FeatureView, fs: FeatureStore) -> None:
    again = fs.get_feature_view("v", 1)
    assert again._spec == view._spec
    functions = {"v": doubled, "y": fs.get_transformation_function("label_encoder")}
    declared = {
        "labels": ["y"],
        "transformation_functions": functions,
        "training_helper_columns": ["note"],
        "inference_helper_columns": ["extra"],
    }
    assert (
        fs.get_or_create_feature_view("v", view.query, description="first", **declared)._spec
        == view._spec
    )  # type: ignore[arg-type] # as above
    with pytest.raises(AlreadyExistsError, match=r"training_helper_columns is note, not extra"):
        fs.get_or_create_feature_view(
            "v",
            view.query,
            description="first",
            **(declared | {"training_helper_columns": ["extra"]}),
        )  # type: ignore[arg-type] # as above
    with pytest.raises(
        SettingsError, match=r"was given labels=\['y'\] and label='y': give one of the two"
    ):
        fs.create_feature_view("w", view.query, labels=["y"], label="y")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"labels": ["yy"]}, r"Label 'yy' does not exist; did you mean 'y'"),
        (
            {"training_helper_columns": ["not"]},
            r"Training helper column 'not' does not exist; did you mean 'note'",
        ),
        (
            {"inference_helper_columns": ["extras"]},
            r"Inference helper column 'extras' does not exist; did you mean 'extra'",
        ),
        (
            {"labels": ["y"], "training_helper_columns": ["y"]},
            r"Training helper column 'y' is a label of the view too",
        ),
        (
            {"transformation_functions": {"vv": doubled}},
            r"Feature of transformation 'doubled' 'vv' does not exist; did you mean 'v'",
        ),
        (
            {"labels": ["y"], "transformation_functions": [doubled("y").alias("z")]},
            r"Transformation doubled\(y\) takes the label 'y': a label is transformed alone",
        ),
    ],
)
def test_what_does_not_fit_the_query(
    rows: FeatureGroup, fs: FeatureStore, declared: dict[str, object], said: str
) -> None:
    with pytest.raises((NotFoundError, QueryError), match=said):
        fs.create_feature_view("w", rows.select(["v", "note", "extra", "y"]), **declared)  # type: ignore[arg-type] # the table's own
    assert fs.get_feature_views() == []


def test_functions_are_kept_by_name_and_version(fs: FeatureStore, rows: FeatureGroup) -> None:
    saved = fs.create_transformation_function(doubled)
    assert (saved.name, saved.version, saved.save()) == ("doubled", 1, saved)
    assert fs.create_transformation_function(doubled).version == 2
    found = fs.get_transformation_function("doubled", 1)
    assert found.run(4.0) == 8.0
    functions = [(f.name, f.version) for f in fs.get_transformation_functions()]
    assert functions[:2] == [("min_max_scaler", 1), ("standard_scaler", 1)]
    assert functions[-2:] == [("doubled", 1), ("doubled", 2)]
    view = fs.create_feature_view(
        "w", rows.select(["v"]), transformation_functions=[found("v").alias("twice")]
    )
    assert view.training_data()[0]["twice"].tolist()[:3] == [2.0, 4.0, 6.0]
    with pytest.raises(
        NotFoundError,
        match=r"Transformation 'min_max_scalr' does not exist; did you mean 'min_max_scaler'",
    ):
        fs.get_transformation_function("min_max_scalr")
    with pytest.raises(AlreadyExistsError, match=r"'doubled' version 2 exists already"):
        fs.create_transformation_function(doubled, version=2)
    with pytest.raises(
        SettingsError, match=r"is not a transformation function: decorate it with @spark_fs.udf"
    ):
        fs.create_transformation_function(len)  # type: ignore[arg-type] # as the test says


def test_descriptions_and_tags(view: FeatureView, fs: FeatureStore) -> None:
    view.update_description("second")
    view.add_tag("owner", {"team": "risk"})
    again = fs.get_feature_view("v", 1)
    assert (again.description, again.get_tags()) == ("second", {"owner": {"team": "risk"}})
    again.delete_tag("owner")
    assert (view.get_tags(), view.get_tag("owner")) == ({}, None)
    with pytest.raises(NotFoundError, match=r"Tag 'owner' does not exist"):
        view.delete_tag("owner")


@pytest.mark.slow
def test_lineage_goes_up_and_down(view: FeatureView, rows: FeatureGroup, tmp_path: Path) -> None:
    view.training_data()
    (tmp_path / "model").write_text("weights")
    registry = ModelRegistry(view._stores)
    registry.python.create_model("m", feature_view=view, training_dataset_version=1).save(
        tmp_path / "model"
    )
    assert [group.name for group in view.get_parent_feature_groups()] == ["rows"]
    assert [
        (model.name, model.version, model.training_dataset_version) for model in view.get_models()
    ] == [("m", 1, 1)]
    assert view.get_models(training_dataset_version=2) == []
    assert [other.name for other in rows.get_generated_feature_views()] == ["v"]
    assert registry.get_model("m").get_feature_view()._spec == view._spec


def test_a_view_goes_when_nothing_depends_on_it(
    view: FeatureView, fs: FeatureStore, tmp_path: Path
) -> None:
    version, _ = view.create_training_data(
        spine_df=pd.DataFrame(
            {"id": [1], "at": DAYS[:1], "v": [1.0], "note": ["a"], "extra": [1], "y": ["no"]}
        )
    )
    (tmp_path / "model").write_text("weights")
    registry = ModelRegistry(view._stores)
    model = registry.python.create_model(
        "m", feature_view=view, training_dataset_version=version
    ).save(tmp_path / "model")
    with pytest.raises(
        SettingsError, match=r"Training dataset 1 of .* is what model 'm' version 1 was trained on"
    ):
        view.delete_training_dataset(version)
    with pytest.raises(
        SettingsError,
        match=r"'v' version 1 is what model 'm' version 1 was trained on: delete these first, or say",
    ):
        view.delete()
    model.delete()
    view.delete_training_dataset(version)
    folder = Path(view._stores.settings.warehouse) / "training_datasets" / "v_1"
    assert len(list(folder.iterdir())) == 1  # the spine, by which it could be made again
    view.delete()
    assert fs.get_feature_views() == []
    assert list(folder.iterdir()) == []


def test_a_view_takes_its_training_data_with_it(view: FeatureView, fs: FeatureStore) -> None:
    view.training_data()
    view.create_training_data()
    view.delete()
    assert fs.get_feature_views() == []
    again = fs.create_feature_view("v", view.query, labels=["y"])
    assert again.get_training_datasets() == []
