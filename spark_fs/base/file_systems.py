"""The file system of a folder or URI; folders and files are made in it.

Those that are made are the owner's alone on this machine; an object store has rules of its own.
"""

from typing import Any

from pyarrow import fs

from spark_fs.base import private_files


def resolve_file_system(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URI, and its name there."""
    if "://" not in path:
        return fs.LocalFileSystem(), path.removeprefix("file:")
    uri = path.replace("s3a://", "s3://", 1)  # the one is Hadoop's name of the other
    resolved: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(uri)
    return resolved


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
