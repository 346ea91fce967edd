"""Every error that spark_fs raises on purpose.

    SparkFSError
    +-- InvalidNameError    a name that is not a plain identifier
    +-- NotFoundError       a group, version, view, column or key that does not exist
    +-- AlreadyExistsError  a name and version that is taken, or taken by something different
    +-- SchemaError         a frame whose columns or types are not the group's
    +-- KeyValueError       rows whose key or event time is null or not unique
    +-- ValidationError     rows that do not meet the expectations of their group
    +-- QueryError          a query that cannot be bound to its groups
    +-- SettingsError       a setting, option or argument outside its domain
    +-- SetupError          a part of the machine that is missing: Java, a jar, an extra
    |   +-- UpgradeError    a definition, record or database that a newer spark_fs made
    +-- CatalogError        the metadata database failed or could not be reached
    +-- UnknownOutcomeError whether a write was committed cannot be told
    +-- UnfinishedError     rows were committed, and what belongs to them was not written
    +-- ConflictError       another writer was faster, time and again
    |   +-- LockedError     another run of the same pipeline is going on
    +-- OnlineStoreError    the online database failed or could not be reached
        +-- OnlineRefusedError  it will not do this, however often it is asked: a value that does not fit, wrong credentials

Each message says what was wrong, with the value, and what to do. ``retryable`` tells a scheduler
whether the same call may succeed later. All of them survive pickling, since executors raise them.
None tells a secret that this process was given (``spark_fs.redact``).
"""

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from spark_fs.redact import redact_secrets


class SparkFSError(Exception):
    """The root: ``except SparkFSError`` catches all that the library raises on purpose."""

    retryable: ClassVar[bool] = False

    def __init__(self, *args: object) -> None:
        super().__init__(
            *(redact_secrets(each) if isinstance(each, str) else each for each in args)
        )


class InvalidNameError(SparkFSError):
    """A name that is not lower snake case of at most 63 characters."""

    @classmethod
    def for_name(cls, kind: str, name: object) -> "InvalidNameError":
        """The error for a name of something of this kind."""
        return cls(
            f"{kind} {name!r} is not a valid name: use lower snake case, a letter first, then"
            " letters, digits and underscores, 63 characters at most."
        )


class NotFoundError(SparkFSError):
    """Something that was asked for by name and does not exist."""

    @classmethod
    def for_name(
        cls, kind: str, name: object, existing: Iterable[str], remedy: str
    ) -> "NotFoundError":
        """The error for a name that is none of the known ones; offers the nearest."""
        return cls(
            f"{kind} {name!r} does not exist{format_suggestions(str(name), existing)} {remedy}"
        )

    @classmethod
    def for_version(
        cls, kind: str, name: str, version: int, existing: Sequence[int]
    ) -> "NotFoundError":
        """The error for a version that is none of the known ones."""
        have = ", ".join(map(str, existing)) or "none yet"
        return cls(
            f"{kind} {name!r} has no version {version}: it has {have}. Ask for one of these."
        )


class AlreadyExistsError(SparkFSError):
    """A name and version that is taken."""


class SchemaError(SparkFSError):
    """A frame whose columns or types are not those of the group."""


class KeyValueError(SparkFSError):
    """Rows whose primary key or event time is null, or whose identity repeats."""


class ValidationError(SparkFSError):
    """Rows that do not meet the expectations of their group."""


class QueryError(SparkFSError):
    """A query that cannot be bound to its groups."""


class SettingsError(SparkFSError):
    """A setting, option or argument outside its domain."""


class SetupError(SparkFSError):
    """Something the machine lacks."""


class UpgradeError(SetupError):
    """What a newer spark_fs made, which this one does not understand."""


class CatalogError(SparkFSError):
    """The metadata database failed, or is locked; nothing was changed in it."""

    retryable = True


class UnknownOutcomeError(SparkFSError):
    """A write was interrupted or its answer lost, and the table's log does not tell either whether it was committed."""


class UnfinishedError(SparkFSError):
    """Rows were committed, and what belongs to them was not written; the message says what, and how to make up for it."""


class ConflictError(SparkFSError):
    """Another writer changed the table at the same time; nothing was written."""

    retryable = True


class LockedError(ConflictError):
    """Another run of the same pipeline is going on; nothing was done."""


class OnlineStoreError(SparkFSError):
    """The online database failed, or could not be reached."""

    retryable = True


class OnlineRefusedError(OnlineStoreError):
    """The online database will not do this, however often it is asked: a value does not fit, or the credentials are wrong."""

    retryable = False


def format_suggestions(name: str, existing: Iterable[str]) -> str:
    """The end of a sentence, offering the nearest known names or listing a few."""
    import difflib

    choices = sorted(set(existing))
    if not choices:
        return "; there are none yet."
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    if near:
        return "; did you mean " + " or ".join(repr(n) for n in near) + "?"
    listed = ", ".join(choices[:8]) + (" and others" if len(choices) > 8 else "")
    return f"; there are: {listed}."


def get_first_line(error: object) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    line = str(error).strip().partition("\n")[0].rstrip() or type(error).__name__
    raised = re.fullmatch(
        r"\[USER_RAISED_EXCEPTION\] (.*?)(?: SQLSTATE: \w+)?", line
    )  # by an expression of ours, which said it all
    return raised[1] if raised else line
