"""The groups of a feature store: declared, found, and served online."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_fs.api.declarations import build_group_spec, build_source
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature import Feature
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.versions import (
    check_same,
    check_same_aggregation,
    create_version,
    find_or_create,
)
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError

if TYPE_CHECKING:
    from spark_fs.api.aggregation import Aggregation
    from spark_fs.api.group import Group
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.verification import Verification

# What an existing group and the one that is asked for must agree on.
_DECLARED_FIELDS = (
    "description",
    "primary_key",
    "partition_key",
    "event_time",
    "online_enabled",
    "ttl_seconds",
    "parents",
    "source",
    "keep_corrections",
)


@validate_arguments
class GroupStore:
    """Feature groups by name and version."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def create_feature_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        partition_key: Sequence[str] = (),
        event_time: str | None = None,
        online_enabled: bool = False,
        statistics_config: Any = None,
        expectation_suite: Any = None,
        features: Sequence[Feature] = (),
        ttl: timedelta | float | None = None,
        parents: Sequence[Group] = (),
        keep_corrections: bool = False,
        aggregation: Aggregation | None = None,
    ) -> FeatureGroup:
        """Create a feature group; its first insert makes the table.

        Args:
            name: The name, in lower snake case.
            version: The version, from 1 up; None: the next free one.
            description: What it is for.
            primary_key: The columns of the entity; a row is (primary key, event time).
            partition_key: Columns, or "day", "month" or "year" of the event time (UTC).
            event_time: A timestamp, date, or integer column of epoch seconds or milliseconds; None:
                the group has no history.
            online_enabled: Whether ``sync_online`` pushes the latest row of each key.
            statistics_config: True, False, or a mapping of ``enabled`` (on each insert),
                ``histograms``, ``correlations``, ``exact_uniqueness`` and ``columns``; None: on,
                with histograms.
            expectation_suite: A Great Expectations suite that every insert is validated by.
            features: The columns, as in ``[spark_fs.Feature("card", "string"), ...]``; without
                them the first insert gives the schema.
            ttl: How old (a timedelta, or seconds) a row may be and still match in a point-in-time
                join; None: any age.
            parents: The groups that it is made of.
            keep_corrections: Whether an upsert that changes a row keeps the old one too, for
                ``Query.as_known``; every other read gives the last.
            aggregation: The window features that its rows are built of, by ``backfill(start, end)``
                and ``run_incremental(until)``. Its primary key is what they are by, its event time
                what they are known at, and its columns follow; its parents are the groups of their
                source unless parents says others.

        Returns:
            The group.

        Raises:
            InvalidNameError: The name, or that of a column, is not valid.
            SettingsError: An argument is not valid.
            SchemaError: A feature has no type, or one that does not exist.
            AlreadyExistsError: The version is taken.
        """
        self._check_stores(parents, aggregation)
        build_spec = partial(
            build_group_spec,
            name,
            description=description,
            primary_key=primary_key,
            partition_key=partition_key,
            event_time=event_time,
            online_enabled=online_enabled,
            statistics_config=statistics_config,
            suite=expectation_suite,
            features=features,
            ttl=ttl,
            parents=parents,
            keep_corrections=keep_corrections,
            aggregation=aggregation,
        )
        next_version = partial(self._stores.catalog.next_group_version, name)
        spec = create_version(
            version, next_version, lambda number: self._create_group(build_spec(version=number))
        )
        return FeatureGroup(self._stores, spec)

    def get_or_create_feature_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        partition_key: Sequence[str] = (),
        event_time: str | None = None,
        online_enabled: bool = False,
        statistics_config: Any = None,
        expectation_suite: Any = None,
        features: Sequence[Feature] = (),
        ttl: timedelta | float | None = None,
        parents: Sequence[Group] = (),
        keep_corrections: bool = False,
        aggregation: Aggregation | None = None,
    ) -> FeatureGroup:
        """Return the group of this name and version, created when it is absent.

        Args:
            name: The name, in lower snake case.
            version: The version; None: 1.
            description: As in ``create_feature_group``, and so are the others.
            primary_key: The columns of the entity.
            partition_key: Columns, or grains of the event time (UTC).
            event_time: The column of the event time.
            online_enabled: Whether ``sync_online`` pushes the latest row of each key.
            statistics_config: Which statistics are made; None: those of the group that exists.
            expectation_suite: What inserts are validated by; None: that of the group that exists.
            features: The columns; empty: those of the group that exists.
            ttl: How old a row may be and still match, a timedelta or seconds.
            parents: The groups that it is made of.
            keep_corrections: Whether rows that are corrected are kept.
            aggregation: The window features that its rows are built of.

        Returns:
            The group.

        Raises:
            AlreadyExistsError: The group exists and was declared otherwise; it lists each
                difference.
        """
        self._check_stores(parents, aggregation)
        requested = build_group_spec(
            name,
            version or 1,
            description,
            primary_key,
            partition_key,
            event_time,
            online_enabled,
            statistics_config,
            expectation_suite,
            features,
            ttl,
            parents,
            keep_corrections,
            aggregation,
        )
        find = partial(self._stores.catalog.get_group, name, requested.version)
        spec, is_new = find_or_create(find, lambda: self._create_group(requested))
        if not is_new:
            check_same_aggregation(spec, requested)
            fields = list(_DECLARED_FIELDS)
            if expectation_suite is not None:
                fields.append("expectation_suite")
            if statistics_config is not None:
                fields.append("statistics_config")
            if features:
                fields.append("types")
            check_same(f"Feature group {spec}", spec, requested, fields)
        return FeatureGroup(self._stores, spec)

    def create_external_feature_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        event_time: str | None = None,
        data_format: str = "delta",
        path: str = "",
        query: str = "",
        options: Mapping[str, str] | None = None,
        features: Sequence[Feature] = (),
        ttl: timedelta | float | None = None,
        parents: Sequence[Group] = (),
    ) -> ExternalFeatureGroup:
        """Create a group over rows that others keep: readable and joinable, never written.

        Args:
            name: The name, in lower snake case.
            version: The version, from 1 up; None: the next free one.
            description: What it is for.
            primary_key: The columns of the entity; a row is (primary key, event time).
            event_time: A timestamp, date, or integer column of epoch seconds or milliseconds (UTC).
            data_format: "delta" or "parquet" with ``path``; "table" with the name of a Spark table
                as ``query``; "jdbc" with an SQL query and ``options``.
            path: The folder or URI of the files.
            query: The name of a Spark table, or an SQL query.
            options: Those of Spark's reader, such as ``{"url": "jdbc:mysql://host:3306/shop",
                "user": "reader", "password": "${SPARK_FS_SECRET_SHOP}"}``: variables of such names
                are read from the environment, so no secret is kept.
            features: The columns; without them the source is opened once, for its schema.
            ttl: How old (a timedelta, or seconds) a row may be and still match in a point-in-time
                join; None: any age.
            parents: The groups that it is made of.

        Returns:
            The group.

        Raises:
            SettingsError: A data_format that does not exist, or another argument that is not valid.
            AlreadyExistsError: The version is taken.
            SparkFSError: The source cannot be opened.
        """
        source = build_source(data_format, path or query, options or {})
        self._stores.check_groups_store(parents)
        next_version = partial(self._stores.catalog.next_group_version, name)
        declared = build_group_spec(
            name,
            next_version() if version is None else version,
            description=description,
            primary_key=primary_key,
            event_time=event_time,
            features=features,
            ttl=ttl,
            parents=parents,
        )
        group = replace(declared, source=source)
        if not features:
            from spark_fs.flows import external_schema

            group = external_schema.with_source_schema(lambda: self._stores.spark, group)
        spec = create_version(
            version, next_version, lambda number: self._create_group(replace(group, version=number))
        )
        return ExternalFeatureGroup(self._stores, spec)

    def get_feature_group(self, name: str, version: int | None = None) -> FeatureGroup:
        """Return a group by name and version.

        Args:
            name: The name.
            version: The version; None: version 1, with a warning where others exist.

        Returns:
            The group.

        Raises:
            NotFoundError: It does not exist, and the error has the nearest names, or the versions
                that exist; or it is an external one.
        """
        spec = self._stores.catalog.get_group(name, version)
        if spec.source:
            raise NotFoundError(
                f"Feature group {spec} is an external one: use get_external_feature_group."
            )
        return FeatureGroup(self._stores, spec)

    def get_external_feature_group(
        self, name: str, version: int | None = None
    ) -> ExternalFeatureGroup:
        """Return an external group by name and version.

        Args:
            name: The name.
            version: The version; None: version 1, with a warning where others exist.

        Returns:
            The group.

        Raises:
            NotFoundError: It does not exist, or is not an external one.
        """
        spec = self._stores.catalog.get_group(name, version)
        if not spec.source:
            raise NotFoundError(
                f"Feature group {spec} is not an external one: use get_feature_group."
            )
        return ExternalFeatureGroup(self._stores, spec)

    def get_feature_groups(self, name: str | None = None) -> list[FeatureGroup]:
        """Return every group but external ones, or every version of one, by name and version."""
        specs = self._list_groups(name)
        return [FeatureGroup(self._stores, spec) for spec in specs if not spec.source]

    def get_external_feature_groups(self, name: str | None = None) -> list[ExternalFeatureGroup]:
        """Return every external group, or every version of one, by name and version."""
        specs = self._list_groups(name)
        return [ExternalFeatureGroup(self._stores, spec) for spec in specs if spec.source]

    # -- online

    def sync_online(
        self,
        name: str | None = None,
        version: int | None = None,
        now: Instant | None = None,
        full: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Job]:
        """Bring online tables up to their groups, eagerly.

        Args:
            name: One group; None: every group that is online_enabled and has rows.
            version: Its version; None: version 1, with a warning where others exist.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.
            full: Whether to load whole tables anew.
            progress: Called with the numbers of Spark's tasks done and known so far.

        Returns:
            The job of each group, as of ``FeatureGroup.sync_online``.

        Raises:
            SparkFSError: As ``FeatureGroup.sync_online`` does.
        """
        from spark_fs.api.online_sync import list_online_groups, sync_group

        stores = self._stores
        groups = list_online_groups(stores, name, version)
        return [sync_group(stores, group, now, full, progress) for group in groups]

    def verify_online(
        self,
        name: str | None = None,
        version: int | None = None,
        now: Instant | None = None,
        limit: int = 1_000,
        synced: bool = False,
    ) -> list[Verification]:
        """Compare online tables with the offline latest, eagerly.

        Args:
            name: One group; None: every group that is online_enabled and has rows.
            version: Its version; None: version 1, with a warning where others exist.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.
            limit: How many differing keys to report at most.
            synced: Whether to compare with the version that the last sync brought online, not with
                the newest.

        Returns:
            The verification of each group: online equals offline where ``.ok``; ``.differences``
            names each key that differs, ``.newest_online`` and ``.newest_offline`` tell how fresh
            both are.

        Raises:
            SparkFSError: As ``FeatureGroup.verify_online`` does.
        """
        from spark_fs.api.online_sync import list_online_groups, verify_group

        stores = self._stores
        groups = list_online_groups(stores, name, version)
        return [verify_group(stores, group, now, limit, synced) for group in groups]

    def check_serving(self) -> None:
        """Ask the metadata database and the online store for an answer, without Spark.

        Raises the error of the one that gives none.
        """
        self._stores.catalog.check_connection()
        self._stores.online.check_connection()

    def _list_groups(self, name: str | None) -> list[GroupSpec]:
        groups = self._stores.catalog.list_groups()
        return [group for group in groups if name in (None, group.name)]

    def _check_stores(self, parents: Sequence[Group], aggregation: Aggregation | None) -> None:
        self._stores.check_groups_store(parents)
        if aggregation is not None:
            self._stores.check_same_store(aggregation._stores, "The source of the aggregation")

    def _create_group(self, group: GroupSpec) -> GroupSpec:
        if group.online_enabled:
            from spark_fs.online.table_layout import build_online_table

            build_online_table(group, self._stores.online.capabilities)  # raises what cannot be
        self._stores.catalog.add_group(group)
        return group
