"""What comes of what: groups, views, training datasets and models, as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.report.graph import Graph, Node

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.spec.definitions import GroupSpec, ViewSpec


def whole(stores: Stores, home: str = "") -> Graph:
    """Of the whole store; home: where the explorer is, whose pages the nodes lead to."""
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    for group in stores.catalog.all_groups():
        _add_group(nodes, edges, group, home)
    for view in stores.catalog.all_views():
        _add_view(stores, nodes, edges, view, home)
    return Graph(nodes, edges)


def around_group(stores: Stores, group: GroupSpec, home: str) -> Graph:
    """A group with its parents, its children, and what is made of it."""
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    _add_group(nodes, edges, group, home, here=True)
    for other in stores.catalog.all_groups():
        if other.ref in group.parents or group.ref in other.parents:
            _add_group(nodes, edges, other, home)
    for view in stores.catalog.views_of(group.ref):
        _add_view(stores, nodes, edges, view, home)
    return Graph(nodes, edges)


def around_view(stores: Stores, view: ViewSpec, home: str) -> Graph:
    """A view with the groups that it reads and what is made of it."""
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    read = set(view.query.groups())
    for group in stores.catalog.all_groups():
        if group.ref in read:
            _add_group(nodes, edges, group, home)
    _add_view(stores, nodes, edges, view, home, here=True)
    return Graph(nodes, edges)


def _add_group(nodes: dict[str, Node], edges: list[tuple[str, str]], group: GroupSpec, home: str, here: bool = False) -> None:
    key = f"group {group.name} {group.version}"
    kind = "external group" if group.source else "feature group"
    nodes[key] = Node(f"{kind}, version {group.version}", group.name, f"{home}group/{group.name}/{group.version}" if home else "", here)
    edges += [(f"group {parent.name} {parent.version}", key) for parent in group.parents]


def _add_view(stores: Stores, nodes: dict[str, Node], edges: list[tuple[str, str]], view: ViewSpec, home: str, here: bool = False) -> None:
    key = f"view {view.name} {view.version}"
    nodes[key] = Node(f"feature view, version {view.version}", view.name, f"{home}view/{view.name}/{view.version}" if home else "", here)
    edges += [(f"group {ref.name} {ref.version}", key) for ref in dict.fromkeys(view.query.groups())]
    for dataset in stores.catalog.training_datasets(view):
        if dataset.state == "finished":
            nodes[f"{key} {dataset.version}"] = Node("training dataset", f"version {dataset.version}")
            edges.append((key, f"{key} {dataset.version}"))
    for model in stores.catalog.models_of(view):
        number = model.training_dataset_version
        nodes[f"model {model.name} {model.version}"] = Node(f"model, version {model.version}", model.name)
        edges.append((f"{key} {number}" if f"{key} {number}" in nodes else key, f"model {model.name} {model.version}"))
