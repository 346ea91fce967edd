"""Models: saved whole as versions, downloaded with their checksums compared, and deleted.

Nothing here reads a model's files but to copy them and to compare their checksums; nothing is
unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spark_fs.base import private_files
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import AlreadyExistsError, SettingsError, SparkFSError, get_first_line
from spark_fs.flows.mlflow_registry import MlflowRegistry, RegisteredVersion, get_next_version
from spark_fs.flows.model_files import (
    check_manifest,
    compute_checksum,
    copy_files,
    is_own_folder,
    list_model_files,
    to_local_path,
)
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.model_schema import ModelSchema
from spark_fs.spec.names import check_model_name

_TAG_LIMIT = 100_000  # characters of a tag


class ModelCatalog(Protocol):
    """Where it is kept on what models were trained."""

    def get_view(self, name: str, version: int | None = None) -> ViewSpec:
        """A feature view."""

    def add_model(
        self, name: str, version: int, view: ViewSpec, training_dataset_version: int | None
    ) -> None:
        """Remember on what a model was trained."""

    def delete_model(self, name: str, version: int) -> None:
        """Forget on what a model was trained."""


@dataclass(frozen=True)
class ModelDraft:
    """A model as its owner describes it; version: None for the next free one."""

    name: str
    version: int | None
    framework: str
    metrics: Mapping[str, float]
    description: str
    model_schema: ModelSchema | None
    input_example: Any
    view_key: tuple[str, int] | None
    training_dataset_version: int | None
    tags: Mapping[str, Any]

    def to_metadata(self, version: int, files: Mapping[str, str]) -> dict[str, Any]:
        """What the registry is to know of a version, as plain JSON."""
        return {
            "version": version,
            "framework": self.framework,
            "metrics": self.metrics,
            "files": dict(files),
            "model_schema": self.model_schema and self.model_schema.to_json(),
            "input_example": self.input_example,
            "feature_view": self.view_key,
            "training_dataset_version": self.training_dataset_version,
            "tags": dict(self.tags),
        }


def save_model(
    registry: MlflowRegistry,
    catalog: ModelCatalog,
    draft: ModelDraft,
    model_dir: str | os.PathLike[str],
    run_id: str | None,
) -> int:
    """Save a folder, or one file, as a version of a model, eagerly; returns the version.

    It is another one than the draft would have where that was taken meanwhile.

    Args:
        registry: Where the files go.
        catalog: Where it is kept on what the model was trained.
        draft: The model.
        model_dir: The folder or the file.
        run_id: The run that the model belongs to; None: one of its own.

    Raises:
        AlreadyExistsError: The version that the draft asks for is taken.
        SettingsError: What is kept of the model is too long.
    """
    files = list_model_files(model_dir)
    _check_case(draft.name, registry.list_names())
    taken = registry.list_versions(draft.name)
    version = get_next_version(taken) if draft.version is None else draft.version
    if version in taken:
        raise _make_exists_error(draft.name, version)
    checksums = {name: compute_checksum(path) for name, path in files.items()}
    metadata = draft.to_metadata(version, checksums)
    length = len(json.dumps(metadata))
    if length > _TAG_LIMIT:
        raise SettingsError(
            f"The metadata of model {draft.name!r} is {length:,} characters long: give a"
            " shorter example or schema."
        )
    if run_id is not None:
        return _register_version(registry, catalog, draft, files, metadata, run_id)
    with registry.track_run("models", {}) as own_run_id:
        return _register_version(registry, catalog, draft, files, metadata, own_run_id)


def _check_case(name: str, names: Iterable[str]) -> None:
    """Raise AlreadyExistsError where another model has the name in other letters.

    MySQL takes both for one.
    """
    for other in names:
        if other != name and other.lower() == name.lower():
            raise AlreadyExistsError(
                f"Model {other!r} exists already, and {name!r} differs from it in capitals alone:"
                " use its name, or another one."
            )


def _register_version(
    registry: MlflowRegistry,
    catalog: ModelCatalog,
    draft: ModelDraft,
    files: Mapping[str, Path],
    metadata: Mapping[str, Any],
    run_id: str,
) -> int:
    """Bring a model into the registry; returns the version that it has there."""
    registry.log_metrics(run_id, draft.metrics)
    version = metadata["version"]
    folder = f"models/{draft.name}_{version}"
    record = registry.add_version(draft.name, run_id, files, folder, metadata, draft.description)
    number = next(
        registered.version
        for registered in registry.list_versions(draft.name).values()
        if int(registered.record.version) == int(record.version)
    )
    if number != version:  # another saver chose it at the same time
        if draft.version is not None:
            registry.remove_version(record)
            raise _make_exists_error(draft.name, version)
        registry.change_metadata(record, {**metadata, "version": number})
    if draft.view_key:
        view = catalog.get_view(*draft.view_key)
        catalog.add_model(draft.name, number, view, draft.training_dataset_version)
    return number


def _make_exists_error(name: str, version: int) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"Model {name!r} version {version} exists already: leave version out to save the next one."
    )


def download_model(registry: MlflowRegistry, registered: RegisteredVersion, cache: Path) -> Path:
    """A local folder with a model's files, eagerly; kept, so that a second call copies nothing.

    Raises SparkFSError where the registry's files are not those that were saved.
    """
    manifest = registered.metadata["files"]
    folder = _get_cached_folder(registered, cache)
    if not check_manifest(manifest, folder):
        return folder
    private_files.make_folder(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        fetched = Path(work) / "model"
        _fetch_files(registry, registered, fetched)
        wrong_files = check_manifest(manifest, fetched)
        if wrong_files:
            raise SparkFSError(
                f"Model {registered.record.name!r} version {registered.version} in the registry is"
                f" not what was saved: {', '.join(wrong_files)} is missing or has another checksum."
                " Save the model again, or restore the registry's files."
            )
        shutil.rmtree(folder, ignore_errors=True)
        private_files.make_tree_private(fetched)
        fetched.rename(folder)
    return folder


def copy_downloaded(registered: RegisteredVersion, folder: Path, target: Path) -> None:
    """Copy a model's files from where they were downloaded to a folder of the caller's, eagerly.

    Args:
        registered: The model.
        folder: Where they were downloaded.
        target: The folder, which stays as it is but for these files.

    Raises:
        SettingsError: They cannot be written there.
    """
    try:
        for name in registered.metadata["files"]:
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, copy)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The files of model {registered.record.name!r} cannot be written to {str(target)!r}"
            f" ({get_first_line(error)}): give another folder."
        ) from error


def _get_cached_folder(registered: RegisteredVersion, cache: Path) -> Path:
    """Where a downloaded model is kept."""
    record = registered.record
    return cache / check_model_name(record.name) / f"{registered.version}-{record.run_id}"


def _fetch_files(registry: MlflowRegistry, registered: RegisteredVersion, folder: Path) -> None:
    source = to_local_path(str(registered.record.source))
    if source:
        copy_files(registered.metadata["files"], source, folder)
        return
    folder.mkdir()
    path = registry.download_files(registered.record, folder)
    if path != folder:
        shutil.copytree(path, folder, dirs_exist_ok=True)


def delete_model(
    registry: MlflowRegistry, catalog: ModelCatalog, registered: RegisteredVersion, cache: Path
) -> None:
    """Delete a version of a model with its files, eagerly; a warning names those that stay."""
    record = registered.record
    registry.remove_version(record)
    catalog.delete_model(record.name, registered.version)
    source = to_local_path(str(record.source))
    if source and is_own_folder(source, registry.folder, str(record.run_id), record.name):
        shutil.rmtree(source, ignore_errors=True)
    elif source:  # who may write into the registry could name any folder
        warn_user(
            f"The files of {record.name!r} version {registered.version} stay at {source}, which is"
            f" not below {registry.folder}."
        )
    shutil.rmtree(_get_cached_folder(registered, cache), ignore_errors=True)
