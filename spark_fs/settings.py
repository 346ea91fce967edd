"""Settings: the environment and the configuration file, read once at login.

A plain dataclass: a library for settings loads in 150 ms, which every serving process would wait
for.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from spark_fs.errors import SettingsError, format_suggestions
from spark_fs.redact import find_secrets, register_secrets
from spark_fs.urls import Url, get_address

_PREFIX = "SPARK_FS_"
_MIGRATE_CHOICES = ("local", "always", "never")
_DEFAULT_PORTS = {"mysql": 3306, "postgresql": 5432}
Config = str | os.PathLike[str] | Mapping[str, Any] | None


class Secret:
    """A text that may hold a password: only ``get_secret_value`` shows it, and no error tells it."""

    def __init__(self, text: str = "", name: str = "url") -> None:
        self._text = text
        register_secrets(*find_secrets(name, text))

    def get_secret_value(self) -> str:
        """The text."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({'***' if self._text else ''})"


@dataclass(frozen=True)
class Settings:
    """Where a store lives. ``SPARK_FS_*`` variables win over what ``login`` was given.

    home: folder of the embedded defaults.
    warehouse: folder or URI of the Delta tables, ``<home>/warehouse`` unless set.
    catalog_url: the metadata database, ``sqlite:///path`` or ``mysql://user:password@host:port/database?option=value``, SQLite under
        ``home`` unless set.
    online_url: ``sqlite:///path`` or ``mysql://user:password@host:port/database?option=value``, SQLite under ``home`` unless set.
    online_password: the password of ``online_url``, where that has none.
    models_url: MLflow's tracking URI, SQLite and a folder ``models`` under ``home`` unless set.
    migrate_catalog: whether a metadata database that an earlier release made is brought up to this one when it is opened: "local" where
        it is in SQLite, while one on a server waits for ``spark-fs migrate``; "always"; or "never".
    spark: Spark settings for the session that this process starts.
    token: what callers of ``spark-fs serve`` and ``spark-fs ui`` must bring; nobody is asked for one without it.
    """

    home: Path = Path(".spark_fs")
    warehouse: str = ""
    catalog_url: Secret = Secret()  # noqa: RUF009 # it cannot be changed
    online_url: Secret = Secret()  # noqa: RUF009 # as above
    online_password: Secret = Secret()  # noqa: RUF009 # as above
    models_url: Secret = Secret()  # noqa: RUF009 # as above
    migrate_catalog: str = "local"
    spark: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)
    token: Secret = Secret()  # noqa: RUF009 # as above

    @property
    def online_address(self) -> str:
        """``online_url`` without user, password and options."""
        return get_address(self.online_url.get_secret_value())

    @property
    def store_identity(self) -> tuple[str, str]:
        """Where definitions and tables are: what two log-ins to one store share, whatever they were given."""
        return _resolve_database(self.catalog_url.get_secret_value()), _resolve_folder(
            self.warehouse
        )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """The settings, those that are not given following from ``home``; SettingsError names each that is not valid."""
        wrong = [text for name, value in values.items() if (text := _find_mistake(name, value))]
        if wrong:
            raise SettingsError(
                f"Settings are not valid: {'; '.join(wrong)}. Correct them in the file or the"
                " SPARK_FS_* variables."
            )
        made = {name: _CONVERTERS.get(name, _keep_value)(value) for name, value in values.items()}
        found = cls(**made)
        home = found.home.expanduser().absolute()
        urls = {
            f"{name}_url": Secret(f"sqlite:///{home / name}.db")
            for name in ("catalog", "online", "models")
        }
        derived: dict[str, Any] = {
            name: url
            for name, url in urls.items()
            if not made.get(name) or not made[name].get_secret_value()
        }
        return replace(
            found, home=home, warehouse=found.warehouse or str(home / "warehouse"), **derived
        )


def _resolve_database(url: str) -> str:
    """A database by its one name, whatever driver or spelling leads to it."""
    found = Url.from_text(url)
    if found is None:
        return get_address(url)
    backend = found.scheme.partition("+")[0]
    if backend == "sqlite":
        return f"sqlite:///{Path(found.database.removeprefix('/')).resolve()}"
    return replace(found, scheme=backend, port=found.port or _DEFAULT_PORTS.get(backend)).address


def _resolve_folder(folder: str) -> str:
    """A folder by its one name; a URI as it is."""
    path = folder.removeprefix("file://") if folder.startswith("file:///") else folder
    return folder.rstrip("/") if "://" in path else str(Path(path).resolve())


def _keep_value(value: Any) -> Any:
    return value


def _register_spark_secrets(options: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in options.items():
        register_secrets(*find_secrets(name, str(value)))
    return options


_CONVERTERS: Mapping[str, Any] = {
    "home": Path,
    "spark": _register_spark_secrets,
    **dict.fromkeys(("catalog_url", "online_url", "models_url"), Secret),
    **dict.fromkeys(("online_password", "token"), lambda text: Secret(text, "password")),
}


def _find_mistake(name: str, value: Any) -> str:
    """What is wrong with a setting; nothing: it is valid. A value is not shown: it may be a secret."""
    if name == "spark":
        if isinstance(value, Mapping) and all(
            isinstance(key, str) and isinstance(v, str | int | float) for key, v in value.items()
        ):
            return ""
        return "spark: it must be a mapping of Spark settings to texts, numbers or booleans"
    if name == "migrate_catalog" and value not in _MIGRATE_CHOICES:
        return f"migrate_catalog: it must be one of {', '.join(_MIGRATE_CHOICES)}"
    takes = str | os.PathLike if name == "home" else str
    return (
        "" if isinstance(value, takes) else f"{name}: it must be a text, not {type(value).__name__}"
    )


def load_settings(config: Config = None) -> Settings:
    """The settings of a path, a mapping, or of ``SPARK_FS_CONFIG``, else the embedded default under ``.spark_fs``."""
    source = os.environ.get("SPARK_FS_CONFIG") if config is None else config
    given = (
        dict(source)
        if isinstance(source, Mapping)
        else read_yaml(Path(source), "Settings file")
        if source
        else {}
    )
    known = [each.name for each in fields(Settings)]
    for name in given:
        if not isinstance(name, str) or name not in known:
            shown = (
                repr(name)
                if re.fullmatch(r"\w{1,40}", str(name))
                else "of a name that is not shown, since it may hold a password,"
            )
            raise SettingsError(
                f"Setting {shown} does not exist{format_suggestions(str(name), known)}"
            )
    return Settings.from_mapping(given | _read_environment(known))


def _read_environment(names: list[str]) -> dict[str, Any]:
    """The settings that ``SPARK_FS_*`` variables give; ``spark`` is JSON."""
    found: dict[str, Any] = {
        name: os.environ[_PREFIX + name.upper()]
        for name in names
        if _PREFIX + name.upper() in os.environ
    }
    if "spark" in found:
        try:
            found["spark"] = json.loads(found["spark"])
        except ValueError:
            raise SettingsError(
                "SPARK_FS_SPARK is not JSON (it is not shown, since it may hold a password): write"
                ' a mapping of Spark settings, such as {"spark.driver.memory": "4g"}.'
            ) from None
    return found


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file; SettingsError, which begins with what the file is, where there is none."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = (
            error.strerror if isinstance(error, OSError) else "it is not UTF-8, or its name is none"
        )
        raise SettingsError(
            f"{what} {path} cannot be read: {why}. Name another, or none."
        ) from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}, column {place.column + 1}" if place else ""
        raise SettingsError(
            f"{what} {path} is not YAML{where} (the line is not shown, since it may hold a"
            " password): quote a text with characters that YAML gives a meaning, as in"
            " online_password: 'p@ss: word'."
        ) from None
    if not isinstance(found, dict):
        raise SettingsError(f"{what} {path} must hold a mapping, not {type(found).__name__}.")
    return found
