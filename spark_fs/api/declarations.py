"""Define groups and views by the arguments that declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature import Feature, to_feature_specs
from spark_fs.api.options import to_seconds
from spark_fs.api.query import Query
from spark_fs.api.transformation_lists import to_transformation_specs
from spark_fs.errors import QueryError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.aggregation import Aggregation
    from spark_fs.api.group import Group
    from spark_fs.spec.external_source import SourceSpec
    from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
    from spark_fs.spec.feature_view import ViewSpec


def build_group_spec(
    name: str,
    version: int,
    description: str,
    primary_key: Sequence[str],
    partition_key: Sequence[str] = (),
    event_time: str | None = None,
    online_enabled: bool = False,
    statistics_config: Any = None,
    suite: Any = None,
    features: Sequence[Feature] = (),
    ttl: timedelta | float | None = None,
    parents: Sequence[Group] = (),
    keep_corrections: bool = False,
    aggregation: Aggregation | None = None,
) -> GroupSpec:
    """Define a group.

    Args:
        name: The name.
        version: The version.
        description: What it is for; the arguments are those of ``create_feature_group``.
        primary_key: The columns of the entity.
        partition_key: Columns, or grains of the event time (UTC).
        event_time: The column of the event time.
        online_enabled: Whether its rows are served.
        statistics_config: Which statistics are made; None: the usual ones.
        suite: The expectations that inserts are validated by.
        features: The columns; empty: those of the first insert.
        ttl: How old a row may be and still match, a timedelta or seconds.
        parents: The groups that it is made of.
        keep_corrections: Whether rows that are corrected are kept.
        aggregation: The window features that its rows are built of; its key, event time and columns
            follow from them.

    Returns:
        The definition.

    Raises:
        SparkFSError: An argument is not valid.
    """
    from spark_fs.spec.expectations import parse_suite
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_statistics import StatisticsConfig

    key = to_column_names("primary_key", primary_key)
    partition = to_column_names("partition_key", partition_key)
    columns = to_feature_specs(features)
    ttl_seconds = to_seconds("ttl", ttl)
    parent_refs = tuple(parent.spec.ref for parent in parents)
    expectation_suite = None if suite is None else parse_suite(suite)
    config = None
    built_of = None
    if aggregation is not None:
        built_of = aggregation.spec
        _check_left_out(name, aggregation, key, event_time, columns)
        key = built_of.by
        event_time = aggregation.known_at
        columns = _list_built_columns(aggregation)
        parent_refs = parent_refs or tuple(dict.fromkeys(built_of.list_groups()))
    if statistics_config is not None:
        config = StatisticsConfig.from_argument(statistics_config).to_json()
    return GroupSpec(
        name,
        version,
        description,
        key,
        partition,
        event_time,
        online_enabled,
        columns,
        ttl_seconds=ttl_seconds,
        parents=parent_refs,
        expectation_suite=expectation_suite,
        keep_corrections=keep_corrections,
        statistics_config=config,
        aggregation=built_of,
    )


def _check_left_out(
    name: str,
    aggregation: Aggregation,
    key: tuple[str, ...],
    event_time: str | None,
    columns: tuple[FeatureSpec, ...],
) -> None:
    """Raise SettingsError for what was declared otherwise than the aggregation has it."""
    if key and key != aggregation.spec.by:
        raise SettingsError(
            f"Feature group {name!r}: primary_key={list(key)!r} is not what its aggregation is by,"
            f" {aggregation.by!r}: leave primary_key out, or give the aggregation by=."
        )
    if event_time not in (None, aggregation.known_at):
        raise SettingsError(
            f"Feature group {name!r}: event_time={event_time!r} is not what its aggregation is"
            f" known at, {aggregation.known_at!r}: leave event_time out, or give the aggregation"
            " known_at=."
        )
    if columns:
        raise SettingsError(
            f"Feature group {name!r} has the columns of its aggregation: leave features out."
        )


def _list_built_columns(aggregation: Aggregation) -> tuple[FeatureSpec, ...]:
    """The columns of rows that an aggregation builds, each with what it is in words."""
    from spark_fs.spec.feature_group import FeatureSpec

    descriptions = {feature.name: feature.description for feature in aggregation.features}
    return tuple(
        FeatureSpec(column, type_, descriptions.get(column, ""))
        for column, type_ in aggregation.plan().row_schema.items()
    )


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
        The columns.

    Raises:
        SettingsError: A string was given, which is not a list.
    """
    if isinstance(columns, str):
        raise SettingsError(
            f"{argument}={columns!r} is a string: give a list of columns, as in"
            f" {argument}=[{columns!r}]."
        )
    return tuple(columns)


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

    Returns:
        The definition.

    Raises:
        QueryError: The query begins with a spine.
        SettingsError: An argument is not valid.
    """
    from spark_fs.spec.feature_view import ViewSpec

    if query.spine is not None:
        raise QueryError(
            f"A spine is a DataFrame of this session, which feature view {name!r} cannot keep:"
            " begin with a feature group."
        )
    if label is not None and labels:
        raise SettingsError(
            f"Feature view {name!r} was given labels={list(labels)!r} and label={label!r}: give one"
            " of the two."
        )
    inference_columns = to_column_names("inference_helper_columns", inference_helpers)
    training_columns = to_column_names("training_helper_columns", training_helpers)
    label_columns = (label,) if label is not None else to_column_names("labels", labels)
    return ViewSpec(
        name,
        version,
        query.spec,
        label_columns,
        description,
        to_transformation_specs(transformations),
        inference_helpers=inference_columns,
        training_helpers=training_columns,
    )
