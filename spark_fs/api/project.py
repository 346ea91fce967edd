"""Log in to a project: its feature store and its models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.stores import Stores
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    from spark_fs.api.model_registry import ModelRegistry
    from spark_fs.settings import Config


def login(config: Config = None) -> Project:
    """Open a project; starts no JVM.

    Args:
        config: The path of a YAML file, a mapping of settings, or None for the file that
            ``SPARK_FS_CONFIG`` names, else the embedded default under ``./.spark_fs``.
            ``login({"home": folder})`` is a whole private store.

    Returns:
        The project.

    Raises:
        SettingsError: A setting is unknown or not valid.
    """
    from spark_fs.settings import load_settings

    return Project(Stores(load_settings(config)))


@validate_arguments
class Project:
    """One project: its feature store and its models."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def get_feature_store(self) -> FeatureStore:
        """Return the project's feature store."""
        return FeatureStore(self._stores)

    def get_model_registry(self) -> ModelRegistry:
        """Return the project's models; MLflow is loaded when the first of them is asked for."""
        from spark_fs.api.model_registry import ModelRegistry

        return ModelRegistry(self._stores)
