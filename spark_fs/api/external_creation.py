"""External groups of a feature store, created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.declarations import build_source
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature import Feature
from spark_fs.api.group_creation import GroupCreation
from spark_fs.api.group_declarations import build_declared_group
from spark_fs.api.source_store import SourceStore
from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotOfferedError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.spec.external_source import SourceSpec

_PLACES = ("storage_connector", "data_source", "path", "query", "options", "data_format")


@validate_arguments
class ExternalGroupCreation(GroupCreation, SourceStore):
    """Feature groups over rows that others keep, by what is declared of them."""

    def create_external_feature_group(
        self,
        name: str,
        storage_connector: Any = None,
        query: str | None = None,
        data_format: str | None = None,
        path: str = "",
        options: Mapping[str, Any] | None = None,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        foreign_key: Sequence[str] = (),
        embedding_index: Any = None,
        features: Sequence[Feature] = (),
        statistics_config: Any = None,
        event_time: str | Sequence[str] | None = None,
        expectation_suite: Any = None,
        online_enabled: bool = False,
        topic_name: str | None = None,
        notification_topic_name: str | None = None,
        online_config: Any = None,
        data_source: Any = None,
        ttl: timedelta | float | None = None,
        ttl_enabled: bool | None = None,
        online_disk: bool | None = None,
        *,
        parents: Sequence[Group] = (),
    ) -> ExternalFeatureGroup:
        """Create a group over rows that others keep: readable and joinable, never written.

        Args:
            name: The name, in lower snake case.
            storage_connector: A source of ``get_storage_connector``, or its name; None: path and
                options say all.
            query: The name of a Spark table, or an SQL query.
            data_format: "delta", "parquet", "csv", "json", "orc" or "avro" with ``path``; "table"
                with the name of a Spark table as ``query``; "jdbc" with an SQL query and
                ``options``; None: the connector's, else "delta".
            path: The folder or URI of the files. A relative path that is there is kept as the
                absolute one.
            options: Those of Spark's reader, such as ``{"url": "jdbc:mysql://host:3306/shop",
                "user": "reader", "password": "${SPARK_FS_SECRET_SHOP}"}``: variables of such names
                are read from the environment, so no secret is kept.
            version: The version, from 1 up; None: the next free one.
            description: What it is for.
            primary_key: The columns of the entity; a row is (primary key, event time).
            foreign_key: Columns that name an entity of another group.
            embedding_index: NotOfferedError where it is given.
            features: The columns; without them the source is opened once, for its schema.
            statistics_config: Taken for Hopsworks' sake: of these rows no statistics are kept.
            event_time: A timestamp, date, or integer column of epoch seconds or milliseconds (UTC).
            expectation_suite: Taken for Hopsworks' sake: nothing is inserted that it would check.
            online_enabled: NotOfferedError where it is True.
            topic_name: Taken for Hopsworks' sake.
            notification_topic_name: Taken for Hopsworks' sake.
            online_config: Taken for Hopsworks' sake.
            data_source: A ``DataSource`` in the place of a connector, or a mapping of its
                arguments.
            ttl: How old (a timedelta, or seconds) a row may be and still match in a point-in-time
                join; None: any age.
            ttl_enabled: Whether the ttl is in use.
            online_disk: Taken for Hopsworks' sake.
            parents: The groups that it is made of.

        Returns:
            The group.

        Raises:
            SettingsError: A data_format that does not exist, or another argument that is not valid.
            AlreadyExistsError: The version is taken.
            SparkFSError: The source cannot be opened.
        """
        method = "create_external_feature_group"
        arguments = locals()
        _check_external(method, arguments)
        own = {key: value for key, value in arguments.items() if key not in _PLACES}
        declared = self._declare_group(method, own)
        connector = self._find_connector(storage_connector, data_source)
        source = _build_source(connector, data_format, path, query, options)
        number = self._stores.catalog.next_group_version(name) if version is None else version
        group = replace(build_declared_group(name, number, declared), source=source)
        if not features:
            from spark_fs.flows import external_schema

            group = external_schema.with_source_schema(lambda: self._stores.spark, group)
        spec = self._create_version(name, version, lambda number: replace(group, version=number))
        return ExternalFeatureGroup(self._stores, spec)

    def _find_connector(self, storage_connector: Any, data_source: Any) -> Any:
        """The connector, or the data source of one, that a caller gives or names."""
        from spark_fs.api.data_source import DataSource

        if isinstance(data_source, Mapping):
            data_source = DataSource(**data_source)
        connector = storage_connector if data_source is None else data_source
        if isinstance(connector, str):
            return self.get_storage_connector(connector)
        if connector is not None and not hasattr(connector, "describe_source"):
            raise SettingsError(
                f"storage_connector={connector!r} is no connector: give one of"
                " get_storage_connector, or data_format, path or query, and options."
            )
        return connector

    def create_on_demand_feature_group(
        self,
        name: str,
        storage_connector: Any = None,
        query: str | None = None,
        data_format: str | None = None,
        path: str = "",
        options: Mapping[str, Any] | None = None,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        foreign_key: Sequence[str] = (),
        features: Sequence[Feature] = (),
        statistics_config: Any = None,
        event_time: str | Sequence[str] | None = None,
        expectation_suite: Any = None,
        topic_name: str | None = None,
        notification_topic_name: str | None = None,
        data_source: Any = None,
        online_enabled: bool = False,
        ttl: timedelta | float | None = None,
        ttl_enabled: bool | None = None,
    ) -> ExternalFeatureGroup:
        """Create an external group, under Hopsworks' older name for it.

        Args:
            name: As in ``create_external_feature_group``, and so are the others.
            storage_connector: A named source.
            query: The name of a Spark table, or an SQL query.
            data_format: What the source is.
            path: The folder or URI of the files. A relative path that is there is kept as the
                absolute one.
            options: Those of Spark's reader.
            version: The version.
            description: What it is for.
            primary_key: The columns of the entity.
            foreign_key: The columns of other entities.
            features: The columns.
            statistics_config: Taken for Hopsworks' sake.
            event_time: The column of the event time.
            expectation_suite: Taken for Hopsworks' sake.
            topic_name: Taken for Hopsworks' sake.
            notification_topic_name: Taken for Hopsworks' sake.
            data_source: Taken in the place of a connector.
            online_enabled: NotOfferedError where it is True.
            ttl: How old a row may be and still match.
            ttl_enabled: Whether the ttl is in use.

        Returns:
            The group.
        """
        arguments = {key: value for key, value in locals().items() if key != "self"}
        return self.create_external_feature_group(**arguments)


def _check_external(method: str, arguments: Mapping[str, Any]) -> None:
    """Warn of what is said of rows that are never inserted; NotOfferedError for serving them."""
    if arguments["online_enabled"]:
        raise NotOfferedError.for_call(
            f"{method}(online_enabled=True)",
            "serves rows that are inserted beside the source",
            "insert them into a feature group with online_enabled=True",
        )
    unused = {name: arguments[name] for name in ("expectation_suite", "statistics_config")}
    warn_of_arguments(method, unused, "the rows of an external group are never inserted here")


def _build_source(
    connector: Any,
    data_format: str | None,
    path: str,
    query: str | None,
    options: Mapping[str, Any] | None,
) -> SourceSpec:
    """Where the rows are, by a connector or by what the caller says."""
    if connector is not None:
        data_format, location, options = connector.describe_source(
            data_format, path, query, options
        )
        return build_source(data_format, location, options)
    return build_source(data_format or "delta", path or query or "", options or {})
