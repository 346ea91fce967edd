"""Arguments of the methods that log what was served, as flows take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature import Feature
from spark_fs.api.group_declarations import to_column_specs
from spark_fs.spec.logged_parts import LoggedModel
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison, Condition, make_conjunction, map_comparisons
from spark_fs.spec.serving_log import MODEL, MODEL_VERSION, TRAINING_DATASET, name_log_group

if TYPE_CHECKING:
    from spark_fs.api.feature import Filter
    from spark_fs.api.model import Model
    from spark_fs.spec.feature_view import ViewSpec


def parse_extra_columns(given: Any) -> dict[str, str]:
    """Read the argument extra_log_columns: the columns, with their types.

    Args:
        given: A feature, types by name, or a list of features and of dicts of name and type.

    Returns:
        The types by name.

    Raises:
        SchemaError: A column has no type, or one that does not exist.
    """
    if given is None:
        return {}
    if isinstance(given, Feature):
        given = [given]
    if isinstance(given, Mapping):
        given = [Feature(name, type_) for name, type_ in given.items()]
    features = []
    for item in given:
        features.append(Feature(**item) if isinstance(item, Mapping) else item)
    return {column.name: column.type for column in to_column_specs(features)}


def choose_model(
    model: Model | None, name: str | None, version: int | None, dataset: int | None
) -> LoggedModel:
    """Choose what a log is of, by what a caller said.

    Args:
        model: The model.
        name: The name of one, in its place.
        version: The version of one.
        dataset: The training dataset; None: that of the model.

    Returns:
        The training dataset and the model.
    """
    if model is None:
        return LoggedModel(dataset, name, version)
    return LoggedModel(dataset or model.training_dataset_version, model.name, model.version)


def build_conditions(view: ViewSpec, given: Filter | None, model: LoggedModel) -> Condition | None:
    """Build the condition on a log: features of the view are columns of the log.

    Args:
        view: The view.
        given: A condition on features of the view, or of the log.
        model: What rows must be of, where it is said.

    Returns:
        The condition; None where every row is wanted.
    """
    group = name_log_group(GroupRef(view.name, view.version))
    condition: Condition | None = None
    if given is not None:
        condition = map_comparisons(given.condition, lambda each: replace(each, group=group))
    wanted = {
        TRAINING_DATASET: model.training_dataset_version,
        MODEL: model.name,
        MODEL_VERSION: model.version,
    }
    for column, value in wanted.items():
        if value is not None:
            condition = make_conjunction(condition, Comparison(group, column, "==", value))
    return condition
