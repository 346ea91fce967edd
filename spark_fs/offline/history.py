"""What the log of a Delta table says of its commits, read without Spark, so that a look costs no JVM.

The log holds one JSON file per commit, named by its number; checkpoints sum up all before them as Parquet
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
from pyarrow import fs

from spark_fs.errors import NotFoundError

_COUNTS = {
    "WRITE": {"inserted": "numOutputRows"},
    "MERGE": {"inserted": "numTargetRowsInserted", "updated": "numTargetRowsUpdated", "deleted": "numTargetRowsDeleted"},
}


@dataclass(frozen=True)
class Commit:
    """One commit: its number, its instant (UTC), what it did, and how many rows it inserted, updated and deleted."""

    version: int
    committed_at: datetime
    operation: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


def commits(path: str, limit: int) -> list[Commit]:
    """The newest commits of the table at a folder or URI, the newest first; none when there is no table."""
    log = _Log(path)
    newest = sorted(log.commits, reverse=True)[:limit]
    return [commit for version in newest for commit in _described(version, log.actions(version))]


def current_version(path: str) -> int:
    """The number of the newest commit; NotFoundError when there is no table."""
    found = _Log(path).commits
    if not found:
        raise NotFoundError(f"There is no Delta table at {path}: insert its first rows.")
    return max(found)


def transaction_number(path: str, app_id: str) -> int | None:
    """The last number committed under a transaction id; None when there is none, or no table."""
    log = _Log(path)
    for version in sorted(log.commits, reverse=True):
        for action in log.actions(version):
            if action.get("txn", {}).get("appId") == app_id:
                return int(action["txn"]["version"])
    return log.checkpointed(app_id)


class _Log:
    """The files of a log: the commits by number, and the parts of the newest checkpoint."""

    def __init__(self, path: str) -> None:
        self._system, folder = fs.FileSystem.from_uri(path) if "://" in path else (fs.LocalFileSystem(), path)
        files = self._system.get_file_info(fs.FileSelector(f"{folder}/_delta_log", allow_not_found=True))
        named = {f.base_name: f.path for f in files if f.base_name[:20].isdigit()}
        self.commits = {int(name[:20]): p for name, p in named.items() if name[20:] == ".json"}
        checkpoints = {name: p for name, p in named.items() if name[20:].startswith(".checkpoint") and name.endswith(".parquet")}
        newest = max((name[:20] for name in checkpoints), default="")
        self._checkpoint = [p for name, p in checkpoints.items() if name[:20] == newest]

    def actions(self, version: int) -> Iterator[dict[str, Any]]:
        """The actions of one commit."""
        with self._system.open_input_stream(self.commits[version]) as stream:
            yield from map(json.loads, stream.readall().decode().splitlines())

    def checkpointed(self, app_id: str) -> int | None:
        """The number of a transaction id in the newest checkpoint."""
        for part in self._checkpoint:
            for row in pq.read_table(part, columns=["txn"], filesystem=self._system).column("txn").to_pylist():
                if row and row["appId"] == app_id:
                    return int(row["version"])
        return None


def _described(version: int, actions: Iterator[dict[str, Any]]) -> Iterator[Commit]:
    for action in actions:
        if info := action.get("commitInfo"):
            metrics = info.get("operationMetrics", {})
            counts = {ours: int(metrics.get(theirs, 0)) for ours, theirs in _COUNTS.get(info["operation"], {}).items()}
            yield Commit(version, datetime.fromtimestamp(info["timestamp"] / 1000, UTC), info["operation"], **counts)
