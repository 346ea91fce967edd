"""The model registry: models by name, version and metrics, and the runs that they belong to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_fs.api.flavour import FLAVOURS, Flavour
from spark_fs.api.model import Model
from spark_fs.api.tags import parse_tags
from spark_fs.api.taken import Refused
from spark_fs.api.tracked_run import TrackedRun
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.model_schema import ModelSchema
from spark_fs.spec.names import check_version
from spark_fs.spec.record_format import check_format, iter_readable

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.stores import Stores
    from spark_fs.flows.mlflow_registry import MlflowRegistry, RegisteredVersion


@validate_arguments
class ModelRegistry:
    """Models by name and version, which MLflow keeps."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._active_run: TrackedRun | None = None
        for flavour in FLAVOURS:
            setattr(self, flavour, Flavour(self, flavour))

    python: Flavour
    sklearn: Flavour
    xgboost: Flavour
    tensorflow: Flavour
    torch: Flavour
    llm: Flavour

    @property
    def project_name(self) -> str:
        """The name of its project."""
        return self._stores.project_name

    @property
    def project_id(self) -> int:
        """1, as ``Project.id``."""
        return 1

    @property
    def project_path(self) -> str:
        """The path of the project in its files, as ``get_dataset_api`` takes it."""
        return f"/Projects/{self.project_name}"

    @property
    def shared_registry_project_name(self) -> None:
        """None: no registry is shared."""
        return

    @property
    def model_registry_id(self) -> int:
        """1: a project has one."""
        return 1

    hf_download = Refused(
        "brings a model from Hugging Face", "download it yourself, and save its folder"
    )

    @cached_property
    def _mlflow(self) -> MlflowRegistry:
        from spark_fs.flows.mlflow_registry import MlflowRegistry

        return MlflowRegistry(self._stores.settings)

    @property
    def _cache(self) -> Path:
        """Where downloaded models are kept."""
        cache: Path = self._stores.settings.home / "model_cache"
        return cache

    @contextmanager
    def track(
        self, experiment: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[TrackedRun]:
        """Track what happens in the block as a run of an experiment, eagerly.

        A model that is saved in the block belongs to the run. A block that raises leaves a run
        marked as failed.

        Args:
            experiment: The name of the experiment, which is made where it does not exist.
            params: The parameters of the run, by name.

        Raises:
            InvalidNameError: The name of the experiment is not valid.
            SparkFSError: MLflow refuses.
        """
        with self._mlflow.track_run(experiment, params or {}) as run_id:
            run = TrackedRun(self._mlflow, run_id)
            outer_run = self._active_run
            self._active_run = run
            try:
                yield run
            finally:
                self._active_run = outer_run

    def get_model(self, name: str, version: int | None = None) -> Model:
        """Find a model by name and version.

        Args:
            name: The name.
            version: From 1 up; None: version 1, or the lowest that there is, with a warning where
                others exist.

        Raises:
            NotFoundError: There is no such model or version; the message names those that there
                are.
            UpgradeError: A newer release saved it, and this one would misread it.
        """
        versions = self._mlflow.list_versions(name)
        if not versions:
            raise NotFoundError.for_name(
                "Model",
                name,
                self._mlflow.list_names(),
                "Ask for one that exists, or save it first.",
            )
        if version is None:
            version = _choose_version(name, versions)
        if check_version("Model", name, version) not in versions:
            raise NotFoundError.for_version("Model", name, version, list(versions))
        return self._open_version(versions[version])

    def get_models(self, name: str) -> list[Model]:
        """Every version of a model, the oldest first; none for a name that does not exist.

        One that only a newer release can read is left out, with a warning.
        """
        versions = self._mlflow.list_versions(name)
        return list(iter_readable(self._open_version, versions.values()))

    def get_best_model(self, name: str, metric: str, direction: str = "max") -> Model | None:
        """Find the version with the best value of a metric; of equal ones the oldest.

        Args:
            name: The name of the model.
            metric: One that was given to ``create_model``.
            direction: "max" where the greatest value is best, "min" where the least is.

        Returns:
            The version; None where there is no such model.

        Raises:
            NotFoundError: No version has the metric.
            SettingsError: The direction is not known.
        """
        if direction not in ("max", "min"):
            raise SettingsError(f"direction {direction!r} is not known: use 'max' or 'min'.")
        models = self.get_models(name)
        if not models:
            return None
        measured = [model for model in models if metric in model.metrics]
        if not measured:
            metrics = {metric_name for model in models for metric_name in model.metrics}
            raise NotFoundError.for_name(
                f"Metric of model {name!r}",
                metric,
                metrics,
                "Ask for one that was given to create_model.",
            )
        choose = max if direction == "max" else min
        return choose(measured, key=lambda model: model.metrics[metric])

    def _open_version(self, registered: RegisteredVersion) -> Model:
        """A version as users see it; UpgradeError where a newer release saved it otherwise."""
        metadata = registered.metadata
        record = registered.record
        check_format(f"Model {record.name!r} version {registered.version}", metadata)
        schema = metadata["model_schema"]
        view_key = metadata["feature_view"]
        return Model(
            record.name,
            registered.version,
            metadata["framework"],
            metadata["metrics"],
            record.description or "",
            schema and ModelSchema.from_json(schema),
            metadata["input_example"],
            metadata["training_dataset_version"],
            datetime.fromtimestamp(record.creation_timestamp / 1000, UTC),
            metadata.get("tags", {}),
            tuple(view_key) if view_key else None,
            _registry=self,
            _registered=registered,
        )

    # -- what models do

    def save(self, model: Model, model_path: str | os.PathLike[str]) -> Model:
        """Save a model's files, eagerly, as ``Model.save`` does.

        Args:
            model: One of ``create_model``.
            model_path: The folder, or the one file.

        Returns:
            The model, with the version that it has now.

        Raises:
            NotFoundError: The path does not exist.
            SettingsError: The folder is empty, or a link leads out of it.
            AlreadyExistsError: The version is taken.
        """
        from spark_fs.flows import models

        run_id = self._active_run.id if self._active_run else None
        version = models.save_model(
            self._mlflow, self._stores.catalog, model._to_draft(), model_path, run_id
        )
        return self.get_model(model.name, version)

    def download(self, model: Model, local_path: str | os.PathLike[str] | None = None) -> str:
        """The model's files in a folder; see ``Model.download``.

        Args:
            model: A model that is saved.
            local_path: The folder that they are copied into; None: one that is kept.
        """
        from spark_fs.flows import models

        registered = _get_registered(model)
        folder = models.download_model(self._mlflow, registered, self._cache)
        if local_path is None:
            return str(folder)
        target = Path(local_path).absolute()
        models.copy_downloaded(registered, folder, target)
        return str(target)

    def get_source(self, model: Model) -> str:
        """Where the files of a model are; see ``Model.model_files_path``."""
        from spark_fs.flows.model_files import to_local_path

        source = str(_get_registered(model).record.source)
        return str(to_local_path(source) or source)

    def get_tags(self, model: Model) -> dict[str, Any]:
        """The tags of a model; see ``Model.get_tags``."""
        if model._registered is None:
            return dict(model.tags)
        return dict(self._find_newest(model).metadata.get("tags", {}))

    def set_tags(self, model: Model, tags: Mapping[str, Any]) -> None:
        """Replace the tags of a model, eagerly; see ``Model.add_tag``.

        Args:
            model: The model.
            tags: Their values by name.
        """
        checked = parse_tags(tags)
        if model._registered is not None:
            newest = self._find_newest(model)
            self._mlflow.change_metadata(newest.record, {**newest.metadata, "tags": checked})
        model.tags = checked

    def _find_newest(self, model: Model) -> RegisteredVersion:
        """A saved model as the registry has it now."""
        version = _get_registered(model).version
        versions = self._mlflow.list_versions(model.name)
        if version not in versions:
            raise NotFoundError.for_version("Model", model.name, version, list(versions))
        return versions[version]

    def delete(self, model: Model) -> None:
        """Delete a version; see ``Model.delete``."""
        from spark_fs.flows import models

        registered = _get_registered(model)
        models.delete_model(self._mlflow, self._stores.catalog, registered, self._cache)

    def view_of(self, model: Model) -> FeatureView:
        """The view of a model; see ``Model.get_feature_view``."""
        if model._view_key is None:
            raise NotFoundError(
                f"Model {model.name!r} was saved without a feature view: give create_model the"
                " feature_view."
            )
        return self._stores.open_view(self._stores.catalog.get_view(*model._view_key))


def _choose_version(name: str, versions: Collection[int]) -> int:
    """Version 1, or the lowest that there is, with a warning where there are others."""
    version = min(versions)
    if len(versions) > 1:
        listed = ", ".join(map(str, versions))
        warn_user(
            f"Model {name!r} has versions {listed}; no version was asked for, so this is {version}."
        )
    return version


def _get_registered(model: Model) -> RegisteredVersion:
    if model._registered is None:
        raise NotFoundError(f"Model {model.name!r} is not saved yet: call save(model_path) first.")
    return model._registered
