"""Lay out a lineage: layers from left to right, each node below the one before it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

# In pixels, but for the letters of a label.
_WIDTH = 190
_STEP = 54
_GAP = 42
_MARGIN = 10
_BOW = 60
_PORT = 20  # how far below the corner an edge ends
_LETTERS = 23

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
    """Give each node its upper left corner: below those of its layer that come before it.

    A node stands about as high as what it comes of, so that few lines cross.
    """
    keys_by_layer: dict[int, list[str]] = {}
    for key in sorted(graph.nodes, key=lambda key: (graph.nodes[key].kind, graph.nodes[key].name)):
        keys_by_layer.setdefault(layers[key], []).append(key)
    comes_of: dict[str, list[str]] = {}
    for start, end in graph.edges:
        comes_of.setdefault(end, []).append(start)
    corners: dict[str, Point] = {}
    for layer in sorted(keys_by_layer):
        x = _MARGIN + layer * (_WIDTH + _GAP)
        heights = {
            key: _compute_mean_height(comes_of.get(key, ()), corners)
            for key in keys_by_layer[layer]
        }
        for row, key in enumerate(sorted(heights, key=heights.__getitem__)):
            corners[key] = (x, _MARGIN + row * _STEP)
    return corners


def _compute_mean_height(keys: Sequence[str], corners: Mapping[str, Point]) -> float:
    """How high nodes stand on average; infinity, for below all others, where none is placed."""
    heights = [corners[key][1] for key in keys if key in corners]
    return sum(heights) / len(heights) if heights else inf


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


def _cut_label(name: str) -> str:
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "\u2026"
