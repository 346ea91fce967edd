"""Read the rows of a query, of the newest or of fixed Delta versions, by Spark or as pandas."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, overload

import pandas as pd
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.pandas_frames import to_pandas
from spark_fs.engine.join.explain import describe_plan
from spark_fs.engine.join.spark_execution import to_dataframe
from spark_fs.engine.join.strategy import choose_strategy
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.engine.spark_runner import SparkRunner
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows import group_rows
from spark_fs.planning.plan import JoinPlan, PlanNode
from spark_fs.redact import get_safe_cause
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.tables.spark_errors import find_root_cause
from spark_fs.tables.table import open_table
from spark_fs.tables.table_log import open_log

Frame = DataFrame | pd.DataFrame
Frames = Mapping[GroupRef, DataFrame]
TableLocator = Callable[[GroupSpec], str]


def read_query(
    spark: SparkSession,
    plan: JoinPlan,
    locate_table: TableLocator,
    dataframe_type: str,
    versions: Mapping[GroupRef, int] | None = None,
    strategy: str | None = None,
    frames: Frames | None = None,
) -> Frame:
    """The rows of the plan, as Spark's DataFrame* or eagerly as pandas.

    Args:
        spark: The session that reads.
        plan: What is read.
        locate_table: Where the table of a group is.
        dataframe_type: "spark" or "pandas".
        versions: The Delta version of each group; None, or a group that is left out: the newest.
            An ``as_of`` of the plan comes first.
        strategy: How groups are joined; None: the one that suits each.
        frames: The rows of the plan's spine, where it is a DataFrame.
    """
    sources = list_sources(lambda: spark, plan, locate_table, versions or {}, frames or {})
    choice = choose_strategy(plan, sources, strategy)
    runner = SparkRunner(spark)
    if dataframe_type == "spark":
        return to_dataframe(runner, plan, sources, choice)
    with runner.open_shared_folder() as folder:
        frame = to_dataframe(runner, plan, sources, choice, folder)
        return collect_frame(frame, dataframe_type)


def explain_plan(
    get_spark: Callable[[], SparkSession],
    plan: JoinPlan,
    locate_table: TableLocator,
    strategy: str | None,
) -> str:
    """How the plan would be run now, in words; no Spark is needed."""
    sources = list_sources(get_spark, plan, locate_table, {}, {})
    return describe_plan(plan, choose_strategy(plan, sources, strategy))


def list_sources(
    get_spark: Callable[[], SparkSession],
    plan: JoinPlan,
    locate_table: TableLocator,
    versions: Mapping[GroupRef, int],
    frames: Frames,
) -> list[NodeSource]:
    """Where the rows of each node are; no session is made before one is read."""

    def make_source(node: PlanNode) -> NodeSource:
        if node.group.is_dataframe:
            return NodeSource(lambda: frames[node.group.ref])
        path = locate_table(node.group)
        version = node.as_of
        if version is None:
            version = versions.get(node.group.ref)
        files = None
        if not node.group.source:
            files = open_log(path, version).list_files()
        with_duplicates = plan.as_known and node.match != "spine"

        def read_frame() -> DataFrame:
            table = open_table(node.group, path, get_spark)
            return group_rows.read_group(table, version, with_duplicates)

        return NodeSource(read_frame, files)

    return [make_source(node) for node in plan.nodes]


def get_current_versions(plan: JoinPlan, locate_table: TableLocator) -> dict[GroupRef, int]:
    """The newest Delta version of each group of the plan that has no ``as_of``.

    External groups have no versions.
    """
    versions = {}
    for node in plan.nodes:
        if node.as_of is None and not node.group.source:
            path = locate_table(node.group)
            versions[node.group.ref] = open_log(path).version
    return versions


def check_dataframe_type(dataframe_type: str) -> None:
    """Raise SettingsError unless it is "spark" or "pandas"."""
    if dataframe_type not in ("spark", "pandas"):
        raise SettingsError(
            f"dataframe_type {dataframe_type!r} is not known: use 'spark' or 'pandas'."
        )


@overload
def collect_frame(frame: DataFrame, dataframe_type: Literal["pandas"]) -> pd.DataFrame: ...
@overload
def collect_frame(frame: DataFrame, dataframe_type: str) -> Frame: ...
def collect_frame(frame: DataFrame, dataframe_type: str) -> Frame:
    """The frame as it is, or eagerly as pandas (times as UTC instants)."""
    check_dataframe_type(dataframe_type)
    if dataframe_type == "spark":
        return frame
    with translate_spark_errors():
        return to_pandas(frame.toArrow())


@contextmanager
def translate_spark_errors() -> Iterator[None]:
    """Say what went wrong in one line."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        message = f"The rows could not be read: {find_root_cause(error)}"
        raise SparkFSError(message) from get_safe_cause(error)
