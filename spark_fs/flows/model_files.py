"""The files of a model: which there are, their checksums, and where a registry keeps them."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from spark_fs.errors import NotFoundError, SettingsError


def list_model_files(model_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """The files of a folder, or the one file, by their paths in the model.

    Raises:
        NotFoundError: the path does not exist.
        SettingsError: the folder is empty, or a link in it leads out of it.
    """
    root = Path(model_dir)
    if not root.exists():
        raise NotFoundError(
            f"Model folder {str(root)!r} does not exist: write the model's files into a folder"
            " first, then save that."
        )
    if root.is_file():
        return {root.name: root}
    files = {}
    for path in sorted(root.rglob("*")):
        if not path.is_dir():
            files[str(PurePosixPath(path.relative_to(root)))] = path
    if not files:
        raise SettingsError(
            f"Model folder {str(root)!r} is empty: write the model's files into it first."
        )
    for name, path in files.items():
        if not path.resolve().is_relative_to(root.resolve()):
            raise SettingsError(
                f"{name!r} in model folder {str(root)!r} is a link to {path.resolve()}, outside of"
                " it: put the file itself there."
            )
    return files


def compute_checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_manifest(manifest: Mapping[str, str], directory: Path) -> list[str]:
    """The files of a manifest that are missing in a folder, or are other ones there.

    Args:
        manifest: the checksum of each file, by its path in the model.
        directory: the folder.

    Raises:
        SettingsError: a path leads out of the folder.
    """
    for name in manifest:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise SettingsError(
                f"The model names a file {name!r}, which lies outside of its folder: it is not"
                " taken."
            )
    wrong = []
    for name, checksum in manifest.items():
        file = directory / name
        if not file.is_file() or compute_checksum(file) != checksum:
            wrong.append(name)
    return wrong


def to_local_path(source: str) -> Path | None:
    """The folder of a model's files as a registry gives it, with links and ``..`` resolved.

    None where it is not a folder of this machine.
    """
    parts = urlsplit(source)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path)).resolve()


def is_own_folder(directory: Path, root: Path, run_id: str, name: str) -> bool:
    """Whether a store saved a model into a folder.

    Args:
        directory: the folder, resolved.
        root: the folder below which the store keeps models.
        run_id: the run that saved the model.
        name: the name of the model.
    """
    root = root.resolve()
    if not directory.is_relative_to(root):
        return False
    _, *inner = directory.relative_to(root).parts or ("",)
    return (
        inner[:3] == [run_id, "artifacts", "models"]
        and len(inner) == 4
        and re.fullmatch(rf"{name}_\d+", inner[3]) is not None
    )


def copy_files(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy the files of a manifest, and nothing else of their folder.

    What is missing, the check of the manifest finds.
    """
    for name in names:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            shutil.copyfile(source / name, copy)
