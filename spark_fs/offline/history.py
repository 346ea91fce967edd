"""The commits of a Delta table, read from its log without Spark, so that a listing needs no JVM.

The log is one JSON file per commit, named by its number, whose ``commitInfo`` line describes it
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#commit-provenance-information).
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyarrow import fs

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
    system, folder = fs.FileSystem.from_uri(path) if "://" in path else (fs.LocalFileSystem(), path)
    selector = fs.FileSelector(f"{folder}/_delta_log", allow_not_found=True)
    logs = sorted(f.path for f in system.get_file_info(selector) if f.base_name.endswith(".json") and f.base_name[:20].isdigit())
    found = []
    for log in reversed(logs[-limit:]):
        with system.open_input_stream(log) as stream:
            found += _commit(int(log.rsplit("/", 1)[-1][:20]), stream.readall().decode())
    return found


def _commit(version: int, text: str) -> list[Commit]:
    for line in text.splitlines():
        info: dict[str, Any] | None = json.loads(line).get("commitInfo")
        if info:
            metrics = info.get("operationMetrics", {})
            counts = {ours: int(metrics.get(theirs, 0)) for ours, theirs in _COUNTS.get(info["operation"], {}).items()}
            return [Commit(version, datetime.fromtimestamp(info["timestamp"] / 1000, UTC), info["operation"], **counts)]
    return []
