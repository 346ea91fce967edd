"""A group that has a table of its own: its history and its storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from spark_fs.api.feature import Feature
from spark_fs.api.group import Group
from spark_fs.api.group_declarations import to_column_specs
from spark_fs.api.options import warn_of_options
from spark_fs.api.query import Query
from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.tables.commit_details import CommitDetails
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
        request = self.select_all()._request_read(engine=engine)
        return to_pandas(request.read_first_rows(n))

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

    def as_of(
        self,
        wallclock_time: Instant | Commit | None = None,
        exclude_until: Instant | Commit | None = None,
    ) -> Query:
        """Select every column as the group was at an instant (UTC), a version or a commit, lazily.

        An instant stands for the newest commit at or before it; commits are those of
        ``commit_details``. Starts no JVM.

        Args:
            wallclock_time: The instant, version or commit; None: now.
            exclude_until: Read the rows alone that were written after this instant, version or
                commit, as they were at the end; None: all rows.

        Returns:
            The query.

        Raises:
            NotFoundError: A version that does not exist, or an instant before the first commit.
            SettingsError: exclude_until lies after wallclock_time.
        """
        return self.select_all().as_of(wallclock_time, exclude_until)

    if TYPE_CHECKING:

        @overload
        def read_changes(
            self,
            start_wallclock_time: Instant | Commit | None,
            end_wallclock_time: Instant | Commit | None,
            read_options: Literal["pandas"],
        ) -> pd.DataFrame: ...
        @overload
        def read_changes(
            self,
            start_wallclock_time: Instant | Commit | None = ...,
            end_wallclock_time: Instant | Commit | None = ...,
            read_options: Mapping[str, Any] | None = ...,
            *,
            dataframe_type: Literal["spark"] = ...,
        ) -> DataFrame: ...
        @overload
        def read_changes(
            self,
            start_wallclock_time: Instant | Commit | None = ...,
            end_wallclock_time: Instant | Commit | None = ...,
            read_options: Mapping[str, Any] | None = ...,
            *,
            dataframe_type: Literal["pandas"],
        ) -> pd.DataFrame: ...
        @overload
        def read_changes(
            self,
            start_wallclock_time: Instant | Commit | None = ...,
            end_wallclock_time: Instant | Commit | None = ...,
            read_options: Mapping[str, Any] | str | None = ...,
            *,
            dataframe_type: str = ...,
        ) -> Any: ...

    def read_changes(
        self,
        start_wallclock_time: Instant | Commit | None = None,
        end_wallclock_time: Instant | Commit | None = None,
        read_options: Mapping[str, Any] | str | None = None,
        *,
        dataframe_type: str = "spark",
    ) -> pd.DataFrame | DataFrame:
        """Read what happened after one commit, up to another and with it.

        ``as_of(start)`` with these changes made is ``as_of(end)``. The rows alone that were
        written, as they were at the end, are ``as_of(end, exclude_until=start)``.

        Args:
            start_wallclock_time: An instant (UTC), a version or a commit, excluded; None: before
                the first commit.
            end_wallclock_time: An instant (UTC), a version or a commit, included; None: the newest
                commit.
            read_options: Taken for Hopsworks' sake, and named in a warning. A type of frame may
                stand in its place.
            dataframe_type: "spark" (a lazy DataFrame), or "pandas" (eagerly).

        Returns:
            The group's columns, ``_ingested_at``, ``_change_type`` ("insert", "update_preimage",
            "update_postimage" or "delete"), ``_commit_version`` and ``_commit_timestamp``; times
            are UTC.

        Raises:
            NotFoundError: A version that does not exist, or an instant before the first commit.
            SettingsError: The end lies before the start.
        """
        from spark_fs.flows import group_rows, spark_reads

        if isinstance(read_options, str):
            dataframe_type = read_options
        else:
            warn_of_options(read_options)
        table = self._stores.open_table(self.spec)
        start = None if start_wallclock_time == "" else start_wallclock_time
        end = None if end_wallclock_time == "" else end_wallclock_time
        changes = group_rows.read_changes(table, start, end)
        frame: pd.DataFrame | DataFrame = spark_reads.collect_frame(changes, dataframe_type)
        return frame

    def commit_details(
        self, wallclock_time: Instant | None = None, limit: int | None = None
    ) -> CommitDetails:
        """Return the commits, the newest first. Starts no JVM.

        Each has its version, instant (UTC), operation and numbers of rows. They are a list of
        commits that also answers as Hopsworks' dict: by a commit's ``id``, its milliseconds since
        1970, it gives "committedOn", "rowsUpdated", "rowsInserted" and "rowsDeleted".

        Args:
            wallclock_time: Up to which instant; None: all. A number too small for an instant is
                the limit.
            limit: How many at most; None: all.

        Returns:
            The commits.
        """
        from spark_fs.tables.commit_details import list_commit_details

        return list_commit_details(self._table_path, wallclock_time, limit)

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
