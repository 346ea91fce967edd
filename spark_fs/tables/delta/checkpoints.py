"""Checkpoints of a table's log, each the sum of all commits up to it.

This module tells which of them is whole, and reads what it says. There are three kinds: one Parquet
file; several, of which each must be there; and, since protocol V2, one file of JSON or Parquet that
names others, its sidecars.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
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
        """What it says of one kind: ``add``, ``protocol``, ``metaData`` or ``txn``.

        Raises OSError, ValueError or Arrow's error where it is damaged.
        """
        for path in self.paths:
            yield from _read_actions(system, path, kind)
            if kind == "add":
                for sidecar in _read_actions(system, path, "sidecar"):
                    yield from _read_actions(system, _resolve_sidecar(path, sidecar["path"]), kind)


def find_newest_checkpoint(folder: str, names: Iterable[str]) -> Checkpoint | None:
    """The newest whole checkpoint of the files of these names in a folder; None without one."""
    # per version, by how many parts it has, or by the id in its name
    paths: dict[int, dict[tuple[str | None, str | None], list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for name in names:
        if match := _CHECKPOINT_NAME.fullmatch(name):
            version, _, part_count, checkpoint_id = match.groups()
            paths[int(version)][part_count, checkpoint_id].append(folder + name)
    for number in sorted(paths, reverse=True):
        candidates = sorted(paths[number].items(), key=str, reverse=True)
        for (part_count, _), part_paths in candidates:
            if len(part_paths) == int(part_count or 1):
                return Checkpoint(number, tuple(sorted(part_paths)))
    return None


def _read_actions(system: fs.FileSystem, path: str, kind: str) -> Iterable[Any]:
    if path.endswith(".json"):
        return _read_json_actions(system, path, kind)
    return _read_parquet_actions(system, path, kind)


def _read_json_actions(system: fs.FileSystem, path: str, kind: str) -> Iterable[Any]:
    with system.open_input_stream(path) as stream:
        actions = parse_actions(stream.readall())
    return [action[kind] for action in actions if action.get(kind)]


def parse_actions(text: bytes) -> list[Action]:
    """The actions of a file of JSON, one a line; ValueError where it is not JSON.

    Only a line feed ends a line: a value may hold any other character that Unicode counts as an end
    of line.
    """
    return [json.loads(line) for line in text.decode().split("\n") if line.strip(" \t\r")]


def _read_parquet_actions(system: fs.FileSystem, path: str, kind: str) -> Iterable[Any]:
    columns = [kind]
    if kind == "add":
        columns = [f"add.{field}" for field in _ADD_FIELDS]
    with system.open_input_file(path) as source:
        table = pq.ParquetFile(source).read(columns=columns)
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
    if _ABSOLUTE_PATH.match(sidecar):
        return sidecar
    return f"{path.rpartition('/')[0]}/_sidecars/{sidecar}"
