"""A commit whose answer is lost, that fails, or that another writer meets: nothing is lost, nothing doubled, and what is said is true."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow.parquet as pq
import pytest
from delta.exceptions import ConcurrentAppendException
from delta.tables import DeltaMergeBuilder, DeltaOptimizeBuilder
from pyspark.sql import DataFrameWriter, SparkSession

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.catalog.store import Catalog
from spark_fs.errors import (
    CatalogError,
    ConflictError,
    SchemaError,
    SparkFSError,
    UnfinishedError,
    UnknownOutcomeError,
)
from spark_fs.spec.feature_group import FeatureSpec
from spark_fs.tables.delta import transaction
from spark_fs.tables.delta.staging import DeltaTransaction

from conftest import first_quick
from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
NEW = pd.DataFrame({"k": [7, 8], "at": DAY[:2], "v": [7.0, 8.0]})
MIXED = pd.DataFrame(
    {"k": [1, 1, 9], "at": [DAY[0], DAY[1], DAY[0]], "v": [1.0, -2.0, 9.0]}
)  # a row as it was, a changed one, a new one
TEXTS = {
    "name": "sane",
    "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "v", "min_value": 0}}
    ],
}
ASIDE = {"policy": "QUARANTINE"}
Act = Callable[[FeatureGroup], Any]
Undisturbed = Callable[[str], tuple[Any, pd.DataFrame, int]]
APPEND, MERGE, OPTIMIZE, SQL, SAVE = (
    (DeltaTransaction, "commit"), (DeltaMergeBuilder, "execute"), (DeltaOptimizeBuilder, "executeZOrderBy"), (SparkSession, "sql"), (DataFrameWriter, "save")
)  # fmt: skip


def build(spark: SparkSession, start: datetime, end: datetime) -> Any:
    return spark.createDataFrame(
        [(1, start, 1.0), (2, start, 2.0)], "k long, at timestamp, v double"
    )


WRITES: dict[str, tuple[tuple[type, str], Act]] = {
    "append": (APPEND, lambda g: g.insert(NEW)[0].summary),
    "append of what is new": (APPEND, lambda g: g.insert(pd.concat([FIRST, NEW]))[0].summary),
    "insert": (APPEND, lambda g: g.insert(NEW, operation="insert")[0].summary),
    "batch": (APPEND, lambda g: g.insert(NEW, write_options={"batch_id": "b"})[0].summary),
    "batch of nothing": (
        APPEND,
        lambda g: g.insert(FIRST, write_options={"batch_id": "b"})[0].summary,
    ),
    "merge": (MERGE, lambda g: g.insert(MIXED)[0].summary),
    "batch that merges": (
        MERGE,
        lambda g: g.insert(MIXED, write_options={"batch_id": "b"})[0].summary,
    ),
    "merge of vouched rows": (
        MERGE,
        lambda g: (g.insert(FIRST[:1], operation="insert"), g.insert(MIXED)[0].summary)[1],
    ),
    "delete": (MERGE, lambda g: g.delete_records(FIRST[["k"]][:1]).summary),
    "optimize": (OPTIMIZE, lambda g: (g.insert(NEW), g.optimize().summary)[1]),
    "append_features": (
        SQL,
        lambda g: list(g.append_features(spark_fs.Feature("w", "double")).schema),
    ),
    "quarantine": (
        SAVE,
        lambda g: (
            g.save_expectation_suite(TEXTS),
            g.insert(MIXED, validation_options=ASIDE)[0].summary,
        )[1],
    ),
    "backfill": (
        APPEND,
        lambda g: (
            g.backfill(build, "2024-02-01", "2024-02-03", timedelta(days=1)).summary,
            g.watermark,
        ),
    ),
}


@pytest.fixture
def clicks(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> FeatureGroup:
    return group("clicks", FIRST, primary_key=["k"], event_time="at")


@contextmanager
def failing(
    place: tuple[type, str],
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    lands: bool = True,
    before: Callable[[], object] = int,
) -> Iterator[list[int]]:
    """A commit that fails once, after it landed or before; and what another does just before it."""
    kind, name = place
    original, tried = getattr(kind, name), []

    def commit(self: Any, *arguments: Any, **named: Any) -> Any:
        if place is SQL and not arguments[0].startswith("ALTER"):
            return original(self, *arguments, **named)
        tried.append(1)
        if len(tried) > 1:
            return original(self, *arguments, **named)
        before()
        if lands:
            original(self, *arguments, **named)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(kind, name, commit)
        yield tried
    assert tried


def logged(path: str) -> list[dict[str, Any]]:
    """Every action of the log, as its files have it."""
    return [
        json.loads(line)
        for file in sorted(Path(path, "_delta_log").glob("*.json"))
        for line in file.read_text().split("\n")
        if line
    ]


def check_whole(group: FeatureGroup) -> None:
    """Every file that a commit names is there, and no file beside them."""
    for path in filter(
        lambda p: Path(p).exists(), (group.location, f"{group.location}_quarantine")
    ):
        named = [unquote(action["add"]["path"]) for action in logged(path) if "add" in action]
        held = {
            str(p.relative_to(path)): p
            for p in Path(path).rglob("*.parquet")
            if not {"_delta_log", "_change_data"} & set(p.parts)
        }
        assert set(named) <= set(held)
        assert not [
            name for name, p in held.items() if name not in named and pq.read_metadata(p).num_rows
        ]  # Delta leaves empty files itself
        assert len(set(named)) == len(named)  # none was committed twice


def contents(group: FeatureGroup) -> pd.DataFrame:
    return group.read("pandas")


USUAL = ["append", "merge", "delete", "backfill"]  # CI has time for these


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Callable[[str], tuple[Any, pd.DataFrame, int]]:
    """What a write returns, the rows that it leaves, and the commits."""
    fs = spark_fs.login({"home": tmp_path_factory.mktemp("undisturbed")}).get_feature_store()

    @cache
    def of(name: str) -> tuple[Any, pd.DataFrame, int]:
        group = fs.create_feature_group(
            f"g{list(WRITES).index(name)}", primary_key=["k"], event_time="at"
        )
        group.insert(FIRST)
        return WRITES[name][1](group), contents(group), len(group.commit_details(100))

    return of


@pytest.mark.parametrize(
    "name", first_quick([*USUAL, *(name for name in WRITES if name not in USUAL)], ci=len(USUAL))
)
def test_a_commit_whose_answer_is_lost_is_told_as_it_went(
    name: str, clicks: FeatureGroup, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, act = WRITES[name]
    lost = (
        TimeoutError("the store did not answer")
        if name != "merge"
        else ConcurrentAppendException("its own commit, taken for another's")
    )
    with failing(place, lost, monkeypatch):
        found = act(clicks)
    wanted, rows, commits = undisturbed(name)
    assert found == wanted
    same_rows(contents(clicks), rows, ["k", "at"])
    assert len(clicks.commit_details(100)) == commits
    check_whole(clicks)


ONE_COMMIT = (
    "append",
    "merge",
    "append of what is new",
    "insert",
    "batch",
    "batch of nothing",
    "batch that merges",
    "delete",
    "append_features",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", first_quick(ONE_COMMIT, 2, ci=5))
def test_a_commit_that_failed_leaves_nothing_and_can_be_made_again(
    name: str, clicks: FeatureGroup, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, act = WRITES[name]
    with (
        failing(place, OSError("no space"), monkeypatch, lands=False),
        pytest.raises(SparkFSError, match=r"failed and the table is as it was: no space"),
    ):
        act(clicks)
    same_rows(contents(clicks), FIRST, ["k", "at"])
    check_whole(clicks)
    assert act(clicks) == undisturbed(name)[0]
    same_rows(contents(clicks), undisturbed(name)[1], ["k", "at"])
    check_whole(clicks)


def test_a_first_insert_whose_answer_is_lost(
    fs: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = fs.create_feature_group("clicks", primary_key=["k"], event_time="at")
    with failing(APPEND, TimeoutError("late"), monkeypatch):
        assert group.insert(FIRST)[0].summary == {
            "read": 3,
            "inserted": 3,
            "updated": 0,
            "unchanged": 0,
            "set_aside": 0,
        }
    same_rows(contents(group), FIRST, ["k", "at"])
    check_whole(group)


@pytest.mark.slow
@pytest.mark.parametrize("name", first_quick(["merge", "append", "delete"], ci=1))
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)], ids=["Ctrl-C", "SIGTERM"])
def test_who_is_interrupted_is_told_what_was_committed(
    name: str,
    stop: BaseException,
    clicks: FeatureGroup,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, act = WRITES[name]
    with (
        failing(place, type(stop)(*stop.args), monkeypatch, lands=False),
        pytest.raises(type(stop)) as raised,
    ):
        act(clicks)
    assert not hasattr(raised.value, "__notes__")
    same_rows(contents(clicks), FIRST, ["k", "at"])
    check_whole(clicks)
    with failing(place, type(stop)(*stop.args), monkeypatch), pytest.raises(type(stop)) as raised:
        act(clicks)
    assert any("was committed before this, as version 1" in note for note in raised.value.__notes__)
    same_rows(contents(clicks), undisturbed(name)[1], ["k", "at"])
    check_whole(clicks)


@pytest.mark.slow
def test_a_second_writer_beside_a_lost_answer(
    clicks: FeatureGroup, fs: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = fs.get_feature_group("clicks", 1)
    theirs, after = NEW.assign(k=[11, 12]), NEW.assign(k=[21, 22])
    with failing(
        APPEND,
        TimeoutError("late"),
        monkeypatch,
        before=lambda: others.insert(theirs, operation="insert"),
    ):
        summary = clicks.insert(NEW)[
            0
        ].summary  # looked before the others' rows were there, so it is tried again
    assert (summary["inserted"], summary["updated"]) == (2, 0)
    with failing(MERGE, TimeoutError("late"), monkeypatch, before=lambda: others.insert(after)):
        summary = clicks.insert(MIXED)[0].summary
    assert (summary["inserted"], summary["updated"]) == (1, 1)
    wanted = pd.concat([FIRST, NEW, theirs, MIXED, after]).drop_duplicates(["k", "at"], keep="last")
    same_rows(contents(clicks), wanted, ["k", "at"])
    check_whole(clicks)


def test_what_cannot_be_known_is_said_and_deletes_nothing(
    clicks: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise SparkFSError("The log cannot be read.")

    held = len(list(Path(clicks.location).glob("*.parquet")))
    with failing(APPEND, TimeoutError("late"), monkeypatch), monkeypatch.context() as patch:
        patch.setattr(transaction, "DeltaLog", gone)
        with pytest.raises(
            UnknownOutcomeError,
            match=(
                r"Whether the write to the table at .*clicks_1 was committed is not known: The log"
                r" cannot be read.* Its files were left where they are.*an insert with a batch_id,"
                r" can be run again"
            ),
        ):
            clicks.insert(NEW)
    assert len(list(Path(clicks.location).glob("*.parquet"))) > held
    same_rows(contents(clicks), pd.concat([FIRST, NEW]), ["k", "at"])  # it had landed
    assert clicks.insert(NEW)[0].summary["unchanged"] == 2


def test_an_object_store_may_answer_late(
    clicks: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = len(list(Path(clicks.location).glob("*.parquet")))
    monkeypatch.setattr(transaction, "_is_local", lambda _: False)
    with (
        failing(APPEND, TimeoutError("no answer"), monkeypatch, lands=False),
        pytest.raises(
            UnknownOutcomeError,
            match=(
                r"the log does not name it, and a store that answers late may still bring it: no"
                r" answer"
            ),
        ),
    ):
        clicks.insert(NEW)
    assert (
        len(list(Path(clicks.location).glob("*.parquet"))) > held
    )  # it would make the table unreadable
    with failing(APPEND, ConcurrentAppendException("another's"), monkeypatch, lands=False):
        assert (
            clicks.insert(NEW)[0].summary["inserted"] == 2
        )  # who was told that another was faster can be sure


# -- first inserts side by side


OTHERS = {
    "other": FIRST.rename(columns={"v": "w"}),
    "fewer": FIRST[["k", "at"]],
    "type": FIRST.assign(v=["a", "b", "c"]),
    "more": FIRST.assign(x=1),
}


@pytest.mark.slow
@pytest.mark.parametrize("other", first_quick(list(OTHERS), ci=2))
def test_of_two_first_inserts_with_different_columns_one_is_refused(
    other: str, fs: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, second = (
        fs.create_feature_group("clicks", primary_key=["k"], event_time="at"),
        fs.get_feature_group("clicks", 1),
    )
    stage = DeltaTransaction.stage_rows
    raced: list[int] = []

    def staged(self: Any, frame: Any) -> Any:
        """The other one is done while this one stages its rows."""
        if not raced:
            raced.append(1)
            second.insert(FIRST)
        return stage(self, frame)

    monkeypatch.setattr(DeltaTransaction, "stage_rows", staged)
    with pytest.raises(
        SchemaError,
        match=(
            r"The frame does not fit feature group 'clicks' version 1: another first insert gave it"
            r" columns at the same time, .*Nothing was written"
        ),
    ):
        group.insert(OTHERS[other])
    found = fs.get_feature_group("clicks", 1)
    assert found.schema == second.schema
    same_rows(contents(found), FIRST, ["k", "at"])
    check_whole(found)


@pytest.mark.slow
def test_a_table_that_the_catalog_does_not_know_decides_on_its_columns(
    clicks: FeatureGroup, fs: FeatureStore
) -> None:
    catalog = fs._stores.catalog
    catalog.change_group(
        clicks.spec.ref, lambda group: replace(group, features=())
    )  # as one that was restored has it
    with pytest.raises(
        SchemaError, match=r"'v' \(double\), 'w' \(double\) is only in one of the two"
    ):
        clicks.insert(FIRST.rename(columns={"v": "w"}))
    assert not catalog.get_group("clicks", 1).features
    clicks.insert(NEW)
    same_rows(contents(clicks), pd.concat([FIRST, NEW]), ["k", "at"])
    catalog.change_group(
        clicks.spec.ref, lambda group: group.with_features([FeatureSpec("w", "double")])
    )
    with pytest.raises(SchemaError, match=r"'w' \(double\) is only in one of the two"):
        clicks.insert(NEW.assign(w=1.0))  # its values would be nowhere
    check_whole(clicks)


# -- what follows a commit


@pytest.fixture
def checked(fs: FeatureStore) -> FeatureGroup:
    made = fs.create_feature_group(
        "checked", primary_key=["k"], event_time="at", expectation_suite=TEXTS
    )
    made.insert(FIRST)
    return made


@pytest.mark.slow
def test_a_failed_batch_made_again_is_in_the_quarantine_once(
    checked: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        failing(MERGE, OSError("no space"), monkeypatch, lands=False),
        pytest.raises(SparkFSError, match=r"no space"),
    ):
        checked.insert(MIXED.assign(v=[5.0, -2.0, 9.0]), validation_options=ASIDE)
    assert checked.read_quarantine("pandas").empty
    checked.insert(MIXED.assign(v=[5.0, -2.0, 9.0]), validation_options=ASIDE)
    assert checked.read_quarantine("pandas")["v"].tolist() == [-2.0]


@pytest.mark.slow
def test_who_is_interrupted_after_the_commit_still_sets_rows_aside(
    checked: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(APPEND, KeyboardInterrupt(), monkeypatch), pytest.raises(KeyboardInterrupt):
        checked.insert(MIXED, validation_options=ASIDE)
    assert checked.read_quarantine("pandas")["v"].tolist() == [-2.0]
    assert [report.set_aside for report in checked.get_validation_history()] == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"write_options": {"batch_id": "b"}}], ids=["upsert", "batch"]
)
def test_a_quarantine_that_fails_after_the_commit_is_made_up_for(
    options: dict[str, Any], checked: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        failing(SAVE, OSError("no space"), monkeypatch, lands=False),
        pytest.raises(
            UnfinishedError,
            match=(
                r"The rows were committed to feature group 'checked' version 1 as version 1 of its"
                r" table, but the 1 rows that do not meet the expectations are not in the"
                r" quarantine: .*no space. Insert the same frame"
            ),
        ),
    ):
        checked.insert(MIXED, validation_options=ASIDE, **options)
    for _ in range(2 if options else 1):
        checked.insert(MIXED, validation_options=ASIDE, **options)
        assert checked.read_quarantine("pandas")["v"].tolist() == [-2.0]
    same_rows(contents(checked), pd.concat([FIRST, MIXED[2:]]), ["k", "at"])


@pytest.mark.slow
def test_a_catalog_that_is_away_after_the_commit_is_no_reason_to_insert_again(
    checked: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise CatalogError(
            "The metadata database at x failed: it is locked. Nothing was changed in it. Do the"
            " same again."
        )

    monkeypatch.setattr(Catalog, "add_validation", away)
    with pytest.raises(
        UnfinishedError,
        match=(
            r"The rows were committed to feature group 'checked' version 1 as version 1 of its"
            r" table, but the validation report was not kept: The metadata database at x failed: it"
            r" is locked. Do not insert them again"
        ),
    ) as raised:
        checked.insert(NEW, operation="insert")
    assert not raised.value.retryable
    assert not isinstance(raised.value, ConflictError)
    same_rows(contents(checked), pd.concat([FIRST, NEW]), ["k", "at"])
