"""Where the explorer has what, as links of pages and cells of tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_fs.spec.names import GroupRef

Cell = Any  # a plain value, or a link as ``make_link`` makes it


def make_link(text: str | int, base_url: str, path: str) -> Cell:
    """A cell that leads to a page of the explorer; its text alone on a page that is a file."""
    return {"text": text, "href": f"{base_url}{path}"} if base_url else text


def make_group_link(ref: GroupRef, base_url: str) -> Cell:
    """A cell that leads to a group."""
    text = f"{ref.name}, version {ref.version}"
    return make_link(text, base_url, f"group/{ref.name}/{ref.version}")


def make_feature_link(ref: GroupRef, feature: str, base_url: str) -> Cell:
    """A cell that names the group of a feature, and leads to the feature there."""
    return make_link(ref.name, base_url, f"group/{ref.name}/{ref.version}#features={feature}")


def make_view_link(name: str, version: int, base_url: str) -> Cell:
    """A cell that leads to a view."""
    return make_link(f"{name}, version {version}", base_url, f"view/{name}/{version}")


def make_dataset_link(name: str, version: int, dataset_version: int, base_url: str) -> Cell:
    """A cell that leads to a training dataset of a view."""
    path = f"view/{name}/{version}/training-dataset/{dataset_version}"
    return make_link(dataset_version, base_url, path)


def make_version_links(
    kind: str, name: str, versions: Iterable[int], current: int, base_url: str
) -> list[Cell]:
    """Cells that lead to the other versions of a "group" or a "view".

    Args:
        kind: Which of the two.
        name: Its name.
        versions: All versions that there are.
        current: The one that the page is about.
        base_url: Where the explorer is; empty: the cells are numbers.
    """
    others = (version for version in versions if version != current)
    return [make_link(version, base_url, f"{kind}/{name}/{version}") for version in others]
