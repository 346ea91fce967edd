"""Load and save the named sources of external groups."""

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from spark_fs.catalog.database import Database, get_utc_now
from spark_fs.catalog.tables import CONNECTORS
from spark_fs.errors import AlreadyExistsError, NotFoundError
from spark_fs.spec.connector import ConnectorSpec
from spark_fs.spec.names import check_name
from spark_fs.spec.record_format import iter_readable


class ConnectorCatalog(Database):
    """The part of the catalog that keeps storage connectors."""

    def add_connector(self, connector: ConnectorSpec) -> None:
        """Save a new connector; AlreadyExistsError when its name is taken."""
        row = {
            "name": connector.name,
            "definition": connector.to_json(),
            "created_at": get_utc_now(),
        }
        try:
            with self._begin_transaction() as connection:
                connection.execute(insert(CONNECTORS).values(**row))
        except IntegrityError:
            raise AlreadyExistsError(
                f"Storage connector {connector.name!r} exists already: use get_storage_connector,"
                " or give it another name."
            ) from None

    def get_connector(self, name: str) -> ConnectorSpec:
        """One connector; NotFoundError with the nearest names."""
        check_name("Storage connector", name)
        query = select(CONNECTORS.c.definition).where(CONNECTORS.c.name == name)
        with self._begin_transaction() as connection:
            definition = connection.execute(query).scalar_one_or_none()
        if definition is None:
            raise NotFoundError.for_name(
                "Storage connector",
                name,
                self._list_names(CONNECTORS),
                "Ask for one that exists, or create it first by create_storage_connector.",
            )
        return ConnectorSpec.from_json(definition)

    def list_connectors(self) -> list[ConnectorSpec]:
        """Every connector, by name.

        One that only a newer release can read is left out, with a warning.
        """
        query = select(CONNECTORS.c.definition).order_by(CONNECTORS.c.name)
        with self._begin_transaction() as connection:
            definitions = connection.scalars(query).all()
        return list(iter_readable(ConnectorSpec.from_json, definitions))

    def delete_connector(self, name: str) -> None:
        """Forget a connector."""
        with self._begin_transaction() as connection:
            connection.execute(delete(CONNECTORS).where(CONNECTORS.c.name == name))
