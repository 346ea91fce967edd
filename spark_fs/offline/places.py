"""Make folders and files of a file system: the owner's alone where it is this machine's; an object store has rules of its own."""

from typing import Any

from pyarrow import fs

from spark_fs import private


def make_folder(system: fs.FileSystem, name: str) -> None:
    """Make a folder, with those above it; one that is there stays as it is."""
    if isinstance(system, fs.LocalFileSystem):
        private.folder(name)
    else:
        system.create_dir(name, recursive=True)


def writing(system: fs.FileSystem, name: str) -> Any:
    """A stream into a new file."""
    if isinstance(system, fs.LocalFileSystem):
        private.file(name)
    return system.open_output_stream(name)
