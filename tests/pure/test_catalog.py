"""The catalog under several processes, several releases, and servers that are slow or away."""

import json
import multiprocessing
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import mysql.connector
import pytest
from sqlalchemy import text

from spark_fs.base.times import Interval
from spark_fs.catalog.store import Catalog
from spark_fs.errors import (
    CatalogError,
    NotFoundError,
    SchemaError,
    SettingsError,
    SetupError,
    UpgradeError,
)
from spark_fs.spec.comparison import DriftReport, FeatureDrift
from spark_fs.spec.expectations import parse_suite
from spark_fs.spec.external_source import SourceSpec
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord
from spark_fs.spec.query import JoinSpec, QuerySpec
from spark_fs.spec.record_format import FORMAT_KEY, get_format
from spark_fs.spec.training_dataset import FilesSpec, TrainingDatasetSpec
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec
from spark_fs.spec.validation_report import ExpectationResult, ValidationReport

from conftest import ONLINE, SERVERS

PAYMENTS = GroupRef("payments", 1)


@pytest.fixture(params=ONLINE)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own, on each kind of server."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/catalog.db"
        return
    server = SERVERS[request.param]
    name, parts = f"t_{uuid4().hex}", urlsplit(server)
    reached: Any = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
    }
    with mysql.connector.connect(**reached) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{server}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


def payments(catalog: Catalog) -> GroupSpec:
    group = GroupSpec(
        "payments",
        1,
        primary_key=("id",),
        features=(FeatureSpec("id", "bigint"), FeatureSpec("amount", "double")),
    )
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
from spark_fs.spec.feature_group import FeatureSpec
from spark_fs.spec.names import GroupRef

url, me, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
catalog, ref = Catalog(url), GroupRef("payments", 1)
view = catalog.get_view("fraud", 1)
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
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(me), *arguments],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
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
    group = catalog.get_group("payments", 1)
    assert set(group.types) == {"id", "amount", *(f"c_{each}" for each in made)}
    assert (
        group.tags
        == catalog.get_view("fraud", 1).tags
        == {f"t_{each}": i for each, i in made.items()}
    )
    assert catalog.list_training_datasets(view)[0].rows == made


CREATIONS = """
import sys
import spark_fs
from spark_fs import Feature

fs = spark_fs.login({"home": sys.argv[4], "catalog_url": sys.argv[1]}).get_feature_store()
columns = [Feature("id", "bigint"), Feature("amount", "double")]
sys.stdin.read(1)  # all begin at once
for i in range(int(sys.argv[3])):
    fs.create_feature_group("next", primary_key=["id"], features=columns)
    same = fs.get_or_create_feature_group(f"same_{i}", primary_key=["id"], features=columns)
    fs.create_feature_view("next", same.select_all())
    fs.get_or_create_feature_view(f"same_{i}", same.select_all())
    fs.create_external_feature_group("outside", primary_key=["id"], path="/nowhere", features=columns)
"""


def test_what_many_processes_create_at_once_is_there_once_or_a_version_each(
    url: str, tmp_path: Path
) -> None:
    Catalog(url)
    at_once(CREATIONS, url, 4, "3", str(tmp_path))
    catalog = Catalog(url)
    made = sorted((group.name, group.version) for group in catalog.list_groups())
    each = [(name, version) for name in ("next", "outside") for version in range(1, 13)]
    assert made == sorted(each + [(f"same_{i}", 1) for i in range(3)])
    views = sorted((view.name, view.version) for view in catalog.list_views())
    assert views == sorted(
        [("next", version) for version in range(1, 13)] + [(f"same_{i}", 1) for i in range(3)]
    )


def test_runs_and_backfills_that_begin_at_once_do_not_lock_one_another_out(url: str) -> None:
    catalog, together = Catalog(url), threading.Barrier(6)
    day = Interval.from_bounds(NOW, NOW + timedelta(days=1))

    def work(me: int) -> None:
        for i in range(10):
            together.wait(30)
            catalog.save_run(replace(RUN, id=f"{me:016}{i:016}"))
            catalog.record_backfill(
                GroupRef(f"g_{me}_{i}", 1), day, replace(day, end=NOW + timedelta(hours=me))
            )

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert len(list(catalog.list_runs())) == 60
    assert [catalog.get_backfill_progress(GroupRef(f"g_{me}_3", 1), day) for me in range(6)] == [
        NOW + timedelta(hours=me) for me in range(6)
    ]


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
    assert catalog.get_group("payments", 1).tags == {"theirs": 1, "ours": True}
    assert seen == [{}, {"theirs": 1}]


def test_a_change_that_python_takes_for_none_is_saved(url: str) -> None:
    catalog = Catalog(url)
    payments(catalog)
    for value in (1, True, 1.0):
        catalog.change_group(PAYMENTS, lambda group, value=value: replace(group, tags={"x": value}))  # type: ignore[misc] # bound now
        assert repr(catalog.get_group("payments", 1).tags["x"]) == repr(value)


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
    assert catalog.list_groups() == []
    catalog.delete_training_dataset(view, 1)
    with pytest.raises(
        NotFoundError,
        match="Training dataset 1 of feature view 'fraud' version 1 was deleted at this moment",
    ):
        catalog.change_training_dataset(view, 1, lambda now: replace(now, state="finished"))
    catalog.delete_view(view)
    with pytest.raises(NotFoundError, match="Feature view 'fraud' does not exist"):
        catalog.change_view(view, lambda now: replace(now, description="late"))


def test_a_column_that_another_process_added_is_not_added_twice(url: str) -> None:
    catalog = Catalog(url)
    payments(catalog)
    with pytest.raises(
        SchemaError, match=r"column 'amount' is there already \(double\)\. Nothing was added"
    ):
        catalog.change_group(
            PAYMENTS, lambda group: group.with_features([FeatureSpec("amount", "bigint")])
        )


# -- definitions of another release

NOW = datetime(2024, 1, 5, tzinfo=UTC)
DOUBLED = FunctionSpec(
    "doubled",
    mode="python",
    arguments=("x",),
    returns=("double",),
    source="def doubled(x): return 2 * x",
)
SUITE = parse_suite(
    {
        "name": "sane",
        "expectations": [
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}}
        ],
    }
)
RUN = PipelineRun(
    "0" * 32, "hourly", NOW, NOW, NOW, "finished", (StepRecord("sync", "finished", NOW),)
)


def fill(catalog: Catalog) -> None:
    """One of everything that the catalog keeps, and a group beside."""
    catalog.add_group(
        GroupSpec("later", 1, primary_key=("id",), features=(FeatureSpec("id", "bigint"),))
    )
    ref = GroupRef("payments", 1)
    catalog.add_group(
        replace(
            GroupSpec(
                "payments",
                1,
                primary_key=("id",),
                features=(FeatureSpec("id", "bigint"), FeatureSpec("amount", "double")),
            ),
            parents=(GroupRef("later", 1),),
            source=SourceSpec("delta", "/x"),
            expectation_suite=SUITE,
            statistics_config=StatisticsConfig(correlations=True).to_json(),
            tags={"a": {"b": 1}},
        )
    )
    catalog.add_function(DOUBLED)
    joined = QuerySpec(ref, ("id", "amount")).with_join(
        JoinSpec(QuerySpec(GroupRef("later", 1), ("id",)), prefix="l_")
    )
    view = ViewSpec("fraud", 1, joined, transformations=(TransformationSpec(DOUBLED, ("amount",)),))
    catalog.add_view(view)
    catalog.reserve_training_dataset(
        view,
        lambda v: TrainingDatasetSpec(
            v,
            joined,
            group_versions={ref: 3},
            files=FilesSpec("/x"),
            statistics_config={"histograms": False},
        ),
    )
    catalog.change_training_dataset(
        view, 1, lambda now: replace(now, state="finished", rows={"train": 2})
    )
    catalog.add_validation(
        ref, ValidationReport("sane", True, (ExpectationResult("a", {}, True, 2),), 2)
    )
    catalog.add_comparison(
        catalog.get_group("payments", 1),
        DriftReport("a", "b", (1, 2), {"psi": 0.2}, (FeatureDrift("amount", {"psi": 0.1}),)),
    )
    catalog.save_run(RUN)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("filled") / "catalog.db"
    fill(Catalog(f"sqlite:///{file}"))
    return file


@pytest.fixture
def full(filled: Path, tmp_path: Path) -> Catalog:
    """A catalog with one of everything."""
    return Catalog(f"sqlite:///{shutil.copy(filled, tmp_path)}")


KEPT = [  # the table, its column of JSON, and where in it an object stands
    ("feature_groups", "definition", ()),
    ("feature_groups", "definition", ("features", 1)),
    ("feature_groups", "definition", ("statistics_config",)),
    ("feature_groups", "definition", ("expectation_suite",)),
    ("feature_groups", "definition", ("expectation_suite", "expectations", 0)),
    ("feature_views", "definition", ()),
    ("feature_views", "definition", ("query",)),
    ("feature_views", "definition", ("query", "joins", 0)),
    ("feature_views", "definition", ("transformations", 0)),
    ("feature_views", "definition", ("transformations", 0, "function")),
    ("training_datasets", "definition", ()),
    ("training_datasets", "definition", ("query",)),
    ("training_datasets", "definition", ("statistics_config",)),
    ("training_datasets", "definition", ("files",)),
    ("feature_groups", "definition", ("source",)),
    ("transformation_functions", "definition", ()),
    ("validations", "report", ()),
    ("validations", "report", ("results", 0)),
    ("comparisons", "report", ()),
    ("runs", "steps", (0,)),
]
TOP = [case for case in KEPT if case[2] in ((), (0,))]


def names(case: Any) -> str:
    return f"{case[0]}-{'.'.join(map(str, case[2]))}"


def rewrite(
    catalog: Catalog, case: tuple[str, str, tuple[Any, ...]], added: dict[str, Any]
) -> None:
    """Let objects hold more than this release writes, as a newer one would write it, in every row but those called later."""
    table, column, path = case
    with catalog._begin_transaction() as connection:
        rows = [
            json.loads(row) if isinstance(row, str) else row
            for row in connection.scalars(text(f"SELECT {column} FROM {table}"))
        ]
        for data in rows:
            if isinstance(data, dict) and data.get("name") == "later":
                continue
            inner = data
            for step in path:
                inner = inner[step]
            inner |= added
            where = " WHERE name <> 'later'" if table == "feature_groups" else ""
            connection.execute(
                text(f"UPDATE {table} SET {column} = :data{where}"), {"data": json.dumps(data)}
            )


def stored(catalog: Catalog, case: tuple[str, str, tuple[Any, ...]]) -> Any:
    table, column, path = case
    with catalog._begin_transaction() as connection:
        where = " WHERE name <> 'later'" if table == "feature_groups" else ""
        data = connection.scalars(text(f"SELECT {column} FROM {table}{where}")).one()
    data = json.loads(data) if isinstance(data, str) else data
    for step in path:
        data = data[step]
    return data


def read_all(catalog: Catalog, view: ViewSpec) -> list[Any]:
    """Everything that the catalog has, as it is listed, and one by one."""
    return [
        catalog.get_group("payments", 1),
        catalog.list_groups(),
        catalog.get_view("fraud", 1),
        catalog.list_views(),
        catalog.list_views_of_group(PAYMENTS),
        catalog.get_function("doubled", 1),
        catalog.list_functions(),
        catalog.list_training_datasets(view),
        catalog.get_training_dataset(view, 1),
        catalog.list_validations(PAYMENTS),
        catalog.get_latest_validation(PAYMENTS),
        catalog.list_comparisons(view),
        catalog.find_pinned_versions(PAYMENTS),
        list(catalog.list_runs()),
        catalog.get_run("0"),
        catalog.find_last_done("hourly", ["sync"]),
        catalog.get_group("payments", 1).parsed_statistics_config,
    ]


def change_all(catalog: Catalog, view: ViewSpec) -> None:
    """Change every definition in every way that an object of its kind changes."""
    catalog.change_group(
        PAYMENTS,
        lambda group: (
            group.with_features([FeatureSpec("more", "string")])
            .with_column_description("amount", "in euro")
            .with_possible_duplicates()
        ),
    )
    catalog.change_group(
        PAYMENTS,
        lambda group: replace(group, tags={"c": 1}, description="changed", built_from="2024"),
    )
    catalog.change_view(view, lambda now: replace(now, tags={"c": 1}, description="changed"))
    catalog.change_training_dataset(
        view, 1, lambda now: replace(now, state="deleted", rows={"train": 3})
    )


@pytest.mark.parametrize("case", KEPT, ids=names)
def test_what_a_newer_release_wrote_beside_is_read_over_and_kept(
    case: tuple[str, str, tuple[Any, ...]], full: Catalog
) -> None:
    catalog, view = full, full.get_view("fraud", 1)
    before = read_all(catalog, view)
    rewrite(catalog, case, {"of_a_newer_release": {"x": [1, 2]}})
    assert read_all(catalog, view) == before
    change_all(catalog, view)
    assert stored(catalog, case)["of_a_newer_release"] == {"x": [1, 2]}
    group, dataset = catalog.get_group("payments", 1), catalog.get_training_dataset(view, 1)
    assert (group.tags, group.description, group.types["more"], group.features[1].description) == (
        {"c": 1},
        "changed",
        "string",
        "in euro",
    )
    assert (catalog.get_view("fraud", 1).tags, dataset.state, dataset.rows) == (
        {"c": 1},
        "deleted",
        {"train": 3},
    )


DEFINED = {
    "feature_groups": GroupSpec,
    "feature_views": ViewSpec,
    "transformation_functions": FunctionSpec,
}
ASKED: dict[str, Callable[[Catalog, ViewSpec], Any]] = {
    "feature_groups": lambda catalog, _: catalog.get_group("payments", 1),
    "feature_views": lambda catalog, _: catalog.get_view("fraud", 1),
    "training_datasets": lambda catalog, view: catalog.get_training_dataset(view, 1),
    "transformation_functions": lambda catalog, _: catalog.get_function("doubled", 1),
    "validations": lambda catalog, _: catalog.get_latest_validation(PAYMENTS),
    "runs": lambda catalog, _: catalog.get_run("0"),
}
LISTED: dict[str, Callable[[Catalog, ViewSpec], list[str]]] = {
    "feature_groups": lambda catalog, _: [group.name for group in catalog.list_groups()],
    "feature_views": lambda catalog, _: [view.name for view in catalog.list_views()],
    "training_datasets": lambda catalog, view: [
        str(dataset.version) for dataset in catalog.list_training_datasets(view)
    ],
    "transformation_functions": lambda catalog, _: [
        function.name for function in catalog.list_functions()
    ],
    "validations": lambda catalog, _: [
        report.suite for report in catalog.list_validations(PAYMENTS)
    ],
    "comparisons": lambda catalog, _: [
        report.reference for report in catalog.list_comparisons(catalog.get_group("payments", 1))
    ],
    "runs": lambda catalog, _: [run.id for run in catalog.list_runs()],
}


@pytest.mark.parametrize("case", TOP, ids=names)
def test_a_newer_format_stops_that_object_alone(
    case: tuple[str, str, tuple[Any, ...]], full: Catalog
) -> None:
    catalog, view = full, full.get_view("fraud", 1)
    known = get_format(DEFINED.get(case[0], object))
    rewrite(catalog, case, {FORMAT_KEY: known + 1, "of_a_newer_release": {"x": [1, 2]}})
    said = (
        f"is kept in format {known + 1}, which a newer spark_fs wrote; this one knows {known}."
        " Upgrade spark_fs."
    )
    if case[0] in ASKED:
        with pytest.raises(UpgradeError, match=said):
            ASKED[case[0]](catalog, view)
    with pytest.warns(UserWarning, match=f"Left out: .* {said}"):
        assert LISTED[case[0]](catalog, view) == (["later"] if case[0] == "feature_groups" else [])
    for kind in (
        LISTED.keys() - {case[0]} - ({"comparisons"} if case[0] == "feature_groups" else set())
    ):
        assert LISTED[kind](catalog, view), kind


def test_what_a_newer_release_wrote_is_not_removed_nor_changed_by_an_older_one(
    full: Catalog,
) -> None:
    catalog, view = full, full.get_view("fraud", 1)
    rewrite(catalog, ("training_datasets", "definition", ()), {FORMAT_KEY: 2})
    with pytest.raises(UpgradeError, match="Training dataset 1 is kept in format 2"):
        catalog.find_pinned_versions(PAYMENTS)
    with pytest.raises(UpgradeError, match="Training dataset 1 is kept in format 2"):
        catalog.change_training_dataset(view, 1, lambda now: replace(now, state="deleted"))
    rewrite(catalog, ("feature_views", "definition", ()), {FORMAT_KEY: 3})
    with pytest.raises(UpgradeError, match="Feature view 'fraud' version 1 is kept in format 3"):
        catalog.list_views_of_group(PAYMENTS, strict=True)
    with pytest.raises(UpgradeError, match="Feature view 'fraud' version 1 is kept in format 3"):
        catalog.change_view(view, lambda now: now)
    rewrite(catalog, ("runs", "steps", (0,)), {FORMAT_KEY: 2})
    with pytest.raises(UpgradeError, match="Step 'sync' of pipeline 'hourly' is kept in format 2"):
        catalog.find_last_done("hourly", ["sync"])


def test_a_release_with_a_newer_format_writes_its_number_and_reads_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    query = QuerySpec(PAYMENTS, ("id",))
    older = ViewSpec("older", 1, query, key_features=("id",))
    catalog.add_view(older)
    with monkeypatch.context() as newer:
        newer.setattr(ViewSpec, "FORMAT", 3)
        catalog.add_view(replace(older, name="newer"))
        catalog.change_view(older, lambda view: replace(view, description="changed"))
        assert [view.name for view in catalog.list_views()] == ["newer", "older"]
    for name in ("newer", "older"):
        with pytest.raises(
            UpgradeError, match=f"Feature view '{name}' version 1 is kept in format 3"
        ):
            catalog.get_view(name, 1)


# -- servers that are slow, away or of another kind, and processes that fork

needs_server = pytest.mark.skipif(not SERVERS, reason="no MariaDB is up")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """A database of its own on a server, and a cursor of another connection."""
    name, parts = f"t_{uuid4().hex}", urlsplit(SERVERS[request.param])
    reached: Any = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "autocommit": True,
    }
    with mysql.connector.connect(**reached) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{SERVERS[request.param]}/{name}", cursor
        cursor.execute(f"DROP DATABASE {name}")


class Line:
    """A way to a server that may go dead: what is sent arrives nowhere, and nobody hangs up."""

    def __init__(self, host: str, port: int) -> None:
        self._to, self.dead = (host, port), False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, far = self._listening.accept()[0], socket.create_connection(self._to)
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(65_536):
                while self.dead:
                    time.sleep(0.02)
                target.sendall(data)


@needs_server
def test_a_server_that_no_longer_answers_is_given_up_and_asked_again_later(
    server: tuple[str, Any],
) -> None:
    parts = urlsplit(server[0])
    with closing(Line(str(parts.hostname), int(parts.port or 0))) as line:
        catalog = Catalog(
            f"{server[0].replace(f':{parts.port}/', f':{line.port}/')}?read_timeout=1&connect_timeout=1"
        )
        payments(catalog)
        line.dead = True
        began = time.monotonic()
        with pytest.raises(
            CatalogError,
            match=(
                r"failed: .*Check that it is there, not full and not locked, then do the same again"
            ),
        ):
            catalog.list_groups()
        assert time.monotonic() - began < 20
        line.dead = False
        assert [group.name for group in catalog.list_groups()] == ["payments"]


@needs_server
def test_connections_that_the_server_ended_meanwhile_are_opened_anew(
    server: tuple[str, Any],
) -> None:
    url, cursor = server
    catalog = Catalog(url)
    payments(catalog)
    cursor.execute(
        "SELECT id FROM information_schema.processlist WHERE db = %s", (url.rpartition("/")[2],)
    )
    ended = cursor.fetchall()
    assert ended
    for (connection,) in ended:
        cursor.execute(f"KILL {connection}")
    assert [group.name for group in catalog.list_groups()] == ["payments"]


def tagged_by_children(catalog: Catalog, children: int, times: int) -> None:
    context = multiprocessing.get_context("fork")
    runs = [
        context.Process(target=tag_often, args=(catalog, f"child_{each}", times))
        for each in range(children)
    ]
    for run in runs:
        run.start()
    tag_often(catalog, "parent", times)
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0] * children


def tag_often(catalog: Catalog, name: str, times: int) -> None:
    for i in range(times):

        def tag(group: GroupSpec, number: int = i) -> GroupSpec:
            return replace(group, tags={**group.tags, name: number})

        assert catalog.change_group(PAYMENTS, tag).tags[name] == i


def test_forked_processes_have_connections_of_their_own(url: str) -> None:
    catalog = Catalog(url)
    payments(catalog)
    with catalog._begin_transaction() as connection:
        before = connection.connection.dbapi_connection
    tagged_by_children(catalog, 3, 10)
    assert catalog.get_group("payments", 1).tags == {
        **{f"child_{each}": 9 for each in range(3)},
        "parent": 9,
    }
    with (
        catalog._begin_transaction() as connection
    ):  # nor was that of the parent closed by a child's end
        assert connection.connection.dbapi_connection is before


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        (
            "postgresql://me:secret@host/db",
            SettingsError,
            (
                "catalog_url begins with 'postgresql', and the metadata database can be SQLite,"
                " MySQL or MariaDB"
            ),
        ),
        (
            "postgresql+psycopg://me:secret@host/db",
            SettingsError,
            r"begins with 'postgresql\+psycopg', and .* give sqlite:///path or mysql://",
        ),
        ("oracle://me:secret@host/db", SettingsError, "begins with 'oracle'"),
        (
            "mysql+none://me:secret@host/db",
            SetupError,
            (
                r"asks for the driver 'mysql\+none', which is not installed: leave it out, as in"
                r" mysql://"
            ),
        ),
        (
            "mysql+cymysql://me:secret@host/db",
            SetupError,
            r"asks for the driver 'mysql\+cymysql', which is not installed",
        ),
        (
            "mysql://me:secret@host/db?read_timeout=soon",
            SettingsError,
            "catalog_url has read_timeout='soon': give whole seconds from 1 up",
        ),
        (
            "mysql://me:secret@host/db?connect_timeout=0",
            SettingsError,
            "catalog_url has connect_timeout='0'",
        ),
        (
            "mysql://me:sec/ret@host:port/db",
            SetupError,
            "a URL that cannot be read cannot be opened. Check catalog_url",
        ),
        ("secret", SetupError, "a URL that cannot be read cannot be opened. Check catalog_url"),
        (
            "mysql://me:secret@127.0.0.1:1/db?password=secret",
            SetupError,
            r"mysql://me:\*\*\*@127.0.0.1:1/db cannot be opened",
        ),
    ],
)
def test_a_url_that_is_of_no_use_is_refused_without_its_secrets(
    url: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as refused:
        Catalog(url)
    assert "secret" not in str(refused.value)
    assert "sec/ret" not in str(refused.value)


# -- long texts


def test_what_is_said_of_a_run_is_kept_whole_or_cut_with_a_mark(url: str) -> None:
    catalog = Catalog(url)
    whole = "\N{PILE OF POO}" + "x" * 100_000 + "\ud800"
    step = StepRecord(
        "sync",
        "failed",
        NOW,
        lines=tuple(f"line {i} " + "y" * 5_000 for i in range(3_000)),
        error=whole,
    )
    catalog.save_run(replace(RUN, steps=(step,), state="failed", error=whole))
    kept = catalog.get_run("0")
    assert kept.error == kept.steps[0].error == whole[:-1] + "\\ud800"
    assert len(kept.steps[0].lines) == 1_001
    assert kept.steps[0].lines[0].startswith("line 0 yyy")
    assert kept.steps[0].lines[500] == "... 2,000 lines left out ..."
    assert " ... 3,007 characters left out ... " in kept.steps[0].lines[0]
    catalog.save_run(replace(RUN, error="a" * 10_000_000 + "z"))
    error = catalog.get_run("0").error
    assert error is not None
    assert (error[:100_000], error[-1]) == ("a" * 100_000, "z")
    assert " ... 9,800,001 characters left out ... " in error


def test_a_definition_that_not_every_server_takes_is_refused_and_a_long_one_kept(url: str) -> None:
    catalog = Catalog(url)
    payments(catalog)
    long = "\N{PILE OF POO}é" * 100_000
    catalog.change_group(PAYMENTS, lambda group: replace(group, description=long, tags={"x": long}))
    assert (
        catalog.get_group("payments", 1).description,
        catalog.get_group("payments", 1).tags,
    ) == (long, {"x": long})
    with pytest.raises(
        SettingsError,
        match=(
            r"metadata database is 2\d,\d{3},\d{3} characters long as JSON, and 4,000,000 are taken; .*"
            r" Give shorter descriptions"
        ),
    ):
        catalog.change_group(PAYMENTS, lambda group: replace(group, tags={"x": "y" * 20_000_000}))
    with pytest.raises(SettingsError, match="characters long as JSON"):
        catalog.add_group(GroupSpec("more", 1, "y" * 20_000_000, primary_key=("id",)))
    assert catalog.get_group("payments", 1).tags == {"x": long}


# -- reports


def test_the_latest_report_of_a_group_is_one_row_by_an_index(url: str) -> None:
    catalog = Catalog(url)
    assert catalog.get_latest_validation(PAYMENTS) is None
    for number in range(30):
        for ref in (PAYMENTS, GroupRef("payments", 2), GroupRef("cards", 1)):
            catalog.add_validation(
                ref, ValidationReport(f"{ref.name} {ref.version}", number % 2 == 0, (), number)
            )
    for ref in (PAYMENTS, GroupRef("payments", 2), GroupRef("cards", 1)):
        latest = catalog.get_latest_validation(ref)
        assert (
            latest
            == catalog.list_validations(ref)[-1]
            == ValidationReport(f"{ref.name} {ref.version}", False, (), 29)
        )
    asked = (
        "SELECT id FROM validations WHERE group_name = 'payments' AND group_version = 1 ORDER BY id"
        " DESC LIMIT 1"
    )
    with catalog._begin_transaction() as connection:
        plan = str(
            connection.execute(
                text(f"EXPLAIN {'QUERY PLAN ' if url.startswith('sqlite') else ''}{asked}")
            ).all()
        )
    assert "ix_validations_newest" in plan
    assert "TEMP B-TREE" not in plan
    assert "filesort" not in plan
