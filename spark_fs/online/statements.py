"""The SQL of the online stores: one place where text is made and identifiers are quoted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spark_fs.online.store import OnlineColumn, OnlineTable, Source

SYNC_TABLE = "_spark_fs_sync"


@dataclass(frozen=True)
class Statements:
    """The statements of one dialect, from its quote character, its placeholder and its column types."""

    quote: str
    placeholder: str
    column_type: Callable[[OnlineColumn], str]

    def name(self, identifier: str) -> str:
        """The identifier, quoted."""
        return self.quote + identifier.replace(self.quote, self.quote * 2) + self.quote

    def create(self, table: OnlineTable) -> str:
        """Create the table unless it is there."""
        columns = [
            f"{self.name(c.name)} {self.column_type(c)}{' NOT NULL' if c.name in table.key else ''}" for c in table.columns
        ]
        key = ", ".join(map(self.name, table.key))
        return f"CREATE TABLE IF NOT EXISTS {self.name(table.name)} ({', '.join(columns)}, PRIMARY KEY ({key}))"

    def insert(self, table: OnlineTable) -> str:
        """Insert one row of all columns."""
        columns = ", ".join(self.name(c.name) for c in table.columns)
        values = ", ".join([self.placeholder] * len(table.columns))
        return f"INSERT INTO {self.name(table.name)} ({columns}) VALUES ({values})"

    def delete(self, table: OnlineTable) -> str:
        """Delete one row by its key; the parameters are the key's values in the order of the table's columns."""
        condition = " AND ".join(f"{self.name(c.name)} = {self.placeholder}" for c in table.columns)
        return f"DELETE FROM {self.name(table.name)} WHERE {condition}"

    def lookup(self, sources: Sequence[Source], keys: int, entries: int) -> str:
        """For each entry its number, then per source whether it has a row, and its columns.

        The parameters are, entry by entry, its number and its key values. A source whose row is absent gives nulls.
        """
        one = ", ".join([f"{self.placeholder} AS n", *(f"{self.placeholder} AS k{i}" for i in range(keys))])
        asked = " UNION ALL ".join([f"SELECT {one}"] * entries)
        columns, joins = ["e.n"], []
        for place, source in enumerate(sources):
            at = f"s{place}."
            columns += [f"{at}{self.name(next(iter(source.keys)))} IS NOT NULL", *(at + self.name(c) for c in source.columns)]
            on = [f"{at}{self.name(column)} = {self._first(choices)}" for column, choices in source.keys.items()]
            joins.append(f" LEFT JOIN {self.name(source.table)} s{place} ON {' AND '.join(on)}")
        return f"SELECT {', '.join(columns)} FROM ({asked}) e{''.join(joins)}"

    def _first(self, choices: Sequence[int | tuple[int, str]]) -> str:
        named = [f"e.k{c}" if isinstance(c, int) else f"s{c[0]}.{self.name(c[1])}" for c in choices]
        return named[0] if len(named) == 1 else f"COALESCE({', '.join(named)})"
