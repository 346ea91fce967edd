"""Bring a metadata database of any earlier version up to this one, by Alembic; never back.

The revisions are in ``versions``. A database from before Alembic was used tells by its tables how far it is.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from spark_fs.errors import SetupError

HEAD = "0006"
_VERSION = "alembic_version"
_BEFORE = {"comparisons": "0004", "transformation_functions": "0003", "validations": "0002", "feature_groups": "0001"}
_WAIT = 60  # seconds for another process that migrates the same database


def is_current(connection: Connection) -> bool:
    """Whether nothing is to be done; Alembic is not loaded to find out."""
    return inspect(connection).has_table(_VERSION) and _version(connection) == HEAD


def migrate(connection: Connection) -> None:
    """Run the revisions that the database lacks, eagerly, one process at a time; SetupError where a newer spark_fs made it."""
    from alembic.command import stamp, upgrade  # noqa: PLC0415 # only where there is something to do
    from alembic.config import Config  # noqa: PLC0415 # as above

    with _alone(connection), _folder() as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        there = set(inspect(connection).get_table_names())
        if _VERSION not in there and (known := [revision for table, revision in _BEFORE.items() if table in there]):
            stamp(config, known[0])
        if _VERSION in there and (found := _version(connection)) is not None and found > HEAD:
            raise SetupError(
                f"The metadata database is of version {found}, made by a newer spark_fs; this one knows {HEAD}. Upgrade spark_fs."
            )
        upgrade(config, HEAD)


def _version(connection: Connection) -> str | None:
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {_VERSION}"))  # noqa: S608 # a constant
    return found


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Only one process migrates a database; what it did is there whole (SQLite) or is done again (MySQL commits each table)."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        yield
        return
    if not connection.scalar(text(f"SELECT GET_LOCK('spark_fs.migrations', {_WAIT})")):
        raise SetupError(f"Another process migrates this metadata database, for over {_WAIT} s by now. Let it end, then do the same again.")
    try:
        yield
    finally:
        connection.scalar(text("SELECT RELEASE_LOCK('spark_fs.migrations')"))


@contextmanager
def _folder() -> Iterator[Path]:
    """The folder of this package as files, copied out where the package lies in a zip."""
    source = files(__package__)
    if isinstance(source, Path):
        yield source
        return
    with tempfile.TemporaryDirectory() as place:
        _copy(source, Path(place))
        yield Path(place)


def _copy(source: Traversable, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for each in source.iterdir():
        if each.is_dir():
            _copy(each, target / each.name)
        elif each.name.endswith(".py"):
            with as_file(each) as file:
                shutil.copy(file, target / each.name)
