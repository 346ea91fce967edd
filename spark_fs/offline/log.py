"""The log of a Delta table as files: one JSON file per commit, named by its number, and checkpoints that sum up those before.

Whatever is read of it is checked to be whole (https://github.com/delta-io/delta/blob/master/PROTOCOL.md). What a look costs follows
from the files of the newest version, not from the length of the history: of the commits before the checkpoint the names alone are read.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyarrow import fs

from spark_fs.errors import NotFoundError, SparkFSError, first_line
from spark_fs.offline import checkpoints, protocol
from spark_fs.offline.checkpoints import Action
from spark_fs.types import from_micros

NO_TABLE = -1  # the version of a table that does not exist yet
# Seconds between looks at a folder that a commit lands in: a listing may show the later of two files and not yet the earlier.
PAUSES = (0.02, 0.05, 0.1, 0.3)
_TOGETHER = 16  # files of an object store that are read at once


def file_system(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URI, and its name there."""
    if "://" not in path:
        return fs.LocalFileSystem(), path.removeprefix("file:")
    found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(path.replace("s3a://", "s3://", 1))  # the one is Hadoop's name of the other
    return found


class Log:
    """A look at a log up to a version, which must be there (None: the newest).

    newest: the version; ``NO_TABLE`` where there is no table. commits: the paths of the commits that are there, by number. metadata: what
    the table says of itself at this version.

    Raises SparkFSError where files are missing, and where the table needs readers of another kind.
    """

    def __init__(self, path: str, version: int | None = None) -> None:
        self._system, self.folder = file_system(path)
        for pause in (*PAUSES, None):
            lack = self._look(version)
            if lack is None:
                break
            if pause is None:
                raise lack
            time.sleep(pause)
        self.metadata = self._last("metaData")
        protocol.check(self.folder, self._last("protocol"))

    def _look(self, version: int | None) -> SparkFSError | None:
        """List the files up to a version, and read the commits after the checkpoint; the error where one is missing."""
        paths = self._listed()
        numbered = {name: path for name, path in paths.items() if version is None or int(name[:20]) <= version}
        self.commits = {int(name[:20]): path for name, path in numbered.items() if name[20:] == ".json"}
        self._counts = {int(name[:20]): path for name, path in numbered.items() if name[20:] == ".crc"}
        self._checkpoint = checkpoints.newest(numbered, version)
        since = self._checkpoint.version if self._checkpoint else NO_TABLE
        self.newest = max(since, *self.commits) if self.commits else since
        after = range(since + 1, self.newest + 1)
        if missing := self._missing(after):
            return missing
        counted = max(self._counts, default=NO_TABLE)
        if counted > self.newest:
            return _damaged(self.folder, f"commit {counted} is missing, and its checksum is there")
        if version is not None and version > self.newest:
            return _gone(self.folder, version, self.newest)
        try:
            self._tail = dict(zip(after, self._read(after), strict=True))
        except FileNotFoundError as error:
            return _damaged(self.folder, f"a commit went away while it was read: {first_line(error)}")
        return None

    def _listed(self) -> dict[str, str]:
        """The paths of the log's numbered files, by name."""
        place = f"{self.folder}/_delta_log"
        try:
            if isinstance(self._system, fs.LocalFileSystem):  # names alone: 20,000 take 15 ms, with sizes and times 150
                names: Iterable[str] = os.listdir(place)
            else:
                names = (each.base_name for each in self._system.get_file_info(fs.FileSelector(place, allow_not_found=True)))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise SparkFSError(f"The log of the table at {self.folder} cannot be listed: {first_line(error)}.") from error
        return {name: f"{place}/{name}" for name in names if name[:20].isdecimal() and name.isascii() and len(name) > 20}

    def _missing(self, versions: Iterable[int]) -> SparkFSError | None:
        missing = next((version for version in versions if version not in self.commits), None)
        return None if missing is None else _damaged(self.folder, f"commit {missing} is missing")

    def check(self, first: int, last: int) -> None:
        """SparkFSError where a commit from the first to the last is missing."""
        if missing := self._missing(range(first, last + 1)):
            raise missing

    def files(self) -> Iterable[Action]:
        """The actions that added the files of the version, from the newest checkpoint and the commits after it.

        SparkFSError where they are not as many as Delta counted: rows would be left out.
        """
        live = {_identity(added): added for added in self._checkpointed("add")}
        for version in sorted(self._tail):
            for action in self._tail[version]:
                if removed := action.get("remove"):
                    live.pop(_identity(removed), None)
            for action in self._tail[version]:
                if added := action.get("add"):
                    live[_identity(added)] = added
        counted = self._counted(self.newest)
        if counted is not None and counted != len(live):
            raise _damaged(self.folder, f"version {self.newest} has {len(live)} files by its commits and {counted} by its checksum")
        return live.values()

    def _counted(self, version: int) -> int | None:
        """How many files Delta counted at a version; None where it did not, or where what it wrote cannot be read."""
        if version not in self._counts:
            return None
        try:
            with self._system.open_input_stream(self._counts[version]) as stream:
                found = json.loads(stream.readall())
        except (ValueError, FileNotFoundError):
            return None
        return int(found["numFiles"]) if isinstance(found, dict) and "numFiles" in found else None

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The table's schema, as Spark writes it."""
        found: dict[str, Any] = json.loads(self.metadata.get("schemaString") or "{}")
        return found

    def actions(self, version: int) -> Sequence[Action]:
        """The actions of one commit."""
        if version in self._tail:
            return self._tail[version]
        try:
            return self._commit(version)
        except FileNotFoundError:
            raise _damaged(self.folder, f"commit {version} is missing") from None

    def _read(self, versions: Sequence[int]) -> list[list[Action]]:
        if isinstance(self._system, fs.LocalFileSystem) or len(versions) < 2:
            return list(map(self._commit, versions))
        with ThreadPoolExecutor(_TOGETHER) as pool:
            return list(pool.map(self._commit, versions))

    def _commit(self, version: int) -> list[Action]:
        path = self.commits[version]
        try:
            with self._system.open_input_stream(path) as stream:
                text = stream.readall()
            found = checkpoints.parsed(text)
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            raise _damaged(self.folder, f"commit {version}, {path}, cannot be read: {first_line(error)}") from None
        if not text:
            raise _damaged(self.folder, f"commit {path.rpartition('/')[2]} holds no actions")
        if not found or not all(isinstance(action, dict) for action in found):
            raise _damaged(self.folder, f"commit {version}, {path}, holds no actions")
        return found

    def info(self, version: int) -> Mapping[str, Any]:
        """What a commit says of itself; empty where it says nothing."""
        said: Iterable[Mapping[str, Any] | None] = (action.get("commitInfo") for action in self.actions(version))
        return next(filter(None, said), {})

    def committed_at(self, version: int) -> datetime:
        """The instant of one commit, which is after those of all commits before it; of one that says none, that of its file."""
        info = self.info(version)
        millis = info.get("inCommitTimestamp", info.get("timestamp"))
        if millis is not None:
            return from_micros(millis * 1000)
        instant: datetime = self._system.get_file_info(self.commits[version]).mtime
        return instant

    def transaction(self, app_id: str) -> int | None:
        """The last number committed under a transaction id; None when there is none."""
        done = (action.get("txn") for version in sorted(self._tail, reverse=True) for action in self._tail[version])
        found = next((each for each in done if each and each["appId"] == app_id), None)
        found = found or next((each for each in self._checkpointed("txn") if each["appId"] == app_id), None)
        return None if found is None else int(found["version"])

    def _last(self, kind: str) -> Mapping[str, Any]:
        """The newest action of a kind that each takes the place of the one before; empty where there is none."""
        done = (action.get(kind) for version in sorted(self._tail, reverse=True) for action in self._tail[version])
        found: Mapping[str, Any] | None = next(filter(None, done), None)
        return found or next(iter(self._checkpointed(kind)), {})

    def _checkpointed(self, kind: str) -> Iterator[Any]:
        """What the checkpoint says of one kind."""
        if self._checkpoint is None:
            return
        try:
            yield from self._checkpoint.actions(self._system, kind)
        except (pa.ArrowException, OSError, ValueError) as error:
            where = ", ".join(self._checkpoint.paths)
            raise _damaged(self.folder, f"checkpoint {where} cannot be read: {first_line(error)}") from None


def _identity(file: Action) -> tuple[str, ...]:
    """What names a file of a version: its path, and the list of its deleted rows, since a commit may give the same file another one."""
    vector = file.get("deletionVector")
    return (file["path"],) if not vector else (file["path"], vector["storageType"], vector["pathOrInlineDv"], str(vector.get("offset")))


def damage(path: str) -> str | None:
    """What is damaged in the log of a table, in a sentence; None where it is whole."""
    try:
        Log(path).files()
    except SparkFSError as error:
        return str(error)
    return None


def _damaged(folder: str, what: str) -> SparkFSError:
    return SparkFSError(
        f"The log of the table at {folder} is damaged: {what}. Restore its _delta_log from a backup; without it rows would be left out."
    )


def _gone(folder: str, version: int, newest: int) -> NotFoundError:
    there = "there is no table" if newest == NO_TABLE else f"its log ends with version {newest}"
    return NotFoundError(
        f"Version {version} of the table at {folder} is wanted, and {there}. Mount the folder, restore it from a backup, or name in the "
        "setting warehouse the folder where the tables are now."
    )
