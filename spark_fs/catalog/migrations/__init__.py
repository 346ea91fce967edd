"""Bring a metadata database of any earlier version up to this one, by Alembic; never back.

The revisions are in ``versions``. A database from before Alembic was used tells by its tables how
far it is.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from spark_fs.errors import SetupError, UpgradeError

HEAD = "0009"
_VERSION_TABLE = "alembic_version"
_REVISION_BY_TABLE = {
    "comparisons": "0004",
    "transformation_functions": "0003",
    "validations": "0002",
    "feature_groups": "0001",
}
_LOCK_TIMEOUT = 60  # seconds for another process that migrates the same database


def is_current(connection: Connection) -> bool:
    """Whether nothing is to be done; Alembic is not loaded to find out."""
    return inspect(connection).has_table(_VERSION_TABLE) and _read_revision(connection) == HEAD


def get_revision(connection: Connection) -> str | None:
    """The revision that the database is of; None: it is new."""
    tables = set(inspect(connection).get_table_names())
    if _VERSION_TABLE in tables:
        revision = _read_revision(connection)
        if revision is not None:
            return revision
    for table, revision_of_table in _REVISION_BY_TABLE.items():
        if table in tables:
            return revision_of_table
    return None


def upgrade_to_head(connection: Connection, allowed: bool = True) -> None:
    """Run the revisions that the database lacks, eagerly, one process at a time.

    Args:
        connection: to the database.
        allowed: whether one that an earlier release made may be changed; a new one is made in any
            case.

    Raises:
        SetupError: it would have to be changed, and may not.
        UpgradeError: a newer spark_fs made it.
    """
    # Only where there is something to do.
    from alembic.command import stamp, upgrade  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    with _lock_database(connection), _extract_scripts() as folder:
        revision = get_revision(connection)
        if revision is not None:
            _check_revision(revision, allowed)
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        if revision is not None and not inspect(connection).has_table(_VERSION_TABLE):
            stamp(config, revision)
        upgrade(config, HEAD)


def _check_revision(revision: str, allowed: bool) -> None:
    """Raise unless a database of this version may become one of this release."""
    if revision > HEAD:
        raise UpgradeError(
            f"The metadata database is of version {revision}, made by a newer spark_fs; this one"
            f" knows {HEAD}. Upgrade spark_fs."
        )
    if revision < HEAD and not allowed:
        raise SetupError(
            f"The metadata database is of version {revision}, made by an earlier spark_fs; this one"
            f" needs {HEAD}. Nothing was changed. Bring it up once with: spark-fs migrate."
            " Processes of the earlier release that start after that ask to be upgraded."
        )


def _read_revision(connection: Connection) -> str | None:
    query = f"SELECT version_num FROM {_VERSION_TABLE}"  # noqa: S608 # a constant
    revision: str | None = connection.scalar(text(query))
    return revision


@contextmanager
def _lock_database(connection: Connection) -> Iterator[None]:
    """Only one process migrates a database.

    What a killed one did is there whole (SQLite) or is done again (MySQL commits each table).
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        yield
        return
    if not connection.scalar(text(f"SELECT GET_LOCK('spark_fs.migrations', {_LOCK_TIMEOUT})")):
        raise SetupError(
            f"Another process migrates this metadata database, for over {_LOCK_TIMEOUT} s by now."
            " Let it end, then do the same again."
        )
    try:
        yield
        connection.commit()  # or the next one to have the lock would read the revision before
    finally:
        connection.scalar(text("SELECT RELEASE_LOCK('spark_fs.migrations')"))


@contextmanager
def _extract_scripts() -> Iterator[Path]:
    """The folder of this package as files, copied out where the package lies in a zip."""
    source = files(__package__)
    if isinstance(source, Path):
        yield source
        return
    with tempfile.TemporaryDirectory() as folder:
        _copy_tree(source, Path(folder))
        yield Path(folder)


def _copy_tree(source: Traversable, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            _copy_tree(item, target / item.name)
        elif item.name.endswith(".py"):
            with as_file(item) as file:
                shutil.copy(file, target / item.name)
