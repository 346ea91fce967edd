"""What comes of what: groups, views, training datasets and models, as a graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spark_fs.report.graph import LineageGraph, LineageNode

if TYPE_CHECKING:
    from spark_fs.catalog.store import Catalog
    from spark_fs.catalog.views import ModelLink
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.names import GroupRef


def build_store_graph(catalog: Catalog, base_url: str = "") -> LineageGraph:
    """Draw the whole store; the nodes lead to pages of the explorer at ``base_url``."""
    drawing = _Drawing(catalog, base_url)
    for group in catalog.list_groups():
        drawing.add_group(group)
    for view in catalog.list_views():
        drawing.add_view(view)
    return LineageGraph(drawing.nodes, drawing.edges)


def build_group_graph(catalog: Catalog, group: GroupSpec, base_url: str) -> LineageGraph:
    """Draw a group with its parents, its children, and what is made of it."""
    drawing = _Drawing(catalog, base_url)
    drawing.add_group(group, is_current=True)
    for other in catalog.list_groups():
        if other.ref in group.parents or group.ref in other.parents:
            drawing.add_group(other)
    for view in catalog.list_views_of_group(group.ref):
        drawing.add_view(view)
    return LineageGraph(drawing.nodes, drawing.edges)


def build_view_graph(catalog: Catalog, view: ViewSpec, base_url: str) -> LineageGraph:
    """Draw a view with the groups that it reads and what is made of it."""
    drawing = _Drawing(catalog, base_url)
    groups_read = set(view.query.iter_groups())
    for group in catalog.list_groups():
        if group.ref in groups_read:
            drawing.add_group(group)
    drawing.add_view(view, is_current=True)
    return LineageGraph(drawing.nodes, drawing.edges)


@dataclass
class _Drawing:
    """A graph in the making."""

    catalog: Catalog
    base_url: str
    nodes: dict[str, LineageNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def add_group(self, group: GroupSpec, is_current: bool = False) -> None:
        """Add a group and the edges from its parents."""
        key = _make_group_key(group.ref)
        kind = "external group" if group.source else "feature group"
        href = self._make_href(f"group/{group.name}/{group.version}")
        self.nodes[key] = LineageNode(
            f"{kind}, version {group.version}", group.name, href, is_current
        )
        for parent in group.parents:
            self.edges.append((_make_group_key(parent), key))

    def add_view(self, view: ViewSpec, is_current: bool = False) -> None:
        """Add a view, the edges from its groups, its training datasets and its models."""
        key = f"view {view.name} {view.version}"
        href = self._make_href(f"view/{view.name}/{view.version}")
        self.nodes[key] = LineageNode(
            f"feature view, version {view.version}", view.name, href, is_current
        )
        for ref in dict.fromkeys(view.query.iter_groups()):
            self.edges.append((_make_group_key(ref), key))
        for dataset in self.catalog.list_training_datasets(view):
            if dataset.state == "finished":
                dataset_key = f"{key} {dataset.version}"
                path = f"view/{view.name}/{view.version}/training-dataset/{dataset.version}"
                self.nodes[dataset_key] = LineageNode(
                    "training dataset", f"version {dataset.version}", self._make_href(path)
                )
                self.edges.append((key, dataset_key))
        for link in self.catalog.list_models(view):
            self._add_model(key, link)

    def _add_model(self, view_key: str, link: ModelLink) -> None:
        """Add a model behind its training dataset, or behind the view where that is not drawn."""
        model_key = f"model {link.name} {link.version}"
        href = self._make_href(f"models#models={link.name}")
        self.nodes[model_key] = LineageNode(f"model, version {link.version}", link.name, href)
        dataset_key = f"{view_key} {link.training_dataset_version}"
        source_key = dataset_key if dataset_key in self.nodes else view_key
        self.edges.append((source_key, model_key))

    def _make_href(self, path: str) -> str:
        return f"{self.base_url}{path}" if self.base_url else ""


def _make_group_key(ref: GroupRef) -> str:
    return f"group {ref.name} {ref.version}"
