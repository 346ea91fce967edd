"""Which views and models read each feature of a group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from spark_fs.errors import SparkFSError
from spark_fs.report.page_links import Cell, make_link, make_view_link

if TYPE_CHECKING:
    from spark_fs.catalog.store import Catalog
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec


class Usages(NamedTuple):
    """Who reads the features of a group.

    readers: Links to the views and models. by_feature: The numbers of those that read a feature;
    one that nothing reads is left out.
    """

    readers: list[Cell]
    by_feature: dict[str, list[int]]


def find_usages(catalog: Catalog, group: GroupSpec, base_url: str) -> Usages:
    """Find the views that read each feature of a group, and the models trained on them.

    Args:
        catalog: What knows the definitions.
        group: The group.
        base_url: Where the explorer is; empty: the cells are texts.
    """
    usages = Usages([], {})
    for view in catalog.list_views_of_group(group.ref):
        start = len(usages.readers)
        usages.readers.append(make_view_link(view.name, view.version, base_url))
        for model in catalog.list_models(view):
            text = f"model {model.name}, version {model.version}"
            usages.readers.append(make_link(text, base_url, f"models#models={model.name}"))
        numbers = range(start, len(usages.readers))
        for feature in _list_features(catalog, view, group):
            usages.by_feature.setdefault(feature, []).extend(numbers)
    return usages


def _list_features(catalog: Catalog, view: ViewSpec, group: GroupSpec) -> Iterator[str]:
    """The columns of a group that a view gives; none where the view cannot be understood."""
    from spark_fs.flows.view_columns import resolve_view_columns

    try:
        plan = resolve_view_columns(catalog, view).plan
    except SparkFSError:  # of one view, and the page is about the group
        return
    given = set()
    for output in plan.outputs:
        if plan.nodes[output.source.node].group.ref == group.ref:
            given.add(output.source.column)
    yield from sorted(given)
