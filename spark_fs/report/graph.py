"""Lay out a lineage: layers from left to right, each node below the one before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# In pixels, but for the letters of a label.
_WIDTH = 200
_STEP = 54
_GAP = 90
_MARGIN = 10
_BOW = 60
_LETTERS = 24


@dataclass(frozen=True)
class LineageNode:
    """One thing: its kind, its name, the page about it; here: whether that is the present one."""

    kind: str
    name: str
    href: str = ""
    here: bool = False


@dataclass(frozen=True)
class LineageGraph:
    """Things by their keys, and which come of which."""

    nodes: Mapping[str, LineageNode]
    edges: Sequence[tuple[str, str]]

    def assign_layers(self) -> dict[str, int]:
        """Give each node a layer: one behind the last of those that it comes of.

        An edge that closes a circle does not count.
        """
        layers: dict[str, int] = {}
        comes_of: dict[str, list[str]] = {key: [] for key in self.nodes}
        for start, end in self.edges:
            if start in self.nodes and end in self.nodes:
                comes_of[end].append(start)

        def find_layer(key: str, visiting: frozenset[str]) -> int:
            if key not in layers:
                path = visiting | {key}
                before = [find_layer(start, path) for start in comes_of[key] if start not in path]
                layers[key] = max(before, default=-1) + 1
            return layers[key]

        for key in self.nodes:
            find_layer(key, frozenset())
        return layers


def compute_layout(graph: LineageGraph) -> dict[str, Any]:
    """Place nodes and edges, in pixels."""
    layers = graph.assign_layers()
    nodes_below: dict[int, int] = {}
    nodes = []
    corners: dict[str, tuple[int, int]] = {}
    for key, node in _sort_nodes(graph, layers):
        layer = layers[key]
        row = nodes_below.get(layer, 0)
        nodes_below[layer] = row + 1
        x = _MARGIN + layer * (_WIDTH + _GAP)
        y = _MARGIN + row * _STEP
        corners[key] = (x, y)
        nodes.append(
            {**vars(node), "label": _cut_label(node.name), "x": x, "y": y, "width": _WIDTH}
        )
    edges = []
    for start, end in graph.edges:
        if start in corners and end in corners:
            # An edge over several layers would hide behind the nodes between.
            bow = _BOW if layers[end] - layers[start] > 1 else 0
            start_x, start_y = corners[start]
            end_x, end_y = corners[end]
            edges.append((start_x + _WIDTH, start_y + 20, end_x, end_y + 20, bow))
    layer_count = max(layers.values(), default=0) + 1
    row_count = max(nodes_below.values(), default=1)
    return {
        "nodes": nodes,
        "edges": edges,
        "width": 2 * _MARGIN + layer_count * (_WIDTH + _GAP),
        "height": 2 * _MARGIN + row_count * _STEP + _MARGIN,
    }


def _sort_nodes(graph: LineageGraph, layers: Mapping[str, int]) -> list[tuple[str, LineageNode]]:
    """Sort nodes by layer, kind and name."""

    def get_order(item: tuple[str, LineageNode]) -> tuple[int, str, str]:
        key, node = item
        return layers[key], node.kind, node.name

    return sorted(graph.nodes.items(), key=get_order)


def _cut_label(name: str) -> str:
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "\u2026"
