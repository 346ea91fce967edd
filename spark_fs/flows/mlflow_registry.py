"""The model registry that MLflow keeps: its runs, and the versions of models as users number them.

This is the only module that imports MLflow, whose errors leave it as ours. MLflow keeps its records
in an SQLite database and a folder below ``home``, or wherever ``models_url`` names a server.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_fs.base import private_files
from spark_fs.errors import SetupError, SparkFSError, get_first_line
from spark_fs.flows.model_files import to_local_path
from spark_fs.redact import get_safe_cause
from spark_fs.spec.names import check_model_name, check_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

    from spark_fs.settings import Settings

TAG = "spark_fs"  # of a model version in MLflow: what spark_fs knows of it, as JSON


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a model: its number, what its saver said of it, and MLflow's own record."""

    version: int
    metadata: Mapping[str, Any]
    record: ModelVersion


class MlflowRegistry:
    """The runs and models of one project in MLflow, which is opened when it is first asked."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.models_url.get_secret_value()
        self.folder: Path = settings.home / "models"

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client; SetupError where MLflow is not installed."""
        try:
            with silence_mlflow():
                from mlflow.tracking import MlflowClient
        except ImportError:
            raise SetupError(
                "The model registry needs MLflow, which is not installed: pip install"
                " 'spark_fs[ml]'."
            ) from None
        if self._url.startswith("sqlite:///"):
            private_files.make_file(self._url.removeprefix("sqlite:///"))
        with translate_errors(), silence_mlflow():
            client = MlflowClient(tracking_uri=self._url, registry_uri=self._url)
            client.search_registered_models(max_results=1)  # makes the tables of a new database
        return client

    # -- runs

    @contextmanager
    def track_run(self, experiment: str, params: Mapping[str, Any]) -> Iterator[str]:
        """Track the block as a run of an experiment, eagerly; yields its id.

        A block that raises leaves a run marked as failed.
        """
        run_id = self._start_run(experiment)
        self.log_params(run_id, params)
        try:
            yield run_id
        except BaseException:
            self.client.set_terminated(run_id, "FAILED")
            raise
        self.client.set_terminated(run_id)

    def _start_run(self, experiment: str) -> str:
        check_name("Experiment", experiment)
        artifact_location = None
        if self._url.startswith("sqlite:"):
            folder = self.folder / experiment
            private_files.make_folder(folder)
            artifact_location = folder.as_uri()
        client = self.client
        with translate_errors():
            existing = client.get_experiment_by_name(experiment)
            if existing is None:
                _create_if_absent(
                    lambda: client.create_experiment(
                        experiment, artifact_location=artifact_location
                    )
                )
                existing = client.get_experiment_by_name(experiment)
            assert existing
            run_id: str = client.create_run(existing.experiment_id).info.run_id
        return run_id

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Keep parameters of a run, eagerly."""
        for name, value in params.items():
            with translate_errors():
                self.client.log_param(run_id, name, value)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep metrics of a step of a run, eagerly."""
        for name, value in metrics.items():
            with translate_errors():
                self.client.log_metric(run_id, name, value, step=step)

    def log_file(self, run_id: str, path: str | os.PathLike[str]) -> None:
        """Keep a file of a run, eagerly."""
        with translate_errors():
            self.client.log_artifact(run_id, str(path))
            make_artifacts_private(self.client, run_id)

    # -- models

    def list_names(self) -> list[str]:
        """The names of the models."""
        with translate_errors():
            return [model.name for model in iter_results(self.client.search_registered_models)]

    def list_versions(self, name: str) -> dict[int, RegisteredVersion]:
        """The versions of a model by their numbers; none for a name that does not exist."""
        check_model_name(name)
        query = f"name = '{name}'"
        with translate_errors():
            return assign_versions(
                iter_results(self.client.search_model_versions, filter_string=query)
            )

    def add_version(
        self,
        name: str,
        run_id: str,
        files: Mapping[str, Path],
        folder: str,
        metadata: Mapping[str, Any],
        description: str,
    ) -> ModelVersion:
        """Upload a model's files into a folder of a run and register them as a version, eagerly."""
        client = self.client
        with translate_errors():
            for file_name, path in files.items():
                parent = file_name.rpartition("/")[0]
                artifact_path = f"{folder}/{parent}" if parent else folder
                client.log_artifact(run_id, str(path), artifact_path)
            _create_if_absent(lambda: client.create_registered_model(name))
            source = f"{make_artifacts_private(client, run_id)}/{folder}"
            tags = {TAG: json.dumps(metadata)}
            return client.create_model_version(
                name, source, run_id, tags=tags, description=description
            )

    def change_metadata(self, record: ModelVersion, metadata: Mapping[str, Any]) -> None:
        """Replace what is kept of a version, eagerly."""
        with translate_errors():
            self.client.set_model_version_tag(
                record.name, record.version, TAG, json.dumps(metadata)
            )

    def remove_version(self, record: ModelVersion) -> None:
        """Remove a version, eagerly; its files stay."""
        with translate_errors():
            self.client.delete_model_version(record.name, record.version)

    def download_files(self, record: ModelVersion, folder: Path) -> Path:
        """Download a version's files, eagerly; returns the folder in which MLflow put them."""
        run_id = str(record.run_id)
        artifact_path = "models/" + str(record.source).rpartition("/models/")[2]
        with translate_errors():
            return Path(self.client.download_artifacts(run_id, artifact_path, str(folder)))


def make_artifacts_private(client: MlflowClient, run_id: str) -> str:
    """Where a run's files are; those on this machine are closed to everybody else."""
    artifact_uri: str = client.get_run(run_id).info.artifact_uri
    if files := to_local_path(artifact_uri):
        private_files.make_tree_private(files.parent)
    return artifact_uri


def iter_results(search: Callable[..., Any], **query: Any) -> Iterator[Any]:
    """All that a search of MLflow's finds, page by page."""
    token: str | None = None
    while True:
        page = search(**query, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def assign_versions(records: Iterable[ModelVersion]) -> dict[int, RegisteredVersion]:
    """The versions of a model by their numbers.

    Two savers may choose one number at the same time. Of these the one that MLflow counted first
    has it, and the other the next that is free: that follows from what is before it in the list
    alone, so every process finds the same numbers.
    """
    versions: dict[int, RegisteredVersion] = {}
    for record in sorted(records, key=lambda record: int(record.version)):
        if TAG not in record.tags:
            continue
        metadata = json.loads(record.tags[TAG])
        number = metadata["version"]
        if number in versions:
            number = get_next_version(versions)
        versions[number] = RegisteredVersion(number, metadata, record)
    return dict(sorted(versions.items()))


def get_next_version(taken: Mapping[int, Any]) -> int:
    """One above the highest version, 1 for a new model."""
    return max(taken, default=0) + 1


def _create_if_absent(create: Callable[[], Any]) -> None:
    """Make something in MLflow that another process may have made by now."""
    from mlflow.exceptions import MlflowException

    try:
        create()
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def translate_errors() -> Iterator[None]:
    """MLflow's errors as ours, in one line."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise SparkFSError(
            f"The model registry refused: {get_first_line(error)}"
        ) from get_safe_cause(error)


@contextmanager
def silence_mlflow() -> Iterator[None]:
    """Hide the lines that MLflow writes about its own database and its use of other libraries."""
    names = ("mlflow.store.db.utils", "alembic.runtime.migration")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
