"""Give definitions their version: the one that is asked for, or the next that is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from spark_fs.errors import AlreadyExistsError, NotFoundError

T = TypeVar("T")


def create_version(
    version: int | None, next_version: Callable[[], int], create: Callable[[int], T]
) -> T:
    """Create a definition under a version.

    Args:
        version: The version; None: the next free one, and the one after it where another process
            took that one first.
        next_version: Gives the next free version.
        create: Creates the definition under a version.

    Returns:
        What ``create`` returned.

    Raises:
        AlreadyExistsError: The version that was asked for is taken.
    """
    while version is None:
        with suppress(AlreadyExistsError):
            return create(next_version())
    return create(version)


def find_or_create(find: Callable[[], T], create: Callable[[], T]) -> tuple[T, bool]:
    """Find a definition, or create it; another process may create it at the same time.

    Args:
        find: Gives the definition; raises NotFoundError where it does not exist.
        create: Creates it; raises AlreadyExistsError where it exists.

    Returns:
        The definition, and whether it was created now.
    """
    with suppress(NotFoundError):
        return find(), False
    try:
        return create(), True
    except AlreadyExistsError:
        return find(), False


def check_same(what: str, existing: object, requested: object, fields: Sequence[str]) -> None:
    """Check that an existing definition agrees with the one that is asked for.

    Args:
        what: What is defined, as an error names it.
        existing: The definition that exists.
        requested: The definition that is asked for.
        fields: The fields that must agree.

    Raises:
        AlreadyExistsError: Fields differ; it lists each difference.
    """
    changes = []
    for field in fields:
        present = getattr(existing, field)
        wanted = getattr(requested, field)
        if present != wanted:
            changes.append(f"{field} is {present!r}, not {wanted!r}")
    if changes:
        raise AlreadyExistsError(
            f"{what} exists already and was declared otherwise: {'; '.join(changes)}. Use the same"
            " arguments, or another version."
        )
