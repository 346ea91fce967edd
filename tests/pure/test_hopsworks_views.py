"""What code that was written for Hopsworks asks of a feature view, over a store that a release left."""

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from releases.make import CARDS, CHANGED, DAY, PAYMENTS
from releases.unpack import unpack

import spark_fs
from spark_fs import Feature, udf
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
    NotOfferedError,
    SchemaError,
    SettingsError,
)

from conftest import ROOT

RELEASE = ROOT / "tests" / "releases" / "0.1.0.zip"
NOW = pd.concat([PAYMENTS[~PAYMENTS.id.isin([3, 4, 39])], CHANGED]).sort_values("paid_at")
NOON = DAY + pd.Timedelta(days=20)


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    unpack(RELEASE, tmp_path)
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    """A view of the amounts of payments and the kinds of their cards, by Hopsworks' order."""
    payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
    query = payments.select(["amount", "fraud", "note"]).join(
        cards.select(["limit_", "kind"]), on=["card"]
    )
    scaler = fs.get_transformation_function("min_max_scaler")
    return fs.create_feature_view(
        "asked", query, 1, "what is asked", ["fraud"], ["limit_"], ["note"], [scaler("amount")]
    )


def test_a_view_is_made_by_arguments_in_hopsworks_order(view: FeatureView) -> None:
    assert (view.labels, view.inference_helper_columns, view.training_helper_columns) == (
        ["fraud"],
        ["limit_"],
        ["note"],
    )
    assert [str(function) for function in view.transformation_functions] == [
        "TransformationFunction(min_max_scaler(amount))"
    ]
    assert list(view.model_dependent_transformations) == ["amount"]
    assert view["min_max_scaler"].name == "min_max_scaler"
    with pytest.raises(NotFoundError, match=r"'min_max' does not exist; did you mean 'min_max_"):
        view["min_max"]


def test_lineage_has_hopsworks_parts(fs: FeatureStore, view: FeatureView) -> None:
    parents = view.get_parent_feature_groups()
    assert [group.name for group in parents] == [group.name for group in parents.accessible]
    assert (parents.deleted, parents.inaccessible, parents.faulty) == ([], [], [])
    fraud = fs.get_feature_view("fraud", 1)
    assert len(fraud.get_models_provenance().accessible) == len(fraud.get_models())


def test_a_logger_of_ones_own_is_taken(view: FeatureView) -> None:
    with pytest.warns(UserWarning, match=r"init_feature_logger\(feature_logger=\) changes nothing"):
        view.init_feature_logger(object())


REFUSALS = (
    "create_feature_logger find_neighbors clean get_tag_metadata"
    " get_tags_metadata get_keywords set_keywords add_keywords delete_keyword"
    " get_training_dataset_keywords add_training_dataset_keywords"
)


@pytest.mark.parametrize("name", REFUSALS.split())
def test_what_there_is_not_is_refused_with_what_there_is(view: FeatureView, name: str) -> None:
    with pytest.raises(NotOfferedError, match=rf"^FeatureView.{name} .*: [^:]+\.$"):
        getattr(view, name)(1, anything=2)


def test_features_are_all_that_the_query_selects(view: FeatureView) -> None:
    assert [(f.name, f.type, f.label) for f in view.features] == [
        ("amount", "double", False),
        ("fraud", "bigint", True),
        ("note", "string", False),
        ("limit_", "bigint", False),
        ("kind", "string", False),
    ]
    assert [f.name for f in view.features if f.inference_helper_column] == ["limit_"]
    assert [f.name for f in view.features if f.training_helper_column] == ["note"]
    assert {f.name: f.feature_group.name for f in view.features}["kind"] == "cards"
    assert [(f.name, f.type, f.label) for f in view.schema] == [
        ("amount", "double", False),
        ("kind", "string", False),
    ]
    assert dict(view.schema) == {"amount": "double", "kind": "string"}
    assert view.primary_keys == {"id", "card"}
    assert [(key.feature_name, key.join_index) for key in view.serving_keys] == [
        ("id", 0),
        ("card", 1),
    ]
    assert [f.name for f in view.get_training_dataset_schema() if f.label] == ["fraud"]


def test_tags_come_in_every_form(fs: FeatureStore, view: FeatureView) -> None:
    forms: list[Any] = [
        {"owner": "risk"},
        {"name": "owner", "value": "risk"},
        [{"name": "owner", "value": "risk"}],
        SimpleNamespace(name="owner", value="risk"),
    ]
    for number, tags in enumerate(forms, 2):
        made = fs.create_feature_view("asked", view.query, number, tags=tags)
        assert (made.get_tag("owner"), made.get_tag("other")) == ("risk", None)
    with pytest.raises(SettingsError, match=r"'risk' is not a tag: give tags="):
        fs.create_feature_view("asked", view.query, tags="risk")
    with pytest.raises(InvalidNameError, match=r"Tag \['owner'\] is not a valid name"):
        fs.create_feature_view("asked", view.query, tags={"name": ["owner"], "value": 1})


def test_what_exists_is_got_and_what_differs_is_said_in_words(
    fs: FeatureStore, view: FeatureView
) -> None:
    again = fs.get_or_create_feature_view(
        "asked",
        view.query,
        1,
        labels=["fraud"],
        inference_helper_columns=["limit_"],
        training_helper_columns=["note"],
        transformation_functions=view.transformation_functions,
        tags={"ignored": 1},
    )
    assert (again.description, again.get_tags()) == ("what is asked", {})
    assert fs.get_or_create_feature_view("asked", view.query, 1).labels == ["fraud"]
    with pytest.warns(
        UserWarning, match=r"'asked' version 1 keeps its description, 'what is asked'"
    ):
        fs.get_or_create_feature_view("asked", view.query, 1, "other")
    payments = fs.get_feature_group("payments", 1)
    scaler = fs.get_transformation_function("standard_scaler")
    with pytest.raises(AlreadyExistsError) as caught:
        fs.get_or_create_feature_view(
            "asked",
            payments.select(["amount", "channel"]),
            1,
            labels=["channel"],
            transformation_functions=[scaler("amount")],
        )
    assert str(caught.value) == (
        "Feature view 'asked' version 1 exists already and was declared otherwise: labels is fraud,"
        " not channel; transformation_functions is min_max_scaler(amount), not"
        " standard_scaler(amount); its query selects payments_1.fraud, payments_1.note,"
        " cards_1.limit_, cards_1.kind, and this one does not; its query does not select"
        " payments_1.channel. Use the same arguments, get_feature_view for the one that exists, or"
        " another version."
    )


def test_a_description_is_set_and_kept(fs: FeatureStore, view: FeatureView) -> None:
    view.description = "once more"
    assert view.update() is view
    assert fs.get_feature_view("asked", 1).description == "once more"


def test_a_view_goes_with_its_training_data_but_not_from_under_a_model(
    fs: FeatureStore, view: FeatureView
) -> None:
    view.create_training_data()
    folder = Path(view._stores.settings.warehouse) / "training_datasets" / "asked_1"
    assert list(folder.iterdir())
    view.delete()
    assert not list(folder.iterdir())
    with pytest.raises(
        SettingsError,
        match=r"'fraud' version 1 is what model 'fraud' version 1 was trained on: delete these first",
    ):
        fs.get_feature_view("fraud", 1).delete()


def test_an_argument_that_there_is_not_is_no_type_error(
    fs: FeatureStore, view: FeatureView
) -> None:
    with pytest.raises(
        SettingsError,
        match=r"get_feature_vector\(\) has no argument 'alow_missing'; did you mean 'allow_",
    ):
        view.get_feature_vector({"id": 1}, alow_missing=True)  # type: ignore[call-overload]
    with pytest.raises(
        SettingsError,
        match=r"missing 1 required positional argument: 'query'. It takes name, query,",
    ):
        fs.create_feature_view("x")  # type: ignore[call-arg]
    with pytest.raises(SettingsError, match=r"takes 1 positional argument but 2 were given"):
        view.update(1)  # type: ignore[call-arg]
    with pytest.raises(
        SettingsError, match=r"login\(\) has no argument 'hots'; did you mean 'host'"
    ):
        spark_fs.login(hots="x")  # type: ignore[call-arg]
    with pytest.raises(
        SettingsError, match=r"udf\(\) has no argument 'moode'; did you mean 'mode'"
    ):
        udf(float, moode="pandas")  # type: ignore[call-arg]


@udf(float, drop=["quantity"])
def ratio(amount, quantity):
    return amount / quantity


def test_what_a_request_brings_is_told(fs: FeatureStore) -> None:
    columns = [Feature("id", "bigint"), Feature("amount", "double"), Feature("ratio", "double")]
    sales = fs.create_feature_group(
        "sales",
        primary_key=["id"],
        features=columns,
        transformation_functions=[ratio("amount", "quantity")],
    )
    view = fs.create_feature_view("sales", sales.select_all())
    assert list(view.on_demand_transformations) == ["ratio"]
    assert view.request_parameters == ["quantity"]
    without = fs.create_feature_view("plain", sales.select(["amount"]))
    assert (without.on_demand_transformations, without.request_parameters) == ({}, [])
    assert (view.feature_store_name, view.featurestore_id) == (fs.name, fs.id)
    assert json.loads(view.json()) == json.loads(json.dumps(view.to_dict()))


# -- training data


def test_train_ends_where_test_begins(view: FeatureView) -> None:
    x_train, x_test, y_train, y_test = view.train_test_split(test_start=NOON)
    assert (len(x_train), len(x_test)) == (20, 19)
    assert (y_train["fraud"].tolist(), y_test["fraud"].tolist()) == (
        NOW["fraud"][NOW.paid_at < NOON].tolist(),
        NOW["fraud"][NOW.paid_at >= NOON].tolist(),
    )
    splits = view.train_validation_test_split(
        validation_start=DAY + pd.Timedelta(days=10), test_start=NOON
    )
    assert [len(part) for part in splits[:3]] == [10, 10, 19]
    assert [len(part) for part in splits[3:]] == [10, 10, 19]


def test_an_empty_time_is_none(view: FeatureView) -> None:
    assert len(view.training_data("", "")[0]) == 39
    assert len(view.train_test_split(None, "", NOON, "", "")[1]) == 19
    with pytest.raises(SettingsError, match=r"Give test_size, or times such as train_end"):
        view.train_test_split(train_start="", test_end="")


def test_the_size_comes_first_by_place(view: FeatureView) -> None:
    assert [len(part) for part in view.train_test_split(0.25, seed=1)] == [29, 10, 29, 10]
    sizes = [len(part) for part in view.train_validation_test_split(0.2, 0.1)[:3]]
    assert sizes == [27, 8, 4]


def test_files_are_made_by_place_too(view: FeatureView) -> None:
    version, job = view.create_train_test_split(
        0.25,
        "",
        "",
        "",
        "",
        None,
        "",
        "by place",
        None,
        "csv",
        True,
        5,
        False,
        {},
        None,
        None,
        None,
        {"a": 1},
    )
    dataset = view.get_training_datasets()[0]
    assert (version, job.summary["rows"], dataset.description) == (1, 39, "by place")
    assert (dataset.seed, dataset.data_format, dataset.coalesce) == (5, "csv", True)
    assert Path(dataset.location).is_dir()
    assert (dataset.tags, dataset.random.shares) == ({"a": 1}, {"test": 0.25})
    in_memory = view.train_test_split(0.25, seed=5)
    for one, other in zip(view.get_train_test_split(1), in_memory, strict=True):
        pd.testing.assert_frame_equal(one, other)
    with pytest.warns(UserWarning, match=r"create_training_data\(seed=\) changes nothing"):
        view.create_training_data("", "", None, "", "", None, None, False, 7)


def test_without_labels_y_is_none(fs: FeatureStore) -> None:
    plain = fs.get_feature_view("doubled", 1)
    x, y = plain.training_data()
    assert (len(x), y) == (39, None)
    assert plain.train_test_split(0.2)[2:] == (None, None)
    assert plain.get_training_data(1)[1] is None
    made, _ = plain.create_train_test_split(0.2)
    assert plain.get_train_test_split(made)[2:] == (None, None)


def test_what_means_nothing_here_is_named_in_one_warning(view: FeatureView) -> None:
    with pytest.warns(UserWarning, match="mean|nothing") as caught:
        view.training_data(n_processes=4, read_options={"x": 1})
    assert [str(warning.message) for warning in caught] == [
        "read_options 'x' mean nothing here: the rows are read as they would be without.",
        "training_data(n_processes=) changes nothing: transformations run in the threads of this"
        " process or in Spark's tasks.",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view.training_data(None, None, "", None, None, None, None, True, True, True, "default")
    with pytest.warns(UserWarning, match=r"write_options 'use_spark' mean nothing here"):
        view.create_training_data(write_options={"use_spark": True, "wait_for_job": True})


REFUSED: list[tuple[Callable[[FeatureView], object], str]] = [
    (
        lambda view: view.training_data(extra_filtr=1),  # type: ignore[call-overload]
        r"Option 'extra_filtr' does not exist; did you mean 'extra_filter'",
    ),
    (
        lambda view: view.training_data(spine=CARDS, spine_df=CARDS),
        r"A spine was given as spine= and as spine_df=: give one of the two",
    ),
    (
        lambda view: view.get_batch_data(lookback={"key": "EVENT_TIME"}),
        r"lookback=.* bounds the rows of joined groups by instants on Hopsworks",
    ),
    (
        lambda view: view.create_training_data(storage_connector=object()),
        r"storage_connector= says on Hopsworks where training data is written: give location=",
    ),
]


@pytest.mark.parametrize(("ask", "message"), REFUSED)
def test_what_cannot_mean_the_same_is_refused(
    view: FeatureView, ask: Callable[[FeatureView], object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        ask(view)


def test_a_spine_stands_for_the_leftmost_group(fs: FeatureStore, view: FeatureView) -> None:
    asked = pd.DataFrame({"id": [1], "card": ["a"], "paid_at": [NOON], "amount": [2.0]})
    asked = asked.assign(note="n", fraud=0)
    spine = fs.create_spine(asked, ["id", "card"], "paid_at")
    for form in (asked, spine):
        x, y = view.training_data(spine=form)
        assert (x["kind"].tolist(), y["fraud"].tolist()) == (["gold"], [0])
        batch = view.get_batch_data(spine=form, transformed=False)
        assert (batch["kind"].tolist(), batch["amount"].tolist()) == (["gold"], [2.0])


def test_tags_of_a_training_dataset(fs: FeatureStore, view: FeatureView) -> None:
    view.training_data(tags={"name": "owner", "value": {"team": "risk"}})
    view.add_training_dataset_tag(1, "second", 2)
    again = fs.get_feature_view("asked", 1)
    assert again.get_training_dataset_tags(1) == {"owner": {"team": "risk"}, "second": 2}
    assert again.get_training_dataset_tag(1, "owner") == {"team": "risk"}
    assert again.get_training_dataset_tag(1, "third") is None
    again.delete_training_dataset_tag(1, "owner")
    assert view.get_training_dataset_tags(1) == {"second": 2}
    with pytest.raises(NotFoundError, match=r"Tag 'owner' does not exist"):
        view.delete_training_dataset_tag(1, "owner")
    with pytest.raises(NotFoundError, match=r"has no version 7"):
        view.add_training_dataset_tag(7, "owner", 1)


def test_purged_data_can_be_made_again(view: FeatureView) -> None:
    version, _ = view.create_training_data()
    wanted = view.get_training_data(version)
    view.purge_all_training_data()
    assert [dataset.version for dataset in view.get_training_datasets()] == [version]
    with pytest.raises(NotFoundError, match=rf"recreate_training_dataset\({version}\)"):
        view.get_training_data(version)
    view.recreate_training_dataset(version)
    for one, other in zip(view.get_training_data(version), wanted, strict=True):
        pd.testing.assert_frame_equal(one, other)
    in_memory = view.training_data()[0]
    view.purge_training_data(version + 1)
    pd.testing.assert_frame_equal(view.get_training_data(version + 1)[0], in_memory)
    view.purge_training_data(version)
    view.delete_all_training_datasets()
    assert view.get_training_datasets() == []


def test_the_last_training_dataset_is_remembered(view: FeatureView) -> None:
    assert view.get_last_accessed_training_dataset() is None
    view.training_data()
    view.create_training_data()
    assert view.get_last_accessed_training_dataset() == 2
    view.get_training_data(1)
    assert view.get_last_accessed_training_dataset() == 1


# -- batches


def test_a_batch_meets_the_filter_of_its_training_dataset(view: FeatureView) -> None:
    amount = view.get_feature("amount")
    x, _ = view.training_data(extra_filter=amount > 10)
    view.training_data()
    wanted = NOW[NOW.amount > 10]
    assert len(x) == len(wanted)
    view.init_batch_scoring(1)
    assert len(view.get_batch_data()) == len(wanted)
    assert len(view.get_batch_data(extra_filter=amount < 20)) == len(wanted[wanted.amount < 20])
    assert len(view.get_batch_data(training_filter=False)) == len(NOW)
    view.init_batch_scoring(2)
    assert len(view.get_batch_data()) == len(NOW)
    view.training_data(extra_filter=view.get_feature("fraud") == 0)
    view.init_batch_scoring(3)
    asked = pd.DataFrame({"id": [1], "card": ["a"], "paid_at": [NOON], "amount": [2.0]})
    with pytest.raises(
        NotFoundError,
        match=r"'fraud' does not exist; .*leave the latter out by training_filter=False",
    ):
        view.get_batch_data(spine=asked.assign(note="n"))
    assert len(view.get_batch_data(spine=asked.assign(note="n"), training_filter=False)) == 1


def test_drift_is_of_a_batch_with_the_filter_of_its_training_dataset(view: FeatureView) -> None:
    view.training_data(extra_filter=view.get_feature("amount") > 10)
    report = view.detect_drift((DAY, DAY + pd.Timedelta(days=50)), 1, ["amount"])
    assert report.rows == (len(NOW[NOW.amount > 10]),) * 2
    assert set(report.features[0].measures.values()) == {0.0}


def test_a_batch_comes_untransformed_too(view: FeatureView) -> None:
    raw = view.get_batch_data(transformed=False)  # nothing was learned, and nothing need be
    assert list(raw.columns) == ["amount", "kind"]
    assert raw["amount"].tolist() == NOW["amount"].tolist()
    pd.testing.assert_frame_equal(view.get_batch_data(transform=False), raw)
    view.training_data()
    scaled = view.get_batch_data()["amount"]
    low, high = NOW.amount.min(), NOW.amount.max()
    wanted = (NOW["amount"].to_numpy() - low) / (high - low)
    assert scaled.tolist() == pytest.approx(wanted.tolist())


@pytest.mark.parametrize("kind", ["pandas", "polars", "numpy"])
def test_a_batch_carries_what_is_logged_of_it(view: FeatureView, kind: str) -> None:
    view.training_data()
    asked = {"start_time": NOON, "dataframe_type": kind}
    batch, plain = (view.get_batch_data(logging_data=each, **asked) for each in (True, False))
    assert np.asarray(batch).tolist() == np.asarray(plain).tolist()  # of what was asked for alone
    view.enable_logging()
    wanted = NOW[NOW.paid_at >= NOON]
    (job,) = view.log(batch, predictions=[0.5] * len(wanted), model_name="m") or ()
    assert job.summary == {"read": len(wanted)}
    logged = view.read_log().sort_values(["paid_at", "id"])
    for name in ("id", "paid_at", "amount"):
        assert logged[name].tolist() == wanted[name].tolist()
    low, high = NOW.amount.min(), NOW.amount.max()
    scaled = (wanted.amount - low) / (high - low)
    assert logged["transformed_amount"].tolist() == pytest.approx(scaled.tolist())
    limits = CARDS.set_index("card")["limit_"]
    assert set(logged["limit_"].dropna()) <= set(limits)
    assert logged["limit_"].count() == logged["kind"].count() > 0  # of the rows that have a card
    assert set(logged["predicted_fraud"]) == {0.5}
    assert set(logged["logged_as"]) == {"both"}
    assert set(logged["td_version"]) == {1}
    assert set(logged["synced_versions"]) == {"[]"}  # it was read from the offline tables


def test_a_batch_that_is_not_transformed_is_logged_as_such(view: FeatureView) -> None:
    batch = view.get_batch_data(transformed=False, primary_key=True, logging_data=True)
    assert list(batch.columns) == ["id", "amount", "kind"]
    view.enable_logging()
    view.log(batch)
    logged = view.read_log().sort_values(["paid_at", "id"])
    assert logged["amount"].tolist() == NOW["amount"].tolist()
    assert set(logged["logged_as"]) == {"untransformed"}


@pytest.mark.parametrize("kind", ["arrow", "spark"])
def test_a_frame_that_carries_nothing_is_refused(view: FeatureView, kind: str) -> None:
    view.training_data()
    with pytest.raises(
        SettingsError, match=rf"dataframe_type='{kind}' cannot carry what log keeps of it: ask for"
    ):
        view.get_batch_data(dataframe_type=kind, logging_data=True)


def test_the_query_of_a_batch_is_sql(view: FeatureView) -> None:
    text = view.get_batch_query(NOON, "", view.get_feature("amount") > 5)
    assert text.splitlines()[0] == 'SELECT "payments"."amount", "cards"."kind"'
    assert text.splitlines()[-1] == (
        'WHERE ("payments"."amount" > 5) AND "payments"."paid_at" IS NOT NULL AND'
        """ "payments"."paid_at" >= TIMESTAMP '2024-01-21 00:00:00'"""
    )


# -- vectors


@pytest.fixture
def served(fs: FeatureStore) -> FeatureView:
    """Cards, whose limits are scaled, which the release brought online."""
    cards = fs.get_feature_group("cards", 1)
    scaler = fs.get_transformation_function("min_max_scaler")
    served = fs.create_feature_view(
        "limits",
        cards.select(["limit_", "kind"]),
        inference_helper_columns=["kind"],
        transformation_functions=[scaler("limit_")],
    )
    served.training_data()
    return served


def test_a_vector_comes_untransformed_too(served: FeatureView) -> None:
    entry = {"card": "a"}
    assert served.get_feature_vector(entry) == [0.25]
    assert served.get_feature_vector(entry, transform=False) == [150]
    assert served.get_feature_vectors([entry], return_type="pandas", transform=False)[
        "limit_"
    ].tolist() == [150]
    frame = served.get_feature_vector(entry, None, True, "polars")
    assert frame.equals(pl.DataFrame({"limit_": [0.25]}))


def test_request_parameters_of_no_feature_are_of_no_account(served: FeatureView) -> None:
    entries = [{"card": "a"}, {"card": "b"}]
    asked = {"t_id": 7, "limit_": 200}
    assert served.get_feature_vector(entries[0], request_parameters=asked) == [0.5]
    assert served.get_feature_vectors(entries, request_parameters=asked) == [[0.5], [0.5]]
    assert served.get_feature_vectors(entries, request_parameters=[{"t_id": 1}, asked]) == [
        [0.25],
        [0.5],
    ]
    with pytest.raises(SettingsError, match=r"2 entries and 1 request_parameters"):
        served.get_feature_vectors(entries, request_parameters=[asked])
    with pytest.raises(NotFoundError, match=r"Passed feature 't_id' does not exist"):
        served.get_feature_vector(entries[0], asked)


def test_helpers_come_as_frames_or_dicts(served: FeatureView) -> None:
    entries = [{"card": "a"}, {"card": "c"}]
    kinds = ["gold", "ö\N{PILE OF POO}"]
    assert served.get_inference_helper(entries[0])["kind"].tolist() == kinds[:1]
    assert served.get_inference_helper(entries[0], return_type="dict") == {"kind": "gold"}
    assert served.get_inference_helpers(entries)["kind"].tolist() == kinds
    assert served.get_inference_helpers(entries, None, "dict") == [{"kind": kind} for kind in kinds]
    assert served.get_inference_helpers(entries, None, "polars")["kind"].to_list() == kinds


def test_vectors_and_frames_are_transformed_as_they_are_served(served: FeatureView) -> None:
    assert served.transform([150]) == [0.25]
    assert served.transform([[150], [None]]) == [[0.25], [None]]
    assert served.transform({"limit_": 150}) == [0.25]
    frame = pd.DataFrame({"limit_": [150, 200], "more": [1, 2]})
    assert served.transform(frame)["limit_"].tolist() == [0.25, 0.5]
    assert served.transform(pl.from_pandas(frame))["limit_"].to_list() == [0.25, 0.5]
    assert served.transform(frame, return_type="list") == [[0.25], [0.5]]
    assert served.execute_mdts(frame)["limit_"].tolist() == [0.25, 0.5]
    assert served.execute_mdts([[1]], request_parameters={"limit_": 200}) == [[0.5]]
    with pytest.raises(NotFoundError, match=r"Feature 'limit_' does not exist"):
        served.execute_odts(frame[["more"]])
    with pytest.raises(SettingsError, match=r"{1: 2} is not a vector"):
        served.transform({1: 2})
    assert math.isclose(served.transform([150], return_type="numpy")[0], 0.25)
    with pytest.raises(SettingsError, match=r"A vector has 2 values, and the view has 1 features"):
        served.transform([150, 1])
    with pytest.raises(SettingsError, match=r"^5 is not a vector: give a list of values"):
        served.transform(5)
    with pytest.raises(NotFoundError, match=r"Feature 'limit_' does not exist"):
        served.transform(frame[["more"]])
    with pytest.raises(
        SchemaError, match=r"Passed feature 'limit_' is 'x', but its type is bigint"
    ):
        served.transform(["x"])


def test_how_the_online_store_is_reached_is_a_setting(served: FeatureView) -> None:
    with pytest.warns(UserWarning, match=r"init_serving\(init_rest_client=\) changes nothing"):
        served.init_serving(1, True, init_rest_client=True)
    assert served.get_feature_vector({"card": "a"}, logging_data=True) == [0.25]
    assert served.get_newest_model() is None


def test_files_hold_keys_and_times_whether_these_are_asked_for_or_not(view: FeatureView) -> None:
    asked, _ = view.create_training_data(primary_keys=True, event_time=True)
    plain, _ = view.create_training_data()
    for version in (asked, plain):
        x, _ = view.get_training_data(version, primary_key=True, event_time=True)
        assert list(x.columns) == ["id", "paid_at", "amount", "kind"]
        assert list(view.get_training_data(version)[0].columns) == ["amount", "kind"]
