"""What is said of a model: its schema, and which files it has."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from spark_fs.errors import NotFoundError, SchemaError, SettingsError


class Schema:
    """The columns of a pandas or Spark DataFrame, an Arrow table, a Series, a NumPy array or a mapping, by name and type."""

    def __init__(self, df: Any) -> None:
        self.columns: dict[str, str] = _get_columns(df)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.columns == other.columns

    __hash__ = None  # type: ignore[assignment] # it holds a dict

    def __repr__(self) -> str:
        return f"Schema({self.columns})"


@dataclass(frozen=True)
class ModelSchema:
    """What a model takes and what it gives."""

    input_schema: Schema | None = None
    output_schema: Schema | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        sides = {"input_schema": self.input_schema, "output_schema": self.output_schema}
        return {name: side and side.columns for name, side in sides.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ModelSchema":
        """From what ``to_json`` gave."""
        sides = {
            name: data[name] and Schema(data[name]) for name in ("input_schema", "output_schema")
        }
        return cls(**sides)


def _get_columns(df: Any) -> dict[str, str]:
    if isinstance(df, Mapping):
        return {str(name): str(type_) for name, type_ in df.items()}
    schema, dtypes = getattr(df, "schema", None), getattr(df, "dtypes", None)
    if isinstance(dtypes, list):  # Spark's
        return dict(dtypes)
    if dtypes is not None and hasattr(dtypes, "items"):  # pandas'
        return {str(name): str(type_) for name, type_ in dtypes.items()}
    if schema is not None and hasattr(schema, "names"):  # Arrow's
        return {field.name: str(field.type) for field in schema}
    if hasattr(df, "dtype"):  # a Series, or NumPy's
        return {str(getattr(df, "name", None) or "value"): str(df.dtype)}
    raise SchemaError(
        f"A {type(df).__name__} has no columns: give a pandas or Spark DataFrame, an Arrow table, a"
        " NumPy array or a mapping."
    )


def list_model_files(model_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """The files of a folder, or the one file, by their paths in the model.

    Raises NotFoundError for a path that does not exist, SettingsError for an empty folder and for a
    link that leads out of it.
    """
    root = Path(model_dir)
    if not root.exists():
        raise NotFoundError(
            f"Model folder {str(root)!r} does not exist: write the model's files into a folder"
            " first, then save that."
        )
    if root.is_file():
        return {root.name: root}
    found = {
        str(PurePosixPath(path.relative_to(root))): path
        for path in sorted(root.rglob("*"))
        if not path.is_dir()
    }
    if not found:
        raise SettingsError(
            f"Model folder {str(root)!r} is empty: write the model's files into it first."
        )
    for name, path in found.items():
        if not path.resolve().is_relative_to(root.resolve()):
            raise SettingsError(
                f"{name!r} in model folder {str(root)!r} is a link to {path.resolve()}, outside of"
                " it: put the file itself there."
            )
    return found


def compute_checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_manifest(manifest: Mapping[str, str], directory: Path) -> list[str]:
    """The files of a manifest that are not in the folder as it says; SettingsError for a path that leads out of the folder."""
    for name in manifest:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise SettingsError(
                f"The model names a file {name!r}, which lies outside of its folder: it is not"
                " taken."
            )
    return [
        name
        for name, sum_ in manifest.items()
        if not (directory / name).is_file() or compute_checksum(directory / name) != sum_
    ]


def to_local_path(source: str) -> Path | None:
    """Where a registry says that a model's files are, as links and ``..`` lead there; None where that is no folder of this machine."""
    parts = urlsplit(source)
    return Path(unquote(parts.path)).resolve() if parts.scheme in ("", "file") else None


def is_own_folder(directory: Path, root: Path, run_id: str, name: str) -> bool:
    """Whether it is a folder in which a store below ``root`` saved a model of this name, in this run."""
    if not directory.is_relative_to(root.resolve()):
        return False
    _, *inner = directory.relative_to(root.resolve()).parts or ("",)
    return (
        inner[:3] == [run_id, "artifacts", "models"]
        and len(inner) == 4
        and re.fullmatch(rf"{name}_\d+", inner[3]) is not None
    )


def copy_files(names: Iterable[str], source: Path, target: Path) -> None:
    """Copy the files of a manifest, and nothing else of their folder; what is missing, the check of the manifest finds."""
    for name in names:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            shutil.copyfile(source / name, place)
