"""What a shell completes: the names of groups and views, of the store that a command would open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from spark_fs.api.project import login
from spark_fs.cli.shared import has_catalog
from spark_fs.errors import SparkFSError

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore


def complete_group(incomplete: str) -> list[str]:
    """The feature groups whose names begin so; none where there is no store to look in."""
    return _complete(incomplete, [_list_groups])


def complete_view(incomplete: str) -> list[str]:
    """The feature views whose names begin so."""
    return _complete(incomplete, [_list_views])


def complete_group_or_view(incomplete: str) -> list[str]:
    """The feature groups and views whose names begin so."""
    return _complete(incomplete, [_list_groups, _list_views])


GroupOrViewArgument = Annotated[
    str,
    typer.Argument(
        help="A feature group or a feature view.", autocompletion=complete_group_or_view
    ),
]


def _complete(
    incomplete: str, listings: Sequence[Callable[[FeatureStore], list[str]]]
) -> list[str]:
    fs = _find_store()
    if fs is None:
        return []
    names = {name for list_names in listings for name in list_names(fs)}
    return sorted(name for name in names if name.startswith(incomplete))


def _list_groups(fs: FeatureStore) -> list[str]:
    return [group.name for group in fs.get_feature_groups()]


def _list_views(fs: FeatureStore) -> list[str]:
    return [view.name for view in fs.get_feature_views()]


def _find_store() -> FeatureStore | None:
    try:
        fs = login().get_feature_store()
    except SparkFSError:  # a key was pressed: nobody reads an error
        return None
    return fs if has_catalog(fs) else None
