"""Training data in folders that appear whole or not at all, and the formats that hold it."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

from pyarrow import fs

from spark_fs.base.file_systems import make_folder, resolve_file_system
from spark_fs.errors import NotFoundError, SchemaError, SettingsError
from spark_fs.spec.training_dataset import FilesSpec


@dataclass(frozen=True)
class FileFormat:
    """How Spark writes and reads a format, so that every value comes back as it was.

    options: of both directions. read_options: of the reader alone. needs_schema: whether the reader
    is told the columns' types. unsupported_types: a pattern of the types that it cannot hold.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    read_options: Mapping[str, str] = field(default_factory=dict)
    needs_schema: bool = True
    unsupported_types: str | None = None


class WrittenBytes(NamedTuple):
    """A file of training data: where, and how large."""

    path: str
    bytes: int


_STAGING_PREFIX = "_staging-"
# how often, after how many seconds, one that came at once with others looks whether they have gone
_CONFLICT_CHECKS = 50
_CONFLICT_PAUSE = 0.1
_TIME_OPTIONS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_CSV_OPTIONS = {
    "header": "true",
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
    **_TIME_OPTIONS,
}
_TSV_OPTIONS = {**_CSV_OPTIONS, "sep": "\t"}
# stands for an empty string while a CSV file is read, which Spark would take for a null
EMPTY_STRING = "\x01"
_NESTED_TYPES = r"^(array|map|struct|binary)"
_NON_STRING_KEYS = r"map<(?!string\b)"  # keys of maps are strings in these
_CSV_READ_OPTIONS = {"multiLine": "true", "emptyValue": EMPTY_STRING}
FORMATS = {
    "parquet": FileFormat("parquet"),
    "csv": FileFormat("csv", _CSV_OPTIONS, _CSV_READ_OPTIONS, unsupported_types=_NESTED_TYPES),
    "tsv": FileFormat("csv", _TSV_OPTIONS, _CSV_READ_OPTIONS, unsupported_types=_NESTED_TYPES),
    "json": FileFormat("json", _TIME_OPTIONS, unsupported_types=_NON_STRING_KEYS),
    "orc": FileFormat("orc"),
    "avro": FileFormat("avro", needs_schema=False, unsupported_types=_NON_STRING_KEYS),
    "delta": FileFormat("delta", needs_schema=False),
}
_SUGGESTED_FORMATS = ("json", "parquet", "orc", "avro", "delta")


def check_types(files: FilesSpec, types: Mapping[str, str]) -> None:
    """SchemaError for a column that the format cannot hold."""
    for name, type_ in types.items():
        if _is_unsupported(files.format, type_):
            formats = [form for form in _SUGGESTED_FORMATS if not _is_unsupported(form, type_)]
            *others, last = formats
            raise SchemaError(
                f"Column {name!r} is {type_}, which {files.format} cannot hold: write"
                f" {', '.join(others)} or {last}, or leave it out."
            )


def _is_unsupported(name: str, type_: str) -> bool:
    refused = FORMATS[name].unsupported_types
    return refused is not None and re.search(refused, type_) is not None


class StagedFolder:
    """A folder in the making: what ``publish`` moves is in it, and nothing else.

    What is to be moved is written to ``staging_path``, in a folder for each part. The staging
    folder says to others that the folder is taken, so it is made before the look at what is there.
    Of several that come at once, the one whose name is the least stays, when the others have gone.
    """

    def __init__(self, path: str, parts: Sequence[str], by_part: bool) -> None:
        self._system, self._folder = resolve_file_system(path)
        self._staging_name = f"{_STAGING_PREFIX}{uuid4().hex}"
        self._parts = parts
        self._by_part = by_part
        self._published_paths = list[str]()
        self.staging_path = f"{path}/{self._staging_name}"
        self.spill_path = f"{self.staging_path}/_rows"  # for rows that wait

    def try_acquire(self) -> bool:
        """Make the staging folder; whether the folder is now its alone, with nothing in it."""
        for part in (*self._parts, "_rows"):
            make_folder(self._system, f"{self._folder}/{self._staging_name}/{part}")
        for _ in range(_CONFLICT_CHECKS):
            others = self._list_others()
            if not others:
                return True
            for name in others:
                if not name.startswith(_STAGING_PREFIX) or name <= self._staging_name:
                    return False
            time.sleep(_CONFLICT_PAUSE)
        return False

    def _list_others(self) -> list[str]:
        selector = fs.FileSelector(self._folder, allow_not_found=True)
        names = [entry.base_name for entry in self._system.get_file_info(selector)]
        return [name for name in names if name not in (self._staging_name, "")]

    def publish(self, written_paths: Sequence[str] | None) -> int:
        """Move the parts into the folder; returns how many files of data they have.

        written_paths: the files that belong to them, None: all.
        """
        written_names = None
        if written_paths is not None:
            written_names = {path.rpartition("/")[2] for path in written_paths}
        count = 0
        for part in self._parts:
            staged = f"{self._folder}/{self._staging_name}/{part}"
            for file in self._system.get_file_info(fs.FileSelector(staged)):
                if written_names is not None and file.base_name not in written_names:
                    self._system.delete_file(file.path)  # of a task that failed
                elif file.type == fs.FileType.File and _is_data(file.base_name):
                    count += 1
            if self._by_part:
                self._move_entry(staged, part)
                continue
            for file in self._system.get_file_info(fs.FileSelector(staged)):
                self._move_entry(file.path, file.base_name)
        return count

    def _move_entry(self, staged: str, name: str) -> None:
        path = f"{self._folder}/{name}"
        self._published_paths.append(path)
        self._system.move(staged, path)

    def clean_up(self, failed: bool) -> None:
        """Remove the staging folder with what is left in it.

        After a failure also what was moved, and the folder where it is empty then.
        """
        if failed:
            for path in self._published_paths:
                _remove_path(self._system, path)
        _remove_path(self._system, f"{self._folder}/{self._staging_name}")
        if failed and isinstance(self._system, fs.LocalFileSystem):
            with suppress(OSError):  # another has taken it
                os.rmdir(self._folder)


@contextmanager
def stage_folder(path: str, parts: Sequence[str], by_part: bool) -> Iterator[StagedFolder]:
    """A folder that is empty or not there yet, else SettingsError.

    When the block fails, what it made is removed again.
    """
    staged_folder = StagedFolder(path, parts, by_part)
    try:
        if not staged_folder.try_acquire():
            raise SettingsError(
                f"location {path} holds files already: name a folder that is empty or not there"
                " yet."
            )
        yield staged_folder
    except BaseException:
        staged_folder.clean_up(failed=True)
        raise
    staged_folder.clean_up(failed=False)


def list_files(files: FilesSpec, part: str) -> list[WrittenBytes]:
    """The files of data of one split."""
    location = f"{files.location}/{part}" if files.parts else files.location
    system, folder = resolve_file_system(location)
    listed = []
    for entry in system.get_file_info(fs.FileSelector(folder, allow_not_found=True)):
        if entry.type == fs.FileType.File and _is_data(entry.base_name):
            listed.append(WrittenBytes(f"{location}/{entry.base_name}", entry.size))
    return sorted(listed)


def _is_data(file_name: str) -> bool:
    """Whether a file holds rows; others are notes of who wrote these."""
    return not file_name.startswith(("_", "."))


def copy_dataset(source: str, target: str, parts: Sequence[str], by_part: bool) -> None:
    """Copy the files of training data into another folder, where they appear whole or not at all.

    SettingsError where that folder is in use.
    """
    source_system, source_folder = resolve_file_system(source)
    with stage_folder(target, parts, by_part) as staged_folder:
        target_system, staging = resolve_file_system(staged_folder.staging_path)
        for part in parts:
            fs.copy_files(
                f"{source_folder}/{part}" if by_part else source_folder,
                f"{staging}/{part}",
                source_filesystem=source_system,
                destination_filesystem=target_system,
            )
        staged_folder.publish(None)


def is_free(path: str) -> bool:
    """Whether a folder is empty or not there."""
    system, folder = resolve_file_system(path)
    return not system.get_file_info(fs.FileSelector(folder, allow_not_found=True))


def check_not_empty(path: str, description: str) -> None:
    """NotFoundError where a folder is not there or empty.

    description: whose it is, with what to do beside restoring it.
    """
    if is_free(path):
        raise NotFoundError(f"There are no files in {path}, the folder of {description}")


def remove_folder(path: str) -> None:
    """Remove a folder with all that is in it; one that is not there is no error."""
    _remove_path(*resolve_file_system(path))


def _remove_path(system: fs.FileSystem, path: str) -> None:
    kind = system.get_file_info(path).type
    if kind == fs.FileType.Directory:
        system.delete_dir(path)
    elif kind != fs.FileType.NotFound:
        system.delete_file(path)
