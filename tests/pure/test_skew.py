"""What was served beside what training says, each reason by rows made for it, beside plain Python; no JVM is started."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.times import Interval
from spark_fs.builtin_transformations import min_max_scaler
from spark_fs.errors import NotFoundError
from spark_fs.flows.measure_skew import measure_skew
from spark_fs.flows.served_log import ServedLog
from spark_fs.flows.synced_versions import find_synced_versions
from spark_fs.flows.value_differences import find_differing
from spark_fs.online.registry import make_writer
from spark_fs.online.store import TableOrigin
from spark_fs.online.table_layout import build_online_table
from spark_fs.server.explorer import build_explorer_app
from spark_fs.spec.names import GroupRef
from spark_fs.spec.serving_log import ServedVectors
from spark_fs.spec.skew import REASONS, SkewReport
from spark_fs.tables.table_log import open_log

from serving import ask, served, store

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
AMOUNTS = {"a": 0.0, "b": 10.0, "c": 20.0, "d": 40.0}
TYPES = {
    "cards": {"card": "string", "at": "timestamp", "limit": "bigint", "branch": "string"},
    "activity": {"card": "string", "at": "timestamp", "n": "bigint", "amount": "double"},
    "branches": {"branch": "string", "at": "timestamp", "risk": "double"},
}
KEYS = {"cards": "card", "activity": "card", "branches": "branch"}
Rows = Sequence[dict[str, Any]]


def commit(group: FeatureGroup, rows: Rows) -> None:
    """Add rows to a group's table, as a commit of now."""
    table = pa.Table.from_pylist(list(rows), to_arrow_schema(group.spec.types))
    ingested = pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), len(rows))
    write_deltalake(group.location, table.append_column("_ingested_at", ingested), mode="append")


def sync(group: FeatureGroup) -> None:
    """Put the latest row of each key online, with the version that it is of."""
    frame = group.read("pandas").sort_values("at").drop_duplicates(KEYS[group.name], keep="last")
    online = group._stores.online
    table = build_online_table(group.spec, online.capabilities)
    writer = make_writer(online)
    rows = pa.Table.from_pylist(frame.to_dict("records"), to_arrow_schema(group.spec.types))
    with writer.open_session(table, TableOrigin(group.name, group.location)) as session:
        place = session.begin_staging(True)
        writer.load_rows(table, place, rows)
        session.swap_tables(place, open_log(group.location).version)


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    """Three online groups of four cards and two branches."""
    fs = store(tmp_path)
    rows: dict[str, Rows] = {
        "cards": [
            {"card": card, "at": LONG_AGO, "limit": number, "branch": "xy"[number % 2]}
            for number, card in enumerate(AMOUNTS)
        ],
        "activity": [
            {"card": card, "at": LONG_AGO, "n": 1, "amount": amount}
            for card, amount in AMOUNTS.items()
        ],
        "branches": [{"branch": name, "at": LONG_AGO, "risk": 0.5} for name in "xy"],
    }
    for name, types in TYPES.items():
        group = fs.create_feature_group(
            name,
            primary_key=[KEYS[name]],
            event_time="at",
            online_enabled=True,
            features=[spark_fs.Feature(*each) for each in types.items()],
        )
        commit(group, rows[name])
        sync(group)
    return fs


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    """A view that scales an amount of 0 to 40, and knows a branch by what the row of a card says."""
    cards, activity, branches = (fs.get_feature_group(name, 1) for name in TYPES)
    query = cards.select(["limit"]).join(activity.select(["n", "amount"]))
    query = query.join(branches.select(["risk"]), left_on=["branch"], right_on=["branch"])
    view = fs.create_feature_view(
        "risk", query, transformation_functions={"amount": min_max_scaler}
    )
    view.training_data()
    view.init_serving(1)
    return view


def serve(
    view: FeatureView,
    entries: Rows,
    passed: dict[str, Any] | None = None,
    wrong: dict[int, Any] | None = None,
    transform: bool = True,
) -> datetime:
    """Serve vectors and log them as a server does; ``wrong``: other values in these places."""
    now = datetime.now(UTC)
    given = [passed or {}] * len(entries)
    vectors = view.get_feature_vectors(list(entries), given, now=now, transform=transform)
    for place, value in (wrong or {}).items():
        for vector in vectors:
            vector[place] = value
    columns = view.serving_columns if transform else list(view._get_serving_state().features)
    stores = view._stores
    log = ServedLog(
        stores.settings.home, find_synced=lambda _: find_synced_versions(stores, view._spec)
    )
    ref = GroupRef(view.name, view.version)
    dataset = view._get_serving_state().dataset_version
    log.record(ServedVectors(ref, dataset, columns, transform, entries, given, vectors, now, "r"))
    log.close()
    assert log.counts["logged"] == len(entries)
    return now


def cards(names: str) -> Rows:
    """The entries of cards."""
    return [{"card": name} for name in names]


def act(fs: FeatureStore, card: str, ago: timedelta, n: int, amount: float) -> None:
    """One more row of what a card did, some time ago."""
    row = {"card": card, "at": datetime.now(UTC) - ago, "n": n, "amount": amount}
    commit(fs.get_feature_group("activity", 1), [row])


def list_found(report: SkewReport) -> dict[str, tuple[int, dict[str, int]]]:
    """How many values of each feature were compared, and how many differ for which reason."""
    return {each.feature_name: (each.compared, dict(each.reasons)) for each in report.features}


def test_what_training_says_of_keys_and_instants_is_no_skew(view: FeatureView) -> None:
    start = serve(view, cards("abcd"))
    report = view.skew(start)
    assert report.ok
    assert list_found(report) == {
        "limit": (4, {}),
        "n": (4, {}),
        "risk": (4, {}),
        "transformed_amount": (4, {}),
    }
    assert str(report).endswith(": 4 vectors, as training says")
    serve(view, cards("ab"), transform=False)
    assert list_found(view.skew(start))["amount"] == (2, {})
    assert view.skew(start, start + timedelta(microseconds=1)).rows == 4


def test_each_reason_is_found(fs: FeatureStore, view: FeatureView) -> None:
    start = serve(view, cards("abcd"))
    act(fs, "b", timedelta(0), 2, 30.0)
    serve(view, cards("b"))  # the table has 2 and 30, and 1 and 10 are online
    sync(fs.get_feature_group("activity", 1))
    serve(view, cards("bc"))
    act(fs, "c", timedelta(hours=1), 3, 20.0)  # of an hour ago: c was served twice without it
    serve(view, cards("d"), passed={"n": 99})
    serve(view, cards("a"), wrong={0: 1000})
    report = view.skew(start)
    assert report.rows == 9
    assert list_found(report) == {
        "limit": (9, {"unknown": 1}),
        "n": (9, {"late data": 2, "stale sync": 1, "passed feature": 1}),
        "risk": (9, {}),
        "transformed_amount": (9, {"stale sync": 1}),
    }
    assert not report.ok
    assert report.max_share == 4 / 9
    assert report.reasons == {"late data": 2, "stale sync": 2, "unknown": 1, "passed feature": 1}
    (stale,) = report["transformed_amount"].examples
    assert (stale.key, stale.served, stale.expected) == ("card='b'", "0.25", "0.75")
    late = [each for each in report["n"].examples if each.reason == "late data"]
    assert {(each.key, each.served, each.expected) for each in late} == {("card='c'", "1", "3")}
    frame = report.to_pandas().set_index("feature_name")
    assert frame.loc["n", list(REASONS)].tolist() == [2, 1, 0, 1, 0]
    with pytest.raises(NotFoundError, match=r"'amount'"):
        report["amount"]

    (kept,) = view.get_skew_history()
    assert kept == report
    assert SkewReport.from_json(report.compared_at or start, report.to_json()) == report


def test_another_training_dataset_is_a_reason(fs: FeatureStore, view: FeatureView) -> None:
    activity = fs.get_feature_group("activity", 1)
    view.training_data(extra_filter=activity["amount"] >= 20)
    start = serve(view, cards("abcd"), wrong={0: -1})
    found = list_found(view.skew(start, training_dataset_version=2))
    # of 0 to 40 they were 0, 0.25, 0.5 and 1; of 20 to 40 they are -1, -0.5, 0 and 1
    assert found["transformed_amount"] == (4, {"changed version": 3})
    assert found["limit"] == (4, {"unknown": 4})
    assert list_found(view.skew(start))["transformed_amount"] == (4, {})
    with pytest.raises(NotFoundError, match=r"has no version 9"):
        view.skew(start, training_dataset_version=9)


def test_a_key_that_the_entry_gives_wins_over_that_of_a_row(
    fs: FeatureStore, view: FeatureView
) -> None:
    branches = fs.get_feature_group("branches", 1)
    commit(branches, [{"branch": "y", "at": LONG_AGO + timedelta(days=1), "risk": 0.75}])
    sync(branches)
    # card a is of branch x
    start = serve(view, [{"card": "a"}, {"card": "a", "branch": "y"}])
    log = view.read_log(start)
    assert log["risk"].tolist() == [0.5, 0.75]
    assert log["given_keys"].tolist() == ["card", "card,branch"]
    assert view.skew(start).ok


def test_a_corrected_row_is_late_data(fs: FeatureStore, view: FeatureView) -> None:
    start = serve(view, cards("a"))
    # the same card and instant once more: the row that was ingested last is the row
    activity = fs.get_feature_group("activity", 1)
    activity._spec = fs._stores.catalog.change_group(
        activity.spec.ref, lambda spec: spec.with_possible_duplicates()
    )
    commit(activity, [{"card": "a", "at": LONG_AGO, "n": 7, "amount": 0.0}])
    assert list_found(view.skew(start))["n"] == (1, {"late data": 1})


def test_what_was_served_as_of_an_earlier_instant_is_of_what_the_tables_said_when_it_was_served(
    fs: FeatureStore, view: FeatureView
) -> None:
    view.enable_logging()
    start = datetime.now(UTC)
    features = view.get_feature_vectors(cards("a"), transform=False)
    as_of = start - timedelta(hours=1)  # before any commit
    view.log(untransformed_features=features, serving_keys=list(cards("a")), event_time=[as_of])
    act(fs, "a", timedelta(hours=2), 7, 0.0)
    assert list_found(view.skew(start))["n"] == (1, {"late data": 1})


def test_features_of_a_group_whose_key_was_not_given_are_not_compared(
    fs: FeatureStore,
) -> None:
    labels = fs.create_feature_group(
        "labels",
        primary_key=["id"],
        event_time="at",
        features=[
            spark_fs.Feature("id", "bigint"),
            spark_fs.Feature("at", "timestamp"),
            spark_fs.Feature("card", "string"),
            spark_fs.Feature("spent", "double"),
            spark_fs.Feature("fraud", "boolean"),
        ],
    )
    row = {"id": 1, "at": LONG_AGO + timedelta(days=2), "card": "b", "spent": 5.0, "fraud": True}
    commit(labels, [row])
    activity = fs.get_feature_group("activity", 1)
    query = labels.select(["spent", "fraud"]).join(
        activity.select(["n"]), left_on=["card"], right_on=["card"]
    )
    view = fs.create_feature_view("fraud", query, labels=["fraud"])
    start = serve(view, cards("bc"), passed={"spent": 8.0})
    report = view.skew(start)
    assert list_found(report) == {"n": (2, {})}

    # what was served becomes training data, once the labels are known
    spine = view.get_logged_spine(start)
    assert spine.to_dict("records") == [
        {"card": "b", "spent": 8.0, "at": start},
        {"card": "c", "spent": 8.0, "at": start},
    ]
    known = pd.DataFrame({"card": ["b", "c"], "fraud": [True, False]})
    features, answers = view.training_data(spine_df=spine.merge(known, on="card"))
    assert features.to_dict("records") == [{"spent": 8.0, "n": 1}] * 2
    assert answers["fraud"].tolist() == [True, False]


def test_earlier_versions_are_read_a_bounded_number_of_times(
    fs: FeatureStore, view: FeatureView
) -> None:
    start = serve(view, cards("c"))
    act(fs, "c", timedelta(hours=1), 3, 20.0)
    interval = Interval(start)
    report = measure_skew(fs._stores, view._spec, interval, max_earlier_reads=0)
    assert list_found(report)["n"] == (1, {"unknown": 1})
    report = measure_skew(fs._stores, view._spec, interval, max_earlier_reads=1)
    assert list_found(report)["n"] == (1, {"late data": 1})


def test_of_a_training_dataset_that_has_gone_what_it_did_not_make_is_compared(
    fs: FeatureStore, view: FeatureView
) -> None:
    version = 2
    view.training_data()
    view.init_serving(version)
    start = serve(view, cards("a"))
    with fs._stores.catalog._begin_transaction() as connection:
        connection.exec_driver_sql("DELETE FROM training_datasets WHERE version = 2")
    assert list_found(view.skew(start)) == {"limit": (1, {}), "n": (1, {}), "risk": (1, {})}


def test_a_view_of_which_nothing_was_served_has_no_skew(view: FeatureView) -> None:
    report = view.skew()
    assert (report.rows, report.ok, report.max_share) == (0, True, 0.0)
    assert view.read_log().empty


@pytest.mark.parametrize(
    ("type_", "left", "right", "expected"),
    [
        ("double", [1.0, np.nan, None, np.nan, -0.0], [1.0, np.nan, None, None, 0.0], "3"),
        ("bigint", [1, None, 3, 2**62], [1, 2, None, 2**62 + 1], "123"),
        ("string", ["a", "", None], ["a", None, None], "1"),
        ("timestamp", [LONG_AGO, None], [LONG_AGO + timedelta(microseconds=1), None], "0"),
        ("array<double>", [[np.nan], [1.0], None, []], [[np.nan], [2.0], None, None], "13"),
        ("map<string,bigint>", [[("a", 1)], [("a", 1)]], [[("a", 1)], [("a", 2)]], "1"),
        ("struct<x:double>", [{"x": None}, {"x": 1.0}], [{"x": None}, {"x": None}], "1"),
    ],
)
def test_values_differ_as_python_says(
    type_: str, left: list[Any], right: list[Any], expected: str
) -> None:
    field = to_arrow_schema({"x": type_}).field("x").type
    found = find_differing(pa.chunked_array([left], field), pa.chunked_array([right], field))
    assert np.flatnonzero(found).tolist() == [int(place) for place in expected]


def test_the_explorer_shows_the_newest_comparison_feature_by_feature(
    fs: FeatureStore, view: FeatureView
) -> None:
    with served(build_explorer_app(fs)) as port:
        status, page, _ = ask(port, path="/view/risk/1/skew")
        assert status == 200
        assert "Nothing was compared yet" in page
        start = serve(view, cards("ab"), wrong={0: 9})
        view.skew(start)
        view.skew(start)
        page = ask(port, path="/view/risk/1/skew")[1]
        assert '["limit",2,2,"100.00%",0,0,0,0,2]' in page
        assert '["limit","card=\'a\'"' in page.replace("\\u0027", "'")
        assert page.count('"100.00%","unknown 2"') == 2  # both comparisons
        assert '"/view/risk/1/skew"' in ask(port, path="/view/risk/1")[1]
        assert ask(port, path="/view/absent/1/skew")[0] == 404
