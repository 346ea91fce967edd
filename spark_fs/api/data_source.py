"""Where rows of a storage connector are, as Hopsworks' code says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_fs.api.storage_connector import StorageConnector
from spark_fs.api.taken import Refused, warn_of_arguments
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError


@validate_arguments
class DataSource:
    """A query, a table or a path of a connector.

    Args:
        query: An SQL query.
        database: The database of the table; None: the connector's.
        group: The schema of the table.
        table: A table, in the place of a query.
        path: Where files are below the connector.
        format: What the files are: "delta" or "parquet".
        storage_connector: The connector.
        **others: What only sources have that are refused here; they are named in a warning.
    """

    def __init__(
        self,
        query: str | None = None,
        database: str | None = None,
        group: str | None = None,
        table: str | None = None,
        path: str | None = None,
        format: str | None = None,
        storage_connector: StorageConnector | None = None,
        **others: Any,
    ) -> None:
        warn_of_arguments("DataSource", others, "only sources have them that are refused here")
        self.query = query
        self.database = database
        self.group = group
        self.table = table
        self.path = path
        self.format = format
        self.storage_connector = storage_connector

    def describe_source(
        self,
        data_format: str | None,
        path: str | None,
        query: str | None,
        options: Mapping[str, Any] | None,
    ) -> tuple[str, str, dict[str, Any]]:
        """Say where its rows are; see ``StorageConnector.describe_source``.

        Args:
            data_format: What they are, where the source does not say.
            path: Where they are, likewise.
            query: What selects them, likewise.
            options: Those of Spark's reader.
        """
        if self.storage_connector is None:
            raise SettingsError(
                "A DataSource needs storage_connector=, one of get_storage_connector."
            )
        return self.storage_connector.describe_source(
            self.format or data_format,
            self.path or path,
            self.query or self._select_table() or query,
            options,
        )

    def _select_table(self) -> str | None:
        if not self.table:
            return None
        parts = filter(None, (self.database, self.group, self.table))
        return f"SELECT * FROM {'.'.join(parts)}"  # noqa: S608 # names of the caller, by their reader

    get_databases = Refused("lists databases", "look with a client of the source")
    get_tables = Refused("lists tables", "look with a client of the source")
    get_data = Refused("shows rows", "storage_connector.read(query) reads them")
    get_metadata = Refused("lists columns", "storage_connector.read(query) has them")
    infer_metadata = Refused("guesses what a table holds", "storage_connector.read(query) shows it")
    new_ingestion_job = Refused(
        "copies tables by a job", "read them and insert their rows, by a step of spark-fs run"
    )
    estimate_ingestion_resources = Refused("tells what such a job needs", "it runs on your Spark")
