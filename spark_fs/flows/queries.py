"""Rows of a query: read at the newest or at fixed Delta versions, as Spark's frames or pandas'."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pandas as pd
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_fs.engine.explain import explain
from spark_fs.engine.reads import Source
from spark_fs.engine.strategy import choose, compiled
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows import rows
from spark_fs.frames import to_pandas
from spark_fs.offline import history
from spark_fs.offline.delta import reason
from spark_fs.plan import JoinPlan, Node
from spark_fs.redact import without_secrets
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import GroupRef

Frame = DataFrame | pd.DataFrame
Frames = Mapping[GroupRef, DataFrame]
Location = Callable[[GroupSpec], str]


def read(
    spark: SparkSession, plan: JoinPlan, location: Location, dataframe_type: str, versions: Mapping[GroupRef, int] | None = None,
    strategy: str | None = None, frames: Frames | None = None,
) -> Frame:
    """The rows of the plan, of the newest tables or of these versions of them, as Spark's DataFrame* or eagerly as pandas.

    An ``as_of`` of the plan comes first. frames: the rows of the plan's spine, where it is a DataFrame.
    """
    sources = rows_of(lambda: spark, plan, location, versions or {}, frames or {})
    choice = choose(plan, sources, strategy)
    if dataframe_type == "spark":
        return compiled(spark, plan, sources, choice)
    with shared_folder(spark) as folder:
        return collect(compiled(spark, plan, sources, choice, folder), dataframe_type)


@contextmanager
def shared_folder(spark: SparkSession) -> Iterator[str | None]:
    """A new folder that the driver and every worker see, for as long as the block runs; None on a cluster."""
    if not (spark.sparkContext.master or "").startswith("local"):
        yield None
        return
    place = spark.sparkContext.getConf().get("spark.local.dir", "") or ""
    with TemporaryDirectory(prefix="spark_fs-", dir=place.split(",")[0] or None, ignore_cleanup_errors=True) as folder:
        yield folder


def explained(spark: Callable[[], SparkSession], plan: JoinPlan, location: Location, strategy: str | None) -> str:
    """How the plan would be run now, in words; it takes no Spark."""
    sources = rows_of(spark, plan, location, {}, {})
    return explain(plan, choose(plan, sources, strategy))


def rows_of(
    spark: Callable[[], SparkSession], plan: JoinPlan, location: Location, versions: Mapping[GroupRef, int], frames: Frames
) -> list[Source]:
    """Where the rows of each node are; no session is made before one is read."""

    def source(node: Node) -> Source:
        if node.group.is_frame:
            return Source(lambda: frames[node.group.ref])
        path = location(node.group)
        version = node.as_of if node.as_of is not None else versions.get(node.group.ref)
        files = None if node.group.source else history.data_files(path, version)
        every = plan.as_known and node.match != "spine"
        return Source(lambda: rows.opened(spark(), node.group, path, version, every), files)

    return [source(node) for node in plan.nodes]


def current_versions(plan: JoinPlan, location: Location) -> dict[GroupRef, int]:
    """The newest Delta version of each group of the plan that has no ``as_of``; external groups have no versions."""
    free = (node.group for node in plan.nodes if node.as_of is None and not node.group.source)
    return {group.ref: history.current_version(location(group)) for group in free}


def collect(frame: DataFrame, dataframe_type: str) -> Frame:
    """The frame as it is, or eagerly as pandas (times as UTC instants)."""
    if dataframe_type == "spark":
        return frame
    if dataframe_type == "pandas":
        with explained_errors():
            return to_pandas(frame.toArrow())
    raise SettingsError(f"dataframe_type {dataframe_type!r} is not known: use 'spark' or 'pandas'.")


@contextmanager
def explained_errors() -> Iterator[None]:
    """Say what went wrong in one line."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise SparkFSError(f"The rows could not be read: {reason(error)}") from without_secrets(error)
