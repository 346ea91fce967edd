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
    +-- NotOfferedError     a call that another feature store has, and this one does not
    +-- MemoryLimitError    a run in this process that would take more memory than it may
    +-- SetupError          a part of the machine that is missing: Java, a jar, an extra
    |   +-- UpgradeError    a definition, record or database that a newer spark_fs made
    +-- CatalogError        the metadata database failed or could not be reached
    +-- UnknownOutcomeError whether a write was committed cannot be told
    +-- UnfinishedError     rows were committed, and what belongs to them was not written
    +-- ConflictError       another writer was faster, time and again
    |   +-- LockedError     another run of the same pipeline is going on
    +-- OnlineStoreError    the online database failed or could not be reached
        +-- OnlineRefusedError  it will never do this: a value that does not fit, wrong credentials

Each message says what was wrong, with the value, and what to do. ``retryable`` tells a scheduler
whether the same call may succeed later. All of them survive pickling, since executors raise them.
None tells a secret that this process was given (``spark_fs.redact``).
"""

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from spark_fs.redact import redact_secrets

_LISTED_NAMES = 8  # of those that exist, in an error
# Spark's error for an expression of ours that raises: what we said stands in the middle.
_RAISED_BY_EXPRESSION = re.compile(r"\[USER_RAISED_EXCEPTION\] (.*?)(?: SQLSTATE: \w+)?")


class SparkFSError(Exception):
    """The root: ``except SparkFSError`` catches all that the library raises on purpose."""

    retryable: ClassVar[bool] = False

    def __init__(self, *args: object) -> None:
        safe = [redact_secrets(arg) if isinstance(arg, str) else arg for arg in args]
        super().__init__(*safe)


class InvalidNameError(SparkFSError):
    """A name that is not lower snake case of at most 63 characters."""

    @classmethod
    def for_name(cls, kind: str, name: object) -> "InvalidNameError":
        """The error for a name that is not valid.

        Args:
            kind: what is named: "Feature group".
            name: what a caller gave.
        """
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
        """The error for an unknown name; offers the nearest known ones.

        Args:
            kind: what is named: "Feature group".
            name: what a caller gave.
            existing: the names that exist.
            remedy: a sentence that says what to do.
        """
        suggestions = format_suggestions(str(name), existing)
        return cls(f"{kind} {name!r} does not exist{suggestions} {remedy}")

    @classmethod
    def for_version(
        cls, kind: str, name: str, version: int, existing: Sequence[int]
    ) -> "NotFoundError":
        """The error for an unknown version.

        Args:
            kind: what is named: "Feature group".
            name: its name.
            version: what a caller gave.
            existing: the versions that exist.
        """
        listed = ", ".join(map(str, existing)) or "none yet"
        return cls(
            f"{kind} {name!r} has no version {version}: it has {listed}. Ask for one of these."
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


class NotOfferedError(SparkFSError):
    """A call that another feature store has, and this one does not."""

    @classmethod
    def for_call(cls, call: str, purpose: str, remedy: str) -> "NotOfferedError":
        """The error for a call that exists in Hopsworks alone.

        Args:
            call: the call as a user writes it: "model.deploy".
            purpose: what it is for there, to stand behind the call: "serves a model".
            remedy: what to use here instead, a clause without its stop.
        """
        return cls(f"{call} {purpose} on Hopsworks, and spark_fs has no such thing: {remedy}.")


class MemoryLimitError(SparkFSError):
    """A run in this process was stopped, since it would take more memory than it may."""

    @classmethod
    def for_limit(cls, limit: int) -> "MemoryLimitError":
        """The error for a run that came near its limit in bytes."""
        return cls(
            f"The local engine stopped before it takes more than {max(1, limit >> 20):,} MB of"
            " memory (setting local_memory): raise local_memory, read fewer columns or rows, or say"
            " engine='spark'."
        )


class SetupError(SparkFSError):
    """Something the machine lacks."""


class UpgradeError(SetupError):
    """What a newer spark_fs made, which this one does not understand."""


class CatalogError(SparkFSError):
    """The metadata database failed, or is locked; nothing was changed in it."""

    retryable = True


class UnknownOutcomeError(SparkFSError):
    """Whether a write was committed is not known.

    It was interrupted or its answer lost, and the table's log does not tell either.
    """


class UnfinishedError(SparkFSError):
    """Rows were committed, and what belongs to them was not written.

    The message says what that is, and how to make up for it.
    """


class ConflictError(SparkFSError):
    """Another writer changed the table at the same time; nothing was written."""

    retryable = True


class LockedError(ConflictError):
    """Another run of the same pipeline is going on; nothing was done."""


class OnlineStoreError(SparkFSError):
    """The online database failed, or could not be reached."""

    retryable = True


class OnlineRefusedError(OnlineStoreError):
    """The online database will not do this, however often it is asked.

    A value does not fit, or the credentials are wrong.
    """

    retryable = False


def format_suggestions(name: str, existing: Iterable[str]) -> str:
    """The end of a sentence, offering the nearest known names or listing a few.

    Args:
        name: what a caller gave.
        existing: the names that exist.
    """
    import difflib

    choices = sorted(set(existing))
    if not choices:
        return "; there are none yet."
    nearest = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    if nearest:
        return f"; did you mean {' or '.join(map(repr, nearest))}?"
    others = " and others" if len(choices) > _LISTED_NAMES else ""
    return f"; there are: {', '.join(choices[:_LISTED_NAMES])}{others}."


def get_first_line(error: object) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    line = str(error).strip().partition("\n")[0].rstrip() or type(error).__name__
    raised = _RAISED_BY_EXPRESSION.fullmatch(line)
    return raised[1] if raised else line
