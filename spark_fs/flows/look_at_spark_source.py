"""A look at a source that Spark reads: files elsewhere, or a table of a database or of Spark's."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_fs.errors import SchemaError, SettingsError, SparkFSError
from spark_fs.flows.look_at_source import KINDS, SourceLook, choose_type, name_features
from spark_fs.redact import find_secrets, redact_secrets, register_secrets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TABLE_PREFIX = "table:"
DATABASE_PREFIX = "jdbc:"
USER_VARIABLE = "SOURCE_USER"
PASSWORD_VARIABLE = "SOURCE_PASSWORD"  # noqa: S105 # the name of the variable
_MYSQL_PREFIX = "jdbc:mysql:"
_MYSQL_SCHEME_OPTION = (
    "permitMysqlScheme"  # without it the driver that is there leaves it to MySQL's
)
_MYSQL_DRIVER = "org.mariadb.jdbc.Driver"
_LOOKED_ROWS = 200_000


def needs_spark(source: str) -> bool:
    """Whether a source is one that Spark alone reads."""
    return source.startswith((TABLE_PREFIX, DATABASE_PREFIX)) or "://" in source


def look_at_spark_source(
    spark: SparkSession, source: str, table: str | None = None, row_limit: int = _LOOKED_ROWS
) -> SourceLook:
    """Read some rows of a source by Spark.

    Args:
        spark: The session, which has the jars and keys that the source needs.
        source: ``table:<name>`` of Spark's catalog; a JDBC address, of a database whose user and
            password are in the variables SOURCE_USER and SOURCE_PASSWORD; or the URL of files
            that end in .csv, .tsv, .parquet, .json, .jsonl or .ndjson, or of a folder of Parquet
            files, as s3a://bucket/orders/.
        table: The table of a JDBC source; None for others.
        row_limit: How many rows are read at most.

    Raises:
        SettingsError: A JDBC source without a table, a table without one, a variable is absent, or
            the address has a password in it, which would be written to a file.
        SchemaError: Spark cannot read it, it has no rows, or a type that no feature has.
    """
    _refuse_passwords(source)
    kind = _find_kind(source, table)
    source = _complete_address(source)
    try:
        frame = _READERS[kind](spark, source, table or "")
        rows = frame.limit(row_limit + 1).toArrow()
    except SparkFSError:
        raise
    except Exception as error:
        reason = redact_secrets(str(error)).splitlines()[0]
        raise SchemaError(f"{source} cannot be read by Spark: {reason}") from None
    if not rows.num_rows:
        raise SchemaError(f"{source} has no rows: name a source that has some, to learn from.")
    types = {}
    for field in rows.schema:
        types[field.name] = choose_type(f"Column {field.name!r} of {source}", field.type)
    names = name_features(source, rows.column_names)
    is_whole = rows.num_rows <= row_limit
    path = source.removeprefix(TABLE_PREFIX)
    return SourceLook(path, kind, rows.slice(0, row_limit), is_whole, names, types, table)


def _refuse_passwords(source: str) -> None:
    secrets = list(find_secrets("source", source))
    if secrets:
        register_secrets(*secrets)
        raise SettingsError(
            "The address of the source has a password in it, which would be written to the new"
            f" project: take it out, and export {USER_VARIABLE} and {PASSWORD_VARIABLE} for a"
            " database, or give keys of files in the settings of Spark."
        )


def get_database_properties(address: str) -> dict[str, str]:
    """The user and password of a database, from the environment, and its driver where one is here.

    SettingsError where a variable is absent.
    """
    for variable in (USER_VARIABLE, PASSWORD_VARIABLE):
        if variable not in os.environ:
            raise SettingsError(
                f"{variable} is not set, and the database asks for it: export {USER_VARIABLE} and"
                f" {PASSWORD_VARIABLE}."
            )
    login = {"user": os.environ[USER_VARIABLE], "password": os.environ[PASSWORD_VARIABLE]}
    driver = find_driver(address)
    return {**login, "driver": driver} if driver else login


def find_driver(address: str) -> str | None:
    """The class of the driver that a session has for an address; None: the address finds it."""
    return _MYSQL_DRIVER if address.startswith(_MYSQL_PREFIX) else None


def _complete_address(source: str) -> str:
    """The address of a MySQL as the driver that is there takes it."""
    if not source.startswith(_MYSQL_PREFIX) or _MYSQL_SCHEME_OPTION in source:
        return source
    return f"{source}{'&' if '?' in source else '?'}{_MYSQL_SCHEME_OPTION}"


def _find_kind(source: str, table: str | None) -> str:
    if source.startswith(DATABASE_PREFIX):
        if not table:
            raise SettingsError(f"{source} is a database: name its table too, by --table.")
        return "jdbc"
    if table:
        raise SettingsError(
            f"--table {table} names a table of a database, and {source} is not one: leave it out."
        )
    if source.startswith(TABLE_PREFIX):
        return "table"
    suffix = os.path.splitext(source.rstrip("/"))[1].lower()
    return KINDS.get(suffix, "parquet")


def _read_texts(separator: str) -> Callable[[SparkSession, str, str], DataFrame]:
    def read(spark: SparkSession, source: str, _table: str) -> DataFrame:
        return spark.read.csv(
            source, sep=separator, header=True, inferSchema=True, escape='"', multiLine=True
        )

    return read


def _read_parquet(spark: SparkSession, source: str, _table: str) -> DataFrame:
    from spark_fs.tables.spark_parquet import read_parquet

    return read_parquet(spark, source, {})


_READERS: dict[str, Callable[[SparkSession, str, str], DataFrame]] = {
    "csv": _read_texts(","),
    "tsv": _read_texts("\t"),
    "json": lambda spark, source, _: spark.read.json(source),
    "parquet": _read_parquet,
    "table": lambda spark, source, _: spark.table(source.removeprefix(TABLE_PREFIX)),
    "jdbc": lambda spark, source, table: spark.read.jdbc(
        source, table, properties=get_database_properties(source)
    ),
}
