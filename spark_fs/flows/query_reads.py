"""Read the rows of a query: from the tables or the online store, all of them or some."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spark_fs.base.dataframes import convert_table
from spark_fs.base.times import Interval
from spark_fs.engine.engines import Engines
from spark_fs.flows import head, read
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.read import Frames
from spark_fs.planning.plan import JoinPlan

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = "rows"  # the only split of what is bounded by time


@dataclass(frozen=True)
class QueryRead:
    """A plan and what reads it.

    frames: the rows of groups that are not read from their tables. limit: how many rows are read
    at most; None: all.
    """

    stores: ProjectStores
    engines: Engines
    plan: JoinPlan
    frames: Frames
    limit: int | None = None

    def from_online(self) -> QueryRead:
        """The same of the rows that are online, which are loaded eagerly."""
        from spark_fs.flows.online_rows import load_online_plan

        plan, frames = load_online_plan(self.plan, self.stores.online, self.frames)
        return replace(self, plan=plan, frames=frames)

    def since(self, version: int) -> QueryRead:
        """The same of the rows alone that were written after a version."""
        from spark_fs.flows.changed_rows import load_changed_plan

        table = self.stores.open_table(self.plan.spine)
        plan, frames = load_changed_plan(self.plan, table, version)
        return replace(self, plan=plan, frames=frames)

    def within(self, interval: Interval) -> QueryRead:
        """The same of the spine's rows alone whose event times lie in an interval."""
        if interval == Interval():
            return self
        return replace(self, plan=self.plan.with_splits({_ROWS: interval}))

    def with_unmatched(self) -> QueryRead:
        """The same with the rows that right and outer joins add, which are read eagerly."""
        from spark_fs.planning.outer_joins import has_outer_joins

        if not has_outer_joins(self.plan):
            return self
        from spark_fs.flows.outer_rows import load_outer_plan

        plan, frames = load_outer_plan(self.engines, self.plan, self.stores.find_table, self.frames)
        return replace(self, plan=plan, frames=frames)

    def read(self, dataframe_type: str, strategy: str | None) -> Any:
        """The rows, as Spark's DataFrame* or eagerly as another frame."""
        dataframe_type = read.resolve_dataframe_type(dataframe_type)
        is_spark = dataframe_type == "spark"
        if self.limit is not None and not is_spark:
            return convert_table(self.read_first_rows(self.limit), dataframe_type)
        rows = read.read_query(
            self.engines,
            self.plan,
            self.stores.find_table,
            dataframe_type,
            strategy=strategy,
            frames=self.frames,
        )
        return rows if self.limit is None else rows.limit(self.limit)

    def read_first_rows(self, count: int) -> pa.Table:
        """So many rows at most, eagerly."""
        if self.limit is not None:
            count = min(count, self.limit)
        return head.read_first_rows(
            self.engines, self.plan, self.stores.find_table, count, self.frames
        )
