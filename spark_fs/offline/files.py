"""Folders of Parquet files that are written by many tasks and appear whole or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

import pyarrow.parquet as pq
from pyarrow import fs

from spark_fs.errors import SettingsError
from spark_fs.offline.history import file_system


class Kept(NamedTuple):
    """How much is in a folder."""

    files: int
    rows: int


class Placed:
    """A folder in the making: what tasks write into ``staging`` and ``keep`` moves is in it, and nothing else."""

    def __init__(self, path: str) -> None:
        self._system, self._folder = file_system(path)
        self._mark = f"_staging-{uuid4().hex}"
        self.staging = f"{path}/{self._mark}"

    @property
    def in_use(self) -> bool:
        """Whether anything is in it."""
        return bool(self._system.get_file_info(fs.FileSelector(self._folder, allow_not_found=True)))

    def begin(self) -> None:
        """Make the staging folder."""
        self._system.create_dir(f"{self._folder}/{self._mark}")

    def keep(self, paths: Sequence[str] | None) -> Kept:
        """Move these files of the staging folder into the folder; None: all Parquet files that are there."""
        staged = f"{self._folder}/{self._mark}"
        found = [file.base_name for file in self._system.get_file_info(fs.FileSelector(staged)) if file.base_name.endswith(".parquet")]
        names = sorted(found if paths is None else (path.rpartition("/")[2] for path in paths))
        rows = sum(pq.read_metadata(f"{staged}/{name}", filesystem=self._system).num_rows for name in names)
        for number, name in enumerate(names):
            self._system.move(f"{staged}/{name}", f"{self._folder}/{number:05}-{name}")
        return Kept(len(names), rows)

    def end(self, failed: bool) -> None:
        """Remove the staging folder with what is left in it; after a failure the whole folder."""
        self._system.delete_dir(self._folder if failed else f"{self._folder}/{self._mark}")


@contextmanager
def placed(path: str) -> Iterator[Placed]:
    """A folder that is empty or not there yet, else SettingsError; when the block fails, it is removed again."""
    place = Placed(path)
    if place.in_use:
        raise SettingsError(f"location {path} holds files already: name a folder that is empty or not there yet.")
    place.begin()
    try:
        yield place
    except BaseException:
        place.end(failed=True)
        raise
    place.end(failed=False)
