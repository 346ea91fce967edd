"""Where an external feature group has its rows, without the secrets that lead there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from spark_fs.errors import SettingsError
from spark_fs.redact import find_secrets, register_secrets

FILE_FORMATS = ("delta", "parquet", "csv", "json", "orc", "avro")
SOURCE_FORMATS = (*FILE_FORMATS, "table", "jdbc")
_LATER_FORMATS = ("csv", "json", "orc", "avro")  # which the first release does not read
FRAME = "frame"  # a DataFrame of this session
NAMED_SPINE = "a spine group"  # the location of one whose columns are kept under a name
_ALLOWED_PREFIX = "SPARK_FS_SECRET_"  # of the variables that an external group may ask for
_VARIABLE_PATTERN = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class SourceSpec:
    """Rows that others keep: where they are read from.

    data_format: one of ``FILE_FORMATS`` (a path), "table" (a Spark table) or "jdbc" (a query).
    options: the reader's own. A secret is written as ``${SPARK_FS_SECRET_NAME}`` and read from the
    environment when the rows are; no other variable is, so that no definition asks a reader's
    environment for what was never meant for it.
    """

    data_format: str
    location: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.location:
            raise SettingsError(
                "An external feature group needs path=, or query= for a table name or a JDBC query."
            )

    @classmethod
    def from_declaration(cls, data_format: str, location: str, options: Mapping[str, Any]) -> Self:
        """A source as a caller declares it.

        Args:
            data_format: one of ``SOURCE_FORMATS``, or ``FRAME``.
            location: the path, the table or the query. A relative path that is there is kept as
                the absolute one: whoever reads the rows later may be in another folder.
            options: the reader's own.

        Raises:
            SettingsError: an option holds a secret, or names a variable that is not read.
        """
        if data_format in FILE_FORMATS:
            location = _to_absolute_path(location)
        source = cls(data_format, location, {name: str(value) for name, value in options.items()})
        checked = dict(source.options)
        if data_format in FILE_FORMATS:
            checked = {"path": location, **checked}
        for name, value in checked.items():
            check_option(name, value)
        return source

    @property
    def is_of_later_format(self) -> bool:
        """Whether the first release cannot read it."""
        return self.data_format in _LATER_FORMATS

    def resolve_options(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The options with each ``${NAME}`` taken from the environment.

        Raises SettingsError for a variable that is not set, or not one to be read.
        """
        resolved = {}
        for name, text in self.options.items():
            for variable in _VARIABLE_PATTERN.findall(text):
                _check_variable(name, variable)
                if variable not in environment:
                    raise SettingsError(
                        f"The environment variable {variable} of an external feature group is not"
                        " set: export it."
                    )
                register_secrets(environment[variable])
            resolved[name] = _VARIABLE_PATTERN.sub(lambda match: environment[match[1]], text)
            register_secrets(*find_secrets(name, resolved[name]))
        return resolved


def _to_absolute_path(location: str) -> str:
    """A path as it is found from any folder; one that is not in this folder as it was given."""
    if location and Path(location).exists():
        return str(Path(location).absolute())
    return location


def check_option(name: str, value: str) -> None:
    """Check that an option may be kept: it holds no secret, and names variables that are read.

    Args:
        name: of the option.
        value: of the option.

    Raises:
        SettingsError: it may not.
    """
    literal_secrets = []
    for secret in find_secrets(name, value):
        literal = _VARIABLE_PATTERN.sub("", secret)
        if literal:
            literal_secrets.append(literal)
    register_secrets(*literal_secrets)
    if literal_secrets:
        raise SettingsError(
            f"Option {name!r} would be kept in the metadata database with a password or key"
            f" in it: write '${{{_ALLOWED_PREFIX}NAME}}' in its place, and export"
            f" {_ALLOWED_PREFIX}NAME."
        )
    for variable in _VARIABLE_PATTERN.findall(value):
        _check_variable(name, variable)


def _check_variable(option: str, variable: str) -> None:
    if not variable.startswith(_ALLOWED_PREFIX):
        raise SettingsError(
            f"Option {option!r} of an external feature group asks for the environment variable"
            f" {variable}, and only those named {_ALLOWED_PREFIX}... are read. Export"
            f" {_ALLOWED_PREFIX}{variable} with its value, delete the group and create it again"
            f" with '${{{_ALLOWED_PREFIX}{variable}}}' in the option."
        )
