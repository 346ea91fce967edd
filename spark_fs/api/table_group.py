"""A group that has a table of its own: its history and its storage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from spark_fs.api.feature import Feature
from spark_fs.api.group import Group
from spark_fs.api.group_declarations import to_column_specs
from spark_fs.api.query import Query
from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.tables.commits import Commit


@validate_arguments
class TableGroup(Group):
    """A group whose rows are a Delta table, with its history and its storage."""

    @property
    def location(self) -> str:
        """The folder or URI of the Delta table."""
        return self._stores.get_table_path(self._spec)

    @property
    def _table_path(self) -> str:
        """The location; NotFoundError where a table that was begun is lost."""
        return self._stores.find_table(self._spec)

    @property
    def partition_key(self) -> list[str]:
        """The columns, or grains of the event time, that partition the table."""
        return list(self._spec.partition_key)

    # -- rows out

    def head(self, n: int = 20, engine: str | None = None) -> pd.DataFrame:
        """Read n rows of the newest commit, eagerly, as pandas, in no order.

        Without Spark where files can be read as they are; ``engine`` is as in ``read``.
        """
        import pandas as pd

        from spark_fs.base.pandas_frames import to_pandas

        if not self.spec.features:
            return pd.DataFrame()
        return to_pandas(self.select_all()._read_first_rows(n, engine))

    if TYPE_CHECKING:

        @overload
        def read_quarantine(self, dataframe_type: Literal["spark"] = ...) -> DataFrame: ...
        @overload
        def read_quarantine(self, dataframe_type: Literal["pandas"]) -> pd.DataFrame: ...
        @overload
        def read_quarantine(self, dataframe_type: str) -> Any: ...

    def read_quarantine(self, dataframe_type: str = "spark") -> pd.DataFrame | DataFrame:
        """Read the rows that expectations set aside: lazily ("spark"), or eagerly as "pandas".

        They have the group's columns, ``_ingested_at`` (UTC) and ``_reason``.
        """
        from spark_fs.flows import group_rows, spark_reads

        rows = group_rows.read_quarantine(self._stores.open_table(self.spec))
        frame: pd.DataFrame | DataFrame = spark_reads.collect_frame(rows, dataframe_type)
        return frame

    # -- history

    def as_of(self, when: Instant | int | Commit) -> Query:
        """Select every column as the group was at an instant (UTC), a version or a commit, lazily.

        An instant stands for the newest commit at or before it; commits are those of
        ``commit_details``. Starts no JVM. Raises NotFoundError for a version that does not exist
        and for an instant before the first commit.
        """
        return self.select_all().as_of(when)

    if TYPE_CHECKING:

        @overload
        def read_changes(
            self,
            start: Instant | int | Commit | None = ...,
            end: Instant | int | Commit | None = ...,
            dataframe_type: Literal["spark"] = ...,
        ) -> DataFrame: ...
        @overload
        def read_changes(
            self,
            start: Instant | int | Commit | None = ...,
            end: Instant | int | Commit | None = ...,
            *,
            dataframe_type: Literal["pandas"],
        ) -> pd.DataFrame: ...
        @overload
        def read_changes(
            self,
            start: Instant | int | Commit | None,
            end: Instant | int | Commit | None,
            dataframe_type: Literal["pandas"],
        ) -> pd.DataFrame: ...
        @overload
        def read_changes(
            self,
            start: Instant | int | Commit | None = ...,
            end: Instant | int | Commit | None = ...,
            dataframe_type: str = ...,
        ) -> Any: ...

    def read_changes(
        self,
        start: Instant | int | Commit | None = None,
        end: Instant | int | Commit | None = None,
        dataframe_type: str = "spark",
    ) -> pd.DataFrame | DataFrame:
        """Read what happened after ``start``, up to ``end`` and with it.

        ``as_of(start)`` with these changes made is ``as_of(end)``.

        Args:
            start: An instant (UTC), a version or a commit, excluded; None: before the first commit.
            end: An instant (UTC), a version or a commit, included; None: the newest commit.
            dataframe_type: "spark" (a lazy DataFrame), or "pandas" (eagerly).

        Returns:
            The group's columns, ``_ingested_at``, ``_change_type`` ("insert", "update_preimage",
            "update_postimage" or "delete"), ``_commit_version`` and ``_commit_timestamp``; times
            are UTC.

        Raises:
            NotFoundError: A version that does not exist, or an instant before the first commit.
            SettingsError: ``end`` lies before ``start``.
        """
        from spark_fs.flows import group_rows, spark_reads

        changes = group_rows.read_changes(self._stores.open_table(self.spec), start, end)
        frame: pd.DataFrame | DataFrame = spark_reads.collect_frame(changes, dataframe_type)
        return frame

    def commit_details(self, limit: int = 10) -> list[Commit]:
        """Return the newest commits, the newest first. Starts no JVM.

        Each has its version, instant (UTC), operation and numbers of rows.
        """
        from spark_fs.tables.table_log import open_log

        return open_log(self._table_path).list_commits(limit)

    # -- schema and storage

    def append_features(self, features: Feature | Sequence[Feature]) -> Self:
        """Add columns at the end, eagerly, and return the group; present rows hold nulls in them.

        Raises SchemaError for a name that is taken or a type that does not exist, with each; then
        nothing is added.
        """
        from spark_fs.flows import maintain

        added = to_column_specs([features] if isinstance(features, Feature) else features)
        maintain.append_features(self._stores.open_table(self._reload_spec()), added, self._stores)
        return self._update_spec(lambda spec: spec.with_features(added))

    def optimize(
        self,
        full: bool = False,
        strategy: str | None = None,
        columns: Sequence[str] = (),
        rewrite_all: bool | None = None,
        target_file_size_mb: int | None = None,
        where: str | None = None,
    ) -> Job:
        """Rewrite small files into large ones, eagerly; no row changes.

        They are clustered by the primary key and the event time. Each argument is taken for
        Hopsworks' sake, and named in a warning.

        Args:
            full: Taken for Hopsworks' sake, and so are the others.
            strategy: How files are laid out.
            columns: What they are laid out by.
            rewrite_all: Whether large files are rewritten too.
            target_file_size_mb: How large files are to be.
            where: Which rows are looked at.

        Returns:
            The job.
        """
        from spark_fs.flows import maintain

        given: dict[str, Any] = {"full": full, "strategy": strategy, "columns": columns}
        given |= {"rewrite_all": rewrite_all, "target_file_size_mb": target_file_size_mb}
        given["where"] = where
        reason = "small files of the whole table are clustered by its key and event time"
        warn_of_arguments("optimize", given, reason)
        return maintain.optimize_table(self._stores.open_table(self.spec))

    def delta_vacuum(self, retention_hours: float | None = None) -> Job:
        """Delete the files that only old versions need, eagerly, as ``vacuum`` does.

        Args:
            retention_hours: Versions older than this many hours are given up; None: 168.

        Returns:
            The job.
        """
        return self.vacuum(168 if retention_hours is None else retention_hours)

    def vacuum(self, retention_hours: float = 168, force: bool = False) -> Job:
        """Delete the files that only old versions need, eagerly; ``as_of`` these versions ends.

        Args:
            retention_hours: Versions older than this many hours are given up.
            force: Whether to go on against the warnings below; nothing else may use the group then.

        Returns:
            The job.

        Raises:
            SettingsError: Less than 24 hours, which an insert or a reader beside it may need; or
                training datasets in memory or feature views, which it names, read such a version.
        """
        from spark_fs.flows import maintain

        readers = {} if force else self._stores.catalog.find_pinned_versions(self._spec.ref)
        return maintain.vacuum_table(
            self._stores.open_table(self.spec), retention_hours, readers, force
        )
