"""A feature store: groups, views and transformations by name and version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_fs.api.declarations import (
    build_group_spec,
    build_view_spec,
    to_column_names,
)
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.online import StoreServingMixin
from spark_fs.api.options import warn_of_options
from spark_fs.api.query import Feature, Query
from spark_fs.api.spine import Spine
from spark_fs.api.transformations import TransformationsMixin
from spark_fs.api.versions import check_same, create_version, find_or_create
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.pipeline_run import PipelineRun


@validate_arguments
class FeatureStore(TransformationsMixin, StoreServingMixin):
    """Feature groups and feature views, by name and version."""

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
    ) -> FeatureGroup:
        """Create a feature group; ``features`` or its first insert gives the schema, its first insert makes the table.

        version: None is the next free one. primary_key: the columns of the entity; a row is
        (primary key, event time). event_time: a timestamp, date, or whole-number column of epoch
        seconds or milliseconds. partition_key: columns, or "day", "month" or "year" of the event
        time (UTC). online_enabled: whether ``sync_online`` pushes the latest row of each key.
        statistics_config: True, False, or a mapping of ``enabled`` (on each insert),
        ``histograms``, ``correlations``, ``exact_uniqueness`` and ``columns``; None: on, with
        histograms. expectation_suite: a Great Expectations suite that every insert is validated by.
        features: the columns, as in ``[spark_fs.Feature("card", "string"), ...]``. ttl: how old (a
        timedelta, or seconds) a row may be and still match in a point-in-time join; None: any age.
        parents: the groups that it is made of. keep_corrections: whether an upsert that changes a
        row keeps the old one too, for ``Query.as_known``; every other read gives the last. Raises
        InvalidNameError, SettingsError, SchemaError, or AlreadyExistsError when the version is
        taken.
        """
        given = (
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
        )
        self._stores.check_groups_store(parents)
        next_version = partial(self._stores.catalog.next_group_version, name)
        spec = create_version(
            version,
            next_version,
            lambda taken: self._create_group(build_group_spec(name, taken, *given)),
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
    ) -> FeatureGroup:
        """The group of this name and version (None: 1), created when it is absent.

        Raises AlreadyExistsError, with each difference, when the group exists and was declared
        otherwise.
        """
        given = (
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
        )
        self._stores.check_groups_store(parents)
        wanted = build_group_spec(name, version or 1, *given)
        find = partial(self._stores.catalog.get_group, name, wanted.version)
        found, is_new = find_or_create(find, lambda: self._create_group(wanted))
        if is_new:
            return FeatureGroup(self._stores, found)
        same = [
            "description",
            "primary_key",
            "partition_key",
            "event_time",
            "online_enabled",
            "ttl_seconds",
            "parents",
            "source",
        ]
        same.append("keep_corrections")
        optional = {"expectation_suite": expectation_suite, "statistics_config": statistics_config}
        same += [name for name, given in optional.items() if given is not None]
        check_same(
            f"Feature group {found}", found, wanted, [*same, *(["types"] if features else [])]
        )
        return FeatureGroup(self._stores, found)

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

        data_format: "delta" or "parquet" with ``path``; "table" with the name of a Spark table as
        ``query``; "jdbc" with an SQL query and ``options`` such as ``{"url":
        "jdbc:mysql://host:3306/shop", "user": "reader", "password": "${SPARK_FS_SECRET_SHOP}"}``:
        variables of such names are read from the environment, so no secret is kept. Without
        ``features`` the source is opened once, for its schema. Names, keys and times are as in
        ``create_feature_group``. Raises SparkFSError when the source cannot be opened.
        """
        from dataclasses import replace

        from spark_fs.spec.external_source import SOURCE_FORMATS, SourceSpec

        if data_format not in SOURCE_FORMATS:
            raise SettingsError(
                f"data_format {data_format!r} is not known: use"
                f" {', '.join(map(repr, SOURCE_FORMATS))}."
            )
        self._stores.check_groups_store(parents)
        source = SourceSpec.from_declaration(data_format, path or query, options or {})
        next_version = partial(self._stores.catalog.next_group_version, name)
        taken = next_version() if version is None else version
        given = build_group_spec(
            name,
            taken,
            description,
            primary_key,
            (),
            event_time,
            False,
            None,
            None,
            features,
            ttl,
            parents,
        )
        group = replace(given, source=source)
        if not features:
            from spark_fs.flows import group_rows

            group = group_rows.with_source_schema(self._stores.spark, group)
        spec = create_version(
            version, next_version, lambda taken: self._create_group(replace(group, version=taken))
        )
        return ExternalFeatureGroup(self._stores, spec)

    def get_feature_group(self, name: str, version: int | None = None) -> FeatureGroup:
        """A group by name and version; None asks for version 1, with a warning when there are others.

        Raises NotFoundError with the nearest names, or the versions that exist, or says that the
        group is an external one.
        """
        found = self._stores.catalog.get_group(name, version)
        if found.source:
            raise NotFoundError(
                f"Feature group {found} is an external one: use get_external_feature_group."
            )
        return FeatureGroup(self._stores, found)

    def get_external_feature_group(
        self, name: str, version: int | None = None
    ) -> ExternalFeatureGroup:
        """An external group by name and version, as ``get_feature_group`` gives the others."""
        found = self._stores.catalog.get_group(name, version)
        if not found.source:
            raise NotFoundError(
                f"Feature group {found} is not an external one: use get_feature_group."
            )
        return ExternalFeatureGroup(self._stores, found)

    def get_feature_groups(self, name: str | None = None) -> list[FeatureGroup]:
        """Every group but the external ones, or every version of one, by name and version."""
        found = self._stores.catalog.list_groups()
        return [
            FeatureGroup(self._stores, g) for g in found if not g.source and name in (None, g.name)
        ]

    def get_external_feature_groups(self, name: str | None = None) -> list[ExternalFeatureGroup]:
        """Every external group, or every version of one, by name and version."""
        found = self._stores.catalog.list_groups()
        return [
            ExternalFeatureGroup(self._stores, g)
            for g in found
            if g.source and name in (None, g.name)
        ]

    def create_spine(
        self, df: Any, primary_key: Sequence[str], event_time: str | None = None
    ) -> Spine:
        """A Spark or pandas DataFrame or an Arrow table as the left side of a query; a feature view cannot keep it.

        primary_key: the columns that groups are joined by. event_time: a timestamp, date, or
        whole-number column of epoch seconds or milliseconds, in UTC; a row in which it is null
        matches nothing; None: each row gets the latest. Other columns are carried through, and rows
        may repeat. Raises SchemaError or NotFoundError for a column that does not fit.
        """
        return Spine(self._stores, df, to_column_names("primary_key", primary_key), event_time)

    def create_feature_view(
        self,
        name: str,
        query: Query,
        version: int | None = None,
        description: str = "",
        labels: Sequence[str] = (),
        transformation_functions: Mapping[str, Any] | Sequence[Any] | None = None,
        inference_helper_columns: Sequence[str] = (),
        training_helper_columns: Sequence[str] = (),
        label: str | None = None,
    ) -> FeatureView:
        """Save a query, its labels and its transformations as a feature view; version None is the next free one.

        labels (or label): the columns that a model predicts. transformation_functions: ``{"amount":
        min_max_scaler}``, or a list such as ``[min_max_scaler("amount"), distance("lat",
        "long")]``; they are fitted on the train split of each training dataset.
        inference_helper_columns, training_helper_columns: columns that no model sees, handed out
        beside batches and vectors, or beside training data, when they are asked for. Raises
        NotFoundError for a label, helper column or feature of a transformation that is not a column
        of the query, QueryError for a query that cannot be bound or a transformation that does not
        take its feature, and AlreadyExistsError when the version is taken.
        """
        given = (
            labels,
            description,
            transformation_functions,
            inference_helper_columns,
            training_helper_columns,
            label,
        )
        self._stores.check_same_store(query._stores, repr(query))
        next_version = partial(self._stores.catalog.next_view_version, name)
        spec = create_version(
            version,
            next_version,
            lambda taken: self._create_view(build_view_spec(name, taken, query, *given)),
        )
        return FeatureView(self._stores, spec)

    def get_or_create_feature_view(
        self,
        name: str,
        query: Query,
        version: int | None = None,
        description: str = "",
        labels: Sequence[str] = (),
        transformation_functions: Mapping[str, Any] | Sequence[Any] | None = None,
        inference_helper_columns: Sequence[str] = (),
        training_helper_columns: Sequence[str] = (),
        label: str | None = None,
    ) -> FeatureView:
        """The view of this name and version (None: 1), created when it is absent.

        Raises AlreadyExistsError, with each difference, when the view exists and was declared
        otherwise.
        """
        given = (
            labels,
            description,
            transformation_functions,
            inference_helper_columns,
            training_helper_columns,
            label,
        )
        self._stores.check_same_store(query._stores, repr(query))
        wanted = build_view_spec(name, version or 1, query, *given)
        find = partial(self._stores.catalog.get_view, name, wanted.version)
        found, is_new = find_or_create(find, lambda: self._create_view(wanted))
        if is_new:
            return FeatureView(self._stores, found)
        same = (
            "query",
            "labels",
            "description",
            "transformations",
            "inference_helpers",
            "training_helpers",
        )
        check_same(f"Feature view {found}", found, wanted, same)
        return FeatureView(self._stores, found)

    def get_feature_view(self, name: str, version: int | None = None) -> FeatureView:
        """A view by name and version; None asks for version 1, with a warning when there are others."""
        return FeatureView(self._stores, self._stores.catalog.get_view(name, version))

    def get_feature_views(self, name: str | None = None) -> list[FeatureView]:
        """Every view, or every version of one, by name and version."""
        return [
            FeatureView(self._stores, v)
            for v in self._stores.catalog.list_views()
            if name in (None, v.name)
        ]

    def sql(
        self,
        query: str,
        dataframe_type: str = "default",
        online: bool = False,
        read_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """The rows of a SELECT over feature groups, each under the name ``<name>_<version>``, in Spark's SQL.

        dataframe_type: "spark" (a DataFrame*, the default) or "pandas", eagerly. online: over the
        rows of the online store, brought into Spark eagerly. read_options: as in
        ``FeatureGroup.read``. Raises NotFoundError, with the nearest names, for a table that is no
        group; QueryError for SQL that cannot be run, or that is not a SELECT.
        """
        from spark_fs.flows import sql

        warn_of_options(read_options)
        groups = {
            f"{group.name}_{group.version}": group for group in self._stores.catalog.list_groups()
        }
        rows = sql.make_group_reader(
            self._stores.get_table_path, self._stores.online if online else None
        )
        return sql.run_query(self._stores.spark, query, groups, rows, dataframe_type)

    def get_runs(self, pipeline: str | None = None, limit: int | None = 100) -> list[PipelineRun]:
        """The runs of a pipeline, or of every one, the newest first: when, up to when, each step with its rows, and what went wrong."""
        return list(self._stores.catalog.list_runs(pipeline, limit))

    def get_run(self, run_id: str) -> PipelineRun:
        """One run, by its id or the beginning of it; NotFoundError where that is none, or several."""
        return self._stores.catalog.get_run(run_id)

    def _create_view(self, view: ViewSpec) -> ViewSpec:
        FeatureView(self._stores, view).check()
        self._stores.catalog.add_view(view)
        return view

    def _create_group(self, group: GroupSpec) -> GroupSpec:
        if group.online_enabled:
            from spark_fs.online.table import build_online_table

            build_online_table(group, self._stores.online.capabilities)
        self._stores.catalog.add_group(group)
        return group
