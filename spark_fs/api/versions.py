"""Give definitions their version: the one that is asked for, or the next that is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import AlreadyExistsError, NotFoundError

if TYPE_CHECKING:
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.query import QuerySpec

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


_VIEW_FIELDS = {
    "labels": "labels",
    "inference_helpers": "inference_helper_columns",
    "training_helpers": "training_helper_columns",
    "transformations": "transformation_functions",
}


def check_same_view(existing: ViewSpec, requested: ViewSpec) -> None:
    """Check that a view is what is asked for; what is left out is of no account.

    A description that differs is named in a warning.

    Args:
        existing: The view that exists.
        requested: The view that is asked for.

    Raises:
        AlreadyExistsError: It is not; the error lists each difference in words.
    """
    if requested.description and existing.description != requested.description:
        warn_user(
            f"Feature view {existing} keeps its description, {existing.description!r}: use"
            " update_description to change it."
        )
    differences = []
    for field, argument in _VIEW_FIELDS.items():
        present = getattr(existing, field)
        wanted = getattr(requested, field)
        if wanted and present != wanted:
            differences.append(_describe_difference(argument, present, wanted))
    differences += _list_query_differences(existing.query, requested.query)
    if differences:
        raise AlreadyExistsError(
            f"Feature view {existing} exists already and was declared otherwise:"
            f" {'; '.join(differences)}. Use the same arguments, get_feature_view for the one that"
            " exists, or another version."
        )


def _describe_difference(argument: str, present: Sequence[object], wanted: Sequence[object]) -> str:
    """One argument as it was and as it is asked for, each value as a user knows it."""
    before = ", ".join(map(str, present)) or "none"
    after = ", ".join(map(str, wanted)) or "none"
    if before == after:
        return f"{argument} is {before} of another definition"
    return f"{argument} is {before}, not {after}"


def _list_query_differences(present: QuerySpec, wanted: QuerySpec) -> list[str]:
    """What a query selects that another does not, in words; none where the two are equal."""
    if present == wanted:
        return []
    before = _list_selected_columns(present)
    after = _list_selected_columns(wanted)
    lost = [name for name in before if name not in after]
    added = [name for name in after if name not in before]
    differences = []
    if lost:
        differences.append(f"its query selects {', '.join(lost)}, and this one does not")
    if added:
        differences.append(f"its query does not select {', '.join(added)}")
    if differences:
        return differences
    if before != after:
        return [f"its query selects in the order {', '.join(before)}, not {', '.join(after)}"]
    return ["its query selects the same columns of other rows: by other joins, filters or as_of"]


def _list_selected_columns(query: QuerySpec) -> list[str]:
    """The columns of each group of a query, with the name and version of the group."""
    return [
        f"{part.group.name}_{part.group.version}.{column}"
        for part in query.iter_queries()
        for column in part.columns
    ]
