"""The SQL of the online stores: one place where text is made and identifiers are quoted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from spark_fs.base import times, types
from spark_fs.online.store import LookupSource
from spark_fs.online.table import OnlineColumn, OnlineTable, get_column_type

SYNC_STATE_TABLE = "_spark_fs_synced"
ORIGIN_TABLE = "_spark_fs_origins"
OnlineColumns = Sequence[OnlineColumn]


@dataclass(frozen=True)
class LookupQuery:
    """A look-up as a statement.

    parameters: for each placeholder the number of an entry's key value, or the table whose ttl
    bounds it takes.
    """

    columns: tuple[str, ...]
    from_clause: str
    parameters: tuple[int | OnlineTable, ...]

    def bind_values(self, keys: Sequence[Any], now: datetime) -> list[Any]:
        """The value of each placeholder: of one entry's key values, and of the bounds of a ttl."""
        found: list[Any] = []
        for parameter in self.parameters:
            if isinstance(parameter, int):
                found.append(keys[parameter])
            elif cutoff := parameter.ttl_cutoff(now):
                found += parameter.ttl_bounds(cutoff)
        return found

    @cached_property
    def sql(self) -> str:
        """The statement."""
        return f"SELECT {', '.join(self.columns)}{self.from_clause}"


@dataclass(frozen=True)
class SqlDialect:
    """The statements of one dialect, from its quote character, its placeholder, and what stands behind a table's columns.

    key_value: of a key's expression the one that is compared, by its feature type. read: of a
    column's expression the one that is looked up, by its feature type.
    """

    quote_character: str
    placeholder: str
    table_suffix: str = ""
    key_expression: Callable[[str, str], str] = field(default=lambda expression, _: expression)
    read_expression: Callable[[str, str], str] = field(default=lambda expression, _: expression)

    def quote_name(self, identifier: str) -> str:
        """The identifier, quoted."""
        return (
            self.quote_character
            + identifier.replace(self.quote_character, self.quote_character * 2)
            + self.quote_character
        )

    def quote_columns(self, columns: OnlineColumns, qualifier: str = "") -> str:
        """The columns, quoted."""
        return ", ".join(qualifier + self.quote_name(c.name) for c in columns)

    # -- tables

    def create_table(
        self,
        table_name: str,
        columns: OnlineColumns,
        table: OnlineTable,
        column_lengths: Mapping[str, int | None],
    ) -> str:
        """Create a table of these columns with the table's key."""
        lines = [
            self.column_definition(
                c, column_lengths.get(c.name), required=c.name in table.primary_key
            )
            for c in columns
        ]
        return (
            f"CREATE TABLE {self.quote_name(table_name)} ({', '.join(lines)}, PRIMARY KEY"
            f" ({self.quote_columns(table.key_columns)})){self.table_suffix}"
        )

    def column_definition(self, column: OnlineColumn, length: int | None, required: bool) -> str:
        """A column and its type."""
        return (
            f"{self.quote_name(column.name)}"
            f" {get_column_type(column, length)}{' NOT NULL' if required else ''}"
        )

    def drop_tables(self, names: Sequence[str]) -> str:
        """Drop tables."""
        return f"DROP TABLE IF EXISTS {', '.join(map(self.quote_name, names))}"

    # -- merging

    def same_key(self, table: OnlineTable, left: str, right: str) -> str:
        """Whether rows of two tables have one key."""
        return " AND ".join(
            f"{left}.{self.quote_name(key)} = {right}.{self.quote_name(key)}"
            for key in table.primary_key
        )

    def expired_condition(self, table: OnlineTable, alias: str) -> str:
        """The condition that a row is past its ttl; its parameters are the table's bounds."""
        return f"NOT ({self.within_ttl_condition(table, alias)})"

    def within_ttl_condition(self, table: OnlineTable, alias: str) -> str:
        """The condition that a row is not past its ttl; its parameters are the table's bounds."""
        time = f"{alias}.{self.quote_name(table.event_time or '')}"
        if types.get_base_type(table.columns_by_name[table.event_time or ""].type) in (
            "int",
            "bigint",
        ):
            low = f"{time} >= {self.placeholder} AND {time} < {times.MILLISECONDS_FROM}"
            return f"({low} OR {time} >= {self.placeholder})"
        return f"{time} >= {self.placeholder}"

    # -- look-ups

    def build_lookup(
        self,
        sources: Sequence[LookupSource],
        entries_table: str,
        get_key_expression: Callable[[int], str],
        entry_number: str,
    ) -> LookupQuery:
        """For each entry its number, then per source whether it has a row, and its columns; a source whose row is absent gives nulls.

        entries: the table of the entries, with the alias e. value: the expression of a key value of
        an entry, by its number; a placeholder takes that value. number: the expression of the
        entry's number.
        """
        columns, joins = [entry_number], []
        parameters: list[int | OnlineTable] = []
        for place, source in enumerate(sources):
            table = source.table
            base, *others = self._list_needed_parts(sources, place)
            at = f"s{place}_{base}"
            columns.append(f"{at}.{self.quote_name(table.primary_key[0])} IS NOT NULL")
            held = [
                (
                    f"s{place}_{self._find_part(sources, place, c)}.{self.quote_name(c)}",
                    table.columns_by_name[c].type,
                )
                for c in source.columns
            ]
            columns += (self.read_expression(expression, type_) for expression, type_ in held)
            conditions = []
            for column, choices in source.keys.items():
                wanted = self.key_expression(
                    self._first_present(sources, choices, get_key_expression),
                    table.columns_by_name[column].type,
                )
                parameters += [
                    c
                    for c in choices
                    if isinstance(c, int) and get_key_expression(c) == self.placeholder
                ]
                conditions.append(f"{at}.{self.quote_name(column)} = {wanted}")
            if table.ttl is not None and table.event_time:
                conditions.append(self.within_ttl_condition(table, at))
                parameters.append(table)
            joins.append(
                f" LEFT JOIN {self.quote_name(table.part_name(base))} {at} ON"
                f" {' AND '.join(conditions)}"
            )
            for part in others:
                alias = f"s{place}_{part}"
                joins.append(
                    f" LEFT JOIN {self.quote_name(table.part_name(part))} {alias} ON"
                    f" {self.same_key(table, alias, at)}"
                )
        return LookupQuery(
            tuple(columns), f" FROM {entries_table}{''.join(joins)}", tuple(parameters)
        )

    def _list_needed_parts(self, sources: Sequence[LookupSource], source_index: int) -> list[int]:
        """The tables of a source that hold a column that is wanted."""
        table = sources[source_index].table
        wanted = {
            *sources[source_index].columns,
            *_list_columns_used_as_keys(sources, source_index),
        }
        return sorted(
            {
                table.part_by_column[c]
                for c in wanted
                if c not in (*table.primary_key, table.event_time)
            }
        ) or [0]

    def _first_present(
        self,
        sources: Sequence[LookupSource],
        choices: Sequence[int | tuple[int, str]],
        get_key_expression: Callable[[int], str],
    ) -> str:
        named = [
            (
                get_key_expression(c)
                if isinstance(c, int)
                else f"s{c[0]}_{self._find_part(sources, *c)}.{self.quote_name(c[1])}"
            )
            for c in choices
        ]
        return named[0] if len(named) == 1 else f"COALESCE({', '.join(named)})"

    def _find_part(self, sources: Sequence[LookupSource], source_index: int, column: str) -> int:
        table = sources[source_index].table
        return (
            self._list_needed_parts(sources, source_index)[0]
            if column in (*table.primary_key, table.event_time)
            else table.part_by_column[column]
        )


def _list_columns_used_as_keys(sources: Sequence[LookupSource], source_index: int) -> Iterator[str]:
    for source in sources:
        for choices in source.keys.values():
            yield from (c[1] for c in choices if isinstance(c, tuple) and c[0] == source_index)
