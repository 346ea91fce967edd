"""Lay out a lineage: layers from left to right, each node below the one before it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# In pixels, but for the letters of a label.
_WIDTH = 200
_STEP = 54
_GAP = 90
_MARGIN = 10
_BOW = 60
_PORT = 20  # how far below the corner an edge ends
_LETTERS = 24

Point = tuple[int, int]


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
    corners = _place_nodes(graph, layers)
    layer_count = max(layers.values(), default=0) + 1
    row_count = max(Counter(layers.values()).values(), default=1)
    return {
        "nodes": [_draw_node(graph.nodes[key], corner) for key, corner in corners.items()],
        "edges": _draw_edges(graph.edges, layers, corners),
        "width": 2 * _MARGIN + layer_count * (_WIDTH + _GAP),
        "height": 3 * _MARGIN + row_count * _STEP,
    }


def _place_nodes(graph: LineageGraph, layers: Mapping[str, int]) -> dict[str, Point]:
    """Give each node its upper left corner: below those of its layer that come before it."""
    rows_taken = Counter[int]()
    corners = {}
    for key, _ in _sort_nodes(graph, layers):
        layer = layers[key]
        x = _MARGIN + layer * (_WIDTH + _GAP)
        y = _MARGIN + rows_taken[layer] * _STEP
        corners[key] = (x, y)
        rows_taken[layer] += 1
    return corners


def _draw_node(node: LineageNode, corner: Point) -> dict[str, Any]:
    x, y = corner
    return {**vars(node), "label": _cut_label(node.name), "x": x, "y": y, "width": _WIDTH}


def _draw_edges(
    edges: Sequence[tuple[str, str]], layers: Mapping[str, int], corners: Mapping[str, Point]
) -> list[tuple[int, int, int, int, int]]:
    """Draw each edge from the right side of a node to the left side of another, with its bow."""
    lines = []
    for start, end in edges:
        if start in corners and end in corners:
            # An edge over several layers would hide behind the nodes between.
            bow = _BOW if layers[end] - layers[start] > 1 else 0
            start_x, start_y = corners[start]
            end_x, end_y = corners[end]
            lines.append((start_x + _WIDTH, start_y + _PORT, end_x, end_y + _PORT, bow))
    return lines


def _sort_nodes(graph: LineageGraph, layers: Mapping[str, int]) -> list[tuple[str, LineageNode]]:
    """Sort nodes by layer, kind and name."""

    def get_order(item: tuple[str, LineageNode]) -> tuple[int, str, str]:
        key, node = item
        return layers[key], node.kind, node.name

    return sorted(graph.nodes.items(), key=get_order)


def _cut_label(name: str) -> str:
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "\u2026"
