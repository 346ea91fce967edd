"""The log of a Delta table as files: one JSON file per commit, named by its number, and checkpoints that sum up those before as Parquet.

Whatever is read of it is checked to be whole (https://github.com/delta-io/delta/blob/master/PROTOCOL.md).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from spark_fs.errors import SparkFSError
from spark_fs.types import from_micros

NO_TABLE = -1  # the version of a table that does not exist yet


def file_system(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URI, and its name there."""
    if "://" not in path:
        return fs.LocalFileSystem(), path
    found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(path.replace("s3a://", "s3://", 1))  # the one is Hadoop's name of the other
    return found


class Log:
    """The files of a log up to a version (None: the newest): the commits by number, and the parts of the newest checkpoint."""

    def __init__(self, path: str, version: int | None = None) -> None:
        self._system, self._folder = file_system(path)
        for attempt in range(2):  # a folder that is read while a commit lands may show its later file and not the earlier one
            named = self._listed(version)
            self.commits = {int(name[:20]): p for name, p in named.items() if name[20:] == ".json"}
            self._counts = {int(name[:20]): p for name, p in named.items() if name[20:] == ".crc"}
            lost = max(self._counts, default=NO_TABLE)
            if lost <= max(self.commits, default=NO_TABLE):
                break
            if attempt:
                raise _damaged(self._folder, f"commit {lost} is missing, and its checksum is there")
        checkpoints = {name: p for name, p in named.items() if name[20:].startswith(".checkpoint") and name.endswith(".parquet")}
        newest = max((name[:20] for name in checkpoints), default="")
        self._checkpoint = [p for name, p in checkpoints.items() if name[:20] == newest]
        self._checkpointed_at = int(newest or NO_TABLE)
        self.named = True  # whether files name the columns as the table does; ``files`` finds out

    def _listed(self, version: int | None) -> dict[str, str]:
        """The paths of the log's numbered files up to a version, by name."""
        found = self._system.get_file_info(fs.FileSelector(f"{self._folder}/_delta_log", allow_not_found=True))
        within = [f for f in found if f.base_name[:20].isdigit() and (version is None or int(f.base_name[:20]) <= version)]
        if empty := next((f.base_name for f in within if f.base_name[20:] == ".json" and not f.size), None):
            raise _damaged(self._folder, f"commit {empty} holds no actions")
        return {f.base_name: f.path for f in within}

    def files(self) -> Iterable[dict[str, Any]]:
        """The actions that added the files of the newest version, from the newest checkpoint and the commits after it.

        SparkFSError where a commit between them is missing, or where they are not as many as Delta counted: rows would be left out.
        """
        live: dict[str, dict[str, Any]] = {}
        newest = max(self.commits, default=self._checkpointed_at)
        self.check(self._checkpointed_at + 1, newest)
        for part in self._checkpoint:
            for row in self._rows(part, ["add", "metaData"]):
                live |= {row["add"]["path"]: row["add"]} if row["add"] else {}
                self.look(row)
        for version in sorted(v for v in self.commits if v > self._checkpointed_at):
            for action in self.actions(version):
                if "remove" in action:
                    live.pop(action["remove"]["path"], None)
                if "add" in action:
                    live[action["add"]["path"]] = action["add"]
                self.look(action)
        counted = self._counted(newest)
        if counted is not None and counted != len(live):
            raise _damaged(self._folder, f"version {newest} has {len(live)} files by its commits and {counted} by its checksum")
        return live.values()

    def check(self, first: int, last: int) -> None:
        """SparkFSError where a commit from the first to the last is missing."""
        if missing := [version for version in range(first, last + 1) if version not in self.commits]:
            raise _damaged(self._folder, f"commit {missing[0]} is missing")

    def _counted(self, version: int) -> int | None:
        """How many files Delta counted at a version; None where it did not, or where what it wrote cannot be read."""
        if version not in self._counts:
            return None
        with self._system.open_input_stream(self._counts[version]) as stream:
            try:
                found = json.loads(stream.readall())
            except ValueError:
                return None
        return int(found["numFiles"]) if isinstance(found, dict) and "numFiles" in found else None

    def look(self, action: Mapping[str, Any]) -> None:
        """Take notice of how the table names its columns."""
        if metadata := action.get("metaData"):
            self.named = dict(metadata["configuration"] or {}).get("delta.columnMapping.mode", "none") == "none"

    def actions(self, version: int) -> Iterator[dict[str, Any]]:
        """The actions of one commit."""
        with self._system.open_input_stream(self.commits[version]) as stream:
            lines = stream.readall()
        try:
            found = list(map(json.loads, lines.decode().splitlines()))
        except ValueError as error:
            raise _damaged(self._folder, f"commit {version}, {self.commits[version]}, cannot be read: {error}") from None
        if not found or not all(isinstance(action, dict) for action in found):
            raise _damaged(self._folder, f"commit {version}, {self.commits[version]}, holds no actions")
        yield from found

    def committed_at(self, version: int) -> datetime:
        """The instant of one commit, which is after those of all commits before it."""
        info = next(action["commitInfo"] for action in self.actions(version) if "commitInfo" in action)
        return instant_of(info)

    def checkpointed(self, app_id: str) -> int | None:
        """The number of a transaction id in the newest checkpoint."""
        for part in self._checkpoint:
            for row in self._rows(part, ["txn"]):
                if row["txn"] and row["txn"]["appId"] == app_id:
                    return int(row["txn"]["version"])
        return None

    def _rows(self, part: str, columns: list[str]) -> list[dict[str, Any]]:
        """The rows of a part of the checkpoint."""
        try:
            found: list[dict[str, Any]] = pq.read_table(part, columns=columns, filesystem=self._system).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self._folder, f"checkpoint {part} cannot be read: {str(error).splitlines()[0]}") from None
        return found


def damage(path: str) -> str | None:
    """What is damaged in the log of a table, in a sentence; None where it is whole."""
    try:
        log = Log(path)
        log.files()
    except SparkFSError as error:
        return str(error)
    return None


def instant_of(info: dict[str, Any]) -> datetime:
    """The instant of a commit, by what it says of itself."""
    return from_micros(info.get("inCommitTimestamp", info["timestamp"]) * 1000)


def _damaged(folder: str, what: str) -> SparkFSError:
    return SparkFSError(
        f"The log of the table at {folder} is damaged: {what}. Restore its _delta_log from a backup; without it rows would be left out."
    )
