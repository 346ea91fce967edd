"""Queries as a user writes them: values, which run only when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from spark_fs.api.feature import Filter, extract_condition
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.text_tables import print_rows
from spark_fs.errors import QueryError, SettingsError
from spark_fs.spec.names import GroupRef, check_name
from spark_fs.spec.query import JoinSpec, JoinType, QuerySpec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from spark_fs.api.spine import Spine
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.read import Frames
    from spark_fs.planning.plan import JoinPlan
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.tables.commits import Commit


@validate_arguments
class Query:
    """Columns of a feature group, with other groups joined to it point-in-time.

    A query is a value: each method that changes it returns a new one.
    """

    def __init__(self, stores: Stores, spec: QuerySpec, spine: Spine | None = None) -> None:
        self._stores = stores
        self.spec = spec
        self._spine = spine

    def __repr__(self) -> str:
        return f"Query of {', '.join(ref.name for ref in self.spec.iter_groups())}"

    def join(
        self,
        sub_query: Query,
        on: Sequence[str] | None = None,
        left_on: Sequence[str] | None = None,
        right_on: Sequence[str] | None = None,
        join_type: JoinType = "left",
        prefix: str | None = None,
    ) -> Query:
        """Join another query to the leftmost group, lazily.

        Each row of the leftmost group, the spine, is matched point-in-time with a row of the joined
        group: same key, and the greatest event time that is not after the spine's. A group without
        event time is matched by key. Of an aggregation, whose ``select_all`` gives a query, each
        window is computed at the row's own event time. A key or event time of the joined group is
        left out of the result where a column before it has its name.

        Args:
            sub_query: The query to join; it may hold joins of its own, but no spine.
            on: The key columns, under the same names on both sides; None, without left_on: those
                that the two primary keys share by name.
            left_on: The key columns of the leftmost group, with right_on.
            right_on: Their partners in the joined group, in the same order.
            join_type: "left" keeps exactly the spine's rows, "inner" drops the unmatched. The
                windows of an aggregation are there for every row, so it has no say in them.
            prefix: What the names of the joined columns begin with in the result.

        Returns:
            A new query.

        Raises:
            SettingsError: Both on and left_on or right_on are given.
            QueryError: The joined query begins with a spine, or is of another feature store.
            InvalidNameError: The prefix is not in lower snake case.
        """
        if on is not None and (left_on is not None or right_on is not None):
            raise SettingsError(
                "A join takes either on=[...] or left_on=[...] with right_on=[...], not both."
            )
        if sub_query.spine is not None:
            raise QueryError(
                "A spine is joined to another query, and it can only stand leftmost: begin the"
                " query with it."
            )
        self._stores.check_same_store(sub_query._stores, f"{sub_query!r}, which is to be joined,")
        if prefix:
            check_name("Prefix", prefix)
        left = _to_column_tuple(on or left_on)
        right = _to_column_tuple(on or right_on)
        join = JoinSpec(sub_query.spec, left, right, join_type, prefix or "")
        return self._with_spec(self.spec.with_join(join))

    def filter(self, cond: Filter) -> Query:
        """Keep the rows that satisfy a condition, lazily.

        A condition on one group's query filters its rows before it is joined; one on the whole
        query filters the result. Raises QueryError for what is not a condition, and for a column of
        another feature store.
        """
        if not isinstance(cond, Filter):
            raise QueryError(f"A filter takes a condition such as fg['amount'] > 5, not {cond!r}.")
        return self._with_spec(self.spec.with_filter(extract_condition(self._stores, cond)))

    def as_of(self, when: Instant | int | Commit) -> Query:
        """Query the groups as they were at an instant (UTC), lazily; starts no JVM.

        The instant stands for the newest commit at or before it. A query of one group takes a
        version or a commit too. A group that has an ``as_of`` of its own keeps it; a feature view
        keeps them all.

        Raises NotFoundError for a version that does not exist and for an instant before the first
        commit, SettingsError for a version in a query of several groups, QueryError for an external
        group, which has no history.
        """
        from spark_fs.tables.commits import Commit
        from spark_fs.tables.table_log import open_log

        if self.spec.joins and isinstance(when, int | Commit):
            raise SettingsError(
                f"as_of({when!r}) names a version of one table and the query joins several: give an"
                " instant."
            )
        groups = self._load_groups()

        def find_version(ref: GroupRef) -> int | None:
            group = groups[ref]
            if group.is_dataframe:
                return None
            if group.source:
                raise QueryError(
                    f"External feature group {group} has no history of commits: leave as_of to the"
                    " other groups."
                )
            return open_log(self._stores.find_table(group)).resolve_version(when)

        return self._with_spec(self.spec.pin_versions(find_version))

    def as_known(self) -> Query:
        """Match a row only where it had been ingested by the spine's event time, lazily.

        This is the bitemporal join: it looks at transaction time beside valid time. So a row that
        came late, or was corrected later, does not leak into training data: each feature has the
        value that the store would have given at that instant.

        A group keeps what a later upsert corrects when it was made with ``keep_corrections=True``;
        of any other only the newest value is left, known from its own ingestion. Rows of external
        groups count as always known. Reading raises QueryError when the spine has no event time, or
        when a group that keeps several versions of a row is filtered.
        """
        from dataclasses import replace

        return self._with_spec(replace(self.spec, as_known=True))

    if TYPE_CHECKING:

        @overload
        def read(
            self,
            dataframe_type: Literal["spark"],
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> DataFrame: ...
        @overload
        def read(
            self,
            dataframe_type: Literal["pandas"],
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> pd.DataFrame: ...
        @overload
        def read(
            self,
            dataframe_type: str = ...,
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> Any: ...

    def read(
        self,
        dataframe_type: str = "default",
        strategy: str | None = None,
        engine: str | None = None,
    ) -> Any:
        """Read the rows: lazily as a Spark DataFrame, or eagerly as another frame.

        Eagerly they come in the order of the spine's event time, then its key.

        Args:
            dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default": "spark"
                where a Spark session is active in this process, else "pandas".
            strategy: How the join is run: "columnar", "broadcast" or "sql"; None: the best is
                chosen, as ``explain`` tells. The rows are the same.
            engine: Which engine reads what does not come as a Spark DataFrame: "local" (threads
                of this process), "spark", or "auto": local where it can; None: the setting
                ``engine``.

        Returns:
            The rows; times are UTC.

        Raises:
            SettingsError: A dataframe_type, strategy or engine that does not exist, or that cannot
                run this query.
        """
        from spark_fs.flows import read as flows_read

        plan = self.plan()
        frames = self._list_frames()
        return flows_read.read_query(
            self._stores.engines.with_request(engine),
            plan,
            self._stores.find_table,
            dataframe_type,
            strategy=strategy,
            frames=frames,
        )

    def show(self, n: int = 20, engine: str | None = None) -> list[list[Any]]:
        """Print n rows, eagerly, and return their values; ``engine`` is as in ``read``.

        Of a whole group they come in no order, and no more of it is read.
        """
        return print_rows(self._read_first_rows(n, engine))

    def _read_first_rows(self, count: int, engine: str | None) -> pa.Table:
        from spark_fs.flows.head import read_first_rows

        frames = self._list_frames()
        engines = self._stores.engines.with_request(engine)
        return read_first_rows(engines, self.plan(), self._stores.find_table, count, frames)

    def to_string(self) -> str:
        """Return the SQL that the query stands for, with every rule of each match; starts no JVM.

        A time without a zone is UTC in it.
        """
        from spark_fs.planning.sql_text import to_sql

        return to_sql(self.plan())

    def explain(self, strategy: str | None = None, engine: str | None = None) -> None:
        """Print how the query would be run now; ``strategy`` and ``engine`` are as in ``read``.

        It shows the spine, each match rule, how many files are read of how many, and which strategy
        and engine is taken and why. Starts no JVM, since it looks at the logs of the tables alone.
        """
        from spark_fs.flows import read as flows_read

        explanation = flows_read.explain_plan(
            self._stores.engines.with_request(engine),
            self.plan(),
            self._stores.find_table,
            strategy,
            self._list_frames(),
        )
        print(explanation)

    def _list_frames(self) -> Frames:
        """The rows of the spine, where there is one, by the group that they stand for."""
        return {self._spine.spec.ref: self._spine.rows} if self._spine else {}

    def plan(self) -> JoinPlan:
        """Bind the query to the schemas of its groups; raises QueryError or NotFoundError."""
        from spark_fs.planning.bind import bind_query

        return bind_query(self.spec, self._load_groups())

    @property
    def spine(self) -> Spine | None:
        """The DataFrame that stands leftmost; None where a feature group does."""
        return self._spine

    def _load_groups(self) -> dict[GroupRef, GroupSpec]:
        spine = {self._spine.spec.ref: self._spine.spec} if self._spine else {}
        refs = (ref for ref in self.spec.iter_groups() if ref not in spine)
        return self._stores.catalog.get_groups(refs) | spine

    def _with_spec(self, spec: QuerySpec) -> Query:
        return Query(self._stores, spec, self._spine)


def _to_column_tuple(names: Sequence[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)
