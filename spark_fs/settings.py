"""Settings: the environment and the configuration file, read once at login.

A plain dataclass: a library for settings loads in 150 ms, which every serving process would wait
for.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from spark_fs.errors import SettingsError, format_suggestions
from spark_fs.redact import find_secrets, register_secrets
from spark_fs.url_lists import (
    find_replica_mistake,
    find_topology_mistake,
    find_url_list_mistake,
    list_replica_urls,
)
from spark_fs.urls import Url, get_address

_PREFIX = "SPARK_FS_"
_ENGINES = ("auto", "local", "spark")
_PROGRESS_CHOICES = ("show", "hide")
_MEMORY_UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}  # and how many bits their bytes take
_MIGRATE_CHOICES = ("local", "always", "never")
_FALLBACKS = ("primary", "error")
_URL_LIST_CHECKS = {"online_url": find_url_list_mistake, "online_read_urls": find_replica_mistake}
_DEFAULT_PORTS = {"mysql": 3306, "postgresql": 5432}
Config = str | os.PathLike[str] | Mapping[str, Any] | None


class Secret:
    """A string that may hold a password.

    Only ``get_secret_value`` shows it, and no error tells it.
    """

    def __init__(self, text: str = "", name: str = "url") -> None:
        self._text = text
        register_secrets(*find_secrets(name, text))

    def get_secret_value(self) -> str:
        """The string."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({'***' if self._text else ''})"


@dataclass(frozen=True)
class Settings:
    """Where a store lives. ``SPARK_FS_*`` variables win over what ``login`` was given.

    home: folder of the embedded defaults.
    warehouse: folder or URI of the Delta tables, ``<home>/warehouse`` unless set.
    catalog_url: the metadata database, ``sqlite:///path`` or
        ``mysql://user:password@host:port/database?option=value``, SQLite under ``home`` unless set.
    online_url: ``sqlite:///path`` or ``mysql://user:password@host:port/database?option=value``,
        SQLite under ``home`` unless set. A list of them: each is a shard, with the rows of some
        keys.
    online_read_urls: replicas of ``online_url``, which answer look-ups in its place: a list of
        URLs, or for several shards a list of lists, one for each shard.
    online_password: the password of those URLs that have none.
    max_replica_age: seconds; a sync that ended longer ago is in every answer of a replica. A
        replica may be of any age unless set.
    replica_fallback: what answers where no replica may or can: "primary", or "error".
    models_url: MLflow's tracking URI, SQLite and a folder ``models`` under ``home`` unless set.
    migrate_catalog: whether a metadata database that an earlier release made is brought up to this
        one when it is opened: "local" where it is in SQLite, while one on a server waits for
        ``spark-fs migrate``; "always"; or "never".
    engine: what reads, where no call says so: "auto" (threads of this process where they can and
        memory allows, else Spark), "local" or "spark".
    local_memory: how much memory a local run may take, such as "4g" or "512m"; a quarter of the
        machine's unless set.
    progress: "show" (a local run of more than two seconds has a bar, on a terminal and in a
        notebook) or "hide".
    spark: Spark settings for the session that this process starts.
    token: what callers of ``spark-fs serve`` and ``spark-fs ui`` must bring; nobody is asked for
        one without it.
    """

    home: Path = Path(".spark_fs")
    warehouse: str = ""
    catalog_url: Secret = Secret()  # noqa: RUF009 # it cannot be changed
    online_url: Secret | tuple[Secret, ...] = Secret()  # noqa: RUF009 # as above
    online_read_urls: tuple[tuple[Secret, ...], ...] = ()
    online_password: Secret = Secret()  # noqa: RUF009 # as above
    max_replica_age: float | None = None
    replica_fallback: str = "primary"
    models_url: Secret = Secret()  # noqa: RUF009 # as above
    migrate_catalog: str = "local"
    engine: str = "auto"
    local_memory: str = ""
    progress: str = "show"
    spark: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)
    token: Secret = Secret()  # noqa: RUF009 # as above

    @property
    def local_memory_bytes(self) -> int | None:
        """``local_memory`` in bytes; None where it is not set."""
        if not self.local_memory:
            return None
        return int(self.local_memory[:-1]) << _MEMORY_UNITS[self.local_memory[-1].lower()]

    @property
    def online_urls(self) -> tuple[str, ...]:
        """``online_url`` as it is: one for each shard."""
        urls = self.online_url if isinstance(self.online_url, tuple) else (self.online_url,)
        return tuple(url.get_secret_value() for url in urls)

    @property
    def replica_urls(self) -> tuple[tuple[str, ...], ...]:
        """For each shard the URLs of its replicas."""
        if not self.online_read_urls:
            return ((),) * len(self.online_urls)
        return tuple(
            tuple(url.get_secret_value() for url in urls) for urls in self.online_read_urls
        )

    @property
    def online_address(self) -> str:
        """``online_url`` without user, password and options."""
        return ", ".join(map(get_address, self.online_urls))

    @property
    def store_identity(self) -> tuple[str, str]:
        """Where definitions and tables are, by one name each.

        Two log-ins to one store share it, however they were configured.
        """
        catalog = _resolve_database(self.catalog_url.get_secret_value())
        return catalog, _resolve_folder(self.warehouse)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """The settings, with defaults that follow from ``home``.

        Args:
            values: what the environment and the configuration give, by the names of the fields.

        Raises:
            SettingsError: a value is not valid; each such setting is named.
        """
        mistakes = [_find_mistake(name, value) for name, value in values.items()]
        if not any(mistakes):
            mistakes = [find_topology_mistake(values)]
        if any(mistakes):
            raise SettingsError(
                f"Settings are not valid: {'; '.join(filter(None, mistakes))}. Correct them in the"
                " file or the SPARK_FS_* variables."
            )
        converted = {}
        for name, value in values.items():
            convert = _CONVERTERS.get(name)
            converted[name] = convert(value) if convert else value
        settings = cls(**converted)
        home = settings.home.expanduser().absolute()
        warehouse = settings.warehouse or str(home / "warehouse")
        urls: dict[str, Any] = {}
        for name in ("catalog", "online", "models"):
            url = getattr(settings, f"{name}_url")
            if isinstance(url, Secret) and not url.get_secret_value():
                urls[f"{name}_url"] = Secret(f"sqlite:///{home / name}.db")
        return replace(settings, home=home, warehouse=warehouse, **urls)


def _resolve_database(url: str) -> str:
    """A database by its one name, whatever driver or spelling leads to it."""
    parts = Url.from_text(url)
    if parts is None:
        return get_address(url)
    if parts.sqlite_file is not None:
        return f"sqlite:///{parts.sqlite_file.resolve()}"
    port = parts.port or _DEFAULT_PORTS.get(parts.backend)
    return replace(parts, scheme=parts.backend, port=port).address


def _resolve_folder(folder: str) -> str:
    """A folder by its one name; a URI as it is."""
    path = folder
    if folder.startswith("file:///"):
        path = folder.removeprefix("file://")
    if "://" in path:
        return folder.rstrip("/")
    return str(Path(path).resolve())


def _register_spark_secrets(options: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in options.items():
        register_secrets(*find_secrets(name, str(value)))
    return options


def _to_password(text: str) -> Secret:
    return Secret(text, "password")


def _to_secrets(urls: str | Sequence[str]) -> Secret | tuple[Secret, ...]:
    """A URL, or several as a tuple."""
    if isinstance(urls, str):
        return Secret(urls)
    if len(urls) == 1:
        return Secret(urls[0])
    return tuple(map(Secret, urls))


def _to_replica_secrets(urls: str | Sequence[Any]) -> tuple[tuple[Secret, ...], ...]:
    """The URLs of replicas, for each shard."""
    return tuple(tuple(map(Secret, of_shard)) for of_shard in list_replica_urls(urls))


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "home": Path,
    "catalog_url": Secret,
    "online_url": _to_secrets,
    "online_read_urls": _to_replica_secrets,
    "max_replica_age": float,
    "models_url": Secret,
    "online_password": _to_password,
    "token": _to_password,
    "spark": _register_spark_secrets,
}


def _find_mistake(name: str, value: Any) -> str:
    """What is wrong with a setting; empty where it is valid.

    A value is not shown: it may be a secret.
    """
    if name == "spark":
        if _is_spark_options(value):
            return ""
        return "spark: it must be a mapping of Spark settings to strings, numbers or booleans"
    if name in _URL_LIST_CHECKS:
        return _URL_LIST_CHECKS[name](value)
    if name == "max_replica_age":
        return "" if _is_age(value) else "max_replica_age: it must be a number of seconds from 0 up"
    if name == "replica_fallback" and value not in _FALLBACKS:
        return f"replica_fallback: it must be one of {', '.join(_FALLBACKS)}"
    if name == "migrate_catalog" and value not in _MIGRATE_CHOICES:
        return f"migrate_catalog: it must be one of {', '.join(_MIGRATE_CHOICES)}"
    if name == "engine" and value not in _ENGINES:
        return f"engine: it must be one of {', '.join(_ENGINES)}"
    if name == "progress" and value not in _PROGRESS_CHOICES:
        return f"progress: it must be one of {', '.join(_PROGRESS_CHOICES)}"
    if name == "local_memory" and not re.fullmatch(r"\d+[kmgtKMGT]", str(value)):
        return "local_memory: it must be a number and a unit, such as 512m or 4g"
    accepted = str | os.PathLike if name == "home" else str
    if isinstance(value, accepted):
        return ""
    return f"{name}: it must be a string, not {type(value).__name__}"


def _is_age(value: Any) -> bool:
    """Whether it is a number of seconds, as a number or as a variable holds it."""
    with suppress(TypeError, ValueError):
        return not isinstance(value, bool) and 0 <= float(value) < math.inf
    return False


def _is_spark_options(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(option, str | int | float)
        for name, option in value.items()
    )


def load_settings(config: Config = None) -> Settings:
    """The settings of a path, a mapping, or of ``SPARK_FS_CONFIG``.

    Without any of them, the embedded default under ``.spark_fs``. Variables of the environment win.
    """
    configured = _read_config(config)
    known = [field.name for field in fields(Settings)]
    for name in configured:
        if not isinstance(name, str) or name not in known:
            raise _make_unknown_error(name, known)
    return Settings.from_mapping(configured | _read_environment(known))


def _read_config(config: Config) -> dict[str, Any]:
    source = os.environ.get("SPARK_FS_CONFIG") if config is None else config
    if isinstance(source, Mapping):
        return dict(source)
    return read_yaml(Path(source), "Settings file") if source else {}


def _make_unknown_error(name: object, known: list[str]) -> SettingsError:
    shown = repr(name)
    if not re.fullmatch(r"\w{1,40}", str(name)):
        shown = "of a name that is not shown, since it may hold a password,"
    return SettingsError(f"Setting {shown} does not exist{format_suggestions(str(name), known)}")


def _read_environment(names: list[str]) -> dict[str, Any]:
    """The settings that ``SPARK_FS_*`` variables give; ``spark`` and lists of URLs are JSON."""
    values: dict[str, Any] = {}
    for name in names:
        variable = _PREFIX + name.upper()
        if variable in os.environ:
            values[name] = os.environ[variable]
    if "spark" in values:
        values["spark"] = _parse_json(
            "spark", values, 'a mapping of Spark settings, such as {"spark.driver.memory": "4g"}'
        )
    for name in _URL_LIST_CHECKS:
        if values.get(name, "").startswith("["):
            values[name] = _parse_json(
                name, values, 'a list of URLs, such as ["mysql://host_a/db", "mysql://host_b/db"]'
            )
    return values


def _parse_json(name: str, values: Mapping[str, str], form: str) -> Any:
    """What a variable holds as JSON; SettingsError where it is none."""
    try:
        return json.loads(values[name])
    except ValueError:
        raise SettingsError(
            f"{_PREFIX}{name.upper()} is not JSON (it is not shown, since it may hold a password):"
            f" write {form}."
        ) from None


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        path: of the file.
        what: the file is, as the error says it: "Settings file".

    Raises:
        SettingsError: the file cannot be read, or does not hold a mapping in YAML.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8, or the path is not valid"
        if isinstance(error, OSError):
            reason = f"{error.strerror}"
        raise SettingsError(
            f"{what} {path} cannot be read: {reason}. Give the path of a file that is there."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SettingsError(
            f"{what} {path} is not YAML{where} (the line is not shown, since it may hold a"
            " password): quote a string with characters that YAML gives a meaning, as in"
            " online_password: 'p@ss: word'."
        ) from None
    if not isinstance(content, dict):
        raise SettingsError(f"{what} {path} must hold a mapping, not {type(content).__name__}.")
    return content
