"""Make folders and files of a file system.

They are the owner's alone on this machine; an object store has rules of its own.
"""

from typing import Any

from pyarrow import fs

from spark_fs.base import private_files


def make_folder(system: fs.FileSystem, folder: str) -> None:
    """Make a folder, with those above it; one that is there stays as it is."""
    if isinstance(system, fs.LocalFileSystem):
        private_files.make_folder(folder)
    else:
        system.create_dir(folder, recursive=True)


def open_output(system: fs.FileSystem, path: str) -> Any:
    """A stream into a new file."""
    if isinstance(system, fs.LocalFileSystem):
        private_files.make_file(path)
    return system.open_output_stream(path)
