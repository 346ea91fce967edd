"""A DataFrame as the left side of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from spark_fs.api.query import Feature, Query, find_feature
from spark_fs.base.arguments import validate_arguments
from spark_fs.spec.external_source import FRAME, SourceSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import QuerySpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_fs.api.stores import Stores


@validate_arguments
class Spine:
    """Keys, event times and whatever columns a request brings, as the left side of a query. It is kept nowhere."""

    def __init__(
        self, stores: Stores, df: Any, primary_key: Sequence[str], event_time: str | None
    ) -> None:
        from spark_fs.tables import frames
        from spark_fs.tables.event_times import check_epochs

        self._stores = stores
        self.frame: DataFrame = frames.to_spark(stores.spark, df, {})
        given = GroupSpec(
            f"spine_{uuid4().hex[:12]}",
            1,
            primary_key=tuple(primary_key),
            event_time=event_time,
            source=SourceSpec(FRAME, "a DataFrame"),
        )
        self.spec = given.with_schema(frames.get_feature_types(self.frame))
        if event_time:
            self.frame = self.frame.withColumn(
                event_time,
                check_epochs(self.frame[event_time], self.spec.types[event_time], event_time),
            )

    def __repr__(self) -> str:
        return f"Spine of {', '.join(self.spec.types)}"

    def __getitem__(self, name: str) -> Feature:
        return find_feature(self._stores, self.spec.ref, self.spec.types, name)

    def select_all(self) -> Query:
        """A query of every column*."""
        return Query(self._stores, QuerySpec(self.spec.ref, tuple(self.spec.types)), self)

    def select(self, features: Sequence[str]) -> Query:
        """A query of these columns*; NotFoundError with the nearest names for one that does not exist."""
        for name in features:
            find_feature(self._stores, self.spec.ref, self.spec.types, name)
        return Query(self._stores, QuerySpec(self.spec.ref, tuple(features), explicit=True), self)
