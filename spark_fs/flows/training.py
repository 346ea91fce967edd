"""Training data of a feature view: read at fixed Delta versions, split by event time, recorded."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.engine.compile import compile_plan
from spark_fs.engine.layout import latest_ingested
from spark_fs.errors import SettingsError
from spark_fs.offline import delta, history
from spark_fs.plan import SPLIT, JoinPlan
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import GroupRef
from spark_fs.times import Interval

Frame = DataFrame | pd.DataFrame
Location = Callable[[GroupSpec], str]


def read(spark: SparkSession, plan: JoinPlan, location: Location, versions: Mapping[GroupRef, int] | None = None) -> DataFrame:
    """The rows of the plan*, of the newest tables or of these versions of them."""

    def rows(group: GroupSpec) -> DataFrame:
        table = delta.read(spark, location(group), versions[group.ref] if versions else None)
        return latest_ingested(table, group, delta.INGESTED_AT) if group.vouched else table

    return compile_plan(plan, rows)


def current_versions(plan: JoinPlan, location: Location) -> dict[GroupRef, int]:
    """The newest Delta version of each group of the plan."""
    return {node.group.ref: history.current_version(location(node.group)) for node in plan.nodes}


def check_splits(splits: Mapping[str, Interval]) -> None:
    """SettingsError unless each split follows the one before it without overlap."""
    named = list(splits.items())
    for (first, before), (second, after) in pairwise(named):
        if before.overlaps(after):
            raise SettingsError(
                f"The {first} split {before} and the {second} split {after} overlap: a row would be in both. "
                f"Let {second} start at or after the end of {first}."
            )


def collect(frame: DataFrame, dataframe_type: str) -> Frame:
    """The frame as it is, or eagerly as pandas (times as UTC instants)."""
    if dataframe_type == "spark":
        return frame
    if dataframe_type == "pandas":
        return _zoned(frame)
    raise SettingsError(f"dataframe_type {dataframe_type!r} is not known: use 'spark' or 'pandas'.")


def collect_splits(frame: DataFrame, splits: Iterable[str], dataframe_type: str) -> list[Frame]:
    """The rows of each split, as Spark frames*, or eagerly as pandas from one run of the join."""
    whole = collect(frame, dataframe_type)
    if isinstance(whole, pd.DataFrame):
        return [whole[whole[SPLIT] == name].drop(columns=SPLIT).reset_index(drop=True) for name in splits]
    return [whole.filter(F.col(SPLIT) == name).drop(SPLIT) for name in splits]


def _zoned(frame: DataFrame) -> pd.DataFrame:
    found = frame.toPandas()
    for name, type_ in frame.dtypes:
        if type_ == "timestamp":
            found[name] = found[name].dt.tz_localize("UTC")
    return found

