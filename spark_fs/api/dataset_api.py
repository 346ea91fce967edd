"""The files of a project, by the paths that Hopsworks gives them."""

from __future__ import annotations

import builtins
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from spark_fs.api.taken import Refused
from spark_fs.base import private_files
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import (
    AlreadyExistsError,
    NotFoundError,
    SettingsError,
    SparkFSError,
    get_first_line,
)

_GIVEN_FOLDERS = ("Jupyter", "Logs", "Models", "Resources", "Statistics")  # of every project
_REMEDY = "add tags to feature groups, views and models"
_ONE_PROJECT = "give the other project the file: download it here and upload it there"


@validate_arguments
class DatasetApi:
    """Files in a folder of the store, such as ``Resources/report.png``.

    A path is one below the project; ``/Projects/<project>/Resources/report.png`` is the same file.
    """

    def __init__(self, folder: Path, project_name: str) -> None:
        self._folder = folder
        self._project_path = PurePosixPath("/Projects") / project_name

    def upload(
        self,
        local_path: str | os.PathLike[str],
        upload_path: str,
        overwrite: bool = False,
        chunk_size: Any = None,
        simultaneous_uploads: Any = None,
        simultaneous_chunks: Any = None,
        max_chunk_retries: Any = None,
        chunk_retry_interval: Any = None,
    ) -> str:
        """Copy a file or a folder of yours into a folder of the project, eagerly.

        Args:
            local_path: The file or folder.
            upload_path: The folder, which is made where it does not exist.
            overwrite: Whether it takes the place of one of its name.
            chunk_size: Without meaning here, as what follows: files are copied whole.
            simultaneous_uploads: How many files at once.
            simultaneous_chunks: How many parts at once.
            max_chunk_retries: How often to try again.
            chunk_retry_interval: How long to wait before that.

        Returns:
            The path in the project.

        Raises:
            NotFoundError: The file or folder of yours does not exist.
            AlreadyExistsError: One of its name is there.
        """
        source = Path(local_path).resolve()
        if not source.exists():
            raise NotFoundError(
                f"{str(local_path)!r} does not exist in {Path.cwd()}: upload a file or a folder"
                " that is there."
            )
        path = f"{upload_path.rstrip('/')}/{source.name}"
        target = self._resolve_path(path)
        self._copy_files(source, target, path, overwrite)
        return path

    def download(
        self,
        path: str,
        local_path: str | os.PathLike[str] | None = None,
        overwrite: bool | None = False,
        chunk_size: Any = None,
    ) -> str:
        """Copy a file of the project to a place of yours, eagerly.

        Args:
            path: The file, or a folder.
            local_path: The place, or the folder that it goes into; None: the working directory.
            overwrite: Whether it takes the place of what is there.
            chunk_size: Without meaning here: files are copied whole.

        Returns:
            The absolute path of the copy.

        Raises:
            NotFoundError: There is no such path in the project.
            AlreadyExistsError: The place is taken.
        """
        source = self._find_path(path)
        place = Path.cwd() if local_path is None else Path(local_path).absolute()
        target = place / source.name if place.is_dir() else place
        with _translate_errors(str(target)):
            _make_room(target, str(target), bool(overwrite))
            _copy(source, target)
        return str(target)

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at a path."""
        found = self._resolve_path(path)
        return found.exists() or self._is_given(found)

    def path_exists(self, remote_path: str) -> bool:
        """Whether there is a file or folder at a path."""
        return self.exists(remote_path)

    def get(self, path: str) -> dict[str, Any]:
        """Describe a file or folder: its path, its size in bytes, and whether it is a folder.

        Raises NotFoundError where there is none.
        """
        found = self._find_path(path)
        attributes = {
            "path": str(self._project_path / self._to_relative(found)),
            "name": found.name,
            "dir": found.is_dir(),
            "size": found.stat().st_size,
        }
        return {"attributes": attributes}

    def list(self, path: str, offset: int = 0, limit: int = 1000) -> builtins.list[str]:
        """List the files and folders in a folder, by name.

        Args:
            path: The folder; "/" for that of the project.
            offset: How many to leave out first.
            limit: How many to list at most.

        Raises:
            NotFoundError: There is no such folder.
        """
        resolved = self._resolve_path(path)
        if self._is_given(resolved) and not resolved.exists():
            return []
        found = self._find_path(path)
        if not found.is_dir():
            raise NotFoundError(f"{path!r} is a file: list a folder.")
        names = sorted(self._to_relative(item) for item in found.iterdir())
        return names[offset : offset + limit]

    def mkdir(self, path: str) -> str:
        """Make a folder, and those above it, eagerly.

        Returns:
            The path, with the project in it.

        Raises:
            AlreadyExistsError: It is there.
        """
        target = self._resolve_path(path)
        if target.exists() or self._is_given(target):
            raise AlreadyExistsError(f"{path!r} exists already: ask exists(path) first.")
        with _translate_errors(path):
            private_files.make_folder(target)
        return str(self._project_path / self._to_relative(target))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it, eagerly.

        Raises NotFoundError where there is none.
        """
        found = self._find_path(path)
        if found == self._root:
            raise SettingsError(f"{path!r} is the project itself: give a path in it.")
        with _translate_errors(path):
            _remove(found)

    def rm(self, remote_path: str) -> None:
        """Remove a file or folder; see ``remove``."""
        self.remove(remote_path)

    def copy(self, source_path: str, destination_path: str, overwrite: bool = False) -> None:
        """Copy a file or folder within the project, eagerly.

        Args:
            source_path: What is copied.
            destination_path: The path of the copy.
            overwrite: Whether it takes the place of what is there.

        Raises:
            NotFoundError: There is no such source.
            AlreadyExistsError: The destination is taken.
        """
        source = self._find_path(source_path)
        target = self._resolve_path(destination_path)
        self._copy_files(source, target, destination_path, overwrite)

    def move(self, source_path: str, destination_path: str, overwrite: bool = False) -> None:
        """Move a file or folder within the project, eagerly.

        Args:
            source_path: What is moved.
            destination_path: The path that it is to have.
            overwrite: Whether it takes the place of what is there.

        Raises:
            NotFoundError: There is no such source.
            AlreadyExistsError: The destination is taken.
        """
        self.copy(source_path, destination_path, overwrite)
        self.remove(source_path)

    def zip(
        self,
        remote_path: str,
        destination_path: str | None = None,
        block: bool = False,
        timeout: int | None = 120,
    ) -> bool:
        """Make a zip archive of a file or folder, eagerly.

        Args:
            remote_path: The file or folder.
            destination_path: The folder that the archive goes into; None: the one it lies in.
            block: Without meaning here, as what follows: it is done when this returns.
            timeout: How long to wait for it.

        Returns:
            True.

        Raises:
            NotFoundError: There is no such path.
        """
        source = self._find_path(remote_path)
        if source == self._root:
            raise SettingsError(f"{remote_path!r} is the project itself: give a path in it.")
        folder = source.parent if destination_path is None else self._find_path(destination_path)
        archive = folder / source.name
        with _translate_errors(remote_path):
            made = shutil.make_archive(str(archive), "zip", source.parent, source.name)
        private_files.make_tree_private(made)
        return True

    def unzip(self, remote_path: str, block: bool = False, timeout: int | None = 120) -> bool:
        """Unpack a zip archive into the folder that it lies in, eagerly.

        Args:
            remote_path: The archive.
            block: Without meaning here, as what follows: it is done when this returns.
            timeout: How long to wait for it.

        Returns:
            True.

        Raises:
            NotFoundError: There is no such path.
            SettingsError: It is not a zip archive.
        """
        from zipfile import BadZipFile, ZipFile

        source = self._find_path(remote_path)
        try:
            with _translate_errors(remote_path), ZipFile(source) as archive:
                archive.extractall(source.parent)  # which keeps within the folder
        except BadZipFile:
            raise SettingsError(f"{remote_path!r} is not a zip archive: give one.") from None
        private_files.make_tree_private(source.parent)
        return True

    share = unshare = Refused("shares files with another project", _ONE_PROJECT)
    chmod = Refused("changes who may read a file", "use chmod on the folder datasets of home")
    read_content = Refused("answers with the content of a file", "download(path) gives the file")
    upload_feature_group = Refused(
        "uploads a frame for a job to insert", "FeatureGroup.insert inserts the frame"
    )
    add = delete = get_tags = Refused("tags files", _REMEDY)

    @property
    def _root(self) -> Path:
        return self._folder.resolve()

    def _is_given(self, path: Path) -> bool:
        """Whether every project has a folder, be it made yet or not."""
        return path == self._root or (path.parent == self._root and path.name in _GIVEN_FOLDERS)

    def _to_relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _resolve_path(self, path: str) -> Path:
        """Resolve a path of the project; SettingsError where it leads out of it."""
        given = PurePosixPath("/") / path
        if given.is_relative_to(self._project_path):
            given = PurePosixPath("/") / given.relative_to(self._project_path)
        with _translate_errors(path):
            resolved = (self._root / given.relative_to("/")).resolve()
            resolved.exists()
        if not resolved.is_relative_to(self._root):
            raise SettingsError(f"{path!r} leads out of the project's files: give a path in them.")
        return resolved

    def _find_path(self, path: str) -> Path:
        found = self._resolve_path(path)
        if not found.exists():
            raise NotFoundError.for_name(
                "The path", path, self._list_neighbours(found), "list(folder) has what there is."
            )
        return found

    def _list_neighbours(self, path: Path) -> builtins.list[str]:
        if not path.parent.is_dir() or not path.parent.is_relative_to(self._root):
            return []
        return [self._to_relative(item) for item in path.parent.iterdir()]

    def _copy_files(self, source: Path, target: Path, path: str, overwrite: bool) -> None:
        if target == self._root:
            raise SettingsError(f"{path!r} is the project itself: give a path in it.")
        if target.is_relative_to(source) or source.is_relative_to(target):
            raise SettingsError(
                f"{path!r} and what is copied lie in each other: give another path."
            )
        with _translate_errors(path):
            _make_room(target, path, overwrite)
            private_files.make_folder(target.parent)
            _copy(source, target)
            private_files.make_tree_private(target)


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    """The system's errors as ours, in one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = get_first_line(error)
        raise SparkFSError(
            f"Path {path!r} cannot be used ({reason}): give another one, or put right what is said."
        ) from error


def _make_room(target: Path, path: str, overwrite: bool) -> None:
    if not target.exists():
        return
    if not overwrite:
        raise AlreadyExistsError(f"{path!r} exists already: say overwrite=True to replace it.")
    _remove(target)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
