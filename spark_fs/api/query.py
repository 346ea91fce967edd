"""Queries as a user writes them: values, which run only when they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from spark_fs.api.feature import Feature, Filter, extract_condition, list_names
from spark_fs.api.options import warn_of_options
from spark_fs.api.query_contents import QueryContents
from spark_fs.base.arguments import make_argument_error, validate_arguments
from spark_fs.errors import QueryError, SettingsError
from spark_fs.spec.names import check_name
from spark_fs.spec.predicates import has_named_columns
from spark_fs.spec.query import JoinSpec, parse_join_type

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.base.times import Instant
    from spark_fs.flows.query_reads import QueryRead
    from spark_fs.tables.commits import Commit


@validate_arguments
class Query(QueryContents):
    """Columns of a feature group, with other groups joined to it point-in-time.

    A query is a value: each method that changes it returns a new one.
    """

    def join(
        self,
        sub_query: Query,
        on: str | Feature | Sequence[str | Feature] | None = None,
        left_on: str | Feature | Sequence[str | Feature] | None = None,
        right_on: str | Feature | Sequence[str | Feature] | None = None,
        join_type: str | None = "left",
        prefix: str | None = None,
    ) -> Self:
        """Join another query to the leftmost group, lazily.

        Each row of the leftmost group, the spine, is matched point-in-time with a row of the joined
        group: same key, and the greatest event time that is not after the spine's. A group without
        event time is matched by key. Of an aggregation, whose ``select_all`` gives a query, each
        window is computed at the row's own event time. A key or event time of the joined group is
        left out of the result where a column before it has its name.

        Args:
            sub_query: The query to join; it may hold joins of its own, but no spine.
            on: The key columns, under the same names on both sides; None or [], without left_on:
                those that the two primary keys share by name.
            left_on: The key columns of the leftmost group, with right_on.
            right_on: Their partners in the joined group, in the same order.
            join_type: "left" keeps exactly the spine's rows, "inner" drops the unmatched. "right"
                and "outer" (or "full") do so too, and add a row for each key and event time of the
                joined group that no row of the spine matched: it has these two and, as of then,
                what the joined groups say; such a query can only be read. The windows of an
                aggregation are there for every row, so it has no say in them.
            prefix: What the names of the joined columns begin with in the result. Without it a
                column whose name is taken already gets ``<group>_<version>_`` before it, and a
                warning when the query is read.

        Returns:
            A new query.

        Raises:
            SettingsError: Both on and left_on or right_on are given.
            QueryError: The joined query begins with a spine, or is of another feature store.
            InvalidNameError: The prefix is not in lower snake case.
        """
        if on and (left_on or right_on):
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
        kind = parse_join_type(join_type)
        join = JoinSpec(sub_query.spec, left, right, kind, prefix or "")
        return self._with_spec(self._spec.with_join(join))

    def filter(self, f: Filter) -> Self:
        """Keep the rows that satisfy a condition, lazily.

        A condition on one group's query filters its rows before it is joined; one on the whole
        query filters the result. A column that is named alone, as in ``Feature("amount") > 5``, is
        looked for among those of the query. Raises QueryError for what is not a condition, and for
        a column of another feature store; NotFoundError for a column that does not exist.
        """
        condition = extract_condition(self._stores, f)
        if has_named_columns(condition):
            condition = self._bind().bind_condition(condition)
        return self._with_spec(self._spec.with_filter(condition))

    def limit(self, n: int) -> Self:
        """Read n rows at most, lazily, in no order.

        It applies to the result, whatever is joined or filtered after it. Such a query is for a
        look: it cannot be joined to another, nor be a feature view's.
        """
        if n < 0:
            raise make_argument_error("n", n, "a number of rows from 0 up")
        return self._copy(limit=n)

    def append_feature(self, feature: str | Feature) -> Self:
        """Select one more column of the leftmost group, lazily.

        Raises NotFoundError, with the nearest names, for a column that does not exist.
        """
        (name,) = list_names(feature)
        self._load_groups()[self._spec.group].get_column_type(name)
        if name in self._spec.columns:
            return self
        return self._with_spec(replace(self._spec, columns=(*self._spec.columns, name)))

    def as_of(
        self,
        wallclock_time: Instant | Commit | None = None,
        exclude_until: Instant | Commit | None = None,
    ) -> Self:
        """Query the groups as they were at an instant (UTC), lazily; starts no JVM.

        The instant stands for the newest commit at or before it. A query of one group takes a
        version or a commit too. It takes the place of each ``as_of`` before it, of the queries that
        are joined already too; a feature view keeps what is the last.

        Args:
            wallclock_time: The instant, version or commit; None: now.
            exclude_until: Of one group, read the rows alone that were written after this instant,
                version or commit, as they were at the end; rows that were deleted since are left
                out. Reading them takes Spark. None: all rows.

        Returns:
            A new query.

        Raises:
            NotFoundError: A version that does not exist, or an instant before the first commit.
            SettingsError: A version in a query of several groups, or an exclude_until that is not
                before wallclock_time.
            QueryError: An external group, which has no history; exclude_until with joins.
        """
        from spark_fs.flows.time_travel import find_excluded_version, pin_groups

        groups = self._load_groups()
        locate_table = self._stores.find_table
        when = None if wallclock_time == "" else wallclock_time
        spec = pin_groups(self._spec, groups, locate_table, when)
        if exclude_until is None or exclude_until == "":
            return self._copy(spec=spec, since=None)
        since = find_excluded_version(spec, groups, locate_table, exclude_until)
        return self._copy(spec=spec, since=since)

    def pull_changes(
        self, wallclock_start_time: Instant | Commit, wallclock_end_time: Instant | Commit
    ) -> Self:
        """Query what was written between two instants, as ``as_of`` does with ``exclude_until``.

        Args:
            wallclock_start_time: The instant (UTC) after which the rows were written.
            wallclock_end_time: The instant as of which they are read.
        """
        return self.as_of(wallclock_end_time, exclude_until=wallclock_start_time)

    def as_known(self) -> Self:
        """Match a row only where it had been ingested by the spine's event time, lazily.

        This is the bitemporal join: it looks at transaction time beside valid time. So a row that
        came late, or was corrected later, does not leak into training data: each feature has the
        value that the store would have given at that instant.

        A group keeps what a later upsert corrects when it was made with ``keep_corrections=True``;
        of any other only the newest value is left, known from its own ingestion. Rows of external
        groups count as always known. Reading raises QueryError when the spine has no event time, or
        when a group that keeps several versions of a row is filtered.
        """
        return self._with_spec(replace(self._spec, as_known=True))

    if TYPE_CHECKING:

        @overload
        def read(
            self,
            online: Literal["pandas"],
            *,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> pd.DataFrame: ...
        @overload
        def read(
            self,
            online: Literal["spark"],
            *,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> DataFrame: ...
        @overload
        def read(
            self,
            online: bool = ...,
            *,
            dataframe_type: Literal["pandas"],
            read_options: Mapping[str, Any] | None = ...,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> pd.DataFrame: ...
        @overload
        def read(
            self,
            online: bool = ...,
            *,
            dataframe_type: Literal["spark"],
            read_options: Mapping[str, Any] | None = ...,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> DataFrame: ...
        @overload
        def read(
            self,
            online: bool | str = ...,
            dataframe_type: str = ...,
            read_options: Mapping[str, Any] | None = ...,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            *,
            strategy: str | None = ...,
            engine: str | None = ...,
        ) -> Any: ...

    def read(
        self,
        online: bool | str = False,
        dataframe_type: str = "default",
        read_options: Mapping[str, Any] | None = None,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        *,
        strategy: str | None = None,
        engine: str | None = None,
    ) -> Any:
        """Read the rows: lazily as a Spark DataFrame, or eagerly as another frame.

        Eagerly they come in the order of the spine's event time, then its key.

        Args:
            online: Whether to read the latest rows of each key from the online store, joined by
                key alone. A type of frame may stand in its place.
            dataframe_type: "pandas", "polars", "arrow", "numpy", "python", "spark", or "default":
                "spark" where the caller has a Spark session, else "pandas".
            read_options: Taken for Hopsworks' sake, and named in a warning.
            start_time: The first event time of the spine's rows; None: no bound.
            end_time: The first event time behind them; None: no bound.
            strategy: How the join is run: "columnar", "broadcast" or "sql"; None: the best is
                chosen, as ``explain`` tells. The rows are the same.
            engine: Which engine reads what does not come as a Spark DataFrame: "local" (threads
                of this process), "spark", or "auto": local where it can; None: the setting
                ``engine``.

        Returns:
            The rows; times are UTC.

        Raises:
            SettingsError: A dataframe_type, strategy or engine that does not exist, or that cannot
                run this query; bounds of a spine without event time; online rows of a group that is
                not online_enabled.
            OnlineStoreError: Online rows of a group that was never synced.
        """
        warn_of_options(read_options)
        if isinstance(online, str):
            dataframe_type = online
            online = False
        request = self._request_read(online, start_time, end_time, engine)
        return request.read(dataframe_type, strategy)

    def show(self, n: int = 20, online: bool = False, *, engine: str | None = None) -> pd.DataFrame:
        """Print n rows, eagerly, and return them as pandas.

        Of a whole group they come in no order, and no more of it is read.

        Args:
            n: How many rows.
            online: As in ``read``.
            engine: As in ``read``.
        """
        from spark_fs.base.pandas_frames import to_pandas
        from spark_fs.base.text_tables import print_rows

        rows = self._request_read(online, engine=engine).read_first_rows(n)
        print_rows(rows)
        return to_pandas(rows)

    def _request_read(
        self,
        online: bool = False,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        engine: str | None = None,
    ) -> QueryRead:
        """What is to be read, from the tables or from the online store."""
        from spark_fs.base.times import Interval
        from spark_fs.flows.query_reads import QueryRead

        request = QueryRead(
            self._stores,
            self._stores.engines.with_request(engine),
            self._plan_read(),
            self._list_frames(),
            self._limit,
        )
        if online:
            request = request.from_online()
        if self._since is not None:
            request = request.since(self._since)
        request = request.with_unmatched()
        return request.within(Interval.from_bounds(start_time, end_time))

    def to_string(self, online: bool = False, arrow_flight: bool = False) -> str:  # noqa: ARG002 # as in Hopsworks
        """Return the SQL that the query stands for, with every rule of each match; starts no JVM.

        A time without a zone is UTC in it.

        Args:
            online: Taken for Hopsworks' sake; it changes nothing.
            arrow_flight: Likewise.
        """
        from spark_fs.planning.sql_text import to_sql

        text = to_sql(self._plan_read())
        return text if self._limit is None else f"{text}\nLIMIT {self._limit}"

    def explain(self, strategy: str | None = None, engine: str | None = None) -> None:
        """Print how the query would be run now; ``strategy`` and ``engine`` are as in ``read``.

        It shows the spine, each match rule, how many files are read of how many, and which strategy
        and engine is taken and why. Starts no JVM, since it looks at the logs of the tables alone.
        """
        from spark_fs.flows import read as flows_read

        explanation = flows_read.explain_plan(
            self._stores.engines.with_request(engine),
            self._plan_read(),
            self._stores.find_table,
            strategy,
            self._list_frames(),
        )
        print(explanation)


def _to_column_tuple(
    names: str | Feature | Sequence[str | Feature] | None,
) -> tuple[str, ...] | None:
    return tuple(list_names(names)) if names else None
