"""What every named source of external groups is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from spark_fs.api.logins import get_current_project
from spark_fs.api.taken import Refused
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError
from spark_fs.spec.connector import ConnectorSpec
from spark_fs.spec.external_source import SourceSpec

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores

_BY_SPARK = "look with a client of the source, and give query= or path="


@validate_arguments
class StorageConnector(ABC):
    """A source by a name of its own, for ``create_external_feature_group(storage_connector=...)``.

    Secrets are written as ``${SPARK_FS_SECRET_NAME}`` and read from the environment when rows are.

    Args:
        id: Without meaning here: a name is enough.
        name: The name, in lower snake case.
        featurestore_id: Without meaning here.
        description: What it is.
        arguments: What its kind needs.
    """

    type: ClassVar[str]

    def __init__(
        self,
        id: int | None,
        name: str,
        featurestore_id: int | None,
        description: str | None,
        arguments: Mapping[str, Any],
    ) -> None:
        self.id = id
        self._featurestore_id = featurestore_id
        given = {key: value for key, value in arguments.items() if value is not None}
        self._spec = ConnectorSpec(name, self.type, description or "", given)
        self._stores: Stores | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def name(self) -> str:
        """The name."""
        return self._spec.name

    @property
    def description(self) -> str:
        """What it is."""
        return self._spec.description

    @property
    def arguments(self) -> dict[str, Any]:
        """What its kind needs, without secrets."""
        return dict(self._spec.arguments)

    @property
    def spec(self) -> ConnectorSpec:
        """The definition."""
        return self._spec

    @abstractmethod
    def spark_options(self) -> dict[str, str]:
        """The options of Spark's reader, with variables in the place of secrets."""

    @abstractmethod
    def describe_source(
        self,
        data_format: str | None,
        path: str | None,
        query: str | None,
        options: Mapping[str, Any] | None,
    ) -> tuple[str, str, dict[str, Any]]:
        """Say where rows are that are asked of it.

        Args:
            data_format: What they are; None: what the connector's kind has.
            path: Where they are below the connector.
            query: What selects them.
            options: Those of Spark's reader beside its own.

        Returns:
            The format, the location and the options, as ``create_external_feature_group`` takes
            them without a connector.

        Raises:
            SettingsError: Its kind has no such rows.
        """

    def connector_options(self) -> dict[str, str]:
        """The options of Spark's reader; see ``spark_options``."""
        return self.spark_options()

    def read(
        self,
        query: str | None = None,
        data_format: str | None = None,
        options: Mapping[str, Any] | None = None,
        path: str | None = None,
        dataframe_type: str = "default",
    ) -> Any:
        """Read its rows, by Spark.

        Args:
            query: An SQL query, for a database.
            data_format: "delta", "parquet", "csv", "json", "orc" or "avro", for files.
            options: Those of Spark's reader.
            path: Where the files are below the connector.
            dataframe_type: "spark" (lazily), another type of frame (eagerly), or "default": "spark"
                where you have a Spark session, else "pandas".

        Returns:
            The rows.

        Raises:
            SettingsError: The connector is not saved yet, or its kind has no such rows.
            SparkFSError: The source cannot be opened.
        """
        from spark_fs.flows.read import resolve_dataframe_type
        from spark_fs.flows.read_source import read_source_rows

        frame_type = resolve_dataframe_type(dataframe_type)  # before Spark is started for it
        source = SourceSpec.from_declaration(
            *self.describe_source(data_format, path, query, options)
        )
        return read_source_rows(self._get_stores().spark, source, frame_type)

    def save(self) -> None:
        """Save it, eagerly, in the project that this process logged in to last."""
        get_current_project().get_feature_store().create_storage_connector(self)

    def delete(self) -> None:
        """Forget it, eagerly; external groups that were made of it stay as they are."""
        self._get_stores().catalog.delete_connector(self.name)

    def _get_stores(self) -> Stores:
        if self._stores is None:
            raise SettingsError(
                f"Storage connector {self.name!r} is not saved yet: give it to"
                " create_storage_connector first."
            )
        return self._stores

    update = Refused("changes a connector", "delete it, and create it anew under its name")
    refetch = Refused("fetches credentials", "export the variables that it names")
    prepare_spark = Refused("sets up Spark for a source", "the setting spark takes its options")
    get_databases = Refused("lists databases", _BY_SPARK)
    get_tables = Refused("lists tables", _BY_SPARK)
    get_data = Refused("shows rows of a table", "read(query) reads them")
    get_data_batch = Refused("shows rows of tables", "read(query) reads them")
    get_metadata = Refused("lists the columns of a table", "read(query) has them")
    infer_metadata = Refused("guesses what a table holds", "read(query) shows it")
    get_feature_groups = Refused(
        "lists the groups of a connector", "get_external_feature_groups lists all"
    )
    get_feature_groups_provenance = Refused(
        "lists the groups of a connector", "get_external_feature_groups lists all"
    )


def to_options(
    arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
) -> dict[str, str]:
    """List options by name, from a mapping or from a list of names and values.

    Args:
        arguments: What a caller gave.

    Raises:
        SettingsError: It is neither.
    """
    if arguments is None:
        return {}
    if isinstance(arguments, Mapping):
        return {str(name): str(value) for name, value in arguments.items()}
    try:
        return {str(each["name"]): str(each["value"]) for each in arguments}
    except (TypeError, LookupError):
        raise SettingsError(
            f"arguments={arguments!r} are no options: give a mapping, or a list of dicts with the"
            " keys 'name' and 'value'."
        ) from None
