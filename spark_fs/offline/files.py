"""Folders of files that are written by many tasks and appear whole or not at all, and the formats that training data is written in."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import uuid4

from py4j.protocol import Py4JJavaError
from pyarrow import fs
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.errors import NotFoundError, SchemaError, SettingsError, SparkFSError
from spark_fs.offline.delta import reason
from spark_fs.offline.log import file_system
from spark_fs.offline.places import make_folder
from spark_fs.redact import without_secrets
from spark_fs.spec.datasets import FilesSpec
from spark_fs.types import ddl


@dataclass(frozen=True)
class FileFormat:
    """How Spark writes and reads a format, so that every value comes back as it was.

    options: of both directions. typed: whether the reader is told the columns' types. refused: a pattern of the types that it cannot hold.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    reading: Mapping[str, str] = field(default_factory=dict)
    typed: bool = True
    refused: str | None = None


_MARK = "_staging-"
_LOOKS, _PAUSE = 50, 0.1  # how often, after how many seconds, one that came at once with others looks whether they have gone
_TIMES = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
_CSV = {
    "header": "true", "escape": '"', "ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false", **_TIMES,
}
_EMPTY = "\x01"  # stands for an empty text while a CSV file is read, which Spark would take for a null
_FLAT = r"^(array|map|struct|binary)"
_TEXT_KEYS = r"map<(?!string\b)"  # keys of maps are texts in these
_READ = {"multiLine": "true", "emptyValue": _EMPTY}
FORMATS = {
    "parquet": FileFormat("parquet"),
    "csv": FileFormat("csv", _CSV, _READ, refused=_FLAT),
    "tsv": FileFormat("csv", {**_CSV, "sep": "\t"}, _READ, refused=_FLAT),
    "json": FileFormat("json", _TIMES, refused=_TEXT_KEYS),
    "orc": FileFormat("orc"),
    "avro": FileFormat("avro", typed=False, refused=_TEXT_KEYS),
    "delta": FileFormat("delta", typed=False),
}


def check_types(files: FilesSpec, types: Mapping[str, str]) -> None:
    """SchemaError for a column that the format cannot hold."""
    for name, type_ in types.items():
        if _refuses(files.format, type_):
            *others, last = [each for each in ("json", "parquet", "orc", "avro", "delta") if not _refuses(each, type_)]
            raise SchemaError(
                f"Column {name!r} is {type_}, which {files.format} cannot hold: write {', '.join(others)} or {last}, or leave it out."
            )


def _refuses(name: str, type_: str) -> bool:
    refused = FORMATS[name].refused
    return refused is not None and re.search(refused, type_) is not None


def save(frame: DataFrame, files: FilesSpec, folder: str) -> None:
    """Write the rows, eagerly, into a folder."""
    form = FORMATS[files.format]
    frame = _guarded(frame) if files.format == "orc" else frame
    writer = frame.write.format(form.name).mode("append").options(**{**form.options, **files.options})
    try:
        writer.save(folder)
    except (PySparkException, Py4JJavaError) as error:
        said = f"The training data could not be written as {files.format} to {files.location}: {reason(error)}"
        raise SparkFSError(said) from without_secrets(error)


def _guarded(frame: DataFrame) -> DataFrame:
    """The rows*, which fail at a time that ORC would move by a second: its library does so to the last millisecond before 1970."""

    def checked(name: str) -> Column:
        micros = F.unix_micros(f"`{name}`")
        said = F.lit(f"ORC cannot hold a time of column {name} in the last millisecond before 1970: write another format.")
        return F.when((micros > -1000) & (micros < 0), F.raise_error(said).cast("timestamp")).otherwise(F.col(f"`{name}`"))

    return frame.withColumns({name: checked(name) for name, type_ in frame.dtypes if type_ == "timestamp"})


def load(spark: SparkSession, files: FilesSpec, part: str, types: Mapping[str, str]) -> DataFrame:
    """The rows of one split*, with these columns and types."""
    form = FORMATS[files.format]
    folder = f"{files.location}/{part}" if files.parts else files.location
    reader = spark.read.format(form.name).options(**{**form.options, **form.reading, **files.options})
    if form.typed:
        found = reader.schema(", ".join(f"`{name}` {ddl(type_)}" for name, type_ in types.items())).load(folder)
        texts = [name for name, type_ in types.items() if type_ == "string"] if "emptyValue" in form.reading else []
        return found.withColumns({name: F.when(F.col(f"`{name}`") == _EMPTY, "").otherwise(F.col(f"`{name}`")) for name in texts})
    return reader.load(folder).select(*(F.col(f"`{name}`").cast(ddl(type_)).alias(name) for name, type_ in types.items()))


class Placed:
    """A folder in the making: what is in ``staging``, in a folder for each part, and ``keep`` moves is in it, and nothing else.

    The staging folder says to others that the folder is taken, so it is made before the look at what is there. Of several that come at
    once, the one whose name is the least stays, when the others have gone.
    """

    def __init__(self, path: str, parts: Sequence[str], split: bool) -> None:
        self._system, self._folder = file_system(path)
        self._mark = f"{_MARK}{uuid4().hex}"
        self._parts, self._split, self._kept = parts, split, list[str]()
        self.staging = f"{path}/{self._mark}"
        self.rows = f"{self.staging}/_rows"  # for rows that wait

    def take(self) -> bool:
        """Make the staging folder; whether the folder is now its alone, with nothing in it."""
        for part in (*self._parts, "_rows"):
            make_folder(self._system, f"{self._folder}/{self._mark}/{part}")
        for _ in range(_LOOKS):
            others = self._others()
            if not others:
                return True
            if not all(name.startswith(_MARK) and name > self._mark for name in others):
                return False
            time.sleep(_PAUSE)
        return False

    def _others(self) -> list[str]:
        found = self._system.get_file_info(fs.FileSelector(self._folder, allow_not_found=True))
        return [each.base_name for each in found if each.base_name not in (self._mark, "")]

    def keep(self, written: Sequence[str] | None) -> int:
        """Move the parts into the folder and say how many files of data they have; written: the files that belong to them, None: all."""
        known = None if written is None else {path.rpartition("/")[2] for path in written}
        kept = 0
        for part in self._parts:
            staged = f"{self._folder}/{self._mark}/{part}"
            files = self._system.get_file_info(fs.FileSelector(staged))
            for file in files:
                if known is not None and file.base_name not in known:  # of a task that failed
                    self._system.delete_file(file.path)
                elif file.type == fs.FileType.File and not file.base_name.startswith(("_", ".")):
                    kept += 1
            if self._split:
                self._move(staged, part)
                continue
            for file in self._system.get_file_info(fs.FileSelector(staged)):
                self._move(file.path, file.base_name)
        return kept

    def _move(self, staged: str, name: str) -> None:
        self._kept.append(f"{self._folder}/{name}")
        self._system.move(staged, self._kept[-1])

    def end(self, failed: bool) -> None:
        """Remove the staging folder with what is left in it; after a failure also what was moved, and the folder where it is empty then."""
        for path in self._kept if failed else ():
            _remove(self._system, path)
        _remove(self._system, f"{self._folder}/{self._mark}")
        if failed and isinstance(self._system, fs.LocalFileSystem):
            with suppress(OSError):  # another has taken it
                os.rmdir(self._folder)


@contextmanager
def placed(path: str, parts: Sequence[str], split: bool) -> Iterator[Placed]:
    """A folder that is empty or not there yet, else SettingsError; when the block fails, what it made is removed again."""
    place = Placed(path, parts, split)
    try:
        if not place.take():
            raise SettingsError(f"location {path} holds files already: name a folder that is empty or not there yet.")
        yield place
    except BaseException:
        place.end(failed=True)
        raise
    place.end(failed=False)


def copy(source: str, target: str, parts: Sequence[str], split: bool) -> None:
    """Copy the files of training data into another folder, where they appear whole or not at all; SettingsError where it is in use."""
    system, folder = file_system(source)
    with placed(target, parts, split) as place:
        into, staging = file_system(place.staging)
        for part in parts:
            whole = f"{folder}/{part}" if split else folder
            fs.copy_files(whole, f"{staging}/{part}", source_filesystem=system, destination_filesystem=into)
        place.keep(None)


def is_free(path: str) -> bool:
    """Whether a folder is empty or not there."""
    system, folder = file_system(path)
    return not system.get_file_info(fs.FileSelector(folder, allow_not_found=True))


def check_there(path: str, what: str) -> None:
    """NotFoundError where a folder is not there or empty; what: whose it is, with what to do beside restoring it."""
    if is_free(path):
        raise NotFoundError(f"There are no files in {path}, the folder of {what}")


def remove(path: str) -> None:
    """Remove a folder with all that is in it; one that is not there is no error."""
    _remove(*file_system(path))


def _remove(system: fs.FileSystem, path: str) -> None:
    kind = system.get_file_info(path).type
    if kind == fs.FileType.Directory:
        system.delete_dir(path)
    elif kind != fs.FileType.NotFound:
        system.delete_file(path)
