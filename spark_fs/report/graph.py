"""Lay out a lineage: layers from left to right, each node below the one before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WIDTH, _STEP, _GAP, _LETTERS = 200, 54, 90, 24


@dataclass(frozen=True)
class LineageNode:
    """One thing: its kind, its name, and the page about it; here: whether it is what the page is about."""

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
        """The layer of each node: one behind the last of those that it comes of. An edge that closes a circle does not count."""
        found: dict[str, int] = {}
        comes_of: dict[str, list[str]] = {key: [] for key in self.nodes}
        for start, end in self.edges:
            if start in self.nodes and end in self.nodes:
                comes_of[end].append(start)

        def find_layer(key: str, visiting: frozenset[str]) -> int:
            if key not in found:
                before = [
                    find_layer(start, visiting | {key})
                    for start in comes_of[key]
                    if start not in visiting | {key}
                ]
                found[key] = max(before, default=-1) + 1
            return found[key]

        for key in self.nodes:
            find_layer(key, frozenset())
        return found


def compute_layout(graph: LineageGraph) -> dict[str, Any]:
    """The places of nodes and edges, in pixels."""
    layers = graph.assign_layers()
    below: dict[int, int] = {}
    nodes, places = [], {}
    for key, node in sorted(
        graph.nodes.items(), key=lambda item: (layers[item[0]], item[1].kind, item[1].name)
    ):
        layer = layers[key]
        x, y = 10 + layer * (_WIDTH + _GAP), 10 + below.get(layer, 0) * _STEP
        below[layer] = below.get(layer, 0) + 1
        places[key] = x, y
        label = node.name if len(node.name) <= _LETTERS else node.name[: _LETTERS - 1] + "\u2026"
        nodes.append({**vars(node), "label": label, "x": x, "y": y, "width": _WIDTH})
    edges = []
    for start, end in graph.edges:
        if start in places and end in places:
            below_others = (
                60 if layers[end] - layers[start] > 1 else 0
            )  # else it would hide behind the nodes between
            edges.append(
                (
                    places[start][0] + _WIDTH,
                    places[start][1] + 20,
                    places[end][0],
                    places[end][1] + 20,
                    below_others,
                )
            )
    width = 20 + (max(layers.values(), default=0) + 1) * (_WIDTH + _GAP)
    return {
        "nodes": nodes,
        "edges": edges,
        "width": width,
        "height": 20 + max(below.values(), default=1) * _STEP + 10,
    }
