"""The versions of a model as MLflow lists them, under the numbers that our users know them by."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spark_fs.api.model import Model
from spark_fs.api.model_files import to_local_path
from spark_fs.base import private_files
from spark_fs.spec.model import ModelSchema
from spark_fs.spec.record_format import check_format

TAG = "spark_fs"  # of a model version in MLflow: what spark_fs knows of it, as JSON


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a model: its number, what its saver said of it, and MLflow's own record."""

    version: int
    metadata: Mapping[str, Any]
    record: Any

    def to_model(self, registry: Any) -> Model:
        """As users see it; UpgradeError where a newer release saved it and this one would misread it."""
        said, record = self.metadata, self.record
        check_format(f"Model {record.name!r} version {self.version}", said)
        schema = said["model_schema"] and ModelSchema.from_json(said["model_schema"])
        return Model(
            record.name,
            self.version,
            said["framework"],
            said["metrics"],
            record.description or "",
            schema,
            said["input_example"],
            said["training_dataset_version"],
            datetime.fromtimestamp(record.creation_timestamp / 1000, UTC),
            tuple(said["feature_view"]) if said["feature_view"] else None,
            registry,
            record,
        )


def make_artifacts_private(client: Any, run_id: str) -> str:
    """Where a run's files are; what MLflow made of folders on this machine is taken from everybody else."""
    place: str = client.get_run(run_id).info.artifact_uri
    if files := to_local_path(place):
        private_files.make_tree_private(files.parent)
    return place


def iter_results(search: Callable[..., Any], **query: Any) -> Iterator[Any]:
    """All that a search of MLflow's finds, page by page."""
    token: str | None = None
    while True:
        page = search(**query, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def assign_versions(records: Iterator[Any]) -> dict[int, RegisteredVersion]:
    """The versions of a model by their numbers.

    Two savers may choose one number at the same time. Of these the one that MLflow counted first
    has it, and the other the next that is free: that follows from what is before it in the list
    alone, so every process finds the same numbers.
    """
    found: dict[int, RegisteredVersion] = {}
    for record in sorted(records, key=lambda each: int(each.version)):
        if TAG in record.tags:
            said = json.loads(record.tags[TAG])
            number = get_next_version(found) if said["version"] in found else said["version"]
            found[number] = RegisteredVersion(number, said, record)
    return dict(sorted(found.items()))


def get_next_version(taken: Mapping[int, Any]) -> int:
    """One above the highest version, 1 for a new model."""
    return max(taken, default=0) + 1


@contextmanager
def silence_mlflow() -> Iterator[None]:
    """Without the lines that MLflow writes about its own database and its own use of other libraries."""
    loggers = [
        logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic.runtime.migration")
    ]
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
