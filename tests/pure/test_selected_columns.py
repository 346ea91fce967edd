"""X, batches and vectors hold what the query selects, keys and times too, over a store that an earlier release left."""

import itertools
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from releases.make import CARDS, CHANGED, DAY, PAYMENTS
from releases.unpack import unpack

import spark_fs
from spark_fs import Feature
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import KeyValueError, NotFoundError, QueryError
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.record_format import FORMAT_KEY

from conftest import ROOT

NOW = pd.concat([PAYMENTS[~PAYMENTS.id.isin([3, 4, 39])], CHANGED]).assign(channel=None)
LATEST = CARDS.sort_values("known_at").groupby("card").last().reset_index()


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


def join_cards(payments: pd.DataFrame) -> pd.DataFrame:
    """What pandas makes of payments with the newest row of their card; its card is ``card_y``."""
    cards = CARDS.sort_values("known_at").assign(card_y=CARDS.card)
    ordered = payments.sort_values(["paid_at", "id"])
    return pd.merge_asof(ordered, cards, left_on="paid_at", right_on="known_at", by="card")


def check_same(found: pd.DataFrame, expected: pd.DataFrame, names: list[str]) -> None:
    """The columns in this order, with these values."""
    assert list(found) == names
    wanted = expected[names].reset_index(drop=True)
    assert_frame_equal(found, wanted, check_dtype=False, check_exact=True)


def select_payments(fs: FeatureStore, *names: str) -> Any:
    return fs.get_feature_group("payments", 1).select(list(names))


# -- training data and batches


def test_keys_and_times_are_features_where_they_are_selected(fs: FeatureStore) -> None:
    payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
    query = payments.select_all().join(cards.select_all(), on=["card"])
    view = fs.create_feature_view("whole", query, labels=["fraud"])
    names = ["id", "card", "paid_at", "amount", "note", "channel", "known_at", "limit_", "kind"]
    assert list(view.schema) == list(view.training_columns()) == names
    expected = join_cards(NOW)
    x, y = view.training_data()
    check_same(x, expected, names)
    check_same(y, expected, ["fraud"])
    check_same(view.get_batch_data(), expected, names)
    again, _ = view.get_training_data(1, primary_key=True, event_time=True)
    check_same(again, expected, names)  # both are there already


def test_what_is_not_selected_is_added_where_it_is_asked_for(fs: FeatureStore) -> None:
    query = select_payments(fs, "paid_at", "amount", "fraud")
    view = fs.create_feature_view("some", query, labels=["fraud"])
    expected = NOW.sort_values(["paid_at", "id"])
    for read in (
        lambda **keys: view.training_data(**keys)[0],
        lambda **keys: view.get_batch_data(**keys),
    ):
        check_same(read(), expected, ["paid_at", "amount"])
        check_same(read(primary_key=True, event_time=True), expected, ["id", "paid_at", "amount"])


def test_keys_and_times_of_a_joined_group_stay_where_the_left_side_lacks_them(
    fs: FeatureStore,
) -> None:
    cards = fs.get_feature_group("cards", 1)
    query = select_payments(fs, "amount", "fraud").join(cards.select_all(), on=["card"])
    names = ["amount", "card_y", "known_at", "limit_", "kind"]
    expected = join_cards(NOW)
    renamed = {"card": "card_y"}
    check_same(
        query.read("pandas").rename(columns=renamed), expected, ["amount", "fraud", *names[1:]]
    )
    view = fs.create_feature_view("joined", query, labels=["fraud"])
    check_same(view.training_data()[0].rename(columns=renamed), expected, names)
    check_same(view.get_batch_data().rename(columns=renamed), expected, names)
    prefixed = select_payments(fs, "id").join(cards.select_all(), on=["card"], prefix="c_")
    assert list(prefixed.read("pandas")) == ["id", "c_card", "c_known_at", "c_limit_", "c_kind"]


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_the_spines_own_key_and_time_come_beside_those_of_a_joined_group(
    fs: FeatureStore, kind: str
) -> None:
    payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
    later = payments.select(["id", "paid_at", "amount"])
    query = payments.select(["fraud"]).join(later).join(cards.select(["kind"]), on=["card"])
    view = fs.create_feature_view("beside", query, labels=["fraud"])
    if kind == "memory":
        parts = view.train_test_split(0.3, seed=3, primary_key=True, event_time=True)
    else:
        view.create_train_test_split(0.3, seed=3)
        parts = view.get_train_test_split(1, primary_key=True, event_time=True)
    names = ["payments_1_id", "payments_1_paid_at", "id", "paid_at", "amount", "kind"]
    expected = join_cards(NOW).assign(
        payments_1_id=lambda x: x.id, payments_1_paid_at=lambda x: x.paid_at
    )
    whole = pd.concat(parts[:2]).sort_values("payments_1_paid_at", ignore_index=True)
    check_same(whole, expected, names)
    assert [len(part) for part in parts[:2]] == [27, 12]
    batch = view.get_batch_data(primary_key=True, event_time=True)
    check_same(batch, expected, names)
    plain = fs.create_feature_view("plain", payments.select(["id", "fraud"]), labels=["fraud"])
    same_split = plain.train_test_split(0.3, seed=3)
    assert same_split[1]["id"].tolist() == parts[1]["id"].tolist()


def some_of(*names: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique=True, max_size=len(names))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    own=some_of("id", "card", "paid_at", "amount", "fraud"),
    joined=some_of("card", "known_at", "limit_", "kind").filter(bool),
    prefix=st.sampled_from(["", "c_"]),
    roles=st.lists(st.sampled_from(["label", "helper", "", ""]), min_size=9, max_size=9),
    asked=st.fixed_dictionaries({"primary_key": st.booleans(), "event_time": st.booleans()}),
    order=st.permutations(["id", "card", "paid_at", "amount", "fraud", "note"]),
)
def test_any_selection_gives_what_pandas_gives(
    fs: FeatureStore,
    own: list[str],
    joined: list[str],
    prefix: str,
    roles: list[str],
    asked: dict[str, bool],
    order: list[str],
) -> None:
    sources = {name: name for name in own}  # the column of the oracle behind each of the query
    for name in joined:
        if prefix + name not in own:
            sources[prefix + name] = "card_y" if name == "card" else name
    roles_by_name = dict(zip(sources, roles, strict=False))
    labels = [name for name, role in roles_by_name.items() if role == "label"]
    helpers = [name for name, role in roles_by_name.items() if role == "helper"]
    features = [name for name in sources if name not in (*labels, *helpers)]
    cards = fs.get_feature_group("cards", 1).select(joined)
    query = select_payments(fs, *own).join(cards, on=["card"], prefix=prefix)
    view = fs.create_feature_view("any", query, labels=labels, training_helper_columns=helpers)
    expected = join_cards(NOW)
    wanted = {}
    for argument, column in (("primary_key", "id"), ("event_time", "paid_at")):
        if asked[argument] and column not in features:
            wanted[column] = expected[column]
    for name in features:
        wanted[name] = expected[sources[name]]
    if not wanted:
        return
    frame = pd.DataFrame(wanted)
    spine = NOW[order].sample(frac=1, random_state=1)
    read = (
        view.training_data(**asked)[0],
        view.get_batch_data(**asked),
        view.get_batch_data(spine_df=spine, **asked)[list(frame)],
    )
    for x in read:
        assert_frame_equal(x, frame, check_dtype=False, check_exact=True)
    framed = view.get_batch_data(spine_df=spine)
    assert list(framed)[: len(features)] == features


def test_labels_and_helpers_are_no_features_though_they_are_keys(fs: FeatureStore) -> None:
    query = select_payments(fs, "id", "card", "paid_at", "amount", "fraud")
    view = fs.create_feature_view(
        "roles",
        query,
        labels=["fraud"],
        training_helper_columns=["id"],
        inference_helper_columns=["paid_at"],
    )
    expected = NOW.sort_values(["paid_at", "id"])
    check_same(view.training_data()[0], expected, ["card", "amount"])
    check_same(
        view.training_data(training_helper_columns=True)[0], expected, ["card", "amount", "id"]
    )
    check_same(
        view.get_batch_data(inference_helper_columns=True), expected, ["card", "amount", "paid_at"]
    )


@pytest.mark.parametrize("data_format", [None, "parquet", "csv"])
def test_a_key_that_is_transformed_still_tells_the_rows_apart(
    fs: FeatureStore, data_format: str | None
) -> None:
    @spark_fs.udf(int)
    def turned(id):
        return -id

    plain = fs.create_feature_view("plain", select_payments(fs, "id", "amount"))
    query = select_payments(fs, "paid_at", "id", "amount")
    view = fs.create_feature_view("turned", query, transformation_functions=[turned("id")])
    wanted = plain.train_test_split(0.3, seed=5)
    if data_format is None:
        found = view.train_test_split(0.3, seed=5, primary_key=True)
    else:
        view.create_train_test_split(0.3, seed=5, data_format=data_format)
        found = view.get_train_test_split(1, primary_key=True)
    for part, own in zip(found[:2], wanted[:2], strict=True):
        assert list(part) == ["payments_1_id", "paid_at", "id", "amount"]
        assert part["payments_1_id"].tolist() == own["id"].tolist()
        assert part["id"].tolist() == [-key for key in own["id"]]
    batch = view.get_batch_data(primary_key=True)
    assert batch["payments_1_id"].tolist() == [-key for key in batch["id"]]
    assert sorted(batch["payments_1_id"]) == sorted(NOW.id)


def test_a_frame_in_the_place_of_the_spine_gives_the_same_columns(fs: FeatureStore) -> None:
    cards = fs.get_feature_group("cards", 1)
    query = select_payments(fs, "id", "amount", "fraud").join(cards.select_all(), on=["card"])
    view = fs.create_feature_view("framed", query, labels=["fraud"])
    frame = NOW[["fraud", "paid_at", "card", "amount", "id"]].assign(more=NOW.id * 2)
    names = ["id", "amount", "card_y", "known_at", "limit_", "kind", "more"]
    expected = join_cards(frame)
    renamed = {"card": "card_y"}
    x, y = view.training_data(spine_df=frame)
    check_same(x.rename(columns=renamed), expected, names)
    check_same(y, expected, ["fraud"])
    batch = view.get_batch_data(spine_df=frame.drop(columns="fraud"), event_time=True)
    check_same(batch.rename(columns=renamed), expected, ["paid_at", *names])
    with pytest.raises(NotFoundError, match=r"Column of spine_df 'id' does not exist"):
        view.get_batch_data(spine_df=frame.drop(columns="id"))
    with pytest.raises(
        QueryError, match=r"Column 'limit_' of spine_df is one that feature view 'framed' version 1"
    ):
        view.get_batch_data(spine_df=frame.assign(limit_=1))


@pytest.mark.filterwarnings("ignore:The query has columns whose names are taken already")
def test_a_frame_without_the_label_leaves_the_names_of_the_others_as_they_are(
    fs: FeatureStore,
) -> None:
    cards = fs.get_feature_group("cards", 1)
    query = cards.select(["kind", "known_at", "limit_"]).join(cards.select_all())
    view = fs.create_feature_view("same", query, labels=["kind", "known_at"])
    assert list(view.schema) == ["limit_", "card", "cards_1_limit_", "cards_1_kind"]
    x, y = view.training_data()
    assert list(x) == list(view.schema)
    assert list(y) == ["kind", "known_at"]
    frame = CARDS[["card", "known_at", "limit_"]]
    batch = view.get_batch_data(spine_df=frame)
    assert_frame_equal(batch, x, check_exact=True)


# -- vectors


def test_keys_come_from_the_entry_and_times_from_the_stored_row(fs: FeatureStore) -> None:
    view = fs.create_feature_view("cards", fs.get_feature_group("cards", 1).select_all())
    newest = LATEST.set_index("card").loc["b"]
    assert view.get_feature_vector({"card": "b"}) == [
        "b",
        newest.known_at.to_pydatetime(),
        newest.limit_,
        newest.kind,
    ]
    assert view.get_feature_vector({"card": "z"}, allow_missing=True) == ["z", None, None, None]
    with pytest.raises(NotFoundError, match=r"has no online row for {'card': 'z'}"):
        view.get_feature_vector({"card": "z"})
    passed = {"card": "p", "limit_": 1}
    assert view.get_feature_vector({"card": "b"}, passed_features=passed)[::2] == ["p", 1]
    frame = view.get_feature_vectors([{"card": "c"}, {"card": "a"}], return_type="pandas")
    assert list(frame) == ["card", "known_at", "limit_", "kind"]


def test_a_key_of_a_group_that_is_not_online_is_that_of_the_entry(fs: FeatureStore) -> None:
    cards = fs.get_feature_group("cards", 1)
    query = select_payments(fs, "id", "fraud").join(cards.select_all(), on=["card"])
    view = fs.create_feature_view("scored", query, labels=["fraud"])
    newest = LATEST.set_index("card").loc["a"]
    assert view.get_feature_vector({"id": 7, "card": "a"}) == [
        7,
        "a",
        newest.known_at.to_pydatetime(),
        newest.limit_,
        newest.kind,
    ]
    with pytest.raises(
        KeyValueError,
        match=r"lacks 'id', a key of feature group 'payments' version 1 that is a feature of the",
    ):
        view.get_feature_vector({"card": "a"})
    rates = fs.get_external_feature_group("rates", 1)
    outside = cards.select(["limit_"]).join(rates.select(["card", "kind"]), prefix="r_")
    offline = fs.create_feature_view("outside", outside)
    assert offline.get_feature_vector({"card": "b"}, passed_features={"r_kind": "x"}) == [
        LATEST.set_index("card").loc["b"].limit_,
        "b",
        "x",
    ]


COLUMNS = ("card", "known_at", "limit_", "kind")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    names=st.permutations(COLUMNS).flatmap(
        lambda order: st.integers(1, 4).map(lambda count: tuple(order[:count]))
    ),
    label=st.sampled_from([None, *COLUMNS]),
    helper=st.sampled_from([None, *COLUMNS]),
    transformed=st.sampled_from([None, *COLUMNS]),
)
def test_training_batch_and_vector_agree(
    fs: FeatureStore,
    names: tuple[str, ...],
    label: str | None,
    helper: str | None,
    transformed: str | None,
) -> None:
    """Whatever is selected, in whatever order, and whichever key or time is a label, a helper or transformed."""
    labels = [name for name in names if name == label]
    helpers = [name for name in names if name == helper and name != label]
    features = [name for name in names if name not in (*labels, *helpers)]
    encoder = fs.get_transformation_function("label_encoder")
    scaler = fs.get_transformation_function("min_max_scaler")

    @spark_fs.udf(int, mode="python")
    def to_day(known_at):
        return None if known_at is None else known_at.day

    by_name = {"card": encoder, "kind": encoder, "limit_": scaler, "known_at": to_day}
    functions = [by_name[name](name) for name in features if name == transformed]
    view = fs.create_feature_view(
        "drawn",
        fs.get_feature_group("cards", 1).select(list(names)),
        labels=labels,
        inference_helper_columns=helpers,
        transformation_functions=functions,
    )
    x, y = view.training_data(event_time=True)
    version = view.get_training_datasets()[-1].version
    assert list(x)[len(x.columns) - len(features) :] == features
    assert ([] if y is None else list(y)) == labels
    view.init_batch_scoring(version)
    batch = view.get_batch_data()
    assert list(batch) == list(view.training_columns(version)) == features
    if not features:
        return
    assert_frame_equal(x[features], batch, check_exact=True)
    view.init_serving(version)
    cards = ["b", "c", "a"]
    vectors = view.get_feature_vectors([{"card": card} for card in cards], return_type="pandas")
    ordered = CARDS.sort_values(["known_at", "card"], ignore_index=True)
    newest = {card: place for place, card in enumerate(ordered.card)}
    wanted = batch.iloc[[newest[card] for card in cards]].reset_index(drop=True)
    assert_frame_equal(vectors, wanted, check_exact=True)


# -- what is selected


def test_select_all_leaves_out_what_it_is_told_to(fs: FeatureStore) -> None:
    columns = ["id", "day", "shop", "at", "v", "month"]
    group = fs.create_feature_group(
        "sales",
        primary_key=["id", "day"],
        partition_key=["day", "month", "year"],
        event_time="at",
        features=[Feature(name, "timestamp" if name == "at" else "int") for name in columns],
    )
    object.__setattr__(group._spec, "foreign_key", ("shop",))
    kinds = {
        "include_primary_key": {"id", "day"},
        "include_foreign_key": {"shop"},
        "include_partition_key": {"day", "month"},
        "include_event_time": {"at"},
    }
    for count in range(5):
        for chosen in itertools.combinations(kinds, count):
            dropped = set[str]().union(*(kinds[name] for name in chosen))
            query = group.select_all(**dict.fromkeys(chosen, False))
            assert query.spec.columns == tuple(name for name in columns if name not in dropped)
    assert group.select_all(False).spec == group.select_all(include_primary_key=False).spec
    assert group.select_features().spec.columns == ("v",)


def test_a_spine_is_selected_from_as_a_group_is(fs: FeatureStore) -> None:
    spine = fs.create_spine(PAYMENTS[["id", "card", "paid_at"]], ["id"], "paid_at")
    assert (spine.primary_key, spine.event_time) == (["id"], "paid_at")
    for query, columns in (
        (spine.select_all(), ("id", "card", "paid_at")),
        (spine.select_all(include_primary_key=False), ("card", "paid_at")),
        (spine.select_features(), ("card",)),
        (spine.select_except(["card"]), ("id", "paid_at")),
        (spine.select("card"), ("card",)),
    ):
        assert query.spec.columns == columns
    cards = fs.get_feature_group("cards", 1)
    joined = spine.filter(spine["card"] == "a").join(cards.select(["limit_"]), on=["card"])
    expected = join_cards(PAYMENTS[PAYMENTS.card == "a"])
    check_same(joined.read("pandas"), expected, ["id", "card", "paid_at", "limit_"])


def test_candidates_and_drift_leave_keys_and_times_out(fs: FeatureStore) -> None:
    payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
    query = payments.select_all().join(cards.select_all(), on=["card"])
    view = fs.create_feature_view("whole", query, labels=["fraud"])
    for source in (query, view):
        chosen = spark_fs.select_features(source, "fraud", k=9)
        searched = set(chosen.scores["feature"])
        assert "amount" in searched
        assert not {"id", "paid_at", "known_at"} & searched
    made = chosen.to_feature_view("few")
    assert sorted(made.schema) == sorted(chosen.features)
    view.training_data()
    report = view.detect_drift((DAY, DAY + pd.Timedelta(days=20)), 1)
    assert "amount" in {each.feature_name for each in report.features}
    assert not {"id", "paid_at", "known_at"} & {each.feature_name for each in report.features}


# -- what an earlier release left


@pytest.mark.parametrize("release", ["0.0.9", "0.1.0"])
def test_a_view_of_an_earlier_release_gives_what_it_gave(tmp_path: Path, release: str) -> None:
    unpack(ROOT / "tests" / "releases" / f"{release}.zip", tmp_path)
    fs = spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()
    made = json.loads((tmp_path / "made.json").read_text())["split"]
    frames = fs.get_feature_view("fraud", 1).get_train_test_split(1)
    for name, frame in zip(("x_train", "x_test", "y_train", "y_test"), frames, strict=True):
        assert json.loads(frame.to_json(orient="split", date_format="iso")) == made[name]
    cards = fs.get_feature_group("cards", 1)
    served = fs.get_feature_view("served", 1)
    assert list(served.schema) == list(served.training_data()[0]) == ["limit_", "kind"]
    assert served.get_feature_vector({"card": "b"}) == [250, "grey"]
    assert list(served.get_batch_data(primary_key=True)) == ["card", "limit_", "kind"]
    with pytest.warns(UserWarning, match=r"'served' version 1 was made .* card, known_at\. A new"):
        same = fs.get_or_create_feature_view("served", cards.select_all())
    assert list(same.schema) == ["limit_", "kind"]
    newer = fs.create_feature_view("served", cards.select_all())
    assert (newer.version, list(newer.schema)) == (2, list(CARDS))
    fs.get_or_create_feature_view("served", cards.select_all(), version=2)


def test_a_joined_query_of_an_earlier_release_gives_what_it_gave(fs: FeatureStore) -> None:
    cards = fs.get_feature_group("cards", 1)
    query = select_payments(fs, "id", "fraud", "amount").join(cards.select_all(), on=["card"])
    data = ViewSpec("old", 1, query.spec, ("fraud",)).to_json()
    del data["query"]["keeps_order"]
    data["query"]["joins"][0]["query"]["explicit"] = False
    old = ViewSpec.from_json(data)
    assert old.query == query.spec
    fs._stores.catalog.add_view(old)
    view = fs.get_feature_view("old", 1)
    names = ["amount", "limit_", "kind"]
    expected = join_cards(NOW)
    check_same(view.training_data()[0], expected, names)
    check_same(view.query.read("pandas"), expected, ["id", "fraud", *names])
    frame = NOW[["fraud", "paid_at", "card", "amount", "id"]].assign(more=NOW.id)
    x = view.training_data(spine_df=frame)[0]
    check_same(x, expected.assign(more=expected.id), [*names, "more"])
    newer = fs.create_feature_view("old", view.query, labels=["fraud"])
    assert list(newer.schema) == ["id", "amount", "card", "known_at", "limit_", "kind"]
    stored = fs._stores.catalog.get_view("old", 1)
    assert stored.query.joins[0].query.explicit is False
    assert stored.query.keeps_order is False


def test_only_a_view_whose_keys_are_features_needs_this_release() -> None:
    query = QuerySpec(GroupRef("g", 1), ("v",))
    plain = ViewSpec("v", 1, query).to_json()
    assert FORMAT_KEY not in plain
    assert "key_features" not in plain
    keyed = ViewSpec("v", 1, query, key_features=("k",))
    assert keyed.to_json()[FORMAT_KEY] == 2
    assert ViewSpec.from_json(keyed.to_json()) == keyed
