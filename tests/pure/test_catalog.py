"""The catalog under several processes, several releases, and servers that are slow or away."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import mysql.connector
import pytest

from spark_fs.catalog.store import Catalog
from spark_fs.errors import NotFoundError, SchemaError
from spark_fs.spec.datasets import TrainingDatasetSpec
from spark_fs.spec.definitions import FeatureSpec, GroupSpec, ViewSpec
from spark_fs.spec.query import GroupRef, QuerySpec

from conftest import MYSQL, ONLINE

PAYMENTS = GroupRef("payments", 1)


@pytest.fixture(params=ONLINE)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own, on each kind of server."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/catalog.db"
        return
    name, parts = f"t_{uuid4().hex}", urlsplit(MYSQL)
    reached: Any = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    with mysql.connector.connect(**reached) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{MYSQL}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


def payments(catalog: Catalog) -> GroupSpec:
    group = GroupSpec("payments", 1, primary_key=("id",), features=(FeatureSpec("id", "bigint"), FeatureSpec("amount", "double")))
    catalog.add_group(group)
    return group


def fraud(catalog: Catalog) -> ViewSpec:
    view = ViewSpec("fraud", 1, QuerySpec(PAYMENTS, ("id", "amount")))
    catalog.add_view(view)
    return view


# -- changes at once

CHANGES = """
import sys
from dataclasses import replace
from spark_fs.catalog.store import Catalog
from spark_fs.spec.definitions import FeatureSpec
from spark_fs.spec.query import GroupRef

url, me, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
catalog, ref = Catalog(url), GroupRef("payments", 1)
view = catalog.view("fraud", 1)
sys.stdin.read(1)  # all begin at once
for i in range(times):
    catalog.change_group(ref, lambda group: group.with_features([FeatureSpec(f"c_{me}_{i}", "bigint")]))
    catalog.change_group(ref, lambda group: replace(group, tags={**group.tags, f"t_{me}_{i}": i}))
    catalog.change_view(view, lambda now: replace(now, tags={**now.tags, f"t_{me}_{i}": i}))
    catalog.change_training_dataset(view, 1, lambda now: replace(now, rows={**now.rows, f"{me}_{i}": i}))
"""


def at_once(code: str, url: str, processes: int, *arguments: str) -> None:
    """Run a piece of code in so many processes, which wait for one another; each ends well."""
    runs = [
        subprocess.Popen([sys.executable, "-c", code, url, str(me), *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for me in range(processes)
    ]
    for run in runs:
        assert run.stdin
        run.stdin.write("\n")
        run.stdin.flush()
    said = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * processes, said


def test_no_change_of_many_processes_is_lost(url: str) -> None:
    catalog, times = Catalog(url), 5
    payments(catalog)
    view = fraud(catalog)
    catalog.reserve_training_dataset(view, TrainingDatasetSpec)
    at_once(CHANGES, url, 4, str(times))
    made = {f"{me}_{i}": i for me in range(4) for i in range(times)}
    group = catalog.group("payments", 1)
    assert set(group.types) == {"id", "amount", *(f"c_{each}" for each in made)}
    assert group.tags == catalog.view("fraud", 1).tags == {f"t_{each}": i for each, i in made.items()}
    assert catalog.training_datasets(view)[0].rows == made


def test_a_change_is_made_of_what_is_there_when_it_is_saved(url: str) -> None:
    catalog, other = Catalog(url), Catalog(url)
    payments(catalog)
    seen = []

    def tag(group: GroupSpec) -> GroupSpec:
        seen.append(group.tags)
        if len(seen) == 1:
            other.change_group(PAYMENTS, lambda now: replace(now, tags={"theirs": 1}))
        return replace(group, tags={**group.tags, "ours": True})

    assert catalog.change_group(PAYMENTS, tag).tags == {"theirs": 1, "ours": True}
    assert catalog.group("payments", 1).tags == {"theirs": 1, "ours": True}
    assert seen == [{}, {"theirs": 1}]


def test_a_change_that_python_takes_for_none_is_saved(url: str) -> None:
    catalog = Catalog(url)
    payments(catalog)
    for value in (1, True, 1.0):
        catalog.change_group(PAYMENTS, lambda group, value=value: replace(group, tags={"x": value}))  # type: ignore[misc] # bound now
        assert repr(catalog.group("payments", 1).tags["x"]) == repr(value)


def test_what_was_deleted_at_the_same_time_is_not_made_again(url: str) -> None:
    catalog = Catalog(url)
    payments(catalog)
    view = fraud(catalog)
    catalog.reserve_training_dataset(view, TrainingDatasetSpec)

    def late(group: GroupSpec) -> GroupSpec:
        catalog.delete_group(PAYMENTS)
        return replace(group, description="late")

    with pytest.raises(NotFoundError, match="Feature group 'payments' does not exist"):
        catalog.change_group(PAYMENTS, late)
    assert catalog.all_groups() == []
    catalog.forget_training_dataset(view, 1)
    with pytest.raises(NotFoundError, match="Training dataset of feature view 'fraud' has no version 1"):
        catalog.change_training_dataset(view, 1, lambda now: replace(now, state="finished"))
    catalog.delete_view(view)
    with pytest.raises(NotFoundError, match="Feature view 'fraud' does not exist"):
        catalog.change_view(view, lambda now: replace(now, description="late"))


def test_a_column_that_another_process_added_is_not_added_twice(url: str) -> None:
    catalog = Catalog(url)
    payments(catalog)
    with pytest.raises(SchemaError, match=r"column 'amount' is there already \(double\)\. Nothing was added"):
        catalog.change_group(PAYMENTS, lambda group: group.with_features([FeatureSpec("amount", "bigint")]))
