"""A sync after deletes brings online what is left of their keys, and reads of the table what these keys need."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from loaded import rows_of
from pyspark.sql import DataFrame

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.flows import deletions, sync
from spark_fs.tables.delta import commands

from conftest import at, first_quick

KEYS = 12


@pytest.fixture
def clicks(fs: FeatureStore) -> FeatureGroup:
    return fs.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", online_enabled=True
    )


def frame(lines: list[tuple[int, int, int]]) -> pd.DataFrame:
    """Rows of (key, day, value)."""
    times = pd.to_datetime([at(f"01-{day:02}") for _, day, _ in lines], utc=True)
    return pd.DataFrame(
        {"k": [k for k, _, _ in lines], "at": times, "v": [v for _, _, v in lines]}
    ).astype({"k": "int64", "v": "int64"})


def data_files(group: FeatureGroup) -> dict[str, Path]:
    """The data files of the table, of whatever version."""
    found = Path(group.location).rglob("*.parquet")
    return {path.name: path for path in found if "_delta_log" not in path.parts}


@pytest.mark.parametrize(
    ("sent", "whole"),
    first_quick([(100_000, False), (100_000, True), (0, False)]),
    ids=["rows", "keys", "rows of many keys"],
)
def test_what_is_left_is_online_whatever_was_deleted_and_written_between(
    fs: FeatureStore, clicks: FeatureGroup, monkeypatch: pytest.MonkeyPatch, sent: int, whole: bool
) -> None:
    monkeypatch.setattr(deletions, "_SENT_KEYS", sent)
    draw = random.Random(f"{sent} {whole}")
    held = {(k, day): k for k in range(KEYS) for day in (1, 3)}
    clicks.insert(frame([(k, day, v) for (k, day), v in held.items()]))
    clicks.sync_online()
    for step in (1, 2):
        gone = draw.sample(sorted(held), 5)
        if whole:
            keys = {k for k, _ in gone}
            clicks.delete_records(pd.DataFrame({"k": sorted(keys)}))
            held = {cell: v for cell, v in held.items() if cell[0] not in keys}
        else:
            clicks.delete_records(frame([(k, day, 0) for k, day in gone])[["k", "at"]])
            held = {cell: v for cell, v in held.items() if cell not in gone}
        cells = {(draw.randrange(KEYS), draw.randrange(1, 5)) for _ in range(5)}
        held |= {(k, day): 100 * step + k for k, day in cells}
        clicks.insert(frame([(k, day, held[k, day]) for k, day in sorted(cells)]))
    clicks.sync_online()
    newest = {k: (day, v) for (k, day), v in sorted(held.items())}
    wanted = sorted((k, at(f"01-{day:02}"), v) for k, (day, v) in newest.items())
    assert sorted(rows_of(fs, clicks)) == wanted


def delete_while_others_append(
    group: FeatureGroup, keys: pd.DataFrame, appended: pd.DataFrame, folder: Path
) -> list[str]:
    """Delete keys, in the midst of which another writer commits rows of them that it does not look for.

    Returns the operations in the order of their commits.
    """
    begun, committed = folder / "begun", folder / "committed"
    delete_rows = commands.delete_rows

    def wait(batches: Any) -> Any:  # in a worker of Spark's, once the delete has its version
        begun.touch()
        while not committed.exists():
            time.sleep(0.05)
        yield from batches

    def delete_slowly(rows: DataFrame, *others: Any) -> int:
        slow = rows.coalesce(1).mapInArrow(wait, rows.schema)
        return delete_rows(slow, *others)

    with pytest.MonkeyPatch.context() as patches, ThreadPoolExecutor(1) as other:
        patches.setattr(commands, "delete_rows", delete_slowly)
        deletion = other.submit(group.delete_records, keys)
        try:
            while not begun.exists():
                assert not deletion.done()
                time.sleep(0.05)
            group.insert(appended, operation="insert")
        finally:
            committed.touch()
        assert deletion.result().summary["deleted"] > 0
    return [commit.operation for commit in reversed(group.commit_details(limit=2))]


@pytest.mark.slow
def test_what_is_appended_while_its_key_is_deleted_is_online_where_it_is_offline(
    fs: FeatureStore, clicks: FeatureGroup, tmp_path: Path
) -> None:
    """A delete says that it deleted whole keys; so one that did not see a row is done again, and sees it."""
    clicks.insert(frame([(k, day, k) for k in range(KEYS) for day in (1, 2)]))
    clicks.sync_online()
    gone = pd.DataFrame({"k": [3, 4]})
    order = delete_while_others_append(clicks, gone, frame([(3, 9, 30), (20, 9, 200)]), tmp_path)
    assert order == ["insert", "delete"]
    clicks.sync_online()
    offline = clicks.read(dataframe_type="pandas").sort_values("at").groupby("k")["v"].last()
    assert {k: v for k, _, v in rows_of(fs, clicks)} == offline.to_dict()
    assert (3 in offline, offline[20]) == (False, 200)
    assert clicks.verify_online().ok


@pytest.mark.slow
def test_what_is_appended_while_a_delete_is_synced_is_online_by_the_next_sync(
    fs: FeatureStore, clicks: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    clicks.insert(frame([(k, day, k) for k in range(KEYS) for day in (1, 2)]))
    clicks.sync_online()
    clicks.delete_records(pd.DataFrame({"k": [3, 4]}))
    resolve = sync.resolve_deletions

    def resolve_beside(*arguments: Any) -> Any:
        monkeypatch.setattr(sync, "resolve_deletions", resolve)
        clicks.insert(frame([(3, 1, 30), (5, 9, 50)]), operation="insert")
        return resolve(*arguments)

    monkeypatch.setattr(sync, "resolve_deletions", resolve_beside)
    clicks.sync_online()
    before = {k: k for k in range(KEYS) if k not in (3, 4)}
    assert {k: v for k, _, v in rows_of(fs, clicks)} == before  # as of the delete
    clicks.sync_online()
    assert {k: v for k, _, v in rows_of(fs, clicks)} == {**before, 3: 30, 5: 50}
    assert clicks.verify_online().ok


def test_a_deleted_key_needs_no_file_of_the_table(fs: FeatureStore, clicks: FeatureGroup) -> None:
    clicks.insert(frame([(k, day, k) for k in range(KEYS) for day in (1, 2)]))
    clicks.sync_online()
    clicks.delete_records(pd.DataFrame({"k": [3, 4]}))
    clicks.insert(frame([(4, 1, 40)]))
    changed = {name for name in data_files(clicks) if "cdc" in name}
    newest = max(data_files(clicks).values(), key=lambda path: path.stat().st_mtime)
    for name, path in data_files(clicks).items():
        if name not in changed and path != newest:
            path.rename(path.with_suffix(".away"))
    summary = clicks.sync_online().summary
    assert (summary["written"], summary["deleted"]) == (1, 1)
    online = {k: v for k, _, v in rows_of(fs, clicks)}
    assert online == {**{k: k for k in range(KEYS) if k != 3}, 4: 40}


def test_a_deleted_row_needs_the_files_that_may_hold_its_key(
    fs: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(frame([(k, day, day) for k in (1, 2) for day in (1, 2, 3)]))
    before = set(data_files(clicks))
    clicks.insert(frame([(k, 1, 1) for k in (100, 101)]), operation="insert")
    of_others = set(data_files(clicks)) - before
    clicks.sync_online()
    clicks.delete_records(frame([(1, 3, 0), (2, 1, 0)])[["k", "at"]])
    for name in of_others:
        path = data_files(clicks)[name]
        path.rename(path.with_suffix(".away"))
    summary = clicks.sync_online().summary
    assert (summary["written"], summary["deleted"]) == (2, 0)
    assert {k: v for k, _, v in rows_of(fs, clicks)} == {1: 2, 2: 3, 100: 1, 101: 1}


def test_keys_of_every_kind_are_found_in_files(fs: FeatureStore) -> None:
    names = fs.create_feature_group(
        "names", primary_key=["name", "day"], event_time="at", online_enabled=True
    )
    rows = pd.DataFrame(
        {
            "name": ["a", "a ", "ä", ""] * 2,
            "day": [pd.Timestamp("2024-01-01").date()] * 8,
            "at": [at("01-01")] * 4 + [at("01-02")] * 4,
            "v": range(8),
        }
    )
    names.insert(rows)
    names.sync_online()
    names.delete_records(rows[["name", "day", "at"]].iloc[[4, 6, 7, 3]])
    names.sync_online()
    assert sorted((name, v) for name, _, _, v in rows_of(fs, names)) == [
        ("a", 0),
        ("a ", 5),
        ("ä", 2),
    ]
    assert names.verify_online().ok
