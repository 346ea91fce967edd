"""Named sources of external groups: databases, buckets and folders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from spark_fs.api.taken import Refused
from spark_fs.errors import NotOfferedError, SettingsError
from spark_fs.spec.connector import ConnectorSpec
from spark_fs.spec.external_source import FILE_FORMATS, SourceSpec

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores

_BY_SPARK = "look with a client of the source, and give query= or path="
_DRIVERS = {"MYSQL": "mysql", "POSTGRESQL": "postgresql"}  # in a JDBC URL, by the database's type


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
            dataframe_type: "spark" (lazily) and "default", or another type of frame (eagerly).

        Returns:
            The rows.

        Raises:
            SettingsError: The connector is not saved yet, or its kind has no such rows.
            SparkFSError: The source cannot be opened.
        """
        from spark_fs.flows.read_source import read_source_rows

        source = SourceSpec.from_declaration(
            *self.describe_source(data_format, path, query, options)
        )
        return read_source_rows(self._get_stores().spark, source, dataframe_type)

    def save(self) -> None:
        """Save it, eagerly, in the project that this process logged in to last."""
        from spark_fs.api.connection import get_current_project

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


class _DatabaseConnector(StorageConnector):
    """A database that Spark reads by JDBC."""

    def describe_source(
        self,
        data_format: str | None,
        path: str | None,
        query: str | None,
        options: Mapping[str, Any] | None,
    ) -> tuple[str, str, dict[str, Any]]:
        """See ``StorageConnector.describe_source``."""
        if data_format not in (None, "jdbc"):
            raise SettingsError(
                f"data_format={data_format!r} is not what storage connector {self.name!r} has, a"
                " database: leave it out."
            )
        if path or not query:
            raise SettingsError(
                f"Storage connector {self.name!r} is a database: give query=, an SQL query, and no"
                " path."
            )
        return "jdbc", query, {**self.spark_options(), **(options or {})}


class JdbcConnector(_DatabaseConnector):
    """A database by its JDBC address.

    Args:
        id: Without meaning here.
        name: The name, in lower snake case.
        featurestore_id: Without meaning here.
        description: What it is.
        connection_string: The address, such as ``jdbc:mysql://host:3306/shop``.
        arguments: Options of Spark's reader, such as ``{"user": "reader", "password":
            "${SPARK_FS_SECRET_SHOP}"}``, or a list of dicts with "name" and "value".
    """

    type = "JDBC"

    def __init__(
        self,
        id: int | None = None,
        name: str = "",
        featurestore_id: int | None = None,
        description: str | None = None,
        connection_string: str | None = None,
        arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        given = {
            "connection_string": connection_string,
            "arguments": _to_options(arguments),
        }
        super().__init__(id, name, featurestore_id, description, given)
        if not connection_string:
            raise SettingsError(f"Storage connector {name!r} needs connection_string=.")

    def spark_options(self) -> dict[str, str]:
        """See ``StorageConnector.spark_options``."""
        return {"url": self.arguments["connection_string"], **self.arguments["arguments"]}


class SqlConnector(_DatabaseConnector):
    """A MySQL or PostgreSQL database by its host.

    Args:
        id: Without meaning here.
        name: The name, in lower snake case.
        featurestore_id: Without meaning here.
        description: What it is.
        database_type: "MYSQL" or "POSTGRESQL".
        host: The host.
        port: The port; None: the usual one.
        database: The database.
        user: The user.
        password: ``${SPARK_FS_SECRET_NAME}``.
        arguments: Options of Spark's reader beside these.
    """

    type = "SQL"

    def __init__(
        self,
        id: int | None = None,
        name: str = "",
        featurestore_id: int | None = None,
        description: str | None = None,
        database_type: str | None = None,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        user: str | None = None,
        password: str | None = None,
        arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        given = {
            "database_type": database_type,
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
            "arguments": _to_options(arguments),
        }
        super().__init__(id, name, featurestore_id, description, given)
        if str(database_type).upper() not in _DRIVERS:
            raise SettingsError(
                f"database_type={database_type!r} is not one of {', '.join(_DRIVERS)}: use"
                " JdbcConnector with its address."
            )
        if not host or not database:
            raise SettingsError(f"Storage connector {name!r} needs host= and database=.")

    def spark_options(self) -> dict[str, str]:
        """See ``StorageConnector.spark_options``."""
        known = self.arguments
        driver = _DRIVERS[known["database_type"].upper()]
        port = f":{known['port']}" if "port" in known else ""
        options = {"url": f"jdbc:{driver}://{known['host']}{port}/{known['database']}"}
        for name in ("user", "password"):
            if name in known:
                options[name] = known[name]
        return {**options, **known["arguments"]}


class _FolderConnector(StorageConnector):
    """Files below a folder or in a bucket."""

    @property
    @abstractmethod
    def path(self) -> str:
        """Where the files are."""

    def describe_source(
        self,
        data_format: str | None,
        path: str | None,
        query: str | None,
        options: Mapping[str, Any] | None,
    ) -> tuple[str, str, dict[str, Any]]:
        """See ``StorageConnector.describe_source``."""
        file_format = (data_format or "parquet").lower()
        if file_format not in FILE_FORMATS:
            formats = ", ".join(map(repr, FILE_FORMATS))
            raise SettingsError(
                f"data_format={data_format!r} is not what storage connector {self.name!r} has: use"
                f" {formats}, or read the files and insert their rows into a feature group."
            )
        if query:
            raise SettingsError(
                f"Storage connector {self.name!r} is a folder, which takes no query: give path=."
            )
        inner = path or ""
        is_whole = "://" in inner or inner.startswith("/")
        location = inner if is_whole else f"{self.path.rstrip('/')}/{inner}".rstrip("/")
        return file_format, location, {**self.spark_options(), **(options or {})}


class S3Connector(_FolderConnector):
    """A bucket of S3, or of a store that speaks as it does; Spark needs the jar of hadoop-aws.

    Args:
        id: Without meaning here.
        name: The name, in lower snake case.
        featurestore_id: Without meaning here.
        description: What it is.
        access_key: ``${SPARK_FS_SECRET_NAME}``; None: as the machine is set up.
        secret_key: The same.
        server_encryption_algorithm: How the bucket is encrypted.
        server_encryption_key: ``${SPARK_FS_SECRET_NAME}``, where that needs a key.
        bucket: The bucket.
        path: A folder in it.
        region: Its region.
        session_token: ``${SPARK_FS_SECRET_NAME}``.
        iam_role: Refused: arguments take Hadoop's options for a role.
        arguments: Options of Hadoop's, such as ``{"fs.s3a.endpoint": "https://minio:9000"}``.
    """

    type = "S3"

    def __init__(
        self,
        id: int | None = None,
        name: str = "",
        featurestore_id: int | None = None,
        description: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        server_encryption_algorithm: str | None = None,
        server_encryption_key: str | None = None,
        bucket: str | None = None,
        path: str | None = None,
        region: str | None = None,
        session_token: str | None = None,
        iam_role: str | None = None,
        arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        if iam_role is not None:
            raise NotOfferedError.for_call(
                "S3Connector(iam_role=)",
                "assumes a role",
                "give arguments={'fs.s3a.assumed.role.arn': ..., ...}, as Hadoop documents them",
            )
        given = {
            "access_key": access_key,
            "secret_key": secret_key,
            "server_encryption_algorithm": server_encryption_algorithm,
            "server_encryption_key": server_encryption_key,
            "bucket": bucket,
            "path": path,
            "region": region,
            "session_token": session_token,
            "arguments": _to_options(arguments),
        }
        super().__init__(id, name, featurestore_id, description, given)
        if not bucket:
            raise SettingsError(f"Storage connector {name!r} needs bucket=.")

    @property
    def bucket(self) -> str:
        """The bucket."""
        return str(self.arguments["bucket"])

    @property
    def path(self) -> str:
        """The URI of the bucket, or of the folder in it."""
        inner = self.arguments.get("path", "").strip("/")
        return f"s3a://{self.bucket}/{inner}".rstrip("/")

    def spark_options(self) -> dict[str, str]:
        """See ``StorageConnector.spark_options``."""
        known = self.arguments
        options = {
            option: str(known[name]) for name, option in _S3_OPTIONS.items() if name in known
        }
        return {**options, **known["arguments"]}


_S3_OPTIONS = {
    "access_key": "fs.s3a.access.key",
    "secret_key": "fs.s3a.secret.key",
    "session_token": "fs.s3a.session.token",
    "region": "fs.s3a.endpoint.region",
    "server_encryption_algorithm": "fs.s3a.encryption.algorithm",
    "server_encryption_key": "fs.s3a.encryption.key",
}


class HopsFSConnector(_FolderConnector):
    """A folder of this machine, or of the project's files.

    Args:
        id: Without meaning here.
        name: The name, in lower snake case.
        featurestore_id: Without meaning here.
        description: What it is.
        hopsfs_path: The folder, or a URI that Spark reads.
        dataset_name: A folder of the project's files, such as "Resources", in its place.
    """

    type = "HOPSFS"

    def __init__(
        self,
        id: int | None = None,
        name: str = "",
        featurestore_id: int | None = None,
        description: str | None = None,
        hopsfs_path: str | None = None,
        dataset_name: str | None = None,
    ) -> None:
        given = {"hopsfs_path": hopsfs_path, "dataset_name": dataset_name}
        super().__init__(id, name, featurestore_id, description, given)
        if bool(hopsfs_path) == bool(dataset_name):
            raise SettingsError(
                f"Storage connector {name!r} needs one of hopsfs_path= and dataset_name=."
            )

    @property
    def path(self) -> str:
        """The folder."""
        if "hopsfs_path" in self.arguments:
            return str(self.arguments["hopsfs_path"])
        files = self._get_stores().settings.home / "datasets"
        return str(files / self.arguments["dataset_name"])

    def spark_options(self) -> dict[str, str]:
        """None: files need no options."""
        return {}


_KINDS: dict[str, type[StorageConnector]] = {
    kind.type: kind for kind in (JdbcConnector, SqlConnector, S3Connector, HopsFSConnector)
}


def open_connector(stores: Stores, spec: ConnectorSpec) -> StorageConnector:
    """Open a connector as its class.

    Args:
        stores: Where it is kept.
        spec: Its definition.
    """
    connector = _KINDS[spec.kind](
        None, name=spec.name, featurestore_id=1, description=spec.description, **spec.arguments
    )
    connector._stores = stores
    return connector


def _to_options(
    arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
) -> dict[str, str]:
    """Options by name, from a mapping or from a list of names and values."""
    if arguments is None:
        return {}
    if isinstance(arguments, Mapping):
        return {name: str(value) for name, value in arguments.items()}
    return {str(each["name"]): str(each["value"]) for each in arguments}
