"""The columns of a table of MySQL or MariaDB: read from the server, added, made longer."""

from collections.abc import Mapping, Sequence
from typing import Any

from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.mysql.dialects import PLAIN, get_dialect
from spark_fs.online.table_layout import OnlineTable, choose_column_lengths

OnlineColumns = Sequence[OnlineColumn]


def read_declared_lengths(cursor: Any, table_name: str) -> dict[str, int | None]:
    """The columns of a table, each with its declared length (None: it has none).

    There is no column where there is no table.
    """
    cursor.execute(
        "SELECT column_name, data_type, character_maximum_length FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        (table_name,),
    )
    lengths: dict[str, int | None] = {}
    for name, data_type, max_length in cursor.fetchall():
        declares_length = str(data_type).lower() in ("varchar", "varbinary")
        lengths[str(name)] = int(max_length) if declares_length else None
    return lengths


def add_missing_columns(
    cursor: Any, table: OnlineTable, part_number: int, columns: OnlineColumns
) -> None:
    """Add the columns that one part of a table lacks.

    A part that is new has no rows, which stands for nulls.
    """
    part_name = table.part_name(part_number)
    lengths = read_declared_lengths(cursor, part_name)
    if lengths:
        _add_to_part(cursor, table, part_name, columns, lengths)
    elif part_number and read_declared_lengths(cursor, table.name):
        dialect = get_dialect(cursor)
        new_lengths = choose_column_lengths(table, columns, {})
        cursor.execute(dialect.create_table(part_name, columns, table, new_lengths))


def _add_to_part(
    cursor: Any,
    table: OnlineTable,
    part_name: str,
    columns: OnlineColumns,
    lengths: Mapping[str, int | None],
) -> None:
    missing_columns = [column for column in columns if column.name not in lengths]
    if not missing_columns:
        return
    longest_values = {column.name: (lengths.get(column.name) or 0) - 1 for column in columns}
    new_lengths = choose_column_lengths(table, columns, longest_values)
    actions = []
    for column in missing_columns:
        new_length = new_lengths.get(column.name)
        definition = PLAIN.column_definition(column, new_length, required=False)
        actions.append(f"ADD COLUMN {definition}")
    cursor.execute(f"ALTER TABLE {PLAIN.quote_name(part_name)} {', '.join(actions)}")


def resize_columns(
    cursor: Any,
    table: OnlineTable,
    table_name: str,
    columns: OnlineColumns,
    lengths: Mapping[str, int | None],
) -> None:
    """Give columns of variable length of a table these lengths (None: a long type)."""
    actions = []
    for column in columns:
        if column.name in lengths:
            required = column.name in table.primary_key
            definition = PLAIN.column_definition(column, lengths[column.name], required)
            actions.append(f"MODIFY COLUMN {definition}")
    if actions:
        cursor.execute(f"ALTER TABLE {PLAIN.quote_name(table_name)} {', '.join(actions)}")
