"""The spool of a log: files beside the store that hold what was served until a commit has it.

A process that serves has no JVM, so it cannot write to a table. It writes files of JSON lines: the
first line says what the others are of. A file appears whole, by a rename, under a name that no
other process takes, which also tells how many vectors it holds.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from spark_fs.base import json_values, private_files
from spark_fs.base.times import to_micros
from spark_fs.errors import SparkFSError
from spark_fs.spec.names import GroupRef

MAX_SPOOL_BYTES = 1 << 30  # of the files of one view, unless said otherwise
_FILE_NAME = re.compile(r"(\d{20})-(\d+)-([0-9a-f]{12})-(\d+)\.jsonl")
_BATCH_NAME = re.compile(r"batch-[0-9a-f]{32}")
_COLLECTING = ".open"  # of a batch that files are still moved to
_TEMPORARY = ".tmp"
_LOCK = ".lock"
_FORMAT = 1


class SpoolFile(NamedTuple):
    """A file of the spool: where it is, its size, and how many vectors it holds."""

    path: Path
    bytes: int
    vectors: int


@dataclass(frozen=True)
class LogSpool:
    """The files of one view's log that no commit has yet.

    max_bytes: what the files may take together; the oldest make room.
    """

    folder: Path
    max_bytes: int = MAX_SPOOL_BYTES

    @classmethod
    def of_view(cls, home: Path, view: GroupRef, max_bytes: int = MAX_SPOOL_BYTES) -> LogSpool:
        """The spool of a view, in the home of its store.

        Args:
            home: That of the settings.
            view: The view.
            max_bytes: What the files may take together.
        """
        return cls(home / "served_log" / f"{view.name}_{view.version}", max_bytes)

    def write_file(
        self, header: Mapping[str, Any], lines: Sequence[str], vectors: int, at: datetime
    ) -> Path:
        """Write a file; it is there whole or not at all, after a power cut too.

        Args:
            header: What the lines are of.
            lines: JSON, one line each.
            vectors: How many the lines hold.
            at: The instant (UTC) that the file is named by.

        Raises:
            OSError: It cannot be written.
        """
        private_files.make_folder(self.folder)
        name = f"{to_micros(at):020d}-{os.getpid()}-{uuid4().hex[:12]}-{vectors}.jsonl"
        temporary = self.folder / (name + _TEMPORARY)
        content = "\n".join([encode_line({"format": _FORMAT, **header}), *lines, ""])
        private_files.make_file(temporary)
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.folder / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(self.folder)
        return self.folder / name

    def list_files(self) -> list[SpoolFile]:
        """The files that are in no batch yet, the oldest first."""
        return _list_folder(self.folder)

    def list_batches(self) -> list[Path]:
        """The batches that a move to the table began with and did not end with."""
        if not self.folder.is_dir():
            return []
        folders = [path for path in self.folder.iterdir() if _BATCH_NAME.fullmatch(path.name)]
        return sorted(folders)

    def drop_oldest(self) -> int:
        """Delete the oldest files until the others fit; returns how many vectors these held."""
        files = self.list_files()
        excess = sum(file.bytes for file in files) - self.max_bytes
        dropped = 0
        for file in files:
            if excess <= 0:
                break
            try:
                file.path.unlink()
            except FileNotFoundError:  # another process was faster, and counts it
                continue
            excess -= file.bytes
            dropped += file.vectors
        return dropped

    def list_waiting(self) -> list[SpoolFile]:
        """Every file that no commit is known to have, those of batches too, the oldest first."""
        files = self.list_files()
        for batch in self._list_collecting() + self.list_batches():
            files += _list_folder(batch)
        return sorted(files, key=lambda file: file.path.name)

    def collect_batch(self) -> Path | None:
        """Move the files into a batch, which no file is added to; None where there are none.

        Whoever dies meanwhile leaves a folder that nothing was committed of, and the next call
        takes it up.
        """
        files = self.list_files()
        collecting = self._list_collecting()
        if not files and not collecting:
            return None
        folder = self.folder / f"batch-{uuid4().hex}{_COLLECTING}"
        if collecting:
            folder = collecting[0]
        private_files.make_folder(folder)
        for file in files:
            with suppress(FileNotFoundError):  # a server made room
                os.rename(file.path, folder / file.path.name)
        batch = folder.with_name(folder.name.removesuffix(_COLLECTING))
        os.rename(folder, batch)
        return batch

    def delete_batch(self, batch: Path) -> None:
        """Delete a batch whose rows are committed."""
        for file in _list_folder(batch):
            file.path.unlink(missing_ok=True)
        with suppress(OSError):
            batch.rmdir()

    def delete_all(self) -> None:
        """Delete every file, whatever becomes of what it holds."""
        for file in self.list_waiting():
            file.path.unlink(missing_ok=True)
        for batch in self._list_collecting() + self.list_batches():
            with suppress(OSError):
                batch.rmdir()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time move files to the table; it ends with the process."""
        private_files.make_folder(self.folder)
        file = self.folder / _LOCK
        private_files.make_file(file)
        with file.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def _list_collecting(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(self.folder.glob(f"batch-*{_COLLECTING}"))


def read_file(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a file of the spool holds: its first line, and the others.

    Raises SparkFSError where it is no such file, or a newer release wrote it.
    """
    try:
        header, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        number = header["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SparkFSError(
            f"The file {path} of a log cannot be read: {error}. Nothing of it was moved to the"
            " table: repair it, or delete it and lose what it holds."
        ) from None
    if number != _FORMAT:
        raise SparkFSError(
            f"The file {path} of a log is of format {number}, which a newer spark_fs wrote; this"
            f" one knows {_FORMAT}. Upgrade spark_fs."
        )
    return header, lines


def get_file_id(path: Path) -> str:
    """What tells a file of the spool from every other."""
    found = _FILE_NAME.fullmatch(path.name)
    assert found
    return found[3]


def encode_line(value: Any) -> str:
    """A value as one line of JSON, in which what is not a number is a bare word."""
    try:
        return json.dumps(value, default=_encode, separators=(",", ":"))
    except (TypeError, ValueError):  # a map whose keys JSON has no word for
        return json.dumps(json_values.to_json(value), separators=(",", ":"))


def _encode(value: Any) -> Any:
    encoded = json_values.to_json(value)
    if encoded is value:
        return str(value)
    return encoded


def _sync_folder(folder: Path) -> None:
    """Have the names of files in a folder on its disk; a file system that cannot keeps its own."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _list_folder(folder: Path) -> list[SpoolFile]:
    """The files of a folder, the oldest first."""
    files = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = _FILE_NAME.fullmatch(entry.name)
                if found:
                    with suppress(FileNotFoundError):
                        file = SpoolFile(Path(entry.path), entry.stat().st_size, int(found[4]))
                        files.append(file)
    except FileNotFoundError:
        return []
    return sorted(files, key=lambda file: file.path.name)
