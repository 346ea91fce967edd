"""A metadata database of any earlier version opens, and says what it said.

The dumps in metadata/ were made by the code of their time: a store with groups, a view, training datasets, and whatever else it knew.
"""

import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import mysql.connector
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

import spark_fs
from spark_fs.catalog import migrations
from spark_fs.catalog.database import Database, upgrade_database
from spark_fs.catalog.store import Catalog
from spark_fs.catalog.tables import METADATA
from spark_fs.cli import app
from spark_fs.errors import SetupError, UpgradeError
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

from conftest import MYSQL, ROOT

DUMPS = sorted(Path(__file__).with_name("metadata").glob("*.sql"))


@pytest.fixture
def old(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database as an earlier version left it."""
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection:
        connection.executescript(request.param.read_text())
    return f"sqlite:///{tmp_path}/catalog.db"


@pytest.mark.parametrize("old", DUMPS, indirect=True, ids=lambda p: p.stem)
def test_an_earlier_database_becomes_a_current_one(old: str) -> None:
    Database(old)
    engine = create_engine(old)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert migrations.is_current(connection)
    engine.dispose()


@pytest.mark.parametrize("old", DUMPS, indirect=True, ids=lambda p: p.stem)
def test_what_an_earlier_database_holds_is_there(old: str, request: pytest.FixtureRequest) -> None:
    version = int(request.node.callspec.params["old"].stem)
    catalog = Catalog(old)
    groups = {group.name: group for group in catalog.list_groups()}
    assert set(groups) == {"payments", "cards", "hours"}
    assert groups["payments"].types == {
        "id": "bigint",
        "card": "string",
        "paid_at": "timestamp",
        "amount": "double",
        "fraud": "bigint",
    }
    assert groups["cards"].online_enabled
    view = catalog.get_view("fraud", 1)
    assert view.labels == ("fraud",)
    datasets = catalog.list_training_datasets(view)
    assert datasets[0].group_versions == {groups["payments"].ref: 0, groups["cards"].ref: 0}
    assert [str(each) for each in datasets[0].splits.values()] == [
        "[..., 2024-01-07T00:00:00+00:00)",
        "[2024-01-07T00:00:00+00:00, ...)",
    ]
    if version >= 2:
        assert len(catalog.list_validations(groups["payments"].ref)) == 1
        assert catalog.find_pinned_versions(groups["cards"].ref)
    if version >= 3:
        assert len(datasets[0].transformations or ()) == 2
        assert catalog.list_models(view)[0][:2] == ("fraud", 1)
        assert datasets[2].seed == 7
    if version >= 4:
        assert len(catalog.list_comparisons(groups["payments"])) == 1
    if version < 5:
        assert list(catalog.list_runs()) == []
    else:
        assert [(run.state, run.error, len(run.steps)) for run in catalog.list_runs("hourly")] == [
            ("running", None, 0),
            ("failed", "OnlineStoreError: away", 1),
            ("finished", None, 1),
        ]
        assert catalog.get_lock_holder("hourly") == (
            "00ff00ff00ff00ff00ff00ff00ff00ff",
            "a-host",
            4711,
            0,
        )
    if version >= 8:
        (monitor,) = catalog.list_monitors(groups["payments"])
        assert monitor.spec.name == "amounts"
    catalog.change_group(groups["cards"].ref, lambda group: replace(group, description="changed"))
    assert catalog.get_group("cards", 1).description == "changed"


@pytest.mark.parametrize("old", DUMPS[:1], indirect=True, ids=lambda p: p.stem)
@pytest.mark.slow
def test_many_processes_may_open_it_at_once(old: str) -> None:
    opened_at_once(old, "3\n")


@pytest.mark.skipif(not MYSQL, reason="no MariaDB is up")
@pytest.mark.slow
def test_many_processes_may_make_one_on_a_server_at_once() -> None:
    with server_database() as (url, _):
        opened_at_once(url, "0\n")


def opened_at_once(url: str, groups: str) -> None:
    code = (
        "import sys; from spark_fs.catalog.store import Catalog;"
        " print(len(Catalog(sys.argv[1]).list_groups()))"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    said = [run.communicate() for run in runs]
    assert [out for out, _ in said] == [groups] * 6, said


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    Database(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(
        UpgradeError,
        match=(
            r"is of version 9999, made by a newer spark_fs; this one knows 0009\. Upgrade"
            r" spark_fs\."
        ),
    ):
        Database(url)


@contextmanager
def server_database() -> Iterator[tuple[str, Any]]:
    """The URL of a new database of the server's, and a cursor in it."""
    name, parts = f"t_{uuid4().hex}", urlsplit(MYSQL)
    reached: Any = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "autocommit": True,
    }
    with mysql.connector.connect(**reached) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            cursor.execute(f"USE {name}")
            yield f"{MYSQL}/{name}", cursor
        finally:
            cursor.execute(f"DROP DATABASE {name}")


@pytest.mark.skipif(not MYSQL, reason="no MariaDB is up")
def test_on_a_server_too_tables_of_an_interrupted_upgrade_are_made_whole() -> None:
    with server_database() as (url, cursor):
        Database(url)
        cursor.execute(
            "UPDATE alembic_version SET version_num = '0003'"
        )  # the tables of 0004 and after are there all the same
        cursor.execute("DROP TABLE runs")
        assert list(Catalog(url, "always").list_runs()) == []
        cursor.execute("SELECT version_num FROM alembic_version")
        assert cursor.fetchall() == [(migrations.HEAD,)]
        with create_engine(url.replace("mysql:", "mysql+mysqlconnector:")).connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
            connection.engine.dispose()


@pytest.mark.skipif(not MYSQL, reason="no MariaDB is up")
def test_on_a_server_instants_are_kept_to_the_microsecond_and_errors_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = datetime(2024, 1, 5, 3, 4, 5, 678901, tzinfo=UTC)
    with server_database() as (url, cursor):
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "HEAD", "0005")
            Database(url)
        cursor.execute(
            "INSERT INTO runs (id, pipeline, started_at, until, state, steps, error) VALUES ('a',"
            " 'old', '2024-01-05 03:04:05', '2024-01-05T03:04:05+00:00', 'failed', '[]', 'away')"
        )
        catalog = Catalog(url, "always")
        assert [(run.started_at, run.error) for run in catalog.list_runs("old")] == [
            (at.replace(microsecond=0), "away")
        ]
        error = "x" * 70_000 + "\N{PILE OF POO}"
        catalog.save_run(
            PipelineRun(
                "b",
                "new",
                at,
                at,
                at,
                "failed",
                (StepRecord("sync", "failed", at, error=error),),
                error,
            )
        )
        assert list(catalog.list_runs("new")) == [
            PipelineRun(
                "b",
                "new",
                at,
                at,
                at,
                "failed",
                (StepRecord("sync", "failed", at, error=error),),
                error,
            )
        ]


@pytest.mark.skipif(not MYSQL, reason="no MariaDB is up")
def test_a_database_on_a_server_is_brought_up_by_the_command_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with server_database() as (url, cursor):
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "HEAD", "0005")
            Database(url)
        needs = (
            r"is of version 0005, made by an earlier spark_fs; this one needs 0009\. Nothing was"
            r" changed\. Bring it up once with: spark-fs migrate"
        )
        monkeypatch.setenv("SPARK_FS_CATALOG_URL", url)
        for settings in ({}, {"migrate_catalog": "never"}):
            with pytest.raises(SetupError, match=needs):
                spark_fs.login(
                    {"home": tmp_path, **settings}
                ).get_feature_store().get_feature_groups()
        cursor.execute("SELECT version_num FROM alembic_version")
        assert cursor.fetchall() == [("0005",)]
        done = CliRunner().invoke(app, ["migrate"])
        assert (
            done.output
            == f"The metadata database at {url.replace(':local@', ':***@')} was of version 0005,"
            " and is of 0009 now.\n"
        )
        assert spark_fs.login({"home": tmp_path}).get_feature_store().get_feature_groups() == []
        assert "is of version 0009 already." in CliRunner().invoke(app, ["migrate"]).output
        cursor.execute("UPDATE alembic_version SET version_num = '0005'")
        monkeypatch.setenv("SPARK_FS_MIGRATE_CATALOG", "always")
        assert spark_fs.login({"home": tmp_path}).get_feature_store().get_feature_groups() == []


@pytest.mark.parametrize("old", DUMPS[-1:], indirect=True, ids=lambda p: p.stem)
def test_a_file_is_brought_up_when_it_is_opened_unless_that_is_not_wanted(
    old: str, tmp_path: Path
) -> None:
    with pytest.raises(
        SetupError,
        match=(
            r"is of version 0008, made by an earlier spark_fs.* Bring it up once with: spark-fs"
            r" migrate"
        ),
    ):
        Database(old, "never")
    assert upgrade_database(old) == (old, "0008", "0009")
    Database(old, "never")
    new = f"sqlite:///{tmp_path}/new/catalog.db"
    Database(new, "never")  # a new one is made in any case
    assert upgrade_database(new) == (new, "0009", "0009")
    assert upgrade_database(f"{new}2") == (f"{new}2", None, "0009")


def test_the_package_in_a_zip_knows_its_revisions(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "spark_fs.zip", "w") as archive:
        for file in (ROOT / "spark_fs").rglob("*"):
            if "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(ROOT))
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import spark_fs
print(spark_fs.login({"home": sys.argv[2]}).get_feature_store().get_feature_groups())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "spark_fs.zip"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr


def test_every_revision_is_there_once() -> None:
    from alembic.config import Config  # noqa: PLC0415 # only here
    from alembic.script import ScriptDirectory  # noqa: PLC0415 # only here

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    directory = ScriptDirectory.from_config(config)
    assert directory.get_heads() == [migrations.HEAD]
    assert len(list(directory.walk_revisions())) == int(migrations.HEAD)
