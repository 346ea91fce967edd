"""Log in to a project: its feature store, its models and its files."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.logins import note_login
from spark_fs.api.stores import Stores
from spark_fs.api.taken import Refused, warn_of_arguments
from spark_fs.base.arguments import validate_arguments, validate_call
from spark_fs.errors import NotFoundError

if TYPE_CHECKING:
    from spark_fs.api.dataset_api import DatasetApi
    from spark_fs.api.model_registry import ModelRegistry
    from spark_fs.settings import Config

_NO_SERVER = "there is no server; config, SPARK_FS_CONFIG or SPARK_FS_HOME names the store"
_NO_STREAMS = "it takes batches, so read the topic by a job of your own and insert its rows"
_NO_JOBS = "run them by spark-fs run, spark-submit or a scheduler such as cron or Airflow"
_NO_CLUSTER = "run what you need beside it, since it lives in your process and on your Spark"
_NO_MEMBERS = "who may read is what the folder and the databases allow"
_NO_ALERTS = "name a webhook under alerts: in the file of a pipeline, which spark-fs run tells"
_DEFAULT_PORT = 443


@validate_call
def login(
    config: Config = None,
    port: int | str | None = None,
    project: str | None = None,
    api_key_value: str | None = None,
    api_key_file: str | None = None,
    hostname_verification: bool = False,
    trust_store_path: str | None = None,
    cert_folder: str | None = None,
    engine: str | None = None,
    *,
    host: str | None = None,
) -> Project:
    """Open a project; starts no JVM.

    Args:
        config: The path of a YAML file, a mapping of settings, or None for the file that
            ``SPARK_FS_CONFIG`` names, else the embedded default under ``./.spark_fs``.
            ``login({"home": folder})`` is a whole private store.
        port: As all that follow, of Hopsworks: it is named in a warning, and changes nothing.
        project: The name that the project is to have in this process.
        api_key_value: A key for a server.
        api_key_file: A file with it.
        hostname_verification: Whether the server's certificate is checked.
        trust_store_path: Where certificates are.
        cert_folder: Where certificates are put.
        engine: Hopsworks' engine: here each read chooses, by the setting ``engine``.
        host: A server.

    Returns:
        The project.

    Raises:
        SettingsError: A setting is unknown or not valid.
    """
    from spark_fs.settings import load_settings

    of_a_server = {
        "host": host,
        "port": None if port == _DEFAULT_PORT else port,
        "project": project,
        "api_key_value": api_key_value,
        "api_key_file": api_key_file,
        "hostname_verification": hostname_verification,
        "trust_store_path": trust_store_path,
        "cert_folder": cert_folder,
        "engine": engine,
    }
    if isinstance(config, str) and not os.path.exists(config) and any(of_a_server.values()):
        of_a_server["host"] = config  # which comes first by place in Hopsworks
        config = None
    warn_of_arguments("login", of_a_server, _NO_SERVER)
    opened = Project(Stores(load_settings(config), project))
    note_login(opened)
    return opened


@validate_arguments
class Project:
    """One project: its feature store, its models and its files."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def __repr__(self) -> str:
        return f"Project({self.name!r})"

    @property
    def name(self) -> str:
        """The name given to login, else that of the folder ``home``, or what that is hidden in."""
        return self._stores.project_name

    @property
    def id(self) -> int:
        """1: a store has one project."""
        return 1

    @property
    def description(self) -> str:
        """Nothing: projects are not described."""
        return ""

    @property
    def project_namespace(self) -> str:
        """The name."""
        return self.name

    @property
    def owner(self) -> str:
        """The user of this process."""
        return getpass.getuser()

    @property
    def created(self) -> None:
        """None: nobody notes when a project began."""
        return

    @property
    def home_path(self) -> str:
        """Your folder in the project's files, for ``get_dataset_api``."""
        return f"/Projects/{self.name}/Users/{self.owner}"

    def get_url(self) -> str:
        """Return the URI of the folder ``home``; ``spark-fs ui`` shows the store in a browser."""
        return str(self._stores.settings.home.as_uri())

    def get_feature_store(self, name: str | None = None) -> FeatureStore:
        """Return the project's feature store.

        Args:
            name: None, the name of the project, or that followed by ``_featurestore``.

        Raises:
            NotFoundError: It is another name.
        """
        self.check_name(name and name.removesuffix("_featurestore"))
        return FeatureStore(self._stores)

    def get_model_registry(self) -> ModelRegistry:
        """Return the project's models; MLflow is loaded when the first of them is asked for."""
        from spark_fs.api.model_registry import ModelRegistry

        return ModelRegistry(self._stores)

    def get_dataset_api(self) -> DatasetApi:
        """Return the project's files, which are in the folder ``datasets`` of ``home``."""
        from spark_fs.api.dataset_api import DatasetApi

        return DatasetApi(self._stores.settings.home / "datasets", self.name)

    def check_name(self, name: str | None) -> None:
        """Raise NotFoundError for the name of another project; None is the name of this one."""
        if name is not None and name.lower() != self.name.lower():
            raise NotFoundError(
                f"Project {name!r} is not this one, which is {self.name!r}: log in to the other"
                " one with its home, or leave the name out."
            )

    get_model_serving = Refused(
        "serves models", "load the model in your own service, with vectors by spark-fs serve"
    )
    get_kafka_api = Refused("manages Kafka topics", _NO_STREAMS)
    get_opensearch_api = Refused(
        "searches by OpenSearch", "keep an index of your own beside the store"
    )
    get_job_api = get_jobs_api = Refused("runs jobs", _NO_JOBS)
    get_app_api = Refused("runs apps", _NO_CLUSTER)
    get_git_api = Refused("clones repositories", "use git where your code lies")
    get_environment_api = Refused("makes Python environments", "use venv or uv")
    get_alerts_api = get_alerts = get_alert = Refused("raises alerts", _NO_ALERTS)
    create_job_alert = create_featurestore_alert = Refused("raises alerts", _NO_ALERTS)
    get_members_api = get_members = Refused("lists the members of a project", _NO_MEMBERS)
    add_member = remove_member = Refused("changes the members of a project", _NO_MEMBERS)
    get_search_api = Refused(
        "searches a project", "spark-fs search finds groups, views, features and models"
    )
    get_trino_api = get_trino_catalog_api = Refused(
        "asks a project's Trino", "FeatureStore.sql asks Spark"
    )
    get_superset_api = Refused("draws dashboards", "spark-fs ui shows the store")
