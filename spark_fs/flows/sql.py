"""Run SQL over the groups of a store, each under the name of its table: ``<name>_<version>``."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_fs.errors import NotFoundError, QueryError
from spark_fs.flows import group_rows, online_rows
from spark_fs.flows.spark_reads import collect_frame
from spark_fs.online.store import OnlineStore
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.spark_errors import find_root_cause
from spark_fs.tables.spark_sessions import copy_session
from spark_fs.tables.table import open_table

_WRITING_PLANS = tuple(
    f"org.apache.spark.sql.catalyst.plans.logical.{name}"
    for name in ("Command", "ParsedStatement", "InsertIntoDir")
)
_SELECT_START = re.compile(
    r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*(?:SELECT|WITH)\b", re.IGNORECASE | re.DOTALL
)
GroupReader = Callable[[SparkSession, GroupSpec], DataFrame]


def run_query(
    spark: SparkSession,
    query: str,
    groups: Mapping[str, GroupSpec],
    read_group: GroupReader,
    dataframe_type: str,
) -> Any:
    """The rows of a SELECT, as a Spark DataFrame*, or eagerly as pandas.

    The names stand for the groups in a copy of the session that no other call sees.

    Args:
        spark: The session that is copied.
        query: One SELECT.
        groups: The feature groups by the names of their tables.
        read_group: What reads the rows of a group as a frame of a session.
        dataframe_type: One of ``DATAFRAME_TYPES`` but "default".

    Raises:
        QueryError: It is not a SELECT, or cannot be run.
        NotFoundError: There is no group of a name.
    """
    with copy_session(spark) as session:
        _check_is_select(session, query)
        words = {word.lower() for word in re.findall(r"\w+", query)}
        for name in words & groups.keys():
            if not groups[name].features:
                raise QueryError(
                    f"Feature group {groups[name]} has no schema yet: insert its first rows before"
                    " it is read."
                )
            read_group(session, groups[name]).createOrReplaceTempView(name)
        frame = _plan_query(session, query, groups)
        return collect_frame(frame, dataframe_type)


def _plan_query(session: SparkSession, query: str, groups: Mapping[str, GroupSpec]) -> DataFrame:
    try:
        return session.sql(query)
    except AnalysisException as error:
        missing_table = _get_missing_table(error)
        if missing_table:
            advice = "A feature group is called <name>_<version> in SQL."
            raise NotFoundError.for_name("Table", missing_table, groups, advice) from None
        raise QueryError(f"The SQL cannot be run: {find_root_cause(error)}") from None


def _get_missing_table(error: AnalysisException) -> str | None:
    """The table that a statement names and that does not exist; None for another error."""
    if error.getCondition() != "TABLE_OR_VIEW_NOT_FOUND":
        return None
    name = (error.getMessageParameters() or {}).get("relationName")
    return name and name.replace("`", "").lower()


def make_group_reader(
    locate_table: Callable[[GroupSpec], str], online: OnlineStore | None
) -> GroupReader:
    """What reads the rows* of a group: those of its newest version, or those of an online store.

    The rows of an online store are read eagerly.
    """

    def read_rows(session: SparkSession, group: GroupSpec) -> DataFrame:
        if online is not None:
            return session.createDataFrame(online_rows.read_online_rows(group, online))
        table = open_table(group, locate_table(group), lambda: session)
        rows = group_rows.read_group(table)
        return rows.select(*(f"`{name}`" for name in group.types))

    return read_rows


def _check_is_select(session: SparkSession, query: str) -> None:
    """Raise QueryError unless a string is one SELECT, which changes nothing."""
    try:
        plan = session._jsparkSession.sessionState().sqlParser().parsePlan(query)
    except (ParseException, PySparkException, Py4JJavaError) as error:
        raise QueryError(f"The SQL is not understood: {find_root_cause(error)}") from None
    if not _SELECT_START.match(query) or _has_write(session, plan):
        raise QueryError(
            f"{query.strip()[:80]!r} is not a SELECT, and sql only reads: use insert or"
            " delete_records."
        )


def _has_write(session: SparkSession, plan: Any) -> bool:
    """Whether a statement, or what stands behind its WITH, does more than read."""
    gateway = session.sparkContext._gateway
    if any(is_instance_of(gateway, plan, name) for name in _WRITING_PLANS):
        return True
    children = plan.children()
    return any(_has_write(session, children.apply(index)) for index in range(children.size()))
