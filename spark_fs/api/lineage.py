"""What comes of what: groups, views, training datasets and models, as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.report.graph import LineageGraph, LineageNode

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec


def build_store_graph(stores: Stores, base_url: str = "") -> LineageGraph:
    """Of the whole store; home: where the explorer is, whose pages the nodes lead to."""
    nodes: dict[str, LineageNode] = {}
    edges: list[tuple[str, str]] = []
    for group in stores.catalog.list_groups():
        _add_group(nodes, edges, group, base_url)
    for view in stores.catalog.list_views():
        _add_view(stores, nodes, edges, view, base_url)
    return LineageGraph(nodes, edges)


def build_group_graph(stores: Stores, group: GroupSpec, base_url: str) -> LineageGraph:
    """A group with its parents, its children, and what is made of it."""
    nodes: dict[str, LineageNode] = {}
    edges: list[tuple[str, str]] = []
    _add_group(nodes, edges, group, base_url, is_current=True)
    for other in stores.catalog.list_groups():
        if other.ref in group.parents or group.ref in other.parents:
            _add_group(nodes, edges, other, base_url)
    for view in stores.catalog.list_views_of_group(group.ref):
        _add_view(stores, nodes, edges, view, base_url)
    return LineageGraph(nodes, edges)


def build_view_graph(stores: Stores, view: ViewSpec, base_url: str) -> LineageGraph:
    """A view with the groups that it reads and what is made of it."""
    nodes: dict[str, LineageNode] = {}
    edges: list[tuple[str, str]] = []
    read = set(view.query.iter_groups())
    for group in stores.catalog.list_groups():
        if group.ref in read:
            _add_group(nodes, edges, group, base_url)
    _add_view(stores, nodes, edges, view, base_url, is_current=True)
    return LineageGraph(nodes, edges)


def _add_group(
    nodes: dict[str, LineageNode],
    edges: list[tuple[str, str]],
    group: GroupSpec,
    base_url: str,
    is_current: bool = False,
) -> None:
    key = f"group {group.name} {group.version}"
    kind = "external group" if group.source else "feature group"
    nodes[key] = LineageNode(
        f"{kind}, version {group.version}",
        group.name,
        f"{base_url}group/{group.name}/{group.version}" if base_url else "",
        is_current,
    )
    edges += [(f"group {parent.name} {parent.version}", key) for parent in group.parents]


def _add_view(
    stores: Stores,
    nodes: dict[str, LineageNode],
    edges: list[tuple[str, str]],
    view: ViewSpec,
    base_url: str,
    is_current: bool = False,
) -> None:
    key = f"view {view.name} {view.version}"
    nodes[key] = LineageNode(
        f"feature view, version {view.version}",
        view.name,
        f"{base_url}view/{view.name}/{view.version}" if base_url else "",
        is_current,
    )
    edges += [
        (f"group {ref.name} {ref.version}", key) for ref in dict.fromkeys(view.query.iter_groups())
    ]
    for dataset in stores.catalog.list_training_datasets(view):
        if dataset.state == "finished":
            nodes[f"{key} {dataset.version}"] = LineageNode(
                "training dataset", f"version {dataset.version}"
            )
            edges.append((key, f"{key} {dataset.version}"))
    for model in stores.catalog.list_models(view):
        number = model.training_dataset_version
        nodes[f"model {model.name} {model.version}"] = LineageNode(
            f"model, version {model.version}", model.name
        )
        edges.append(
            (
                f"{key} {number}" if f"{key} {number}" in nodes else key,
                f"model {model.name} {model.version}",
            )
        )
