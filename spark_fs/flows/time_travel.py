"""Which versions of groups a query names: those it is read at, and those it leaves out."""

from collections.abc import Mapping

from spark_fs.base.times import Instant, is_epoch
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.flows.read import TableLocator
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.tables.commits import NO_TABLE, Commit
from spark_fs.tables.table_log import open_log

Groups = Mapping[GroupRef, GroupSpec]


def pin_groups(
    query: QuerySpec, groups: Groups, locate_table: TableLocator, when: Instant | Commit | None
) -> QuerySpec:
    """The query in which each group is read at the version of an instant.

    Args:
        query: The query.
        groups: Every group that it reads.
        locate_table: Where the table of a group is.
        when: The instant, or of one group a version or a commit; None: the newest.

    Raises:
        NotFoundError: A version that does not exist, or an instant before the first commit.
        SettingsError: A version in a query of several groups.
        QueryError: A group is external.
    """
    if when is None:
        return query.pin_versions(lambda _: None)
    if query.joins and _names_version(when):
        raise SettingsError(
            f"as_of({when!r}) names a version of one table and the query joins several: give an"
            " instant."
        )

    def find_version(ref: GroupRef) -> int | None:
        group = groups[ref]
        if group.is_dataframe:
            return None
        if group.source:
            raise QueryError(
                f"External feature group {group} has no history of commits: leave as_of to the"
                " other groups."
            )
        return open_log(locate_table(group)).resolve_version(when)

    return query.pin_versions(find_version)


def find_excluded_version(
    query: QuerySpec, groups: Groups, locate_table: TableLocator, until: Instant | Commit
) -> int:
    """The version of a query's only group up to which commits are left out.

    Args:
        query: The query, with the version that it is read at.
        groups: Every group that it reads.
        locate_table: Where the table of a group is.
        until: An instant, a version or a commit.

    Returns:
        The version; ``NO_TABLE`` for an instant before the first commit.

    Raises:
        QueryError: The query joins groups, or its rows are not of a table of the store.
        SettingsError: It lies after the version that the query is read at.
    """
    group = groups[query.group]
    if query.joins or group.source:
        raise QueryError(
            "exclude_until gives what was written to one feature group, and this query of"
            f" {group} is of more, or of rows that others keep: give it to the query of a group"
            " alone."
        )
    log = open_log(locate_table(group))
    try:
        since = log.resolve_version(until)
    except NotFoundError:
        if _names_version(until):
            raise
        since = NO_TABLE
    if query.as_of is not None and since > query.as_of:
        raise SettingsError(
            f"exclude_until={until!r} lies after wallclock_time: give them the other way round."
        )
    return since


def _names_version(when: Instant | Commit) -> bool:
    """Whether it is a version of one table, by its number or as a commit."""
    return isinstance(when, Commit) or (isinstance(when, int) and not is_epoch(when))
