"""The calls by which older code for Hopsworks comes to a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_fs.api.project import login
from spark_fs.api.taken import Refused, warn_of_arguments
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.model_registry import ModelRegistry
    from spark_fs.api.project import Project

_NO_SERVER = "there is no server to connect to, and login's first argument names the store"
_ENVIRONMENT = "read os.environ, where whatever starts the process puts them"

_MAKES_PROJECT = "makes a project on the cluster"
_ANOTHER_HOME = (
    "spark_fs.login with another home is another project, which is made when it is first used"
)

create_project = Refused(_MAKES_PROJECT, _ANOTHER_HOME, "create_project")
get_secrets_api = Refused("keeps secrets", _ENVIRONMENT, "get_secrets_api")
get_env_vars_api = Refused("keeps variables of an environment", _ENVIRONMENT, "get_env_vars_api")
get_users_api = Refused(
    "lists the users of the cluster",
    "who may read is what the folder and the databases allow",
    "get_users_api",
)


def connection(*args: Any, **kwargs: Any) -> Connection:
    """Open the project that ``spark_fs.login()`` opens; starts no JVM.

    Args:
        *args: The host, port and key of a server: they are named in a warning.
        **kwargs: As well.

    Returns:
        The connection, with the project's feature store and models.
    """
    given = {**{f"args[{place}]": value for place, value in enumerate(args)}, **kwargs}
    warn_of_arguments("connection", given, _NO_SERVER)
    return Connection(login())


def disable_usage_logging() -> None:
    """Do nothing: nobody is told of what you do."""


@validate_arguments
class Connection:
    """A project, as ``hsfs.connection()`` gave it."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def get_feature_store(self, name: str | None = None) -> FeatureStore:
        """Return the feature store; see ``Project.get_feature_store``."""
        return self._project.get_feature_store(name)

    def get_model_registry(self, project: str | None = None) -> ModelRegistry:
        """Return the models of the project, by its name or without one."""
        self._project.check_name(project)
        return self._project.get_model_registry()

    def get_project(self, name: str | None = None) -> Project:
        """Return the project, by its name or without one."""
        self._project.check_name(name)
        return self._project

    def get_projects(self) -> list[Project]:
        """List the one project."""
        return [self._project]

    def project_exists(self, name: str) -> bool:
        """Whether the project has this name."""
        return name == self._project.name

    def close(self) -> None:
        """Do nothing: there is no server to part from."""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    create_project = Refused(_MAKES_PROJECT, _ANOTHER_HOME)
    get_secrets_api = Refused("keeps secrets", _ENVIRONMENT)
    get_model_serving = Refused(
        "serves models", "load the model in your own service, with vectors by spark-fs serve"
    )
