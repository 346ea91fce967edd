"""The SQL of the online stores: one place where text is made and identifiers are quoted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from spark_fs import types
from spark_fs.online.layout import OnlineColumn, OnlineTable, column_type
from spark_fs.online.store import Source

SYNCED = "_spark_fs_synced"
ORIGINS = "_spark_fs_origins"
Columns = Sequence[OnlineColumn]


@dataclass(frozen=True)
class Question:
    """A look-up as a statement.

    parameters: for each placeholder the number of an entry's key value, or the table whose ttl bounds it takes.
    """

    columns: tuple[str, ...]
    rest: str
    parameters: tuple[int | OnlineTable, ...]

    def values(self, keys: Sequence[Any], now: datetime) -> list[Any]:
        """The value of each placeholder: of one entry's key values, and of the bounds of a ttl."""
        found: list[Any] = []
        for parameter in self.parameters:
            if isinstance(parameter, int):
                found.append(keys[parameter])
            elif cutoff := parameter.cutoff(now):
                found += parameter.bounds(cutoff)
        return found

    @cached_property
    def sql(self) -> str:
        """The statement."""
        return f"SELECT {', '.join(self.columns)}{self.rest}"


@dataclass(frozen=True)
class Statements:
    """The statements of one dialect, from its quote character, its placeholder, and what stands behind a table's columns.

    key_value: of a key's expression the one that is compared, by its feature type. read: of a column's expression the one that is looked
    up, by its feature type.
    """

    quote: str
    placeholder: str
    suffix: str = ""
    key_value: Callable[[str, str], str] = field(default=lambda expression, _: expression)
    read: Callable[[str, str], str] = field(default=lambda expression, _: expression)

    def name(self, identifier: str) -> str:
        """The identifier, quoted."""
        return self.quote + identifier.replace(self.quote, self.quote * 2) + self.quote

    def names(self, columns: Columns, table: str = "") -> str:
        """The columns, quoted."""
        return ", ".join(table + self.name(c.name) for c in columns)

    # -- tables

    def create(self, name: str, columns: Columns, table: OnlineTable, rooms: Mapping[str, int | None]) -> str:
        """Create a table of these columns with the table's key."""
        lines = [self.definition(c, rooms.get(c.name), required=c.name in table.key) for c in columns]
        return f"CREATE TABLE {self.name(name)} ({', '.join(lines)}, PRIMARY KEY ({self.names(table.keys)})){self.suffix}"

    def definition(self, column: OnlineColumn, room: int | None, required: bool) -> str:
        """A column and its type."""
        return f"{self.name(column.name)} {column_type(column, room)}{' NOT NULL' if required else ''}"

    def drop(self, names: Sequence[str]) -> str:
        """Drop tables."""
        return f"DROP TABLE IF EXISTS {', '.join(map(self.name, names))}"

    # -- merging

    def same_key(self, table: OnlineTable, left: str, right: str) -> str:
        """Whether rows of two tables have one key."""
        return " AND ".join(f"{left}.{self.name(key)} = {right}.{self.name(key)}" for key in table.key)

    def expired(self, table: OnlineTable, alias: str) -> str:
        """The condition that a row is past its ttl; its parameters are the table's bounds."""
        return f"NOT ({self.fresh(table, alias)})"

    def fresh(self, table: OnlineTable, alias: str) -> str:
        """The condition that a row is not past its ttl; its parameters are the table's bounds."""
        time = f"{alias}.{self.name(table.event_time or '')}"
        if types.base(table.by_name[table.event_time or ""].type) in ("int", "bigint"):
            low = f"{time} >= {self.placeholder} AND {time} < {types.MILLISECONDS_FROM}"
            return f"({low} OR {time} >= {self.placeholder})"
        return f"{time} >= {self.placeholder}"

    # -- look-ups

    def lookup(self, sources: Sequence[Source], entries: str, value: Callable[[int], str], number: str) -> Question:
        """For each entry its number, then per source whether it has a row, and its columns; a source whose row is absent gives nulls.

        entries: the table of the entries, with the alias e. value: the expression of a key value of an entry, by its number; a placeholder
        takes that value. number: the expression of the entry's number.
        """
        columns, joins = [number], []
        parameters: list[int | OnlineTable] = []
        for place, source in enumerate(sources):
            table = source.table
            base, *others = self._parts(sources, place)
            at = f"s{place}_{base}"
            columns.append(f"{at}.{self.name(table.key[0])} IS NOT NULL")
            held = [(f"s{place}_{self._part_for(sources, place, c)}.{self.name(c)}", table.by_name[c].type) for c in source.columns]
            columns += (self.read(expression, type_) for expression, type_ in held)
            conditions = []
            for column, choices in source.keys.items():
                wanted = self.key_value(self._first(sources, choices, value), table.by_name[column].type)
                parameters += [c for c in choices if isinstance(c, int) and value(c) == self.placeholder]
                conditions.append(f"{at}.{self.name(column)} = {wanted}")
            if table.ttl is not None and table.event_time:
                conditions.append(self.fresh(table, at))
                parameters.append(table)
            joins.append(f" LEFT JOIN {self.name(table.part_name(base))} {at} ON {' AND '.join(conditions)}")
            for part in others:
                alias = f"s{place}_{part}"
                joins.append(f" LEFT JOIN {self.name(table.part_name(part))} {alias} ON {self.same_key(table, alias, at)}")
        return Question(tuple(columns), f" FROM {entries}{''.join(joins)}", tuple(parameters))

    def _parts(self, sources: Sequence[Source], place: int) -> list[int]:
        """The tables of a source that hold a column that is wanted."""
        table = sources[place].table
        wanted = {*sources[place].columns, *_asked_by_others(sources, place)}
        return sorted({table.part_of[c] for c in wanted if c not in (*table.key, table.event_time)}) or [0]

    def _first(self, sources: Sequence[Source], choices: Sequence[int | tuple[int, str]], value: Callable[[int], str]) -> str:
        named = [value(c) if isinstance(c, int) else f"s{c[0]}_{self._part_for(sources, *c)}.{self.name(c[1])}" for c in choices]
        return named[0] if len(named) == 1 else f"COALESCE({', '.join(named)})"

    def _part_for(self, sources: Sequence[Source], place: int, column: str) -> int:
        table = sources[place].table
        return self._parts(sources, place)[0] if column in (*table.key, table.event_time) else table.part_of[column]


def _asked_by_others(sources: Sequence[Source], place: int) -> Iterator[str]:
    for source in sources:
        for choices in source.keys.values():
            yield from (c[1] for c in choices if isinstance(c, tuple) and c[0] == place)
