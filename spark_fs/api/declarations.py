"""Define sources and views by the arguments that declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.api.query import Query
from spark_fs.api.tags import parse_tags
from spark_fs.api.transformation_lists import to_transformation_specs
from spark_fs.errors import QueryError, SettingsError

if TYPE_CHECKING:
    from spark_fs.spec.external_source import SourceSpec
    from spark_fs.spec.feature_view import ViewSpec


def build_source(data_format: str, location: str, options: Mapping[str, str]) -> SourceSpec:
    """Define where the rows of an external group are.

    Args:
        data_format: One of ``SOURCE_FORMATS``.
        location: A path, the name of a table, or an SQL query.
        options: Those of Spark's reader.

    Returns:
        The definition.

    Raises:
        SettingsError: A data_format that does not exist, or one that lacks what it needs.
    """
    from spark_fs.spec.external_source import SOURCE_FORMATS, SourceSpec

    if data_format not in SOURCE_FORMATS:
        formats = ", ".join(map(repr, SOURCE_FORMATS))
        raise SettingsError(f"data_format {data_format!r} is not known: use {formats}.")
    return SourceSpec.from_declaration(data_format, location, options)


def to_column_names(argument: str, columns: Sequence[str]) -> tuple[str, ...]:
    """List the columns of an argument.

    Args:
        argument: The name of the argument, for the error.
        columns: What was given for it.

    Returns:
        The columns, in lower snake case, with a warning where they were not.

    Raises:
        SettingsError: A string was given, which is not a list.
    """
    from spark_fs.spec.names import normalize_names

    if isinstance(columns, str):
        raise SettingsError(
            f"{argument}={columns!r} is a string: give a list of columns, as in"
            f" {argument}=[{columns!r}]."
        )
    return tuple(normalize_names(argument, columns))


def build_view_spec(
    name: str,
    version: int,
    query: Query,
    labels: Sequence[str],
    description: str,
    transformations: Mapping[str, Any] | Sequence[Any] | None,
    inference_helpers: Sequence[str],
    training_helpers: Sequence[str],
    label: str | None,
    tags: Any = None,
) -> ViewSpec:
    """Define a view.

    Args:
        name: The name.
        version: The version.
        query: The query; it begins with a group.
        labels: The columns that a model predicts; the arguments are those of
            ``create_feature_view``.
        description: What it is for.
        transformations: The transformations of features.
        inference_helpers: Columns beside batches and vectors.
        training_helpers: Columns beside training data.
        label: The only label, in the place of labels.
        tags: Values by name, or tags as Hopsworks has them.

    Returns:
        The definition.

    Raises:
        QueryError: The query begins with a spine that has no name.
        SettingsError: An argument is not valid.
    """
    from spark_fs.spec.feature_view import ViewSpec

    if query.spine is not None and not query.spine.is_kept:
        raise QueryError(
            f"A spine is a DataFrame of this session, which feature view {name!r} cannot keep:"
            " begin with a feature group, or with a spine of get_or_create_spine_group."
        )
    if label is not None and labels:
        raise SettingsError(
            f"Feature view {name!r} was given labels={list(labels)!r} and label={label!r}: give one"
            " of the two."
        )
    inference_columns = to_column_names("inference_helper_columns", inference_helpers)
    training_columns = to_column_names("training_helper_columns", training_helpers)
    label_columns = to_column_names("labels", labels if label is None else [label])
    others = {*label_columns, *inference_columns, *training_columns}
    query_spec = query.spec.with_current_rules()  # that of an old view may have others
    spine_keys = Query(query._stores, query_spec).plan().list_spine_keys()
    key_features = tuple(name for name in spine_keys if name not in others)
    return ViewSpec(
        name,
        version,
        query_spec,
        label_columns,
        description,
        to_transformation_specs(transformations),
        inference_helpers=inference_columns,
        training_helpers=training_columns,
        key_features=key_features,
        tags=parse_tags(tags),
    )
