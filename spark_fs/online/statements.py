"""The SQL of the online stores: one place where text is made and identifiers are quoted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from spark_fs.base import times, types
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.store import KeyChoice, LookupSource
from spark_fs.online.table_layout import OnlineTable

SYNC_STATE_TABLE = "_spark_fs_synced"
ORIGIN_TABLE = "_spark_fs_origins"
OnlineColumns = Sequence[OnlineColumn]
INSTANT = "instant"  # the parameter that is the instant of the look-up, in microseconds
LookupParameter = int | OnlineTable | str


@dataclass(frozen=True)
class LookupQuery:
    """A look-up as a statement.

    parameters: for each placeholder the number of an entry's key value, the table whose ttl bounds
    it takes, or ``INSTANT``.
    """

    columns: tuple[str, ...]
    from_clause: str
    parameters: tuple[LookupParameter, ...]

    def bind_values(self, keys: Sequence[Any], now: datetime) -> list[Any]:
        """The value of each placeholder: of one entry's key values, and of the bounds of a ttl."""
        values: list[Any] = []
        for parameter in self.parameters:
            if isinstance(parameter, int):
                values.append(keys[parameter])
            elif isinstance(parameter, str):
                values.append(times.to_micros(now))
            elif cutoff := parameter.ttl_cutoff(now):
                values += parameter.ttl_bounds(cutoff)
        return values

    @cached_property
    def sql(self) -> str:
        """The statement."""
        return f"SELECT {', '.join(self.columns)}{self.from_clause}"


@dataclass(frozen=True)
class SqlDialect:
    """The statements of one dialect.

    quote_character: around identifiers. placeholder: of a parameter. table_suffix: what stands
    behind the columns of a new table. key_expression: of a key's expression the one that is
    compared, by its feature type. read_expression: of a column's expression the one that is looked
    up, by its feature type.
    """

    quote_character: str
    placeholder: str
    table_suffix: str = ""
    key_expression: Callable[[str, str], str] = field(default=lambda expression, _: expression)
    read_expression: Callable[[str, str], str] = field(default=lambda expression, _: expression)

    def quote_name(self, identifier: str) -> str:
        """The identifier, quoted."""
        quote = self.quote_character
        return quote + identifier.replace(quote, quote * 2) + quote

    def quote_columns(self, columns: OnlineColumns, qualifier: str = "") -> str:
        """The columns, quoted."""
        return ", ".join(qualifier + self.quote_name(column.name) for column in columns)

    # -- tables

    def create_table(
        self,
        table_name: str,
        columns: OnlineColumns,
        table: OnlineTable,
        column_lengths: Mapping[str, int | None],
    ) -> str:
        """Create a table of these columns with the table's key."""
        definitions = []
        for column in columns:
            length = column_lengths.get(column.name)
            required = column.name in table.primary_key
            definitions.append(self.column_definition(column, length, required))
        return (
            f"CREATE TABLE {self.quote_name(table_name)} ({', '.join(definitions)}, PRIMARY KEY"
            f" ({self.quote_columns(table.key_columns)})){self.table_suffix}"
        )

    def column_definition(self, column: OnlineColumn, length: int | None, required: bool) -> str:
        """A column and its type."""
        not_null = " NOT NULL" if required else ""
        return f"{self.quote_name(column.name)} {column.sql_type(length)}{not_null}"

    def drop_tables(self, names: Sequence[str]) -> str:
        """Drop tables."""
        return f"DROP TABLE IF EXISTS {', '.join(map(self.quote_name, names))}"

    # -- merging

    def same_key(self, table: OnlineTable, left: str, right: str) -> str:
        """Whether rows of two tables have one key."""
        comparisons = []
        for key in table.primary_key:
            name = self.quote_name(key)
            comparisons.append(f"{left}.{name} = {right}.{name}")
        return " AND ".join(comparisons)

    def join_parts(self, table: OnlineTable) -> str:
        """The tables of a group as one, with the aliases p0, p1, ..."""
        first, *others = table.part_names
        clause = f"{self.quote_name(first)} p0"
        for number, name in enumerate(others, start=1):
            same_key = self.same_key(table, f"p{number}", "p0")
            clause += f" LEFT JOIN {self.quote_name(name)} p{number} ON {same_key}"
        return clause

    def count_deleted_keys(self, table: OnlineTable, keys_table: str, rows_table: str) -> str:
        """Count the rows whose key goes and is not among the rows that were loaded."""
        key = self.quote_name(table.primary_key[0])
        return (
            f"SELECT COUNT(*) FROM {self.quote_name(table.name)} t"
            f" JOIN {self.quote_name(keys_table)} k ON {self.same_key(table, 't', 'k')}"
            f" LEFT JOIN {self.quote_name(rows_table)} s ON {self.same_key(table, 's', 'k')}"
            f" WHERE s.{key} IS NULL"
        )

    def expired_condition(self, table: OnlineTable, alias: str) -> str:
        """The condition that a row is past its ttl; its parameters are the table's bounds."""
        return f"NOT ({self.within_ttl_condition(table, alias)})"

    def within_ttl_condition(self, table: OnlineTable, alias: str) -> str:
        """The condition that a row is not past its ttl; its parameters are the table's bounds."""
        column = table.columns_by_name[table.event_time or ""]
        time = f"{alias}.{self.quote_name(column.name)}"
        if types.get_base_type(column.type) in ("int", "bigint"):
            seconds = f"{time} >= {self.placeholder} AND {time} < {times.MILLISECONDS_FROM}"
            return f"({seconds} OR {time} >= {self.placeholder})"
        return f"{time} >= {self.placeholder}"

    # -- look-ups

    def build_single_lookup(self, sources: Sequence[LookupSource]) -> LookupQuery:
        """As ``build_lookup``, for one entry, whose number is 0."""
        if not needs_instant(sources):
            return self.build_lookup(sources, "(SELECT 1) e", lambda _: self.placeholder, "0")
        entry = f"(SELECT CAST({self.placeholder} AS SIGNED) t) e"
        query = self.build_lookup(sources, entry, lambda _: self.placeholder, "0")
        return replace(query, parameters=(INSTANT, *query.parameters))

    def build_lookup(
        self,
        sources: Sequence[LookupSource],
        entries_table: str,
        get_key_expression: Callable[[int], str],
        entry_number: str,
    ) -> LookupQuery:
        """For each entry its number, then per source whether it has a row, and its columns.

        A source whose row is absent gives nulls.

        Args:
            sources: What is looked up, in the order of the result.
            entries_table: The table of the entries, with the alias e; where a column is spared its
                t is the instant of the look-up.
            get_key_expression: The expression of a key value of an entry, by its number; a
                placeholder takes that value.
            entry_number: The expression of the entry's number.

        Returns:
            The statement with what its placeholders take.
        """
        columns = [entry_number]
        joins: list[str] = []
        parameters: list[LookupParameter] = []
        for index, source in enumerate(sources):
            columns += self._list_source_columns(sources, index)
            for choices in source.keys.values():
                parameters += [
                    choice
                    for choice in choices
                    if isinstance(choice, int) and get_key_expression(choice) == self.placeholder
                ]
            if source.table.ttl is not None and source.table.event_time:
                parameters.append(source.table)
            joins.append(self._join_source(sources, index, get_key_expression))
        from_clause = f" FROM {entries_table}{''.join(joins)}"
        return LookupQuery(tuple(columns), from_clause, tuple(parameters))

    def _list_source_columns(self, sources: Sequence[LookupSource], index: int) -> list[str]:
        """Whether a source has a row, and its columns, as expressions."""
        table = sources[index].table
        alias = _make_alias(index, self._list_needed_parts(sources, index)[0])
        expressions = [f"{alias}.{self.quote_name(table.primary_key[0])} IS NOT NULL"]
        for column in sources[index].columns:
            reference = self._refer_to_column(sources, index, column)
            spared = sources[index].spared
            if spared is not None and column == spared.name:
                first = self._refer_to_column(sources, index, spared.first)
                last = self._refer_to_column(sources, index, spared.last)
                reference = f"CASE WHEN e.t NOT BETWEEN {first} AND {last} THEN {reference} END"
            column_type = table.columns_by_name[column].type
            expressions.append(self.read_expression(reference, column_type))
        return expressions

    def _join_source(
        self,
        sources: Sequence[LookupSource],
        index: int,
        get_key_expression: Callable[[int], str],
    ) -> str:
        """The joins that find the row of a source, in the order of its parameters."""
        source = sources[index]
        table = source.table
        base_part, *other_parts = self._list_needed_parts(sources, index)
        base_alias = _make_alias(index, base_part)
        conditions = []
        for column, choices in source.keys.items():
            key = self._first_present(sources, choices, get_key_expression)
            wanted = self.key_expression(key, table.columns_by_name[column].type)
            conditions.append(f"{base_alias}.{self.quote_name(column)} = {wanted}")
        if table.ttl is not None and table.event_time:
            conditions.append(self.within_ttl_condition(table, base_alias))
        base_name = self.quote_name(table.part_name(base_part))
        clause = f" LEFT JOIN {base_name} {base_alias} ON {' AND '.join(conditions)}"
        for part in other_parts:
            alias = _make_alias(index, part)
            part_name = self.quote_name(table.part_name(part))
            same_key = self.same_key(table, alias, base_alias)
            clause += f" LEFT JOIN {part_name} {alias} ON {same_key}"
        return clause

    def _list_needed_parts(self, sources: Sequence[LookupSource], index: int) -> list[int]:
        """The tables of a source that hold a column that is wanted; the first where none is."""
        table = sources[index].table
        wanted = {*sources[index].columns, *_list_columns_used_as_keys(sources, index)}
        spared = sources[index].spared
        if spared is not None:
            wanted |= {spared.first, spared.last}
        in_every_part = (*table.primary_key, table.event_time)
        parts = {table.part_by_column[column] for column in wanted if column not in in_every_part}
        return sorted(parts) or [0]

    def _first_present(
        self,
        sources: Sequence[LookupSource],
        choices: Sequence[KeyChoice],
        get_key_expression: Callable[[int], str],
    ) -> str:
        expressions = []
        for choice in choices:
            if isinstance(choice, int):
                expressions.append(get_key_expression(choice))
            else:
                expressions.append(self._refer_to_column(sources, *choice))
        if len(expressions) == 1:
            return expressions[0]
        return f"COALESCE({', '.join(expressions)})"

    def _refer_to_column(self, sources: Sequence[LookupSource], index: int, column: str) -> str:
        """A column of a source, in the table that is joined for it."""
        table = sources[index].table
        if column in (*table.primary_key, table.event_time):
            part = self._list_needed_parts(sources, index)[0]
        else:
            part = table.part_by_column[column]
        return f"{_make_alias(index, part)}.{self.quote_name(column)}"


def needs_instant(sources: Sequence[LookupSource]) -> bool:
    """Whether the entries of a look-up have its instant."""
    return any(source.spared is not None for source in sources)


def _make_alias(source_index: int, part: int) -> str:
    return f"s{source_index}_{part}"


def _list_columns_used_as_keys(sources: Sequence[LookupSource], source_index: int) -> Iterator[str]:
    for source in sources:
        for choices in source.keys.values():
            for choice in choices:
                if isinstance(choice, tuple) and choice[0] == source_index:
                    yield choice[1]
