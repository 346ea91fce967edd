"""Settings: the environment and the configuration file, read once at login."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from spark_fs.errors import SettingsError, nearest

Config = str | os.PathLike[str] | Mapping[str, Any] | None


class Settings(BaseSettings):
    """Where a store lives. ``SPARK_FS_*`` variables win over what ``login`` was given.

    home: folder of the embedded defaults.
    warehouse: folder or URI of the Delta tables, ``<home>/warehouse`` unless set.
    catalog_url: SQLAlchemy URL of the metadata database, SQLite under ``home`` unless set.
    online_url: ``sqlite:///path`` or ``mysql://user:password@host:port/database?option=value``, SQLite under ``home`` unless set.
    online_password: the password of ``online_url``, where that has none.
    models_url: MLflow's tracking URI, SQLite and a folder ``models`` under ``home`` unless set.
    spark: Spark settings for the session that this process starts.
    """

    model_config = SettingsConfigDict(env_prefix="SPARK_FS_", extra="forbid", frozen=True)

    home: Path = Path(".spark_fs")
    warehouse: str = ""
    catalog_url: SecretStr = SecretStr("")
    online_url: SecretStr = SecretStr("")
    online_password: SecretStr = SecretStr("")
    models_url: SecretStr = SecretStr("")
    spark: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # pydantic's signature
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then what was given."""
        return env_settings, init_settings

    def model_post_init(self, _: Any, /) -> None:
        """Fill in what follows from ``home``."""
        home = self.home.expanduser().absolute()
        derived = {
            "warehouse": self.warehouse or str(home / "warehouse"),
            "catalog_url": _or_sqlite(self.catalog_url, home / "catalog.db"),
            "online_url": _or_sqlite(self.online_url, home / "online.db"),
            "models_url": _or_sqlite(self.models_url, home / "models.db"),
        }
        for name, value in (derived | {"home": home}).items():
            object.__setattr__(self, name, value)  # the model is frozen for its users


def _or_sqlite(url: SecretStr, path: Path) -> SecretStr:
    return url if url.get_secret_value() else SecretStr(f"sqlite:///{path}")


def load(config: Config = None) -> Settings:
    """The settings of a path, a mapping, or of ``SPARK_FS_CONFIG``, else the embedded default under ``.spark_fs``."""
    source = os.environ.get("SPARK_FS_CONFIG") if config is None else config
    given = dict(source) if isinstance(source, Mapping) else _read(Path(source)) if source else {}
    known = Settings.model_fields
    for name in given:
        if name not in known:
            raise SettingsError(f"Setting {name!r} does not exist{nearest(str(name), known)}")
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings are not valid: {wrong}. Correct them in the file or the SPARK_FS_* variables.") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingsError(f"Settings file {path} cannot be read: {error.strerror}. Name another, or none.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"Settings file {path} is not YAML: {error}") from None
    if not isinstance(found, dict):
        raise SettingsError(f"Settings file {path} must hold a mapping of settings, not {type(found).__name__}.")
    return found
