"""The groups of a feature store: created, and got where they exist already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_fs.api.declarations import to_column_names
from spark_fs.api.feature import Feature
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.group_declarations import (
    build_declared_group,
    check_declared_group,
    declare_group,
    to_event_time,
)
from spark_fs.api.spine import Spine
from spark_fs.api.taken import warn_of_arguments
from spark_fs.api.versions import create_version, find_or_create
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import AlreadyExistsError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.aggregation import Aggregation
    from spark_fs.api.group import Group
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_group import GroupSpec


@validate_arguments
class GroupCreation:
    """Feature groups by what is declared of them."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def create_feature_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        online_enabled: bool = False,
        time_travel_format: str | None = None,
        partition_key: Sequence[str] = (),
        primary_key: Sequence[str] = (),
        foreign_key: Sequence[str] = (),
        embedding_index: Any = None,
        hudi_precombine_key: str | None = None,
        features: Sequence[Feature] = (),
        statistics_config: Any = None,
        event_time: str | Sequence[str] | None = None,
        stream: bool = False,
        expectation_suite: Any = None,
        parents: Sequence[Group] = (),
        topic_name: str | None = None,
        notification_topic_name: str | None = None,
        transformation_functions: Any = None,
        online_config: Any = None,
        offline_backfill_every_hr: Any = None,
        storage_connector: Any = None,
        path: str | None = None,
        data_source: Any = None,
        ttl: timedelta | float | None = None,
        ttl_enabled: bool | None = None,
        online_disk: bool | None = None,
        sink_enabled: bool = False,
        sink_job_conf: Any = None,
        sink_job: Any = None,
        tags: Any = None,
        partitioned_by: Sequence[str] = (),
        online_partition_columns: bool = False,
        zorder_by: Sequence[str] = (),
        clustered_by: Sequence[str] = (),
        bucket_index: Any = None,
        sort_order: Sequence[str] = (),
        *,
        keep_corrections: bool = False,
        aggregation: Aggregation | None = None,
    ) -> FeatureGroup:
        """Create a feature group; its first insert makes the table.

        Names of columns are brought to lower snake case, with a warning.

        Args:
            name: The name, in lower snake case.
            version: The version, from 1 up; None: the next free one.
            description: What it is for.
            online_enabled: Whether ``sync_online`` pushes the latest row of each key.
            time_travel_format: Taken for Hopsworks' sake: the table is Delta's.
            partition_key: Columns, or "day", "month" or "year" of the event time (UTC).
            primary_key: The columns of the entity; a row is (primary key, event time), so an event
                time that is named here is left out, with a warning.
            foreign_key: Columns that name an entity of another group; ``select_features`` leaves
                them out.
            embedding_index: NotOfferedError where it is given.
            hudi_precombine_key: Taken for Hopsworks' sake; see ``keep`` of ``insert``.
            features: The columns, as in ``[spark_fs.Feature("card", "string"), ...]``; without
                them the first insert gives the schema.
            statistics_config: True, False, or a mapping of ``enabled`` (on each insert),
                ``histograms``, ``correlations``, ``exact_uniqueness`` and ``columns``; None: on,
                with histograms.
            event_time: A timestamp, date, or integer column of epoch seconds or milliseconds; None:
                the group has no history.
            stream: Taken for Hopsworks' sake: rows are inserted in batches.
            expectation_suite: A Great Expectations suite that every insert is validated by.
            parents: The groups that it is made of.
            topic_name: Taken for Hopsworks' sake.
            notification_topic_name: Taken for Hopsworks' sake.
            transformation_functions: On-demand transformations.
            online_config: Taken for Hopsworks' sake.
            offline_backfill_every_hr: Taken for Hopsworks' sake.
            storage_connector: Taken for Hopsworks' sake: the table is in the warehouse.
            path: Taken for Hopsworks' sake.
            data_source: Taken for Hopsworks' sake.
            ttl: How old (a timedelta, or seconds) a row may be and still match in a point-in-time
                join, or be served; None: any age.
            ttl_enabled: False: the ttl is known and not in use, until ``enable_ttl``.
            online_disk: Taken for Hopsworks' sake.
            sink_enabled: NotOfferedError where it is True.
            sink_job_conf: Taken for Hopsworks' sake.
            sink_job: Taken for Hopsworks' sake.
            tags: ``{"name": "team", "value": "fraud"}``, or a list of such.
            partitioned_by: The partition key as in ``["day(at)", "country"]``.
            online_partition_columns: Taken for Hopsworks' sake.
            zorder_by: Taken for Hopsworks' sake.
            clustered_by: Taken for Hopsworks' sake.
            bucket_index: Taken for Hopsworks' sake.
            sort_order: Taken for Hopsworks' sake.
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
        declared = self._declare_group("create_feature_group", locals())
        spec = self._create_version(
            name, version, lambda number: build_declared_group(name, number, declared)
        )
        return FeatureGroup(self._stores, spec)

    def get_or_create_feature_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        online_enabled: bool = False,
        time_travel_format: str | None = None,
        partition_key: Sequence[str] = (),
        primary_key: Sequence[str] = (),
        foreign_key: Sequence[str] = (),
        embedding_index: Any = None,
        hudi_precombine_key: str | None = None,
        features: Sequence[Feature] = (),
        statistics_config: Any = None,
        expectation_suite: Any = None,
        event_time: str | Sequence[str] | None = None,
        stream: bool = False,
        parents: Sequence[Group] = (),
        topic_name: str | None = None,
        notification_topic_name: str | None = None,
        transformation_functions: Any = None,
        online_config: Any = None,
        offline_backfill_every_hr: Any = None,
        storage_connector: Any = None,
        path: str | None = None,
        data_source: Any = None,
        ttl: timedelta | float | None = None,
        ttl_enabled: bool | None = None,
        online_disk: bool | None = None,
        sink_enabled: bool = False,
        sink_job_conf: Any = None,
        sink_job: Any = None,
        tags: Any = None,
        partitioned_by: Sequence[str] = (),
        online_partition_columns: bool = False,
        zorder_by: Sequence[str] = (),
        clustered_by: Sequence[str] = (),
        bucket_index: Any = None,
        sort_order: Sequence[str] = (),
        *,
        keep_corrections: bool = False,
        aggregation: Aggregation | None = None,
    ) -> FeatureGroup:
        """Return the group of this name and version, created when it is absent.

        Of a group that exists what is left out may be anything: a name and a version alone are a
        get. A description that differs is named in a warning; tags are those of a creation.

        Args:
            name: The name, in lower snake case.
            version: The version; None: 1.
            description: As in ``create_feature_group``, and so are the others.
            online_enabled: Whether it is served.
            time_travel_format: Taken for Hopsworks' sake.
            partition_key: Columns, or grains of the event time (UTC).
            primary_key: The columns of the entity.
            foreign_key: The columns of other entities.
            embedding_index: NotOfferedError where it is given.
            hudi_precombine_key: Taken for Hopsworks' sake.
            features: The columns.
            statistics_config: Which statistics are made.
            expectation_suite: What inserts are validated by.
            event_time: The column of the event time.
            stream: Taken for Hopsworks' sake.
            parents: The groups that it is made of.
            topic_name: Taken for Hopsworks' sake.
            notification_topic_name: Taken for Hopsworks' sake.
            transformation_functions: On-demand transformations.
            online_config: Taken for Hopsworks' sake.
            offline_backfill_every_hr: Taken for Hopsworks' sake.
            storage_connector: Taken for Hopsworks' sake.
            path: Taken for Hopsworks' sake.
            data_source: Taken for Hopsworks' sake.
            ttl: How old a row may be and still match, a timedelta or seconds.
            ttl_enabled: Whether the ttl is in use.
            online_disk: Taken for Hopsworks' sake.
            sink_enabled: NotOfferedError where it is True.
            sink_job_conf: Taken for Hopsworks' sake.
            sink_job: Taken for Hopsworks' sake.
            tags: Names and values that it is tagged with.
            partitioned_by: The partition key as Hopsworks' transforms.
            online_partition_columns: Taken for Hopsworks' sake.
            zorder_by: Taken for Hopsworks' sake.
            clustered_by: Taken for Hopsworks' sake.
            bucket_index: Taken for Hopsworks' sake.
            sort_order: Taken for Hopsworks' sake.
            keep_corrections: Whether rows that are corrected are kept.
            aggregation: The window features that its rows are built of.

        Returns:
            The group.

        Raises:
            AlreadyExistsError: The group exists and was declared otherwise; it lists each
                difference.
            SettingsError: It does not exist, and an argument that its creation needs is missing.
        """
        declared = self._declare_group("get_or_create_feature_group", locals())
        number = version or 1

        def create() -> GroupSpec:
            if "primary_key" not in declared:
                raise SettingsError(
                    f"Feature group {name!r} version {number} does not exist, and has no primary"
                    " key to be created with: give primary_key=[...], the columns of its entity."
                )
            return self._create_group(build_declared_group(name, number, declared))

        find = partial(self._stores.catalog.get_group, name, number)
        spec, is_new = find_or_create(find, create)
        if not is_new:
            _check_own_rows(spec)
            check_declared_group(spec, declared)
        return FeatureGroup(self._stores, spec)

    def get_or_create_spine_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        foreign_key: Sequence[str] = (),
        event_time: str | Sequence[str] | None = None,
        features: Sequence[Feature] = (),
        dataframe: Any = None,
    ) -> Spine:
        """Return a spine under a name and version, created when it is absent.

        Feature views may begin with it: its columns are kept, its rows are not, so whoever makes
        training data or a batch of such a view gives them as ``spine=``.

        Args:
            name: The name, in lower snake case.
            version: The version; None: 1.
            description: What it is for.
            primary_key: The columns that groups are joined by.
            foreign_key: Columns that name an entity of another group.
            event_time: A timestamp, date, or integer column of epoch seconds or milliseconds.
            features: Taken for Hopsworks' sake: the frame has the columns.
            dataframe: The rows: a frame as ``insert`` takes it.

        Returns:
            The spine.

        Raises:
            SettingsError: No frame is given.
            SchemaError: The frame has other columns than the spine of this name.
            AlreadyExistsError: The name is that of another spine or group.
        """
        from spark_fs.flows.spine_rows import build_spine_rows
        from spark_fs.spec.external_source import FRAME, NAMED_SPINE, SourceSpec

        warn_of_arguments(
            "get_or_create_spine_group", {"features": features}, "the columns are the frame's"
        )
        if dataframe is None:
            raise SettingsError(f"Spine group {name!r} needs its rows: give dataframe=.")
        number = version or 1
        key = to_column_names("primary_key", primary_key)
        time = to_event_time(event_time)
        rows = build_spine_rows(dataframe, key, time)
        foreign = to_column_names("foreign_key", foreign_key)
        requested = replace(
            rows.spec,
            name=name,
            version=number,
            description=description,
            foreign_key=foreign,
            source=SourceSpec(FRAME, NAMED_SPINE),
        )
        find = partial(self._stores.catalog.get_group, name, number)
        spec, is_new = find_or_create(find, lambda: self._create_group(requested))
        if not is_new:
            _check_spine(spec, requested)
        return Spine(self._stores, dataframe, key, time, spec)

    # -- how

    def _declare_group(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the arguments of a call declare, of groups that are kept here."""
        self._stores.check_groups_store(arguments["parents"])
        aggregation = arguments.get("aggregation")
        if aggregation is not None:
            self._stores.check_same_store(aggregation._stores, "The source of the aggregation")
        return declare_group(method, arguments)

    def _create_version(
        self, name: str, version: int | None, build: Callable[[int], GroupSpec]
    ) -> GroupSpec:
        next_version = partial(self._stores.catalog.next_group_version, name)
        return create_version(
            version, next_version, lambda number: self._create_group(build(number))
        )

    def _create_group(self, group: GroupSpec) -> GroupSpec:
        if group.online_enabled:
            from spark_fs.flows.live_sources import is_live
            from spark_fs.online.live.byte_layout import make_live_table_name
            from spark_fs.online.table_layout import build_online_table

            capabilities = self._stores.online.capabilities
            build_online_table(group, capabilities)  # raises what cannot be
            if is_live(group):
                make_live_table_name(group, capabilities)
        if group.expectation_suite is not None:
            from spark_fs.spec.expectations import with_told_policy

            suite = with_told_policy(group.expectation_suite)
            group = replace(group, expectation_suite=suite)
        self._stores.catalog.add_group(group)
        return group


def _check_spine(existing: GroupSpec, requested: GroupSpec) -> None:
    if not existing.is_dataframe or existing.identity != requested.identity:
        kind = "a spine group" if existing.is_dataframe else "a feature group"
        raise AlreadyExistsError(
            f"{existing.ref} exists already and is {kind} with the key and event time"
            f" {', '.join(existing.identity)}, not a spine group with"
            f" {', '.join(requested.identity)}: use the same, or another version."
        )


def _check_own_rows(group: GroupSpec) -> None:
    if group.is_dataframe:
        raise NotFoundError(f"{group} is a spine group: use get_or_create_spine_group.")
    if group.source:
        raise NotFoundError(
            f"Feature group {group} is an external one: use get_external_feature_group."
        )
