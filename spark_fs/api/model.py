"""A model as its owner describes, saves and downloads it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spark_fs.base.arguments import validate_arguments
from spark_fs.spec.model_metrics import check_metrics
from spark_fs.spec.model_schema import ModelSchema

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.model_registry import ModelRegistry
    from spark_fs.flows.mlflow_registry import RegisteredVersion
    from spark_fs.flows.models import ModelDraft


@validate_arguments
@dataclass
class Model:
    """One version of a model; ``save`` puts it into the registry, ``download`` brings its files.

    feature_view, training_dataset_version: what it was trained on. framework: "python", "sklearn",
    "xgboost", "tensorflow" or "torch".
    """

    name: str
    version: int | None
    framework: str
    metrics: dict[str, float]
    description: str = ""
    model_schema: ModelSchema | None = None
    input_example: Any = None
    training_dataset_version: int | None = None
    created_at: datetime | None = None
    _view_key: tuple[str, int] | None = None
    _registry: ModelRegistry = field(repr=False, compare=False, kw_only=True)
    _registered: RegisteredVersion | None = field(
        default=None, repr=False, compare=False, kw_only=True
    )

    def _to_draft(self) -> ModelDraft:
        from spark_fs.flows.models import ModelDraft

        return ModelDraft(
            self.name,
            self.version,
            self.framework,
            check_metrics(self.metrics),
            self.description,
            self.model_schema,
            self.input_example,
            self._view_key,
            self.training_dataset_version,
        )

    def save(self, model_dir: str | os.PathLike[str]) -> Model:
        """Save a folder (or one file) whole, eagerly, as a new version.

        When it fails there is no such version.

        Args:
            model_dir: The folder, or the one file.

        Returns:
            The model, with the version that it has now.

        Raises:
            NotFoundError: The path does not exist.
            SettingsError: The folder is empty, or a link leads out of it.
            AlreadyExistsError: The version is taken.
        """
        return self._registry.save(self, model_dir)

    def download(self) -> str:
        """A local folder with the model's files, eagerly.

        It is kept, so that a second call copies nothing. Each file is compared with its checksum.

        Raises:
            NotFoundError: The model is not saved yet.
            SparkFSError: The registry's files are not those that were saved.
        """
        return self._registry.download(self)

    def delete(self) -> None:
        """Delete this version, eagerly; its training dataset stays.

        Raises:
            NotFoundError: The model is not saved yet.
        """
        self._registry.delete(self)

    def get_feature_view(self) -> FeatureView:
        """The feature view that it was trained on.

        Raises:
            NotFoundError: It was saved without one.
        """
        return self._registry.view_of(self)
