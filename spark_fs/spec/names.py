"""The names and versions that definitions may have."""

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import InvalidNameError, SchemaError, SettingsError

MAX_NAME_LENGTH = 63
_NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MODEL_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,62}")
_LISTED_CHANGES = 5  # of the names that are written otherwise here, in a warning


class GroupRef(NamedTuple):
    """A feature group by name and version."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name!r} version {self.version}"


def make_id(subject: str) -> int:
    """A number of six bytes that no other subject has, made of what names it."""
    return int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=6).digest())


def check_name(kind: str, name: object) -> str:
    """The name, when it is lower snake case of at most 63 characters.

    Args:
        kind: what is named, as the error says it: "Feature group".
        name: what a caller gave.

    Raises:
        InvalidNameError: it is not such a name.
    """
    if not isinstance(name, str) or not _NAME_PATTERN.fullmatch(name):
        raise InvalidNameError.for_name(kind, name)
    return name


def check_model_name(name: object) -> str:
    """The name, when it may be that of a model: letters, digits and underscores, 63 at most.

    Raises InvalidNameError where it is not such a name.
    """
    if not isinstance(name, str) or not _MODEL_NAME_PATTERN.fullmatch(name):
        raise InvalidNameError(
            f"Model {name!r} is not a valid name: use letters, digits and underscores, a letter or"
            " digit first, 63 characters at most."
        )
    return name


def normalize_name(name: str) -> str:
    """The name in lower case, with underscores for its spaces and dots.

    One that is no valid name even so stays as it is, for the error that tells of it.
    """
    plain = name.lower().replace(" ", "_").replace(".", "_")
    return plain if _NAME_PATTERN.fullmatch(plain) else name


def normalize_names(subject: str, names: Iterable[str]) -> list[str]:
    """The names in lower case, with underscores for spaces and dots, and a warning where any is.

    Args:
        subject: whose names they are, as the warning begins: "primary_key".
        names: what a caller gave.

    Raises:
        SchemaError: two different names become one.
    """
    written: dict[str, str] = {}
    normalized = []
    for name in names:
        plain = normalize_name(name)
        normalized.append(plain)
        other = written.setdefault(plain, name)
        if other != name:
            raise SchemaError(
                f"{subject} has the names {other!r} and {name!r}, which both are {plain!r} here,"
                " where names are in lower snake case: rename one of them."
            )
    changes = [f"{name!r} is {plain!r}" for plain, name in written.items() if name != plain]
    if changes:
        listed = ", ".join(changes[:_LISTED_CHANGES])
        more = f" and {len(changes) - _LISTED_CHANGES} more" if changes[_LISTED_CHANGES:] else ""
        warn_user(f"{subject} has names in lower snake case here: {listed}{more}.")
    return normalized


def check_version(kind: str, name: str, version: object) -> int:
    """The version, when it is an integer from 1 up.

    Args:
        kind: what has it, as the error says it: "Feature group".
        name: the name of that.
        version: what a caller gave.

    Raises:
        SettingsError: it is not such an integer.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise SettingsError(
            f"{kind} {name!r}: version {version!r} is not an integer from 1 up; give one, or None."
        )
    return version
