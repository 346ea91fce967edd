"""What a shell completes: the names of groups and views, of the store that a command would open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.api.project import login
from spark_fs.cli.shared import has_catalog
from spark_fs.errors import SparkFSError

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore


def complete_group(incomplete: str) -> list[str]:
    """The feature groups whose names begin so; none where there is no store to look in."""
    fs = _find_store()
    return (
        [] if fs is None else _choose([group.name for group in fs.get_feature_groups()], incomplete)
    )


def complete_view(incomplete: str) -> list[str]:
    """The feature views whose names begin so."""
    fs = _find_store()
    return [] if fs is None else _choose([view.name for view in fs.get_feature_views()], incomplete)


def complete_group_or_view(incomplete: str) -> list[str]:
    """The feature groups and views whose names begin so."""
    return sorted({*complete_group(incomplete), *complete_view(incomplete)})


def _find_store() -> FeatureStore | None:
    try:
        fs = login().get_feature_store()
    except SparkFSError:  # a key was pressed: nobody reads an error
        return None
    return fs if has_catalog(fs) else None


def _choose(names: list[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
