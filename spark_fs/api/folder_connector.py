"""Folders and buckets as named sources of external groups."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from spark_fs.api.storage_connector import StorageConnector, to_options
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotOfferedError, SettingsError
from spark_fs.spec.external_source import FILE_FORMATS

_S3_OPTIONS = {
    "access_key": "fs.s3a.access.key",
    "secret_key": "fs.s3a.secret.key",
    "session_token": "fs.s3a.session.token",
    "region": "fs.s3a.endpoint.region",
    "server_encryption_algorithm": "fs.s3a.encryption.algorithm",
    "server_encryption_key": "fs.s3a.encryption.key",
}


@validate_arguments
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


@validate_arguments
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
            "arguments": to_options(arguments),
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


@validate_arguments
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
