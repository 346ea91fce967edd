"""The named sources of a feature store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import UpgradeError

if TYPE_CHECKING:
    from spark_fs.api.data_source import DataSource
    from spark_fs.api.storage_connector import StorageConnector
    from spark_fs.api.stores import Stores
    from spark_fs.spec.connector import ConnectorSpec


@validate_arguments
class SourceStore:
    """Storage connectors by name."""

    _stores: Stores

    def create_storage_connector(self, connector: StorageConnector) -> StorageConnector:
        """Save a source under its name, eagerly.

        Args:
            connector: One of ``spark_fs.storage_connector``, such as ``JdbcConnector(name="shop",
                connection_string="jdbc:mysql://host/shop", arguments={"user": "reader",
                "password": "${SPARK_FS_SECRET_SHOP}"})``.

        Returns:
            The connector.

        Raises:
            SettingsError: It holds a password or key, and not the name of a variable.
            AlreadyExistsError: The name is taken.
        """
        from spark_fs.spec.external_source import check_option

        for name, value in connector.spark_options().items():
            check_option(name, value)
        self._stores.catalog.add_connector(connector.spec)
        connector._stores = self._stores
        return connector

    def get_storage_connector(self, name: str) -> StorageConnector:
        """Return a source; NotFoundError, with the nearest names, where it is absent."""
        return _open_connector(self._stores, self._stores.catalog.get_connector(name))

    def get_storage_connectors(self) -> list[StorageConnector]:
        """Return every source, by name."""
        connectors = self._stores.catalog.list_connectors()
        return [_open_connector(self._stores, connector) for connector in connectors]

    def create_data_source(self, connector: StorageConnector) -> DataSource:
        """Save a source, eagerly, as create_storage_connector does; return it as a DataSource."""
        from spark_fs.api.data_source import DataSource

        return DataSource(storage_connector=self.create_storage_connector(connector))

    def get_data_source(self, name: str) -> DataSource:
        """Return a source by its name, as a ``DataSource``."""
        from spark_fs.api.data_source import DataSource

        return DataSource(storage_connector=self.get_storage_connector(name))


def _open_connector(stores: Stores, spec: ConnectorSpec) -> StorageConnector:
    """A connector as its class."""
    from spark_fs.api.database_connector import JdbcConnector, SqlConnector
    from spark_fs.api.folder_connector import HopsFSConnector, S3Connector

    kinds = (JdbcConnector, SqlConnector, S3Connector, HopsFSConnector)
    by_name: dict[str, Any] = {kind.type: kind for kind in kinds}
    if spec.kind not in by_name:
        raise UpgradeError(
            f"Storage connector {spec.name!r} is of kind {spec.kind!r}, which a newer spark_fs"
            " knows. Upgrade spark_fs."
        )
    kind = by_name[spec.kind]
    connector: StorageConnector = kind(
        name=spec.name, description=spec.description, **spec.arguments
    )
    connector._stores = stores
    return connector
