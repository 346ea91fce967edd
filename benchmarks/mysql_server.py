"""The database server that the benchmarks of the online store measure beside."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mysql.connector

DATABASE = "spark_fs_bench"
# What was measured, what stands beside it, the budget of their ratio (0: none), and the unit.
Measurement = tuple[float, float, float, str]
Measurements = dict[str, Measurement]


@dataclass(frozen=True)
class Server:
    """The server that ``make mysql-up`` started, or the one that the environment names.

    kind: "mysql" is MariaDB, "mysql9" MySQL.
    """

    kind: str = "mysql"

    @property
    def url(self) -> str:
        """Its URL, without a database."""
        from_environment = os.environ.get(f"SPARK_FS_TEST_{self.kind.upper()}")
        if from_environment:
            return from_environment
        return Path(__file__).parents[1].joinpath(f".{self.kind}", "url").read_text().strip()

    def allow_files(self, cursor: Any) -> None:
        """Let LOAD DATA take a client's file, as MariaDB does by default and MySQL does not."""
        cursor.execute("SET GLOBAL local_infile = ON")

    def connect(self, **options: Any) -> Any:
        """A connection of the driver that spark_fs uses."""
        parts = urlsplit(self.url)
        return mysql.connector.connect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password,
            autocommit=True,
            allow_local_infile=True,
            **options,
        )
