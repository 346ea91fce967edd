"""Models: saved whole, versioned, found by their metrics, and tied to the training data that they were trained on.

MLflow keeps them: by default in an SQLite database and a folder under ``home``, or wherever ``models_url`` names an MLflow server. Nothing
here reads a model's files but to copy them and to compare their checksums; nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from spark_fs.api.model import FLAVOURS, Flavour, Model, checked_metrics, known
from spark_fs.errors import AlreadyExistsError, NotFoundError, SettingsError, SetupError, SparkFSError, first_line
from spark_fs.given import checked
from spark_fs.spec.definitions import check_name, check_version
from spark_fs.spec.models import ModelSchema, check_manifest, checksum, files_of

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.stores import Stores

_TAG = "spark_fs"  # of a model version in MLflow: what spark_fs knows of it, as JSON
_TAG_LIMIT = 100_000  # characters of a tag


@checked
class Run:
    """A training that is tracked: its parameters, metrics and files. Models that are saved while it goes on belong to it."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.id = run_id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters, eagerly; each once."""
        for name, value in params.items():
            with _translated():
                self._client.log_param(self.id, name, value)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep metrics, eagerly, as those of a step."""
        for name, value in checked_metrics(metrics).items():
            with _translated():
                self._client.log_metric(self.id, name, value, step=step)

    def log_file(self, path: str | os.PathLike[str]) -> None:
        """Keep a file, eagerly."""
        with _translated():
            self._client.log_artifact(self.id, str(path))


@checked
class ModelRegistry:
    """Models by name and version."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._run: Run | None = None
        for flavour in FLAVOURS:
            setattr(self, flavour, Flavour(self, flavour))

    python: Flavour
    sklearn: Flavour
    xgboost: Flavour
    tensorflow: Flavour
    torch: Flavour

    @contextmanager
    def track(self, experiment: str, params: Mapping[str, Any] | None = None) -> Iterator[Run]:
        """Track what happens in the block as a run of an experiment, eagerly; a model that is saved in it belongs to the run.

        A block that raises leaves a run marked as failed.
        """
        run = self._started(experiment)
        run.log_params(params or {})
        before, self._run = self._run, run
        try:
            yield run
        except BaseException:
            self._client.set_terminated(run.id, "FAILED")
            raise
        finally:
            self._run = before
        self._client.set_terminated(run.id)

    def get_model(self, name: str, version: int | None = None) -> Model:
        """A model by name and version; None asks for the newest. NotFoundError with the names or versions that there are."""
        found = {model.version: model for model in self._models(name)}
        if not found:
            known = [each.name for each in self._registered()]
            raise NotFoundError.named("Model", name, known, "Ask for one that exists, or save it first.")
        version = max(v for v in found if v is not None) if version is None else check_version("Model", name, version)
        if version not in found:
            raise NotFoundError.version("Model", name, version, [v for v in found if v is not None])
        return found[version]

    def get_models(self, name: str) -> list[Model]:
        """Every version of a model, the oldest first; none for a name that does not exist."""
        return self._models(name)

    def get_best_model(self, name: str, metric: str, direction: str = "max") -> Model:
        """The version with the greatest ("max") or least ("min") value of a metric; of equal ones the oldest.

        Raises NotFoundError where no version has the metric.
        """
        if direction not in ("max", "min"):
            raise SettingsError(f"direction {direction!r} is not known: use 'max' or 'min'.")
        self.get_model(name)
        having = [model for model in self._models(name) if metric in model.metrics]
        if not having:
            known = {each for model in self._models(name) for each in model.metrics}
            raise NotFoundError.named(f"Metric of model {name!r}", metric, known, "Ask for one that was given to create_model.")
        return (max if direction == "max" else min)(having, key=lambda model: model.metrics[metric])

    # -- what models do

    def save(self, model: Model, model_dir: str | os.PathLike[str]) -> Model:
        """Save a model's files; see ``Model.save``."""
        files = files_of(model_dir)
        taken = [each.version or 0 for each in self._models(model.name)]
        version = max(taken, default=0) + 1 if model.version is None else model.version
        if version in taken:
            raise AlreadyExistsError(f"Model {model.name!r} version {version} exists already: leave version out to save the next one.")
        said = json.dumps(known(model, version, {name: checksum(path) for name, path in files.items()}))
        if len(said) > _TAG_LIMIT:
            raise SettingsError(
                f"What is said of model {model.name!r} is {len(said):,} characters long: give a shorter example or schema."
            )
        if self._run:
            self._put(model, version, files, said, self._run)
        else:
            with self.track("models") as run:
                self._put(model, version, files, said, run)
        return self.get_model(model.name, version)

    def _put(self, model: Model, version: int, files: Mapping[str, Path], said: str, run: Run) -> None:
        run.log_metrics(model.metrics)
        folder = f"models/{model.name}_{version}"
        with _translated():
            for name, path in files.items():
                self._client.log_artifact(run.id, str(path), "/".join(filter(None, (folder, name.rpartition("/")[0]))))
            if model.name not in [each.name for each in self._registered()]:
                self._client.create_registered_model(model.name)
            source = f"{self._client.get_run(run.id).info.artifact_uri}/{folder}"
            self._client.create_model_version(model.name, source, run.id, tags={_TAG: said}, description=model.description)
        if model._view:
            view = self._stores.catalog.view(*model._view)
            self._stores.catalog.add_model(model.name, version, view, model.training_dataset_version)

    def download(self, model: Model) -> str:
        """The model's files in a folder; see ``Model.download``."""
        if model._stored is None:
            raise NotFoundError(f"Model {model.name!r} is not saved yet: call save(model_dir) first.")
        manifest = json.loads(model._stored.tags[_TAG])["files"]
        folder = self._cache(model)
        if not check_manifest(manifest, folder):
            return str(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            fetched = Path(work) / "model"
            self._fetch(model._stored, fetched)
            if wrong := check_manifest(manifest, fetched):
                raise SparkFSError(
                    f"Model {model.name!r} version {model.version} in the registry is not what was saved: {', '.join(wrong)} is missing or "
                    "has another checksum. Save the model again, or restore the registry's files."
                )
            shutil.rmtree(folder, ignore_errors=True)
            fetched.rename(folder)
        return str(folder)

    def _cache(self, model: Model) -> Path:
        """Where a downloaded model is kept."""
        cache: Path = self._stores.settings.home / "model_cache" / check_name("Model", model.name)
        return cache / f"{model.version}-{model._stored.run_id}"

    def _fetch(self, stored: Any, folder: Path) -> None:
        parts = urlsplit(stored.source)
        if parts.scheme in ("", "file"):
            shutil.copytree(unquote(parts.path), folder) if Path(unquote(parts.path)).is_dir() else folder.mkdir()
            return
        folder.mkdir()
        with _translated():
            path = self._client.download_artifacts(stored.run_id, "models/" + stored.source.rpartition("/models/")[2], str(folder))
        if Path(path) != folder:
            shutil.copytree(path, folder, dirs_exist_ok=True)

    def delete(self, model: Model) -> None:
        """Delete a version; see ``Model.delete``."""
        if model._stored is None or model.version is None:
            raise NotFoundError(f"Model {model.name!r} is not saved yet, so there is nothing to delete.")
        with _translated():
            self._client.delete_model_version(model.name, model._stored.version)
        self._stores.catalog.delete_model(model.name, model.version)
        parts = urlsplit(model._stored.source)
        if parts.scheme in ("", "file"):
            shutil.rmtree(unquote(parts.path), ignore_errors=True)
        shutil.rmtree(self._cache(model), ignore_errors=True)

    def view_of(self, model: Model) -> FeatureView:
        """The view of a model; see ``Model.get_feature_view``."""
        from spark_fs.api.feature_view import FeatureView

        if model._view is None:
            raise NotFoundError(f"Model {model.name!r} was saved without a feature view: give create_model the feature_view.")
        return FeatureView(self._stores, self._stores.catalog.view(*model._view))

    # -- MLflow

    @cached_property
    def _client(self) -> MlflowClient:
        try:
            with _quiet():
                from mlflow.tracking import MlflowClient
        except ImportError:
            raise SetupError("The model registry needs MLflow, which is not installed: pip install 'spark_fs[ml]'.") from None
        url = self._stores.settings.models_url.get_secret_value()
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        with _translated(), _quiet():
            client = MlflowClient(tracking_uri=url, registry_uri=url)
            client.search_registered_models(max_results=1)  # makes the tables of a new database
        return client

    def _started(self, experiment: str) -> Run:
        check_name("Experiment", experiment)
        with _translated():
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                local = self._stores.settings.models_url.get_secret_value().startswith("sqlite:")
                place = (self._stores.settings.home / "models" / experiment).as_uri() if local else None
                number = self._client.create_experiment(experiment, artifact_location=place)
            else:
                number = found.experiment_id
            return Run(self._client, self._client.create_run(number).info.run_id)

    def _registered(self) -> list[Any]:
        with _translated():
            return list(self._client.search_registered_models())

    def _models(self, name: str) -> list[Model]:
        check_name("Model", name)
        with _translated():
            found = [self._model(stored) for stored in self._client.search_model_versions(f"name = '{name}'") if _TAG in stored.tags]
        return sorted(found, key=lambda model: model.version or 0)

    def _model(self, stored: Any) -> Model:
        said = json.loads(stored.tags[_TAG])
        schema = said["model_schema"] and ModelSchema.from_json(said["model_schema"])
        return Model(
            stored.name, said["version"], said["framework"], said["metrics"], stored.description or "", schema, said["input_example"],
            said["training_dataset_version"], datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC),
            tuple(said["feature_view"]) if said["feature_view"] else None, self, stored,
        )


@contextmanager
def _translated() -> Iterator[None]:
    """MLflow's errors as ours, in one line."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise SparkFSError(f"The model registry refused: {first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that MLflow writes about its own database and its own use of other libraries."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic.runtime.migration")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
