"""A look-up in MySQL or MariaDB, by prepared statements."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from spark_fs.base.times import to_micros
from spark_fs.online.mysql.dialects import MARIADB, MYSQL, PREPARED
from spark_fs.online.mysql.keys import (
    cut_long_value,
    get_json_column_type,
    to_bindable_value,
    to_json_value,
)
from spark_fs.online.mysql.pool import BuildQuery, PooledConnection
from spark_fs.online.statements import LookupQuery, SqlDialect, needs_instant
from spark_fs.online.store import LookupRows, LookupSource, look_up_nothing

# MySQL reads the whole of a table that it takes for one of a row, as after a sync, and hashes it:
# 38 ms for 100 of 400 keys with 26 KB each. MariaDB takes the hint for a comment.
_ENTRY_NUMBER = "/*+ NO_BNL() */ e.n - 1"


class MySQLLookup:
    """One prepared statement for one entry, and one for any number of them.

    run_query: runs the statement that is built for a connection, and returns its rows.
    """

    def __init__(
        self,
        run_query: Callable[[BuildQuery], LookupRows],
        sources: Sequence[LookupSource],
        key_types: Sequence[str],
    ) -> None:
        self._run_query = run_query
        self._sources = tuple(sources)
        self._key_types = tuple(key_types)

    def warm_up(self) -> None:
        """Make a connection and its statements."""
        look_up_nothing(self, len(self._key_types))

    def with_max_age(self, seconds: float) -> "MySQLLookup":  # noqa: ARG002 # none is old
        """The same: it reads what syncs write to."""
        return self

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The rows of entries, in one round trip."""
        if not self._sources:
            return []
        if len(entries) > 1:
            return self._run_query(lambda connection: self._bind_batch(connection, entries, now))
        keys = [to_bindable_value(value) for value in entries[0]]
        query = self._single_query
        statement = (query.sql, query.bind_values(keys, now))
        return self._run_query(lambda _: statement)

    @cached_property
    def _single_query(self) -> LookupQuery:
        return PREPARED.build_single_lookup(self._sources)

    def _bind_batch(
        self, connection: PooledConnection, entries: Sequence[Sequence[Any]], now: datetime
    ) -> tuple[str, Sequence[Any]]:
        query = self._mariadb_batch_query if connection.is_mariadb else self._mysql_batch_query
        keys = [[cut_long_value(value) for value in entry] for entry in entries]
        if needs_instant(self._sources):
            instant = to_micros(now)
            keys = [[*entry, instant] for entry in keys]
        keys_json = json.dumps(keys, default=to_json_value, ensure_ascii=False)
        return query.sql, [keys_json, *query.bind_values((), now)]

    @cached_property
    def _mariadb_batch_query(self) -> LookupQuery:
        return self._build_batch_query(MARIADB)

    @cached_property
    def _mysql_batch_query(self) -> LookupQuery:
        return self._build_batch_query(MYSQL)

    def _build_batch_query(self, dialect: SqlDialect) -> LookupQuery:
        json_columns = ["n FOR ORDINALITY"]
        for index, key_type in enumerate(self._key_types):
            json_columns.append(f"k{index} {get_json_column_type(key_type)} PATH '$[{index}]'")
        if needs_instant(self._sources):
            json_columns.append(f"t BIGINT PATH '$[{len(self._key_types)}]'")
        table = f"JSON_TABLE(?, '$[*]' COLUMNS ({', '.join(json_columns)})) e"

        def get_key_expression(key_index: int) -> str:
            if self._key_types[key_index] == "binary":
                return f"UNHEX(e.k{key_index})"
            return f"e.k{key_index}"

        return dialect.build_lookup(self._sources, table, get_key_expression, _ENTRY_NUMBER)
