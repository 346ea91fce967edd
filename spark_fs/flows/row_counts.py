"""What became of the rows of a batch, in numbers."""

from spark_fs.tables.staged_files import StagedFiles
from spark_fs.tables.table import GroupTable
from spark_fs.tables.table_write import LoggedCommit

RowCounts = dict[str, int]


def make_counts(read: int, inserted: int = 0, updated: int = 0) -> RowCounts:
    """The counts of a batch of which nothing is set aside."""
    return {
        "read": read,
        "inserted": inserted,
        "updated": updated,
        "unchanged": read - inserted - updated,
        "set_aside": 0,
    }


def count_rows(table: GroupTable) -> int:
    """How many rows a table has, eagerly only where its files do not tell."""
    row_counts = [file.row_count for file in table.list_files()]
    if None in row_counts:
        return table.read().count()
    return sum(filter(None, row_counts))


def read_logged_counts(logged: LoggedCommit, staged: StagedFiles) -> RowCounts:
    """The counts of a commit whose answer was lost, as the log has them."""
    inserted, updated = logged.count_rows()
    return make_counts(staged.row_count, inserted, updated)
