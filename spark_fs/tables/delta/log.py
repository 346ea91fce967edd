"""The log of a Delta table as files: one JSON file per commit, named by its number, and checkpoints that sum up those before.

Whatever is read of it is checked to be whole
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md). What a look costs follows from the
files of the newest version, not from the length of the history: of the commits before the
checkpoint the names alone are read.
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

from spark_fs.base.times import from_micros
from spark_fs.errors import NotFoundError, SparkFSError, get_first_line
from spark_fs.tables.delta import checkpoints, protocol
from spark_fs.tables.delta.checkpoints import Action

NO_TABLE = -1  # the version of a table that does not exist yet
# Seconds between looks at a folder that a commit lands in: a listing may show the later of two
# files and not yet the earlier.
RETRY_PAUSES = (0.02, 0.05, 0.1, 0.3)
_VERSION_DIGITS = 20  # of the number that a file's name begins with
_PARALLEL_READS = 16  # files of an object store that are read at once


def resolve_file_system(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URI, and its name there."""
    if "://" not in path:
        return fs.LocalFileSystem(), path.removeprefix("file:")
    found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(
        path.replace("s3a://", "s3://", 1)
    )  # the one is Hadoop's name of the other
    return found


class DeltaLog:
    """A look at a log up to a version, which must be there (None: the newest).

    path: where the table is. newest: the version; ``NO_TABLE`` where there is no table. commits:
    the paths of the commits that are there, by number. metadata: what the table says of itself at
    this version.

    Raises SparkFSError where files are missing, and where the table needs readers of another kind.
    """

    def __init__(self, path: str, version: int | None = None) -> None:
        self.path = path
        self._system, self.folder = resolve_file_system(path)
        self.commits: dict[int, str]
        self._checksum_paths: dict[int, str]
        for pause in (*RETRY_PAUSES, None):
            lack = self._try_load(version)
            if lack is None:
                break
            if pause is None:
                raise lack
            time.sleep(pause)
        self.metadata = self._find_last_action("metaData")
        protocol.check_protocol(self.folder, self._find_last_action("protocol"))

    def _try_load(self, version: int | None) -> SparkFSError | None:
        """List the files up to a version, and read the commits after the checkpoint; the error where one is missing."""
        place = f"{self.folder}/_delta_log/"
        self.commits, self._checksum_paths, others = {}, {}, []
        for name in _list_numbered_files(self._system, self.folder):
            number, kind = int(name[:_VERSION_DIGITS]), name[_VERSION_DIGITS:]
            if version is not None and number > version:
                continue
            if kind == ".json":
                self.commits[number] = place + name
            elif kind == ".crc":
                self._checksum_paths[number] = place + name
            else:
                others.append(name)
        self._checkpoint = checkpoints.find_newest_checkpoint(place, others)
        since = self._checkpoint.version if self._checkpoint else NO_TABLE
        self.version = max(since, *self.commits) if self.commits else since
        after = range(since + 1, self.version + 1)
        if missing := self._find_missing_commit(after):
            return missing
        if others and self.version == NO_TABLE:
            return _damage_error(
                self.folder, f"no commit and no whole checkpoint is left beside {min(others)}"
            )
        counted = max(self._checksum_paths, default=NO_TABLE)
        if counted > self.version:
            return _damage_error(
                self.folder, f"commit {counted} is missing, and its checksum is there"
            )
        if version is not None and version > self.version:
            return _missing_version_error(self.folder, version, self.version)
        try:
            self._tail_actions = dict(zip(after, self._read_commits(after), strict=True))
        except FileNotFoundError as error:
            return _damage_error(
                self.folder, f"a commit went away while it was read: {get_first_line(error)}"
            )
        return None

    @classmethod
    def exists(cls, path: str) -> bool:
        """Whether there is a file of a log: the first commit, which an object store finds without a listing, or any other."""
        system, folder = resolve_file_system(path)
        first = system.get_file_info(f"{folder}/_delta_log/{0:0{_VERSION_DIGITS}d}.json")
        return (
            first.type == fs.FileType.File
            or next(_list_numbered_files(system, folder), None) is not None
        )

    def _find_missing_commit(self, versions: Iterable[int]) -> SparkFSError | None:
        missing = next((version for version in versions if version not in self.commits), None)
        return (
            None if missing is None else _damage_error(self.folder, f"commit {missing} is missing")
        )

    def check_commits(self, first_version: int, last_version: int) -> None:
        """SparkFSError where a commit from the first to the last is missing."""
        if missing := self._find_missing_commit(range(first_version, last_version + 1)):
            raise missing

    def list_files(self) -> Iterable[Action]:
        """The actions that added the files of the version, from the newest checkpoint and the commits after it.

        SparkFSError where they are not as many as Delta counted: rows would be left out.
        """
        live = {_get_file_key(added): added for added in self._read_checkpoint("add")}
        for version in sorted(self._tail_actions):
            for action in self._tail_actions[version]:
                if removed := action.get("remove"):
                    live.pop(_get_file_key(removed), None)
            for action in self._tail_actions[version]:
                if added := action.get("add"):
                    live[_get_file_key(added)] = added
        counted = self._checksum_file_count(self.version)
        if counted is not None and counted != len(live):
            raise _damage_error(
                self.folder,
                f"version {self.version} has {len(live)} files by its commits and {counted} by its"
                " checksum",
            )
        return live.values()

    def _checksum_file_count(self, version: int) -> int | None:
        """How many files Delta counted at a version; None where it did not, or where what it wrote cannot be read."""
        if version not in self._checksum_paths:
            return None
        try:
            with self._system.open_input_stream(self._checksum_paths[version]) as stream:
                found = json.loads(stream.readall())
        except (ValueError, FileNotFoundError):
            return None
        return int(found["numFiles"]) if isinstance(found, dict) and "numFiles" in found else None

    def parse_statistics(self, add_actions: Sequence[Action]) -> list[dict[str, Any]]:
        """The statistics of files, parsed: of ten thousand at once, which takes half the time of one by one."""
        try:
            found: list[dict[str, Any]] = json.loads(
                f"[{','.join(add.get('stats') or '{}' for add in add_actions)}]"
            )
        except ValueError as error:
            raise _damage_error(
                self.folder, f"the statistics of a file cannot be read: {get_first_line(error)}"
            ) from None
        if len(found) != len(add_actions):
            raise _damage_error(self.folder, "the statistics of a file are not one object")
        return found

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The table's schema, as Spark writes it."""
        found: dict[str, Any] = json.loads(self.metadata.get("schemaString") or "{}")
        return found

    def read_actions(self, version: int) -> Sequence[Action]:
        """The actions of one commit."""
        if version in self._tail_actions:
            return self._tail_actions[version]
        try:
            return self._read_commit(version)
        except FileNotFoundError:
            raise _damage_error(self.folder, f"commit {version} is missing") from None

    def _read_commits(self, versions: Sequence[int]) -> list[list[Action]]:
        if isinstance(self._system, fs.LocalFileSystem) or len(versions) < 2:
            return list(map(self._read_commit, versions))
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            return list(pool.map(self._read_commit, versions))

    def _read_commit(self, version: int) -> list[Action]:
        path = self.commits[version]
        try:
            with self._system.open_input_stream(path) as stream:
                text = stream.readall()
            found = checkpoints.parse_actions(text)
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            raise _damage_error(
                self.folder, f"commit {version}, {path}, cannot be read: {get_first_line(error)}"
            ) from None
        if not text:
            raise _damage_error(self.folder, f"commit {path.rpartition('/')[2]} holds no actions")
        if not found or not all(isinstance(action, dict) for action in found):
            raise _damage_error(self.folder, f"commit {version}, {path}, holds no actions")
        return found

    def read_commit_info(self, version: int) -> Mapping[str, Any]:
        """What a commit says of itself; empty where it says nothing."""
        said: Iterable[Mapping[str, Any] | None] = (
            action.get("commitInfo") for action in self.read_actions(version)
        )
        return next(filter(None, said), {})

    def get_commit_time(self, version: int) -> datetime:
        """The instant of one commit, which is after those of all commits before it; of one that says none, that of its file."""
        info = self.read_commit_info(version)
        millis = info.get("inCommitTimestamp", info.get("timestamp"))
        if millis is not None:
            return from_micros(millis * 1000)
        instant: datetime = self._system.get_file_info(self.commits[version]).mtime
        return instant

    def find_transaction_number(self, app_id: str) -> int | None:
        """The last number committed under a transaction id; None when there is none."""
        done = (
            action.get("txn")
            for version in sorted(self._tail_actions, reverse=True)
            for action in self._tail_actions[version]
        )
        found = next((each for each in done if each and each["appId"] == app_id), None)
        found = found or next(
            (each for each in self._read_checkpoint("txn") if each["appId"] == app_id), None
        )
        return None if found is None else int(found["version"])

    def _find_last_action(self, kind: str) -> Mapping[str, Any]:
        """The newest action of a kind that each takes the place of the one before; empty where there is none."""
        done = (
            action.get(kind)
            for version in sorted(self._tail_actions, reverse=True)
            for action in self._tail_actions[version]
        )
        found: Mapping[str, Any] | None = next(filter(None, done), None)
        return found or next(iter(self._read_checkpoint(kind)), {})

    def _read_checkpoint(self, kind: str) -> Iterator[Any]:
        """What the checkpoint says of one kind."""
        if self._checkpoint is None:
            return
        try:
            yield from self._checkpoint.read_actions(self._system, kind)
        except (pa.ArrowException, OSError, ValueError) as error:
            where = ", ".join(self._checkpoint.paths)
            raise _damage_error(
                self.folder, f"checkpoint {where} cannot be read: {get_first_line(error)}"
            ) from None


def _list_numbered_files(system: fs.FileSystem, folder: str) -> Iterator[str]:
    """The names of a log's numbered files."""
    place = f"{folder}/_delta_log"
    try:
        if isinstance(
            system, fs.LocalFileSystem
        ):  # names alone: 20,000 take 10 ms, with sizes and times 150
            with os.scandir(place) as entries:
                yield from _filter_numbered(entry.name for entry in entries)
        else:
            yield from _filter_numbered(
                each.base_name
                for each in system.get_file_info(fs.FileSelector(place, allow_not_found=True))
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise SparkFSError(
            f"The log of the table at {folder} cannot be listed: {get_first_line(error)}."
        ) from error


def _filter_numbered(names: Iterable[str]) -> Iterator[str]:
    return (
        name
        for name in names
        if name[:_VERSION_DIGITS].isdecimal() and len(name) > _VERSION_DIGITS and name.isascii()
    )


def _get_file_key(file: Action) -> tuple[str, ...]:
    """What names a file of a version: its path, and the list of its deleted rows, since a commit may give the same file another one."""
    vector = file.get("deletionVector")
    return (
        (file["path"],)
        if not vector
        else (
            file["path"],
            vector["storageType"],
            vector["pathOrInlineDv"],
            str(vector.get("offset")),
        )
    )


def find_damage(path: str) -> str | None:
    """What is damaged in the log of a table, in a sentence; None where it is whole."""
    try:
        DeltaLog(path).list_files()
    except SparkFSError as error:
        return str(error)
    return None


def _damage_error(folder: str, what: str) -> SparkFSError:
    return SparkFSError(
        f"The log of the table at {folder} is damaged: {what}. Restore its _delta_log from a"
        " backup; without it rows would be left out."
    )


def _missing_version_error(folder: str, version: int, newest: int) -> NotFoundError:
    there = "there is no table" if newest == NO_TABLE else f"its log ends with version {newest}"
    return NotFoundError(
        f"Version {version} of the table at {folder} is wanted, and {there}. Mount the folder,"
        " restore it from a backup, or name in the setting warehouse the folder where the tables"
        " are now."
    )
