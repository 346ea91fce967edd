"""Models of one framework, as they are described before they are saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spark_fs.api.model import Model
from spark_fs.api.tags import parse_tags
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, SettingsError, SparkFSError
from spark_fs.spec.model_metrics import check_metrics
from spark_fs.spec.names import check_model_name, check_version

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.model_registry import ModelRegistry
    from spark_fs.spec.model_schema import ModelSchema

FLAVOURS = ("python", "sklearn", "xgboost", "tensorflow", "torch", "llm")


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
        metrics: Mapping[str, Any] | None = None,
        description: str = "",
        input_example: Any = None,
        model_schema: ModelSchema | None = None,
        feature_view: FeatureView | None = None,
        training_dataset_version: int | None = None,
        tags: Any = None,
    ) -> Model:
        """Describe a model; ``save`` then keeps its files.

        Args:
            name: The name, which its versions share.
            version: From 1 up; None: the next free one.
            metrics: Finite numbers by name, or strings of them.
            description: What it is for.
            input_example: Anything that JSON can hold, an array, a Series, or a DataFrame, of which
                the first row is taken.
            model_schema: What the model takes and gives; None: the columns of its training dataset,
                where that is known.
            feature_view: What it was trained on.
            training_dataset_version: On which training dataset of the view; None: the one that this
                object of the view made or read last.
            tags: Values by name, or tags as Hopsworks has them, for ``get_tag``.

        Raises:
            InvalidNameError: The name is not valid.
            SettingsError: The version or a metric is not one, the example cannot be kept as JSON,
                or a training dataset is given without its view.
            NotFoundError: The training dataset does not exist.
        """
        check_model_name(name)
        if version is not None:
            check_version("Model", name, version)
        if feature_view is not None:
            self.registry._stores.check_same_store(feature_view._stores, repr(feature_view))
        if training_dataset_version is not None:
            _check_dataset(feature_view, training_dataset_version)
        elif feature_view is not None:
            training_dataset_version = feature_view.get_last_accessed_training_dataset()
        if model_schema is None and feature_view is not None and training_dataset_version:
            model_schema = _infer_schema(feature_view, training_dataset_version)
        view_key = (feature_view.name, feature_view.version) if feature_view else None
        return Model(
            name,
            version,
            self.name,
            check_metrics(metrics or {}),
            description,
            model_schema,
            _to_json_example(input_example),
            training_dataset_version,
            tags=parse_tags(tags),
            _view_key=view_key,
            _registry=self.registry,
        )


def _infer_schema(view: FeatureView, version: int) -> ModelSchema | None:
    """The columns of X and y of a training dataset; None where a group of it is there no more."""
    from spark_fs.spec.model_schema import ModelSchema, Schema

    try:
        columns = view.get_training_dataset_schema(version)
    except SparkFSError:
        return None
    inputs = {column.name: column.type for column in columns if not column.label}
    outputs = {column.name: column.type for column in columns if column.label}
    return ModelSchema(Schema(inputs), Schema(outputs) if outputs else None)


def _check_dataset(view: FeatureView | None, version: int) -> None:
    if view is None:
        raise SettingsError(
            f"training_dataset_version={version} is one of a feature view: give feature_view too."
        )
    versions = [dataset.version for dataset in view.get_training_datasets()]
    if version not in versions:
        raise NotFoundError.for_version(
            "Training dataset of feature view", view.name, version, versions
        )


def _to_json_example(example: Any) -> Any:
    """An example as plain JSON."""
    if hasattr(example, "columns") and hasattr(example, "head"):  # a frame
        example = _take_first_row(example.head(1))
    elif hasattr(example, "to_json"):  # a Series
        example = json.loads(example.to_json(orient="values", date_format="iso"))
    if hasattr(example, "tolist"):
        example = _replace_nan(example.tolist())
    try:
        json.dumps(example, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"input_example {example!r} cannot be kept as JSON ({error}): give a DataFrame, a list"
            " or a dict."
        ) from None
    return example


def _take_first_row(frame: Any) -> Any:
    """The first row of a pandas or polars DataFrame, by column."""
    if hasattr(frame, "to_dicts"):
        rows = frame.to_dicts()
    else:
        rows = json.loads(frame.to_json(orient="records", date_format="iso"))
    if not rows:
        raise SettingsError("input_example is a DataFrame without rows: give one that has a row.")
    return rows[0]


def _replace_nan(values: Any) -> Any:
    """A number or nested lists of them, with None for what is not a number."""
    if isinstance(values, list):
        return [_replace_nan(value) for value in values]
    return None if values != values else values  # NaN alone is not itself
