"""SQL over the groups of a store, each under the name of its table: ``<name>_<version>``."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_fs.errors import NotFoundError, QueryError
from spark_fs.flows import group_rows, online_rows
from spark_fs.flows.read import collect_frame
from spark_fs.online.store import OnlineStore
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.delta.commands import find_root_cause
from spark_fs.tables.delta.session import copy_session

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

    groups: by the names of their tables. rows_of: of a group, as a frame of a session. The names
    stand for the groups in a copy of the session that no other call sees. Raises QueryError for
    what is no SELECT or cannot be run, NotFoundError for a name that is none.
    """
    with copy_session(spark) as session:
        _check_is_select(session, query)
        named = {word.lower() for word in re.findall(r"\w+", query)}
        for name in named & groups.keys():
            if not groups[name].features:
                raise QueryError(
                    f"Feature group {groups[name]} has no schema yet: insert its first rows before"
                    " it is read."
                )
            read_group(session, groups[name]).createOrReplaceTempView(name)
        return collect_frame(
            _plan_query(session, query, groups),
            "spark" if dataframe_type == "default" else dataframe_type,
        )


def _plan_query(session: SparkSession, query: str, groups: Mapping[str, GroupSpec]) -> DataFrame:
    try:
        return session.sql(query)
    except AnalysisException as error:
        absent = (
            (error.getMessageParameters() or {}).get("relationName")
            if error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
            else None
        )
        if absent:
            told = "A feature group is called <name>_<version> in SQL."
            raise NotFoundError.for_name(
                "Table", absent.replace("`", "").lower(), groups, told
            ) from None
        raise QueryError(f"The SQL cannot be run: {find_root_cause(error)}") from None


def make_group_reader(
    locate_table: Callable[[GroupSpec], str], online: OnlineStore | None
) -> GroupReader:
    """The rows* of a group by the SQL's session: those of its newest version, or those of an online store, which are read eagerly."""

    def read_rows(session: SparkSession, group: GroupSpec) -> DataFrame:
        if online is not None:
            return session.createDataFrame(online_rows.read_online_rows(group, online))
        return group_rows.read_group(session, group, locate_table(group)).select(
            *(f"`{name}`" for name in group.types)
        )

    return read_rows


def _check_is_select(session: SparkSession, query: str) -> None:
    """Raise QueryError unless a text is one SELECT, which changes nothing."""
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
    if any(is_instance_of(session.sparkContext._gateway, plan, name) for name in _WRITING_PLANS):
        return True
    children = plan.children()
    return any(_has_write(session, children.apply(at)) for at in range(children.size()))
