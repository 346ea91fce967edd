"""What a clean-up may take: by the log's own instants of what left the table, and by what reads old versions."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from spark_fs.catalog.store import Catalog
from spark_fs.errors import SettingsError
from spark_fs.flows import maintain
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.training_dataset import FilesSpec, TrainingDatasetSpec
from spark_fs.tables.delta import history
from spark_fs.tables.table import open_table

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
REF = GroupRef("clicks", 1)
BEGUN: list[dict[str, Any]] = [
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {
        "metaData": {
            "id": "t",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": '{"type": "struct", "fields": []}',
            "partitionColumns": [],
            "configuration": {},
        }
    },
]


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def added(path: str) -> dict[str, Any]:
    return {
        "add": {
            "path": path,
            "partitionValues": {},
            "size": 1,
            "modificationTime": 0,
            "dataChange": True,
        }
    }


def removed(path: str, hours_ago: float | None) -> dict[str, Any]:
    at = (
        {} if hours_ago is None else {"deletionTimestamp": millis(NOW - timedelta(hours=hours_ago))}
    )
    return {"remove": {"path": path, "dataChange": True, **at}}


def table(folder: Path, *commits: list[dict[str, Any]], instant: datetime = NOW) -> str:
    """A log of commits, which all say that they are of one instant, whatever their tombstones say."""
    log = folder / "_delta_log"
    log.mkdir()
    for version, actions in enumerate([[*BEGUN, added("a"), added("b")], *commits]):
        info = {
            "commitInfo": {
                "timestamp": millis(instant),
                "inCommitTimestamp": millis(instant) + version,
                "operation": "WRITE",
            }
        }
        (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, [info, *actions])))
    return str(folder)


@pytest.mark.parametrize(
    "ahead", [timedelta(0), timedelta(days=365)], ids=["clock right", "clock ran ahead"]
)
@pytest.mark.parametrize(
    ("commits", "lost"),
    [
        ([[added("c")]], False),  # nothing left
        ([[removed("a", 30), added("a2")]], True),
        ([[removed("a", 10), added("a2")]], False),  # left, but not long enough ago
        ([[added("a2"), removed("a", 30)]], True),  # in whatever order a commit lists them
        ([[added("c")], [removed("c", 30)]], False),  # a file of later
        ([[removed("a", 30)], [added("a")]], False),  # it is back, as RESTORE brings it
        ([[removed("a", 30)], [added("a")], [removed("a", 10)]], False),
        ([[removed("a", 40)], [added("a")], [removed("a", 30)]], True),
        ([[removed("a", None)]], True),  # Delta takes it for long ago
        (
            [[removed("a", 10)], [removed("b", 30)]],
            True,
        ),  # the later commit has the older tombstone: another writer's clock
    ],
)
def test_what_is_lost_goes_by_the_instants_of_what_left(
    commits: list[list[dict[str, Any]]], lost: bool, ahead: timedelta, tmp_path: Path
) -> None:
    path = table(tmp_path, *commits, instant=NOW + ahead)
    assert history.would_be_lost(path, 0, NOW - timedelta(hours=24)) is lost
    assert (
        history.would_be_lost(path, len(commits), NOW) is False
    )  # the newest version loses nothing


def test_what_is_read_from_versions_pins_them_while_it_is_there(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/metadata.db")
    catalog.add_group(
        GroupSpec("clicks", 1, primary_key=("k",), features=(FeatureSpec("k", "bigint"),))
    )
    query = QuerySpec(REF, ("k",))
    view = ViewSpec("v", 1, query)
    catalog.add_view(view)
    made = TrainingDatasetSpec(0, query, group_versions={REF: 3}, state="finished")
    files = FilesSpec("/somewhere")
    for spec in (
        made, replace(made, state="running"), replace(made, state="deleted"),
        replace(made, files=files), replace(made, files=files, state="running"), replace(made, files=files, state="deleted"),
    ):  # fmt: skip
        catalog.reserve_training_dataset(
            view, lambda number, spec=spec: replace(spec, version=number)
        )  # type: ignore[misc] # bound at once
    assert catalog.find_pinned_versions(REF) == {
        "training dataset 1 of feature view 'v' version 1": 3
    }
    catalog.add_view(ViewSpec("old", 1, replace(query, as_of=2)))
    assert catalog.find_pinned_versions(REF) == {
        "training dataset 1 of feature view 'v' version 1": 3,
        "feature view 'old' version 1": 2,
    }
    catalog.change_training_dataset(view, 1, lambda now: replace(now, state="deleted"))
    catalog.delete_view(catalog.get_view("old", 1))
    assert catalog.find_pinned_versions(REF) == {}


def no_session() -> NoReturn:
    raise AssertionError("a session was asked for")


@pytest.mark.parametrize("hours", [0, 1, 23.9])
def test_less_than_a_day_is_refused(hours: float, tmp_path: Path) -> None:
    group = GroupSpec("clicks", 1, primary_key=("k",))
    with pytest.raises(
        SettingsError,
        match=(
            rf"Nothing was removed from feature group 'clicks' version 1: retention_hours={hours}"
            r" is less than 24, .*say force=True"
        ),
    ):
        maintain.vacuum_table(open_table(group, str(tmp_path), no_session), hours, {})
