"""Rows of a query: read at the newest or at fixed Delta versions, as Spark's frames or pandas'."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pandas as pd
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.pandas_frames import to_pandas
from spark_fs.engine.join.explain import describe_plan
from spark_fs.engine.join.strategy import choose_strategy, to_dataframe
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows import group_rows
from spark_fs.planning.plan import JoinPlan, PlanNode
from spark_fs.redact import get_safe_cause
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import GroupRef
from spark_fs.tables.delta import history
from spark_fs.tables.delta.commands import find_root_cause

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
    """The rows of the plan, of the newest tables or of these versions of them, as Spark's DataFrame* or eagerly as pandas.

    An ``as_of`` of the plan comes first. frames: the rows of the plan's spine, where it is a
    DataFrame.
    """
    sources = list_sources(lambda: spark, plan, locate_table, versions or {}, frames or {})
    choice = choose_strategy(plan, sources, strategy)
    if dataframe_type == "spark":
        return to_dataframe(spark, plan, sources, choice)
    with open_shared_folder(spark) as folder:
        return collect_frame(to_dataframe(spark, plan, sources, choice, folder), dataframe_type)


@contextmanager
def open_shared_folder(spark: SparkSession) -> Iterator[str | None]:
    """A new folder that the driver and every worker see, for as long as the block runs; None on a cluster."""
    if not (spark.sparkContext.master or "").startswith("local"):
        yield None
        return
    place = spark.sparkContext.getConf().get("spark.local.dir", "") or ""
    with TemporaryDirectory(
        prefix="spark_fs-", dir=place.split(",")[0] or None, ignore_cleanup_errors=True
    ) as folder:
        yield folder


def explain_plan(
    get_spark: Callable[[], SparkSession],
    plan: JoinPlan,
    locate_table: TableLocator,
    strategy: str | None,
) -> str:
    """How the plan would be run now, in words; it takes no Spark."""
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
        version = node.as_of if node.as_of is not None else versions.get(node.group.ref)
        files = None if node.group.source else history.list_data_files(path, version)
        every = plan.as_known and node.match != "spine"
        return NodeSource(
            lambda: group_rows.read_group(get_spark(), node.group, path, version, every), files
        )

    return [make_source(node) for node in plan.nodes]


def get_current_versions(plan: JoinPlan, locate_table: TableLocator) -> dict[GroupRef, int]:
    """The newest Delta version of each group of the plan that has no ``as_of``; external groups have no versions."""
    free = (node.group for node in plan.nodes if node.as_of is None and not node.group.source)
    return {group.ref: history.get_current_version(locate_table(group)) for group in free}


def collect_frame(frame: DataFrame, dataframe_type: str) -> Frame:
    """The frame as it is, or eagerly as pandas (times as UTC instants)."""
    if dataframe_type == "spark":
        return frame
    if dataframe_type == "pandas":
        with translate_spark_errors():
            return to_pandas(frame.toArrow())
    raise SettingsError(f"dataframe_type {dataframe_type!r} is not known: use 'spark' or 'pandas'.")


@contextmanager
def translate_spark_errors() -> Iterator[None]:
    """Say what went wrong in one line."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise SparkFSError(
            f"The rows could not be read: {find_root_cause(error)}"
        ) from get_safe_cause(error)
