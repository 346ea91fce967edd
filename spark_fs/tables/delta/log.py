"""The log of a Delta table as files: one of JSON per commit, and checkpoints that sum them up.

A commit's file is named by its number. Whatever is read of the log is checked to be whole
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

from spark_fs.base.file_systems import resolve_file_system
from spark_fs.base.times import from_micros
from spark_fs.errors import NotFoundError, SparkFSError, get_first_line
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.delta import checkpoints, protocol
from spark_fs.tables.delta.checkpoints import Action

# Seconds between looks at a folder that a commit lands in: a listing may show the later of two
# files and not yet the earlier.
RETRY_PAUSES = (0.02, 0.05, 0.1, 0.3)
_VERSION_DIGITS = 20  # of the number that a file's name begins with
_PARALLEL_READS = 16  # files of an object store that are read at once


class DeltaLog:
    """A look at a log up to a version, which must be there (None: the newest).

    path: where the table is. version: the one that was looked at; ``NO_TABLE`` where there is no
    table. commits: the paths of the commits that are there, by number. metadata: what the table
    says of itself at this version.

    Raises SparkFSError where files are missing, and where the table needs readers of another kind.
    """

    def __init__(self, path: str, version: int | None = None) -> None:
        self.path = path
        self._system, self.folder = resolve_file_system(path)
        self.commits: dict[int, str]
        self._checksum_paths: dict[int, str]
        for pause in (*RETRY_PAUSES, None):
            error = self._try_load(version)
            if error is None:
                break
            if pause is None:
                raise error
            time.sleep(pause)
        self.metadata = self._find_last_action("metaData")
        protocol.check_protocol(self.folder, self._find_last_action("protocol"))

    def _try_load(self, version: int | None) -> SparkFSError | None:
        """List the files up to a version, and read the commits after the checkpoint.

        Returns the error where one is missing.
        """
        checkpoint_names = self._list_log(version)
        log_folder = f"{self.folder}/_delta_log/"
        self._checkpoint = checkpoints.find_newest_checkpoint(log_folder, checkpoint_names)
        checkpoint_version = self._checkpoint.version if self._checkpoint else NO_TABLE
        self.version = max([checkpoint_version, *self.commits])
        tail = range(checkpoint_version + 1, self.version + 1)
        error = self._find_missing_file(tail, checkpoint_names)
        if error is None and version is not None and version > self.version:
            error = _missing_version_error(self.folder, version, self.version)
        if error is not None:
            return error
        try:
            tail_actions = self._read_commits(tail)
        except FileNotFoundError as gone:
            reason = f"a commit went away while it was read: {get_first_line(gone)}"
            return _damage_error(self.folder, reason)
        self._tail_actions = dict(zip(tail, tail_actions, strict=True))
        return None

    def _list_log(self, version: int | None) -> list[str]:
        """Note the commits and checksums up to a version; returns the names of its other files."""
        log_folder = f"{self.folder}/_delta_log/"
        self.commits = {}
        self._checksum_paths = {}
        others = []
        for name in _list_numbered_files(self._system, self.folder):
            number = int(name[:_VERSION_DIGITS])
            kind = name[_VERSION_DIGITS:]
            if version is not None and number > version:
                continue
            if kind == ".json":
                self.commits[number] = log_folder + name
            elif kind == ".crc":
                self._checksum_paths[number] = log_folder + name
            else:
                others.append(name)
        return others

    def _find_missing_file(
        self, tail: Iterable[int], checkpoint_names: Sequence[str]
    ) -> SparkFSError | None:
        """The error for a commit that the files that are there tell of, and that is not there."""
        if missing := self._find_missing_commit(tail):
            return missing
        if checkpoint_names and self.version == NO_TABLE:
            beside = min(checkpoint_names)
            reason = f"no commit and no whole checkpoint is left beside {beside}"
            return _damage_error(self.folder, reason)
        counted = max(self._checksum_paths, default=NO_TABLE)
        if counted > self.version:
            reason = f"commit {counted} is missing, and its checksum is there"
            return _damage_error(self.folder, reason)
        return None

    @classmethod
    def exists(cls, path: str) -> bool:
        """Whether there is a file of a log: the first commit, or any other.

        The first one an object store finds without a listing.
        """
        system, folder = resolve_file_system(path)
        first = system.get_file_info(f"{folder}/_delta_log/{0:0{_VERSION_DIGITS}d}.json")
        if first.type == fs.FileType.File:
            return True
        return next(_list_numbered_files(system, folder), None) is not None

    def _find_missing_commit(self, versions: Iterable[int]) -> SparkFSError | None:
        for version in versions:
            if version not in self.commits:
                return _damage_error(self.folder, f"commit {version} is missing")
        return None

    def check_commits(self, first_version: int, last_version: int) -> None:
        """SparkFSError where a commit from the first to the last is missing."""
        if missing := self._find_missing_commit(range(first_version, last_version + 1)):
            raise missing

    def list_files(self) -> Iterable[Action]:
        """The actions that added the version's files: the newest checkpoint's, and later commits'.

        SparkFSError where they are not as many as Delta counted: rows would be left out.
        """
        live = {_get_file_key(added): added for added in self._read_checkpoint("add")}
        for version in sorted(self._tail_actions):
            actions = self._tail_actions[version]
            for action in actions:
                if removed := action.get("remove"):
                    live.pop(_get_file_key(removed), None)
            for action in actions:
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
        """How many files Delta counted at a version.

        None where it did not, or where what it wrote cannot be read.
        """
        if version not in self._checksum_paths:
            return None
        try:
            with self._system.open_input_stream(self._checksum_paths[version]) as stream:
                checksum = json.loads(stream.readall())
        except (ValueError, FileNotFoundError):
            return None
        if isinstance(checksum, dict) and "numFiles" in checksum:
            return int(checksum["numFiles"])
        return None

    def parse_statistics(self, add_actions: Sequence[Action]) -> list[dict[str, Any]]:
        """The statistics of files, parsed.

        Of ten thousand at once, which takes half the time of one by one.
        """
        texts = [add.get("stats") or "{}" for add in add_actions]
        try:
            statistics: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
        except ValueError as error:
            reason = f"the statistics of a file cannot be read: {get_first_line(error)}"
            raise _damage_error(self.folder, reason) from None
        if len(statistics) != len(add_actions):
            raise _damage_error(self.folder, "the statistics of a file are not one object")
        return statistics

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The table's schema, as Spark writes it."""
        schema: dict[str, Any] = json.loads(self.metadata.get("schemaString") or "{}")
        return schema

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
            actions = checkpoints.parse_actions(text)
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            reason = f"commit {version}, {path}, cannot be read: {get_first_line(error)}"
            raise _damage_error(self.folder, reason) from None
        if not text:
            raise _damage_error(self.folder, f"commit {path.rpartition('/')[2]} holds no actions")
        if not actions or not all(isinstance(action, dict) for action in actions):
            raise _damage_error(self.folder, f"commit {version}, {path}, holds no actions")
        return actions

    def read_commit_info(self, version: int) -> Mapping[str, Any]:
        """What a commit says of itself; empty where it says nothing."""
        for action in self.read_actions(version):
            info: Mapping[str, Any] | None = action.get("commitInfo")
            if info:
                return info
        return {}

    def get_commit_time(self, version: int) -> datetime:
        """The instant of one commit, which is after those of all commits before it.

        Of a commit that says none, it is that of its file.
        """
        info = self.read_commit_info(version)
        millis = info.get("inCommitTimestamp", info.get("timestamp"))
        if millis is not None:
            return from_micros(millis * 1000)
        modified_at: datetime = self._system.get_file_info(self.commits[version]).mtime
        return modified_at

    def find_transaction_number(self, app_id: str) -> int | None:
        """The last number committed under a transaction id; None when there is none."""
        for transaction in self._find_actions("txn"):
            if transaction["appId"] == app_id:
                return int(transaction["version"])
        return None

    def _find_last_action(self, kind: str) -> Mapping[str, Any]:
        """The newest action of a kind that each replaces the one before; empty without one."""
        newest: Mapping[str, Any] = next(self._find_actions(kind), {})
        return newest

    def _find_actions(self, kind: str) -> Iterator[Any]:
        """The actions of a kind, those of the newest commit first, then the checkpoint's."""
        for version in sorted(self._tail_actions, reverse=True):
            for action in self._tail_actions[version]:
                if content := action.get(kind):
                    yield content
        yield from self._read_checkpoint(kind)

    def _read_checkpoint(self, kind: str) -> Iterator[Any]:
        """What the checkpoint says of one kind."""
        if self._checkpoint is None:
            return
        try:
            yield from self._checkpoint.read_actions(self._system, kind)
        except (pa.ArrowException, OSError, ValueError) as error:
            paths = ", ".join(self._checkpoint.paths)
            reason = f"checkpoint {paths} cannot be read: {get_first_line(error)}"
            raise _damage_error(self.folder, reason) from None


def _list_numbered_files(system: fs.FileSystem, folder: str) -> Iterator[str]:
    """The names of a log's numbered files."""
    log_folder = f"{folder}/_delta_log"
    try:
        if isinstance(system, fs.LocalFileSystem):
            # names alone: 20,000 take 10 ms, with sizes and times 150
            with os.scandir(log_folder) as entries:
                yield from _filter_numbered(entry.name for entry in entries)
        else:
            files = system.get_file_info(fs.FileSelector(log_folder, allow_not_found=True))
            yield from _filter_numbered(file.base_name for file in files)
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
    """What names a file of a version: its path, and the list of its deleted rows.

    A commit may give the same file another list.
    """
    vector = file.get("deletionVector")
    if not vector:
        return (file["path"],)
    offset = str(vector.get("offset"))
    return file["path"], vector["storageType"], vector["pathOrInlineDv"], offset


def find_damage(path: str) -> str | None:
    """What is damaged in the log of a table, in a sentence; None where it is whole."""
    try:
        DeltaLog(path).list_files()
    except SparkFSError as error:
        return str(error)
    return None


def _damage_error(folder: str, reason: str) -> SparkFSError:
    return SparkFSError(
        f"The log of the table at {folder} is damaged: {reason}. Restore its _delta_log from a"
        " backup; without it rows would be left out."
    )


def _missing_version_error(folder: str, version: int, newest: int) -> NotFoundError:
    state = "there is no table" if newest == NO_TABLE else f"its log ends with version {newest}"
    return NotFoundError(
        f"Version {version} of the table at {folder} is wanted, and {state}. Mount the folder,"
        " restore it from a backup, or name in the setting warehouse the folder where the tables"
        " are now."
    )
