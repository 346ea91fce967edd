"""How the metadata database is reached.

It is a file of SQLite's, or on a MySQL or MariaDB server, by connections that do not wait for ever.
"""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import Pool

from spark_fs.errors import SettingsError, SetupError
from spark_fs.urls import Url, format_masked_url

_DRIVERS = {
    "sqlite": "sqlite",
    "mysql": "mysql+mysqlconnector",
    "mariadb": "mariadb+mysqlconnector",
}
_TIMEOUTS = {"connect_timeout": 10, "read_timeout": 30}  # seconds; options of the URL
# After that a connection that nobody used is opened anew: NATs forget those of five minutes.
_RECYCLE_SECONDS = 240
# Characters of a definition: a MariaDB takes packets of 16 MB unless it is configured otherwise.
_MAX_JSON_LENGTH = 4_000_000


class DatabaseConnector:
    """The database at a URL, as this process reaches it; nothing is opened yet.

    Options of a server's URL: connect_timeout and read_timeout in seconds (10 and 30); others are
    the driver's. Raises SetupError for a URL that cannot be read, SettingsError for one of another
    database.
    """

    def __init__(self, url: str) -> None:
        self._url, self._timeouts = _parse_url(url)
        self.display_url = format_masked_url(url)
        self._engine = self._create_engine(self._timeouts)
        self._process = os.getpid()
        self._inherited_pools: list[Pool] = []

    @property
    def sqlite_file(self) -> Path | None:
        """The file of SQLite's; None on a server."""
        return Path(self._url.database) if self.is_local and self._url.database else None

    @property
    def is_local(self) -> bool:
        """Whether it is SQLite's."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> Engine:
        """The connections of this process.

        A forked process makes its own, and only holds those of its parent: closed here, they end
        there.
        """
        if os.getpid() != self._process:
            self._inherited_pools.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._process = os.getpid()
        return self._engine

    def create_migration_engine(self) -> Engine:
        """Connections that wait as long as a migration takes."""
        timeouts = dict(self._timeouts)
        del timeouts["read_timeout"]
        return self._create_engine(timeouts)

    def _create_engine(self, timeouts: dict[str, int]) -> Engine:
        options: dict[str, Any] = {"json_serializer": _to_json}
        if not self.is_local:
            options["connect_args"] = _to_driver_timeouts(timeouts, self._url)
            options["pool_pre_ping"] = True
            options["pool_recycle"] = _RECYCLE_SECONDS
            # Above it, looking for a row that is not there locks out who adds another one.
            options["isolation_level"] = "READ COMMITTED"
        try:
            return create_engine(self._url, **options)
        except (ImportError, NoSuchModuleError):
            raise SetupError(
                f"catalog_url asks for the driver {self._url.drivername!r}, which is not installed:"
                f" leave it out, as in {self._url.get_backend_name()}://, for the one that spark_fs"
                " brings, or install it."
            ) from None


def _to_driver_timeouts(timeouts: dict[str, int], url: URL) -> dict[str, int]:
    """The time-outs as the driver calls them."""
    if url.get_driver_name() != "mysqlconnector":
        return dict(timeouts)
    driver_names = {"connect_timeout": "connection_timeout"}
    return {driver_names.get(name, name): value for name, value in timeouts.items()}


def _to_json(value: Any) -> str:
    """A value as it is kept; SettingsError for one that not every server takes."""
    text = json.dumps(value)
    if len(text) > _MAX_JSON_LENGTH:
        raise SettingsError(
            f"A record for the metadata database is {len(text):,} characters long as JSON, and"
            f" {_MAX_JSON_LENGTH:,} are taken; it begins with {text[:60]}. Give shorter"
            " descriptions and tags."
        )
    return text


def _parse_url(url: str) -> tuple[URL, dict[str, int]]:
    """The URL with its driver and without our options, and these."""
    try:
        parsed = _to_sqlalchemy_url(url)
    except (SQLAlchemyError, ValueError):
        raise SetupError(
            "The metadata database at a URL that cannot be read cannot be opened. Check"
            " catalog_url: give sqlite:///path or mysql://user:password@host:port/database."
        ) from None
    backend, _, driver = parsed.drivername.partition("+")
    if backend not in _DRIVERS:
        raise SettingsError(
            f"catalog_url begins with {parsed.drivername!r}, and the metadata database can be"
            " SQLite, MySQL or MariaDB: give sqlite:///path or"
            " mysql://user:password@host:port/database."
        )
    timeouts = {
        name: _parse_seconds(name, parsed.query.get(name, default))
        for name, default in _TIMEOUTS.items()
    }
    if not driver:
        parsed = parsed.set(drivername=_DRIVERS[backend])
    return parsed.difference_update_query(list(_TIMEOUTS)), timeouts


def _to_sqlalchemy_url(url: str) -> URL:
    """A URL as SQLAlchemy has it, with a password of any characters."""
    parts = Url.from_text(url)
    if parts is None or parts.is_file:
        return make_url(url)
    query: dict[str, str | tuple[str, ...]] = {}  # as make_url gives it
    for name, values in parse_qs(parts.options, keep_blank_values=True).items():
        query[name] = tuple(values) if len(values) > 1 else values[0]
    return URL.create(
        parts.scheme,
        username=parts.user or None,
        password=parts.password or None,
        host=parts.host or None,
        port=parts.port,
        database=parts.database or None,
        query=query,
    )


def _parse_seconds(name: str, value: Any) -> int:
    if not str(value).isdecimal() or not int(value):
        raise SettingsError(f"catalog_url has {name}={value!r}: give whole seconds from 1 up.")
    return int(value)
