"""A training that is tracked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_fs.base.arguments import validate_arguments
from spark_fs.spec.model_metrics import check_metrics

if TYPE_CHECKING:
    from spark_fs.flows.mlflow_registry import MlflowRegistry


@validate_arguments
class TrackedRun:
    """A training that is tracked: its parameters, metrics and files.

    Models that are saved while it goes on belong to it.
    """

    def __init__(self, registry: MlflowRegistry, run_id: str) -> None:
        self._registry = registry
        self.id = run_id

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters, eagerly; each once."""
        self._registry.log_params(self.id, params)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep metrics, eagerly, as those of a step.

        Args:
            metrics: Finite numbers by name.
            step: An integer, such as the number of an epoch.

        Raises:
            SettingsError: A metric is not a finite number.
        """
        self._registry.log_metrics(self.id, check_metrics(metrics), step)

    def log_file(self, path: str | os.PathLike[str]) -> None:
        """Keep a file, eagerly."""
        self._registry.log_file(self.id, path)
