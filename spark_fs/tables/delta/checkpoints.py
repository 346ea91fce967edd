"""Checkpoints of a table's log, each the sum of all commits up to it: which of them is whole, and what it says.

There are three kinds: one Parquet file; several, of which each must be there; and, since protocol
V2, one file of JSON or Parquet that names others, its sidecars.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

_CHECKPOINT_NAME = re.compile(
    r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10})|\.([0-9a-fA-F-]{36}))?\.(?:parquet|json)"
)
_ABSOLUTE_PATH = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:")
# Of what a checkpoint says of a file, what is read: the rest may be as large again.
_ADD_FIELDS = (
    "path",
    "size",
    "partitionValues",
    "stats",
    "deletionVector",
    "stats_parsed.numRecords",
)
Action = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole: the version that it sums up, and its files."""

    version: int
    paths: tuple[str, ...]

    def read_actions(self, system: fs.FileSystem, kind: str) -> Iterator[Any]:
        """What it says of one kind (``add``, ``protocol``, ``metaData``, ``txn``); OSError, ValueError or Arrow's where it is damaged."""
        for path in self.paths:
            yield from _read_actions(system, path, kind)
            if kind == "add":
                for sidecar in _read_actions(system, path, "sidecar"):
                    yield from _read_actions(system, _resolve_sidecar(path, sidecar["path"]), kind)


def find_newest_checkpoint(folder: str, names: Iterable[str]) -> Checkpoint | None:
    """The newest whole checkpoint of the files of these names in a folder; None without one."""
    found: dict[int, dict[tuple[str | None, str | None], list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for match in filter(None, map(_CHECKPOINT_NAME.fullmatch, names)):
        found[int(match[1])][match[3], match[4]].append(
            folder + match[0]
        )  # by how many parts it has, or by the name of its own
    for version in sorted(found, reverse=True):
        for (parts, _), held in sorted(found[version].items(), key=str, reverse=True):
            if len(held) == int(parts or 1):
                return Checkpoint(version, tuple(sorted(held)))
    return None


def _read_actions(system: fs.FileSystem, path: str, kind: str) -> Iterable[Any]:
    read: Callable[[fs.FileSystem, str, str], Iterable[Any]] = (
        _read_json_actions if path.endswith(".json") else _read_parquet_actions
    )
    return read(system, path, kind)


def _read_json_actions(system: fs.FileSystem, path: str, kind: str) -> Iterable[Any]:
    with system.open_input_stream(path) as stream:
        found = parse_actions(stream.readall())
    return [action[kind] for action in found if action.get(kind)]


def parse_actions(text: bytes) -> list[Action]:
    """The actions of a file of JSON, one a line; ValueError where it is none.

    Only a line feed ends a line: a value may hold any other character that Unicode counts as an end
    of line.
    """
    return [json.loads(line) for line in text.decode().split("\n") if line.strip(" \t\r")]


def _read_parquet_actions(system: fs.FileSystem, path: str, kind: str) -> Iterable[Any]:
    with system.open_input_file(path) as source:
        file = pq.ParquetFile(source)
        wanted = [f"{kind}.{fact}" for fact in _ADD_FIELDS] if kind == "add" else [kind]
        table = file.read(columns=wanted)
    if kind not in table.column_names:
        return []
    rows = table.column(kind).combine_chunks()
    return _to_dicts(rows.filter(pc.is_valid(rows)))


def _to_dicts(rows: pa.StructArray) -> Iterable[Any]:
    """The structs as mappings: column by column, which takes half the time."""
    names = [field.name for field in rows.type]
    columns = (column.to_pylist() for column in rows.flatten())
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _resolve_sidecar(path: str, sidecar: str) -> str:
    """Where a sidecar is: in a folder beside the checkpoint, unless its name says where."""
    return (
        sidecar
        if _ABSOLUTE_PATH.match(sidecar)
        else f"{path.rpartition('/')[0]}/_sidecars/{sidecar}"
    )
