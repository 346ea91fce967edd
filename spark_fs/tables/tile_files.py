"""Tiles of window features, kept as Arrow files in a folder beside the rows of their group.

A file holds the tiles of one day and never changes; a state names the files, and is replaced as a
whole. Tiles follow from the source of the group alone, and a state says of which version of it they
are made: so it holds whatever became of the run that wrote it. One that is damaged, or of another
source, plan or format, is as good as none, since tiles can be made again.
"""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Self
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from spark_fs.base.file_systems import resolve_file_system
from spark_fs.errors import SparkFSError
from spark_fs.tables import arrow_files

FORMAT_VERSION = 1  # of these files
_STATE = "state"
_SPARED_SECONDS = 3_600  # for so long after its writing no file is removed
# what reading a file raises that holds something else
_MALFORMED_ERRORS = (KeyError, TypeError, ValueError, OSError, pa.ArrowException)
Day = int | None  # its beginning in microseconds since 1970; None: all time before the others


@dataclass(frozen=True)
class TileState:
    """Of what tiles are made.

    source_id: of the source's table. version: of the source. plan_id: of what the tiles hold.
    since: the first day that has tiles of its own, in microseconds. until: behind the last one.
    """

    source_id: str
    version: int
    plan_id: str
    since: int
    until: int


class TileFiles:
    """The tiles of a group by day: in files, or made anew and not written yet."""

    def __init__(self, folder: str, schema: pa.Schema, files: dict[Day, str]) -> None:
        """Begin with files that are there.

        Args:
            folder: Where they are.
            schema: Of tiles.
            files: The name of the file of each day; a day without one has no tiles.
        """
        self._folder = folder
        self._schema = schema
        self._files = files
        self._tables: dict[Day, pa.Table] = {}

    @classmethod
    def load(cls, folder: str, schema: pa.Schema) -> tuple[TileState, Self] | None:
        """What is kept in a folder; None where that is nothing of use.

        Args:
            folder: The folder.
            schema: Of tiles.
        """
        try:
            table = arrow_files.read_file(folder, _STATE, lambda file: file.read_all())
            if table is None:
                return None
            about = json.loads(table.schema.metadata[b"about"])
            if about.pop("format") != FORMAT_VERSION:
                return None
            days = table.column("day").to_pylist()
            names = table.column("file").to_pylist()
            state = TileState(**about)
        except _MALFORMED_ERRORS:
            return None
        return state, cls(folder, schema, dict(zip(days, names, strict=True)))

    @property
    def days(self) -> set[Day]:
        """The days that have tiles."""
        return {*self._files, *self._tables}

    def read_days(self, days: Iterable[Day]) -> pa.Table | None:
        """The tiles of some days; None where a file is gone or damaged."""
        tables = [self._schema.empty_table()]
        for day in days:
            if day in self._tables:
                tables.append(self._tables[day])
            elif day in self._files:
                table = self._read_file(self._files[day])
                if table is None:
                    return None
                tables.append(table)
        return pa.concat_tables(tables)

    def _read_file(self, name: str) -> pa.Table | None:
        try:
            table = arrow_files.read_file(self._folder, name, lambda file: file.read_all())
        except _MALFORMED_ERRORS:
            return None
        return table if table is not None and table.schema == self._schema else None

    def replace_days(self, days: Iterable[Day], tables: dict[Day, pa.Table]) -> None:
        """Let these tables be the tiles of some days; a day without one has none.

        Args:
            days: The days.
            tables: Their tiles.
        """
        for day in days:
            self._files.pop(day, None)
            self._tables.pop(day, None)
        self._tables.update(tables)

    def save(self, state: TileState) -> None:
        """Write what is new, and let the state name it.

        Args:
            state: Of what the tiles are made.

        Raises:
            SparkFSError: They could not be written; what is kept is as it was.
        """
        names = dict(self._files)
        try:
            for day, table in self._tables.items():
                names[day] = f"{'before' if day is None else day}-{uuid4().hex}"
                arrow_files.write_file(self._folder, names[day], table)
            about = json.dumps({**asdict(state), "format": FORMAT_VERSION})
            columns = {
                "day": pa.array(names, pa.int64()),
                "file": pa.array(names.values(), pa.string()),
            }
            table = pa.table(columns).replace_schema_metadata({"about": about})
            arrow_files.write_file(self._folder, _STATE, table)
        except OSError as error:
            raise SparkFSError(
                f"Tiles of window features could not be written to {self._folder}: {error}. Make"
                " room or give access."
            ) from error
        self._files = names
        self._tables = {}
        self._remove_others()

    def _remove_others(self) -> None:
        """Remove files that the state does not name, but those that a run may be writing."""
        kept = {f"{name}{arrow_files.SUFFIX}" for name in (*self._files.values(), _STATE)}
        before = time.time() - _SPARED_SECONDS
        with suppress(OSError):  # the next run removes them
            system, root = resolve_file_system(self._folder)
            for entry in system.get_file_info(fs.FileSelector(root)):
                if entry.base_name not in kept and entry.mtime_ns < before * 1e9:
                    system.delete_file(entry.path)
