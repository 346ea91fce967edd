"""The log of what was served: moved to a feature group once, read, and compared with training, each reason by rows made for it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.builtin_transformations import min_max_scaler
from spark_fs.flows.log_rows import open_spool
from spark_fs.flows.served_log import ServedLog
from spark_fs.flows.synced_versions import find_synced_versions
from spark_fs.pipelines.declaration import load
from spark_fs.pipelines.run import run
from spark_fs.spec.names import GroupRef
from spark_fs.spec.serving_log import ServedVectors

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
AMOUNTS = {"a": 0.0, "b": 10.0, "c": 20.0, "d": 40.0}


def fill(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    """Two online groups of four cards, and a view that scales an amount of 0 to 40."""
    cards = fs.create_feature_group(
        "cards", primary_key=["card"], event_time="at", online_enabled=True
    )
    cards.insert(pd.DataFrame({"card": list(AMOUNTS), "at": LONG_AGO, "limit": [1, 2, 3, 4]}))
    activity = fs.create_feature_group(
        "activity", primary_key=["card"], event_time="at", online_enabled=True
    )
    amounts = list(AMOUNTS.values())
    activity.insert(
        pd.DataFrame({"card": list(AMOUNTS), "at": LONG_AGO, "n": 1, "amount": amounts})
    )
    for each in (cards, activity):
        each.sync_online()
    query = cards.select(["limit"]).join(activity.select(["n", "amount"]))
    view = fs.create_feature_view(
        "risk", query, transformation_functions={"amount": min_max_scaler}
    )
    view.training_data()


def add_row(fs: FeatureStore, card: str, at: datetime, n: int, amount: float) -> None:
    """A new row of what a card did."""
    row = {"card": [card], "at": [at], "n": [n], "amount": [amount]}
    fs.get_feature_group("activity").insert(pd.DataFrame(row))


def serve(
    view: FeatureView,
    log: ServedLog,
    cards: list[str],
    passed: dict[str, Any] | None = None,
    wrong: dict[int, Any] | None = None,
) -> datetime:
    """Serve the vectors of cards as a server does, the values of ``wrong`` places in the place of those that are right."""
    now = datetime.now(UTC)
    entries = [{"card": card} for card in cards]
    given = [passed or {}] * len(cards)
    vectors = view.get_feature_vectors(entries, given, now=now)
    for place, value in (wrong or {}).items():
        for vector in vectors:
            vector[place] = value
    served = ServedVectors(
        GroupRef(view.name, view.version),
        1,
        view.serving_columns,
        True,
        entries,
        given,
        vectors,
        now,
        f"request {','.join(cards)}",
    )
    log.record(served)
    return now


def open_log(fs: FeatureStore, view: FeatureView) -> ServedLog:
    """A log as a server has it."""
    home = fs._stores.settings.home
    return ServedLog(home, find_synced=lambda _: find_synced_versions(fs._stores, view._spec))


def serve_once(fs: FeatureStore, view: FeatureView, *args: Any, **options: Any) -> datetime:
    """Serve, and let the log be written."""
    log = open_log(fs, view)
    now = serve(view, log, *args, **options)
    log.close()
    return now


def test_what_was_served_is_moved_once_and_read(fs: FeatureStore) -> None:
    view = fs.get_feature_view("risk", 1)
    view.init_serving(1)
    before = serve_once(fs, view, ["a", "b"])
    waiting = view.read_log()
    assert waiting["transformed_amount"].tolist() == [0.0, 0.25]
    assert waiting["card"].tolist() == ["a", "b"]
    assert waiting["limit"].tolist() == [1, 2]
    assert set(waiting["log_time"]) == {before}
    assert waiting["request_id"].tolist() == ["request a,b"] * 2
    assert waiting["amount"].isna().all()

    (job,) = view.materialize_log()
    assert job.summary == {"read": 2, "inserted": 2, "files": 1}
    assert view.materialize_log()[0].summary == {"read": 0, "inserted": 0, "files": 0}
    pd.testing.assert_frame_equal(view.read_log(), waiting)
    assert not open_spool(fs._stores, view._spec).list_waiting()

    # one more, whose mover died after its commit: it is there once, before and after the next call
    after = serve_once(fs, view, ["c"])
    batch = open_spool(fs._stores, view._spec).collect_batch()
    assert batch
    kept = {file.name: file.read_bytes() for file in batch.iterdir()}
    view.materialize_log()
    batch.mkdir()
    for name, content in kept.items():
        (batch / name).write_bytes(content)
    assert view.read_log()["card"].tolist() == ["a", "b", "c"]
    assert view.materialize_log()[0].summary["inserted"] == 0
    assert not batch.exists()
    read = view.read_log(after)
    assert read["card"].tolist() == ["c"]
    assert view.read_log(before, after)["card"].tolist() == ["a", "b"]
    cards = fs.get_feature_group("cards")
    assert view.read_log(filter=cards["limit"] > 2)["card"].tolist() == ["c"]
    assert view.read_log(training_dataset_version=2).empty
    assert len(view.get_log_timeline()) == 2

    # who died while files were moved to a batch, or before the commit, loses nothing
    serve_once(fs, view, ["d"])
    batch = open_spool(fs._stores, view._spec).collect_batch()
    assert batch
    batch.rename(Path(f"{batch}.open"))
    assert view.read_log()["card"].tolist() == ["a", "b", "c", "d"]
    assert view.materialize_log()[0].summary["inserted"] == 1
    assert view.read_log()["card"].tolist() == ["a", "b", "c", "d"]
    view.delete_log()
    assert view.read_log().empty


def test_each_reason_of_skew_is_found(fs: FeatureStore) -> None:
    view = fs.get_feature_view("risk", 1)
    view.init_serving(1)
    start = serve_once(fs, view, list(AMOUNTS))
    assert view.skew(start).ok  # limit, n and amount of four cards, as training says

    add_row(fs, "b", datetime.now(UTC), 2, 30.0)  # after the first request, before the next
    serve_once(fs, view, ["b"])  # the table has 2 and 30, online are 1 and 10
    fs.get_feature_group("activity").sync_online()
    serve_once(fs, view, ["b", "c"])
    add_row(fs, "c", datetime.now(UTC) - timedelta(hours=1), 3, 20.0)  # c was served without it
    serve_once(fs, view, ["d"], passed={"n": 99})
    serve_once(fs, view, ["a"], wrong={0: 1000})

    report = view.skew(start)
    assert report.rows == 9
    found = {
        feature.feature_name: (feature.compared, dict(feature.reasons))
        for feature in report.features
    }
    # c was served twice before its row came: by the first request and by the third, when it lies
    # an hour before both
    assert found == {
        "limit": (9, {"unknown": 1}),
        "n": (9, {"late data": 2, "stale sync": 1, "passed feature": 1}),
        "transformed_amount": (9, {"stale sync": 1}),
    }
    assert not report.ok
    assert report.max_share == 4 / 9
    stale = report["transformed_amount"].examples[0]
    assert (stale.key, stale.served, stale.expected) == ("card='b'", "0.25", "0.75")

    # 20 to 40 are what a second training dataset learned of, so that 0.25 should be -0.5
    amounts = {
        "start_time": LONG_AGO,
        "extra_filter": fs.get_feature_group("activity")["amount"] >= 20,
    }
    view.training_data(**amounts)
    changed = view.skew(start, training_dataset_version=2)["transformed_amount"]
    assert changed.reasons["changed version"] == changed.differing - 1
    kept = view.get_skew_history()
    assert [str(each) for each in kept[1:2]] == [str(report)]


MODULE = """
from datetime import timedelta


def activity(fs):
    return fs.get_feature_group("activity", 1)


PIPELINE = {activity: lambda start, end: None}
"""


def test_a_pipeline_moves_the_log_and_fails_visibly_on_skew(
    fs: FeatureStore, tmp_path: Path
) -> None:
    (tmp_path / "watched_groups.py").write_text(MODULE)
    file = tmp_path / "watch.yaml"
    file.write_text(
        "name: watch\ngroups: watched_groups\n"
        "steps: [materialize_log, {skew: {window: 1h, max_share: 0.3}}]\n"
    )
    view = fs.get_feature_view("risk", 1)
    view.init_serving(1)
    serve_once(fs, view, list(AMOUNTS))
    done = run(fs, load(file), until=datetime.now(UTC))
    assert done.state == "finished"
    moved, compared = done.steps
    assert moved.counts == {"vectors_logged": 4}
    assert compared.counts == {"vectors_compared": 4, "values_differing": 0, "vectors_logged": 0}

    serve_once(fs, view, ["a", "b"], wrong={0: 9})  # 2 of 6
    differs = run(fs, load(file), until=datetime.now(UTC), only=["skew"])
    assert differs.state == "differs"
    step = next(step for step in differs.steps if step.name == "skew")
    assert step.counts == {"vectors_compared": 6, "values_differing": 2, "vectors_logged": 2}
    assert any("limit: 2 of 6 differ (33.33%): unknown 2" in line for line in step.lines)

    view.pause_logging()
    serve_once(fs, view, ["a"])
    paused = run(fs, load(file), until=datetime.now(UTC), only=["materialize_log", "skew"])
    assert (paused.state, paused.steps[0].counts) == ("finished", {})
