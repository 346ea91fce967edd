"""Definitions of groups and views from the arguments that declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.options import to_seconds
from spark_fs.api.query import Feature, Query, to_feature_specs
from spark_fs.api.transformations import to_transformation_specs
from spark_fs.errors import QueryError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec


def build_group_spec(
    name: str,
    version: int,
    description: str,
    primary_key: Sequence[str],
    partition_key: Sequence[str],
    event_time: str | None,
    online_enabled: bool,
    statistics_config: Any,
    suite: Any,
    features: Sequence[Feature],
    ttl: timedelta | float | None,
    parents: Sequence[Group],
    keep_corrections: bool = False,
) -> GroupSpec:
    """The definition of a group."""
    from spark_fs.spec.expectations import parse_suite
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_statistics import StatisticsConfig

    key, partition = (
        to_column_names("primary_key", primary_key),
        to_column_names("partition_key", partition_key),
    )
    return GroupSpec(
        name,
        version,
        description,
        key,
        partition,
        event_time,
        online_enabled,
        to_feature_specs(features),
        ttl_seconds=to_seconds("ttl", ttl),
        parents=tuple(parent.spec.ref for parent in parents),
        expectation_suite=None if suite is None else parse_suite(suite),
        keep_corrections=keep_corrections,
        statistics_config=(
            None
            if statistics_config is None
            else StatisticsConfig.from_argument(statistics_config).to_json()
        ),
    )


def to_column_names(argument: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of an argument; SettingsError for a text, which is no list."""
    if isinstance(columns, str):
        raise SettingsError(
            f"{argument}={columns!r} is a text: give a list of columns, as in"
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
    """The definition of a view."""
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
    helpers = (
        to_column_names("inference_helper_columns", inference_helpers),
        to_column_names("training_helper_columns", training_helpers),
    )
    named = (label,) if label is not None else to_column_names("labels", labels)
    return ViewSpec(
        name,
        version,
        query.spec,
        named,
        description,
        to_transformation_specs(transformations),
        inference_helpers=helpers[0],
        training_helpers=helpers[1],
    )
