"""Arrow files in a folder beside a table: each appears whole, under its name, or not at all."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from spark_fs.base.file_systems import make_folder, open_output, resolve_file_system

SUFFIX = ".arrow"
T = TypeVar("T")


def write_file(folder: str, name: str, table: pa.Table) -> None:
    """Write a table, in the place of the one of the same name.

    Args:
        folder: Where; it is made where it is not there.
        name: Of the file, without its suffix.
        table: What is written.

    Raises:
        OSError: It could not be written, and what is there is as it was.
    """
    system, root = resolve_file_system(folder)
    staged = f"{root}/.{name}-{uuid4().hex}{SUFFIX}"
    try:
        make_folder(system, root)
        with open_output(system, staged) as sink, pa.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)
        system.move(staged, f"{root}/{name}{SUFFIX}")
    except OSError:
        with suppress(OSError):
            system.delete_file(staged)
        raise


def read_file(folder: str, name: str, parse: Callable[[Any], T]) -> T | None:
    """What is made of a file; None where there is none of this name.

    Args:
        folder: Where it is.
        name: Of the file, without its suffix.
        parse: Takes the open file.

    Raises:
        ArrowException: It is damaged.
        OSError: It cannot be read.
    """
    system, root = resolve_file_system(folder)
    try:
        with system.open_input_file(f"{root}/{name}{SUFFIX}") as source:
            return parse(pa.ipc.open_file(source))
    except FileNotFoundError:
        return None


def remove_folder(folder: str) -> None:
    """Remove a folder with all of its files."""
    system, root = resolve_file_system(folder)
    if system.get_file_info(root).type != fs.FileType.NotFound:
        system.delete_dir(root)
