"""A store of each of the last releases opens, says what it said, and goes on.

The stores were made by the code of their time (``make.py``): 0.0.9 before pipelines and migrations, 0.1.0 as it was released.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from releases.make import CARDS, CHANGED, DAY, PAYMENTS, SUITE
from releases.unpack import unpack

import spark_fs
from spark_fs.api.project import Project
from spark_fs.errors import ValidationError

from conftest import ROOT
from oracles import same_rows

FILES = sorted((ROOT / "tests" / "releases").glob("*.zip"))
RELEASES = [*(pytest.param(file, marks=pytest.mark.slow) for file in FILES[:-1]), FILES[-1]]
NOW = pd.concat(
    [PAYMENTS[~PAYMENTS.id.isin([3, 4, 39])], CHANGED]
)  # rows of payments as they are: changed, and one deleted


@pytest.fixture(params=RELEASES, ids=[file.stem for file in FILES])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """The store of a release, at another place than where it was made."""
    unpack(request.param, tmp_path)
    return spark_fs.login({"home": tmp_path})


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Any]:
    """What the release itself said of the store."""
    found: dict[str, Any] = json.loads((tmp_path / "made.json").read_text())
    return found | {"runs": [tuple(run) for run in found["runs"]]}


def test_what_a_release_left_is_there_without_a_jvm(
    project: Project, made: dict[str, Any], tmp_path: Path
) -> None:
    fs = project.get_feature_store()
    payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
    assert payments.schema == {
        "id": "bigint",
        "card": "string",
        "paid_at": "timestamp",
        "amount": "double",
        "note": "string",
        "fraud": "bigint",
        "channel": "string",
    }
    assert (payments.get_tags(), payments.partition_key, cards.description) == (
        {"owner": {"team": "risk", "since": 2024}},
        ["month"],
        "What cards may",
    )
    assert (
        payments.get_expectation_suite(),
        [each.success for each in payments.get_validation_history()],
    ) == (SUITE, [True, True])
    assert [each.name for each in fs.get_external_feature_groups()] == ["rates"]
    assert [
        (commit.inserted, commit.updated, commit.deleted)
        for commit in payments.commit_details()
        if commit.changes_rows
    ] == [
        (0, 0, 1),
        (0, 2, 0),
        (40, 0, 0),
    ]
    statistics = payments.get_statistics(as_of=0)
    assert statistics is not None
    one, values = statistics["amount"], PAYMENTS.amount
    assert (one.count, one.min, one.max, one.mean) == (
        40,
        values.min(),
        values.max(),
        pytest.approx(values.mean()),
    )
    assert statistics["note"].num_null_values == PAYMENTS.note.isna().sum()
    assert statistics["amount"].correlations["fraud"] == pytest.approx(values.corr(PAYMENTS.fraud))
    assert len(payments.get_drift_history()) == 1
    assert [view.name for view in fs.get_feature_views()] == ["doubled", "fraud", "served"]
    vector = fs.get_feature_view("served").get_feature_vector({"card": "b"})
    assert vector == made["vector"] == [250, "grey"]
    view = fs.get_feature_view("fraud")
    assert [dataset.version for dataset in view.get_training_datasets()] == [1, 2]
    assert [part.split for part in view.kept_statistics()] == [
        "train"
    ]  # those of the second dataset
    model = project.get_model_registry().get_model("fraud")
    assert (model.version, model.metrics, model.training_dataset_version) == (1, {"auc": 0.75}, 1)
    assert (Path(model.download()) / "weights.json").read_text() == '{"w": 1.5}'
    assert [each.name for each in view.get_models()] == ["fraud"]
    assert [function.name for function in fs.get_transformation_functions()][-1:] == ["doubled"]
    assert [(run.state, run.steps[0].counts) for run in fs.get_runs()] == made["runs"]
    model.delete()
    assert not list(tmp_path.glob("models/*/*/artifacts/models/*"))


@pytest.mark.slow
def test_a_store_of_a_release_goes_on(project: Project, made: dict[str, Any], spark: Any) -> None:
    fs = project.get_feature_store()
    payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
    same_rows(payments.read("pandas").drop(columns="channel"), NOW, ["id"])
    same_rows(
        payments.as_of(0).read("pandas").drop(columns="channel", errors="ignore"), PAYMENTS, ["id"]
    )
    same_rows(
        fs.get_external_feature_group("rates").read("pandas")[CARDS.columns.to_list()],
        CARDS,
        ["card", "known_at"],
    )

    # training data as it was made then, in memory and in files
    view = fs.get_feature_view("fraud")
    again = view.get_train_test_split(1)
    for frame, name in zip(again, ("x_train", "x_test", "y_train", "y_test"), strict=True):
        kept = pd.DataFrame(**made["split"][name])
        assert_frame_equal(
            frame.reset_index(drop=True), kept.reset_index(drop=True), check_dtype=False
        )
    x, y = view.get_training_data(2, dataframe_type="pandas")
    assert (len(x), y.fraud.sum()) == (len(NOW), NOW.fraud.sum())
    means = {
        part.split: part["amount"].mean
        for part in view.get_training_dataset_statistics(1).split_statistics
    }
    assert means == pytest.approx(made["means"], abs=1e-9)
    assert sorted(fs.get_feature_view("doubled").training_data()[0].iloc[:, 0]) == sorted(
        NOW.amount * 2
    )

    # and it is written on: rows, statistics, columns, what is online, training data
    with pytest.raises(ValidationError, match="expect_column_values_to_not_be_null"):
        payments.insert(
            pd.DataFrame(
                {**PAYMENTS[:1].assign(id=99), "amount": [None], "channel": ["web"]}
            ).astype({"amount": "float64"})
        )
    more = PAYMENTS[:3].assign(id=[100, 101, 102], channel="web")
    payments.insert(more)
    whole = pd.concat([NOW, more])
    same_rows(payments.read("pandas"), whole, ["id"])
    statistics = payments.get_statistics()
    assert statistics is not None
    assert (statistics["amount"].count, statistics["amount"].mean) == (
        len(whole),
        pytest.approx(whole.amount.mean()),
    )
    cards.insert(
        pd.DataFrame(
            {
                "card": ["b", "e"],
                "known_at": [DAY + pd.Timedelta(days=30)] * 2,
                "limit_": [999, 1],
                "kind": ["new", "new"],
            }
        )
    )
    cards.sync_online()
    assert cards.verify_online().ok
    served = fs.get_feature_view("served")
    assert [served.get_feature_vector({"card": card}) for card in ("b", "e")] == [
        [999, "new"],
        [1, "new"],
    ]
    assert len(view.training_data()[0]) == len(whole)
    assert [dataset.version for dataset in view.get_training_datasets()] == [1, 2, 3]
