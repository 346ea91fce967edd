"""Models: saved whole, versioned, found by their metrics, and tied to the training data that they were trained on.

MLflow keeps them: by default in an SQLite database and a folder under ``home``, or wherever
``models_url`` names an MLflow server. Nothing here reads a model's files but to copy them and to
compare their checksums; nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_fs.api.model import FLAVOURS, Flavour, Model, build_model_metadata, check_metrics
from spark_fs.api.model_files import (
    check_manifest,
    compute_checksum,
    copy_files,
    is_own_folder,
    list_model_files,
    to_local_path,
)
from spark_fs.api.registered import (
    TAG,
    RegisteredVersion,
    assign_versions,
    get_next_version,
    iter_results,
    make_artifacts_private,
    silence_mlflow,
)
from spark_fs.base import private_files
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import (
    AlreadyExistsError,
    NotFoundError,
    SettingsError,
    SetupError,
    SparkFSError,
    get_first_line,
)
from spark_fs.redact import get_safe_cause
from spark_fs.spec.names import check_name, check_version
from spark_fs.spec.record_format import iter_readable

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.stores import Stores

_TAG_LIMIT = 100_000  # characters of a tag


@validate_arguments
class TrackedRun:
    """A training that is tracked: its parameters, metrics and files. Models that are saved while it goes on belong to it."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.id = run_id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters, eagerly; each once."""
        for name, value in params.items():
            with _translate_errors():
                self._client.log_param(self.id, name, value)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep metrics, eagerly, as those of a step."""
        for name, value in check_metrics(metrics).items():
            with _translate_errors():
                self._client.log_metric(self.id, name, value, step=step)

    def log_file(self, path: str | os.PathLike[str]) -> None:
        """Keep a file, eagerly."""
        with _translate_errors():
            self._client.log_artifact(self.id, str(path))
            make_artifacts_private(self._client, self.id)


@validate_arguments
class ModelRegistry:
    """Models by name and version."""

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

    @contextmanager
    def track(
        self, experiment: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[TrackedRun]:
        """Track what happens in the block as a run of an experiment, eagerly; a model that is saved in it belongs to the run.

        A block that raises leaves a run marked as failed.
        """
        run = self._start_run(experiment)
        run.log_params(params or {})
        before, self._active_run = self._active_run, run
        try:
            yield run
        except BaseException:
            self._client.set_terminated(run.id, "FAILED")
            raise
        finally:
            self._active_run = before
        self._client.set_terminated(run.id)

    def get_model(self, name: str, version: int | None = None) -> Model:
        """A model by name and version; None asks for the newest. NotFoundError with the names or versions that there are."""
        found = self._list_versions(name)
        if not found:
            raise NotFoundError.for_name(
                "Model", name, self._list_names(), "Ask for one that exists, or save it first."
            )
        version = max(found) if version is None else check_version("Model", name, version)
        if version not in found:
            raise NotFoundError.for_version("Model", name, version, list(found))
        return found[version].to_model(self)

    def get_models(self, name: str) -> list[Model]:
        """Every version of a model, the oldest first; none for a name that does not exist.

        One that only a newer release can read is left out, with a warning.
        """
        return list(
            iter_readable(lambda each: each.to_model(self), self._list_versions(name).values())
        )

    def get_best_model(self, name: str, metric: str, direction: str = "max") -> Model:
        """The version with the greatest ("max") or least ("min") value of a metric; of equal ones the oldest.

        Raises NotFoundError where no version has the metric.
        """
        if direction not in ("max", "min"):
            raise SettingsError(f"direction {direction!r} is not known: use 'max' or 'min'.")
        models = self.get_models(name) or [self.get_model(name)]
        having = [model for model in models if metric in model.metrics]
        if not having:
            known = {each for model in models for each in model.metrics}
            raise NotFoundError.for_name(
                f"Metric of model {name!r}",
                metric,
                known,
                "Ask for one that was given to create_model.",
            )
        return (max if direction == "max" else min)(having, key=lambda model: model.metrics[metric])

    # -- what models do

    def save(self, model: Model, model_dir: str | os.PathLike[str]) -> Model:
        """Save a model's files; see ``Model.save``."""
        files = list_model_files(model_dir)
        taken = self._list_versions(model.name)
        version = get_next_version(taken) if model.version is None else model.version
        if version in taken:
            raise _make_exists_error(model.name, version)
        said = build_model_metadata(
            model, version, {name: compute_checksum(path) for name, path in files.items()}
        )
        if (length := len(json.dumps(said))) > _TAG_LIMIT:
            raise SettingsError(
                f"What is said of model {model.name!r} is {length:,} characters long: give a"
                " shorter example or schema."
            )
        if self._active_run:
            version = self._register_version(model, version, files, said, self._active_run)
        else:
            with self.track("models") as run:
                version = self._register_version(model, version, files, said, run)
        return self.get_model(model.name, version)

    def _register_version(
        self,
        model: Model,
        version: int,
        files: Mapping[str, Path],
        metadata: dict[str, Any],
        run: TrackedRun,
    ) -> int:
        """Bring a model into the registry; returns the version that it has there, another one where the version was taken meanwhile."""
        run.log_metrics(model.metrics)
        folder = f"models/{model.name}_{version}"
        with _translate_errors():
            for name, path in files.items():
                self._client.log_artifact(
                    run.id, str(path), "/".join(filter(None, (folder, name.rpartition("/")[0])))
                )
            _create_if_absent(lambda: self._client.create_registered_model(model.name))
            source, tags = (
                f"{make_artifacts_private(self._client, run.id)}/{folder}",
                {TAG: json.dumps(metadata)},
            )
            made = self._client.create_model_version(
                model.name, source, run.id, tags=tags, description=model.description
            )
        number = next(
            each.version
            for each in self._list_versions(model.name).values()
            if int(each.record.version) == int(made.version)
        )
        if number != version and model.version is not None:
            with _translate_errors():
                self._client.delete_model_version(model.name, made.version)
            raise _make_exists_error(model.name, version)
        if number != version:
            with _translate_errors():
                self._client.set_model_version_tag(
                    model.name, made.version, TAG, json.dumps({**metadata, "version": number})
                )
        if model._view_key:
            view = self._stores.catalog.get_view(*model._view_key)
            self._stores.catalog.add_model(model.name, number, view, model.training_dataset_version)
        return number

    def download(self, model: Model) -> str:
        """The model's files in a folder; see ``Model.download``."""
        if model._registry_record is None:
            raise NotFoundError(
                f"Model {model.name!r} is not saved yet: call save(model_dir) first."
            )
        manifest = json.loads(model._registry_record.tags[TAG])["files"]
        folder = self._get_cache_folder(model)
        if not check_manifest(manifest, folder):
            return str(folder)
        private_files.make_folder(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            fetched = Path(work) / "model"
            self._fetch_files(model._registry_record, fetched)
            if wrong := check_manifest(manifest, fetched):
                raise SparkFSError(
                    f"Model {model.name!r} version {model.version} in the registry is not what was"
                    f" saved: {', '.join(wrong)} is missing or has another checksum. Save the model"
                    " again, or restore the registry's files."
                )
            shutil.rmtree(folder, ignore_errors=True)
            private_files.make_tree_private(fetched)
            fetched.rename(folder)
        return str(folder)

    def _get_cache_folder(self, model: Model) -> Path:
        """Where a downloaded model is kept."""
        cache: Path = self._stores.settings.home / "model_cache" / check_name("Model", model.name)
        return cache / f"{model.version}-{model._registry_record.run_id}"

    def _fetch_files(self, record: Any, folder: Path) -> None:
        if source := to_local_path(record.source):
            copy_files(json.loads(record.tags[TAG])["files"], source, folder)
            return
        folder.mkdir()
        with _translate_errors():
            path = self._client.download_artifacts(
                record.run_id, "models/" + record.source.rpartition("/models/")[2], str(folder)
            )
        if Path(path) != folder:
            shutil.copytree(path, folder, dirs_exist_ok=True)

    def delete(self, model: Model) -> None:
        """Delete a version; see ``Model.delete``."""
        if model._registry_record is None or model.version is None:
            raise NotFoundError(
                f"Model {model.name!r} is not saved yet, so there is nothing to delete."
            )
        with _translate_errors():
            self._client.delete_model_version(model.name, model._registry_record.version)
        self._stores.catalog.delete_model(model.name, model.version)
        root, source = (
            self._stores.settings.home / "models",
            to_local_path(model._registry_record.source),
        )
        if source and is_own_folder(source, root, model._registry_record.run_id, model.name):
            shutil.rmtree(source, ignore_errors=True)
        elif source:  # who may write into the registry could name any folder
            warnings.warn(
                f"The files of {model.name!r} version {model.version} stay at {source}, which is"
                f" not below {root}.",
                stacklevel=4,
            )
        shutil.rmtree(self._get_cache_folder(model), ignore_errors=True)

    def view_of(self, model: Model) -> FeatureView:
        """The view of a model; see ``Model.get_feature_view``."""
        if model._view_key is None:
            raise NotFoundError(
                f"Model {model.name!r} was saved without a feature view: give create_model the"
                " feature_view."
            )
        return self._stores.open_view(self._stores.catalog.get_view(*model._view_key))

    # -- MLflow

    @cached_property
    def _client(self) -> MlflowClient:
        try:
            with silence_mlflow():
                from mlflow.tracking import MlflowClient
        except ImportError:
            raise SetupError(
                "The model registry needs MLflow, which is not installed: pip install"
                " 'spark_fs[ml]'."
            ) from None
        url = self._stores.settings.models_url.get_secret_value()
        if url.startswith("sqlite:///"):
            private_files.make_file(url.removeprefix("sqlite:///"))
        with _translate_errors(), silence_mlflow():
            client = MlflowClient(tracking_uri=url, registry_uri=url)
            client.search_registered_models(max_results=1)  # makes the tables of a new database
        return client

    def _start_run(self, experiment: str) -> TrackedRun:
        check_name("Experiment", experiment)
        local = self._stores.settings.models_url.get_secret_value().startswith("sqlite:")
        folder = self._stores.settings.home / "models" / experiment
        if local:
            private_files.make_folder(folder)
        place = folder.as_uri() if local else None
        with _translate_errors():
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                _create_if_absent(
                    lambda: self._client.create_experiment(experiment, artifact_location=place)
                )
                found = self._client.get_experiment_by_name(experiment)
            assert found
            return TrackedRun(
                self._client, self._client.create_run(found.experiment_id).info.run_id
            )

    def _list_names(self) -> list[str]:
        with _translate_errors():
            return [each.name for each in iter_results(self._client.search_registered_models)]

    def _list_versions(self, name: str) -> dict[int, RegisteredVersion]:
        check_name("Model", name)
        with _translate_errors():
            return assign_versions(
                iter_results(self._client.search_model_versions, filter_string=f"name = '{name}'")
            )


def _make_exists_error(name: str, version: int) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"Model {name!r} version {version} exists already: leave version out to save the next one."
    )


def _create_if_absent(create: Callable[[], Any]) -> None:
    """Make something in MLflow that another process may have made by now."""
    from mlflow.exceptions import MlflowException

    try:
        create()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def _translate_errors() -> Iterator[None]:
    """MLflow's errors as ours, in one line."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise SparkFSError(
            f"The model registry refused: {get_first_line(error)}"
        ) from get_safe_cause(error)
