"""A model as its owner describes, saves and downloads it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.model import ModelSchema
from spark_fs.spec.names import check_name, check_version

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.models import ModelRegistry


FLAVOURS = ("python", "sklearn", "xgboost", "tensorflow", "torch")


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
    _registry: Any = field(default=None, repr=False, compare=False)
    _registry_record: Any = field(default=None, repr=False, compare=False)

    def save(self, model_dir: str | os.PathLike[str]) -> Model:
        """Save a folder (or one file) whole, eagerly, as a new version; returns the model.

        Raises NotFoundError for a path that does not exist, SettingsError for an empty folder or a
        link that leads out of it, AlreadyExistsError when the version is taken. When it fails there
        is no such version.
        """
        saved: Model = self._registry.save(self, model_dir)
        return saved

    def download(self) -> str:
        """A local folder with the model's files, eagerly; kept, so that a second call copies nothing.

        Each file is compared with its checksum. Raises SparkFSError where the registry's files are
        not those that were saved.
        """
        found: str = self._registry.download(self)
        return found

    def delete(self) -> None:
        """Delete this version, eagerly; its training dataset stays."""
        self._registry.delete(self)

    def get_feature_view(self) -> FeatureView:
        """The feature view that it was trained on, ready to serve and to score for it; NotFoundError where it has none."""
        view: FeatureView = self._registry.view_of(self)
        return view


@validate_arguments
@dataclass(frozen=True)
class Flavour:
    """Models of one framework."""

    registry: ModelRegistry
    name: str

    def create_model(
        self,
        name: str,
        version: int | None = None,
        metrics: Mapping[str, float] | None = None,
        model_schema: ModelSchema | None = None,
        input_example: Any = None,
        description: str = "",
        feature_view: FeatureView | None = None,
        training_dataset_version: int | None = None,
    ) -> Model:
        """Describe a model; ``save`` then keeps its files.

        version: None is the next free one. metrics: finite numbers. input_example: anything that
        JSON can hold, or a DataFrame, of which the first row is taken. feature_view,
        training_dataset_version: what it was trained on. Raises InvalidNameError for a name,
        SettingsError for a version or metric that is none, NotFoundError for a training dataset
        that does not exist.
        """
        check_name("Model", name)
        if version is not None:
            check_version("Model", name, version)
        if feature_view is not None:
            self.registry._stores.check_same_store(feature_view._stores, repr(feature_view))
        if training_dataset_version is not None:
            if feature_view is None:
                raise SettingsError(
                    f"training_dataset_version={training_dataset_version} is one of a feature view:"
                    " give feature_view too."
                )
            known = [dataset.version for dataset in feature_view.get_training_datasets()]
            if training_dataset_version not in known:
                raise NotFoundError.for_version(
                    "Training dataset of feature view",
                    feature_view.name,
                    training_dataset_version,
                    known,
                )
        view = (feature_view.name, feature_view.version) if feature_view else None
        return Model(
            name,
            version,
            self.name,
            check_metrics(metrics or {}),
            description,
            model_schema,
            _to_json_example(input_example),
            training_dataset_version,
            _view_key=view,
            _registry=self.registry,
        )


def build_model_metadata(model: Model, version: int, files: Mapping[str, str]) -> dict[str, Any]:
    """What the registry is to know of a version, as plain JSON."""
    return {
        "version": version,
        "framework": model.framework,
        "metrics": model.metrics,
        "files": dict(files),
        "model_schema": model.model_schema and model.model_schema.to_json(),
        "input_example": model.input_example,
        "feature_view": model._view_key,
        "training_dataset_version": model.training_dataset_version,
    }


def check_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics as floats; SettingsError for one that is no finite number."""
    for name, value in metrics.items():
        if (
            isinstance(value, bool)
            or not hasattr(value, "__float__")
            or not math.isfinite(float(value))
        ):
            raise SettingsError(f"Metric {name!r} is {value!r}: give a finite number.")
    return {name: float(value) for name, value in metrics.items()}


def _to_json_example(example: Any) -> Any:
    """An example as plain JSON."""
    if hasattr(example, "to_dict") and hasattr(example, "head"):
        example = json.loads(example.head(1).to_json(orient="records", date_format="iso"))[0]
    if hasattr(example, "tolist"):
        example = example.tolist()
    try:
        json.dumps(example, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"input_example {example!r} cannot be kept as JSON ({error}): give a DataFrame, a list"
            " or a dict."
        ) from None
    return example
