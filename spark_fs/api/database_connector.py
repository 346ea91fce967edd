"""Databases as named sources of external groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spark_fs.api.storage_connector import StorageConnector, to_options
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

_DRIVERS = {"MYSQL": "mysql", "POSTGRESQL": "postgresql"}  # in a JDBC URL, by the database's type


@validate_arguments
class _DatabaseConnector(StorageConnector):
    """A database that Spark reads by JDBC."""

    def describe_source(
        self,
        data_format: str | None,
        path: str | None,
        query: str | None,
        options: Mapping[str, Any] | None,
    ) -> tuple[str, str, dict[str, Any]]:
        """See ``StorageConnector.describe_source``."""
        if data_format not in (None, "jdbc"):
            raise SettingsError(
                f"data_format={data_format!r} is not what storage connector {self.name!r} has, a"
                " database: leave it out."
            )
        if path or not query:
            raise SettingsError(
                f"Storage connector {self.name!r} is a database: give query=, an SQL query, and no"
                " path."
            )
        return "jdbc", query, {**self.spark_options(), **(options or {})}


@validate_arguments
class JdbcConnector(_DatabaseConnector):
    """A database by its JDBC address.

    Args:
        id: Without meaning here.
        name: The name, in lower snake case.
        featurestore_id: Without meaning here.
        description: What it is.
        connection_string: The address, such as ``jdbc:mysql://host:3306/shop``.
        arguments: Options of Spark's reader, such as ``{"user": "reader", "password":
            "${SPARK_FS_SECRET_SHOP}"}``, or a list of dicts with "name" and "value".
    """

    type = "JDBC"

    def __init__(
        self,
        id: int | None = None,
        name: str = "",
        featurestore_id: int | None = None,
        description: str | None = None,
        connection_string: str | None = None,
        arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        given = {
            "connection_string": connection_string,
            "arguments": to_options(arguments),
        }
        super().__init__(id, name, featurestore_id, description, given)
        if not connection_string:
            raise SettingsError(f"Storage connector {name!r} needs connection_string=.")

    def spark_options(self) -> dict[str, str]:
        """See ``StorageConnector.spark_options``."""
        return {"url": self.arguments["connection_string"], **self.arguments["arguments"]}


@validate_arguments
class SqlConnector(_DatabaseConnector):
    """A MySQL or PostgreSQL database by its host.

    Args:
        id: Without meaning here.
        name: The name, in lower snake case.
        featurestore_id: Without meaning here.
        description: What it is.
        database_type: "MYSQL" or "POSTGRESQL".
        host: The host.
        port: The port; None: the usual one.
        database: The database.
        user: The user.
        password: ``${SPARK_FS_SECRET_NAME}``.
        arguments: Options of Spark's reader beside these.
    """

    type = "SQL"

    def __init__(
        self,
        id: int | None = None,
        name: str = "",
        featurestore_id: int | None = None,
        description: str | None = None,
        database_type: str | None = None,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        user: str | None = None,
        password: str | None = None,
        arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        given = {
            "database_type": database_type,
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
            "arguments": to_options(arguments),
        }
        super().__init__(id, name, featurestore_id, description, given)
        if str(database_type).upper() not in _DRIVERS:
            raise SettingsError(
                f"database_type={database_type!r} is not one of {', '.join(_DRIVERS)}: use"
                " JdbcConnector with its address."
            )
        if not host or not database:
            raise SettingsError(f"Storage connector {name!r} needs host= and database=.")

    def spark_options(self) -> dict[str, str]:
        """See ``StorageConnector.spark_options``."""
        known = self.arguments
        driver = _DRIVERS[known["database_type"].upper()]
        port = f":{known['port']}" if "port" in known else ""
        options = {"url": f"jdbc:{driver}://{known['host']}{port}/{known['database']}"}
        for name in ("user", "password"):
            if name in known:
                options[name] = known[name]
        return {**options, **known["arguments"]}
