"""``log`` of a feature view: frames, lists and vectors that carry what they are of, kept in files and read; no JVM is started."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import AlreadyExistsError, NotFoundError, SchemaError, SettingsError
from spark_fs.flows import log_rows

from serving import put, root, store

TYPES = {
    "shop": "string",
    "at": "timestamp",
    "n": "bigint",
    "ratio": "double",
    "good": "boolean",
    "score": "int",
}
AT = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = [
    {"shop": "a", "at": AT, "n": 1, "ratio": 26.0, "good": True, "score": 1},
    {"shop": "b", "at": AT, "n": 2, "ratio": 19.0, "good": False, "score": 2},
]
ENTRIES = [{"shop": "a"}, {"shop": "b"}]


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    fs = store(tmp_path)
    put(fs, "shops", TYPES, ROWS, ["shop"], event_time="at")
    return fs


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    """A view whose vectors are n and a root of ratio."""
    query = fs.get_feature_group("shops", 1).select(["n", "ratio", "good", "score"])
    return fs.create_feature_view(
        "shops",
        query,
        labels=["good", "score"],
        transformation_functions=[root("ratio", "n")],
        logging_enabled=True,
        extra_log_columns=[{"name": "note", "type": "string"}],
    )


def read(view: FeatureView, names: Sequence[str]) -> list[list[Any]]:
    """What was logged, column by column; None for null."""
    frame = view.read_log(dataframe_type="polars")
    return [frame[name].to_list() for name in names]


def test_vectors_carry_what_is_logged_of_them(view: FeatureView) -> None:
    vectors = view.get_feature_vectors(ENTRIES, [{"n": 5}, {}], logging_data=True)
    assert vectors == view.get_feature_vectors(ENTRIES, [{"n": 5}, {}])
    name = next(name for name in view.serving_columns if name != "n")
    before = datetime.now(UTC)
    (job,) = view.log(vectors, predictions=[[True, 0.25], [False, 0.75]], request_id="r") or ()
    assert job.summary == {"read": 2}
    assert read(view, ["shop", "n", "ratio", name]) == [
        ["a", "b"],
        [5, 2],
        [26.0, 19.0],
        [4.0, 3.0],
    ]
    assert read(view, ["predicted_good", "predicted_score"]) == [[True, False], [0.25, 0.75]]
    assert read(view, ["request_id", "logged_as"]) == [["r", "r"], ["both", "both"]]
    assert read(view, ["request_parameters"]) == [['{"n": 5}', "{}"]]
    assert view.read_log(before).empty  # they are of when the vectors were read


@pytest.mark.parametrize("return_type", ["list", "pandas", "polars", "numpy"])
def test_one_vector_carries_it_too(view: FeatureView, return_type: str) -> None:
    vector = view.get_feature_vector({"shop": "b"}, return_type=return_type, logging_data=True)
    view.log(vector)
    assert read(view, ["shop", "n", "ratio"]) == [["b"], [2], [19.0]]


@pytest.mark.parametrize("kind", ["dicts", "lists", "array", "pandas", "polars"])
def test_parts_come_in_any_form(view: FeatureView, kind: str) -> None:
    rows = {"n": [1, 2], "ratio": [26.0, 19.0]}
    frame = pd.DataFrame(rows)
    features: Any = {
        "dicts": frame.to_dict("records"),
        "lists": [[1, 26.0], [2, 19.0]],
        "array": frame.to_numpy(),
        "pandas": frame,
        "polars": pl.DataFrame(rows),
    }[kind]
    view.log(
        untransformed_features=features,
        serving_keys=["a", "b"],
        event_time=[AT, AT],
        predictions={"good": True, "score": 3} if kind == "dicts" else None,
        extra_logging_features=[["x"], ["y"]],
        request_id=["r1", "r2"],
        model_name="m",
        model_version=2,
    )
    assert read(view, ["shop", "n", "ratio"]) == [["a", "b"], [1, 2], [26.0, 19.0]]
    assert read(view, ["at", "note", "request_id"]) == [[AT, AT], ["x", "y"], ["r1", "r2"]]
    assert read(view, ["model_name", "model_version"]) == [["m", "m"], [2, 2]]
    assert read(view, ["logged_as"]) == [["untransformed"] * 2]
    if kind == "dicts":
        assert read(view, ["predicted_score"]) == [[3.0, 3.0]]
    assert len(view.read_log(model_name="m", model_version=2)) == 2
    assert view.read_log(model_version=3).empty


def test_a_frame_may_have_columns_of_every_part(view: FeatureView) -> None:
    name = next(name for name in view.serving_columns if name != "n")
    frame = pd.DataFrame({"shop": ["a"], "n": [1], name: [4.0], "good": [True], "other": [9]})
    with pytest.warns(UserWarning, match=r"has no columns other, which are left out"):
        view.log(frame)
    assert read(view, ["shop", name, "predicted_good"]) == [["a"], [4.0], [True]]
    assert read(view, ["logged_as"]) == [["transformed"]]


def test_a_view_without_a_log_gets_one_with_what_is_logged_first(fs: FeatureStore) -> None:
    query = fs.get_feature_group("shops", 1).select(["n"])
    view = fs.create_feature_view("plain", query)
    assert (view.logging_enabled, view.feature_logging, view.has_log) == (False, None, False)
    assert view.log() is None
    with pytest.warns(UserWarning, match=r"had no log, and has one now, with the columns where"):
        view.log(pd.DataFrame({"n": [1], "where": ["here"]}), serving_keys=[{"shop": "a"}])
    assert view.logging_enabled
    assert read(view, ["shop", "n", "where"]) == [["a"], [1], ["here"]]
    logging = view.feature_logging
    assert logging is not None
    assert [each.name for each in logging.extra_logging_columns] == ["where"]
    assert logging.get_feature_group().name == "plain_1_log"
    view.delete_log()
    assert (view.logging_enabled, view.has_log) == (False, False)


def test_what_cannot_be_logged_is_named(view: FeatureView) -> None:
    with pytest.raises(SettingsError, match=r"2 rows in one argument and 3 in another"):
        view.log(untransformed_features=[[1, 2.0], [1, 2.0]], serving_keys=["a", "b", "c"])
    with pytest.raises(
        SettingsError, match=r"A logged row has 3 values, and its columns are 2: n, rat"
    ):
        view.log(untransformed_features=[[1, 2.0, 3]])
    with pytest.raises(SchemaError, match=r"Column 'n' of the log is bigint, and 'x' is logged"):
        view.log(untransformed_features=[["x", 2.0]])
    assert view.read_log().empty


def test_a_group_of_the_name_of_a_log_is_left_alone(fs: FeatureStore) -> None:
    put(fs, "taken_1_log", TYPES, ROWS, ["shop"], event_time="at")
    view = fs.create_feature_view("taken", fs.get_feature_group("shops", 1).select(["n"]))
    with pytest.raises(AlreadyExistsError, match=r"is not the log of feature view 'taken'"):
        view.enable_logging()
    with pytest.raises(AlreadyExistsError, match=r"rename the view, or delete the group"):
        view.read_log()


def test_extra_columns_have_a_type(fs: FeatureStore, view: FeatureView) -> None:
    with pytest.raises(SchemaError, match=r"Feature\('score'\) has no type"):
        view.enable_logging([spark_fs.Feature("score")])
    view.enable_logging({"more": "double"})
    again = fs.get_feature_view("shops", 1)
    assert again.feature_logging is not None
    names = {each.name: each.type for each in again.feature_logging.extra_logging_columns}
    assert names == {"note": "string", "more": "double"}
    with pytest.raises(SchemaError, match=r"Column 'note' of .* is double, and string in its log"):
        again.enable_logging({"note": "double"})
    again.log(untransformed_features=[[1, 2.0]], extra_logging_features=[["x", 0.5]])
    with pytest.raises(NotFoundError, match=r"nowhere"):
        again.read_log(filter=spark_fs.Feature("nowhere") > 1)


def test_values_come_back_as_they_were(view: FeatureView) -> None:
    values = [0.1 + 0.2, -0.0, float("inf"), np.float64(5e-324), None]
    view.log(untransformed_features=[[1, value] for value in values], serving_keys=["a"] * 5)
    found = [repr(value) for value in read(view, ["ratio"])[0]]
    assert sorted(found) == sorted(["0.30000000000000004", "-0.0", "inf", "5e-324", "None"])


def test_an_empty_batch_is_logged_as_nothing(view: FeatureView) -> None:
    batch = view.get_batch_data(logging_data=True)
    assert batch.empty
    (job,) = view.log(batch) or ()
    assert job.summary == {"read": 0}


def test_a_view_made_anew_has_nothing_of_the_one_before_that_it_cannot_hold(
    fs: FeatureStore,
) -> None:
    put(fs, "texts", {"shop": "string", "n": "string"}, [{"shop": "a", "n": "x"}], ["shop"])
    numbers, texts = (fs.get_feature_group(name, 1).select(["n"]) for name in ("shops", "texts"))
    view = fs.create_feature_view("again", numbers, version=1, logging_enabled=True)
    view.log(untransformed_features=[[1]], serving_keys=["a"])
    spool = log_rows.open_spool(view._stores, view._spec)
    (file,) = [each.path for each in spool.list_files()]
    written = file.read_text()
    view.delete()
    assert not file.exists()

    view = fs.create_feature_view("again", texts, version=1)
    with pytest.raises(SchemaError, match=r"'n' of feature view 'again' .* is string, and bigint"):
        view.read_log()
    with pytest.raises(SchemaError, match=r"is of an earlier view of that name: call delete_log"):
        view.enable_logging()
    view.delete_log()
    file.write_text(written)  # by a server that did not know yet that the view was gone
    with pytest.raises(SchemaError, match=r"jsonl holds values that the log .* has no columns for"):
        view.read_log()
    view.delete_log()
    assert view.read_log().empty
