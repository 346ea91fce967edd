"""When a row was ingested: the hidden column of every table, and the newest row of an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_fs.spec.feature_group import GroupSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INGESTED_AT = "_ingested_at"


def keep_latest_ingested(rows: DataFrame, group: GroupSpec, ingested_column: str) -> DataFrame:
    """The rows*, of each identity the one ingested last."""
    from pyspark.sql import functions as F

    newest: Any = F.max_by(F.struct("*"), F.col(ingested_column)).alias("__row")
    return rows.groupBy(*group.identity).agg(newest).select("__row.*")
