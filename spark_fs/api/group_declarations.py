"""What callers declare of feature groups, as the fields of their definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_fs.api.built_declarations import add_aggregation, check_aggregation
from spark_fs.api.declarations import to_column_names
from spark_fs.api.feature import to_feature_specs
from spark_fs.api.options import to_seconds
from spark_fs.api.tags import parse_tags
from spark_fs.api.taken import warn_of_arguments
from spark_fs.api.transformation_lists import to_on_demand_specs
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import AlreadyExistsError, NotOfferedError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.feature import Feature
    from spark_fs.spec.feature_group import FeatureSpec, GroupSpec

# Arguments of Hopsworks that mean nothing here, by the reason.
_TAKEN = {
    "rows are inserted in batches, and no topic is between": (
        "stream",
        "topic_name",
        "notification_topic_name",
        "offline_backfill_every_hr",
        "sink_job_conf",
        "sink_job",
    ),
    "the table is Delta's, in the warehouse, and optimize() clusters it by key and event time": (
        "storage_connector",
        "path",
        "data_source",
        "online_partition_columns",
        "zorder_by",
        "clustered_by",
        "bucket_index",
        "sort_order",
    ),
    "write_options={'keep': 'last', 'order_by': column} says which of several rows is kept": (
        "hudi_precombine_key",
    ),
    "the online store is the one of the setting online_url": ("online_config", "online_disk"),
}
_GRAIN = re.compile(r"(year|month|day)\((\w+)\)")
_COLUMN = re.compile(r"(?:identity\()?(\w+)\)?")


def declare_group(method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """List the fields of a definition that a caller gives.

    Args:
        method: The method that was called, for warnings.
        arguments: Those of ``create_feature_group``, by name, as they were given.

    Returns:
        The fields of a ``GroupSpec``, without name and version; those left out are missing.

    Raises:
        SparkFSError: An argument is not valid.
    """
    _warn_of_taken(method, arguments)
    columns = to_column_specs(arguments["features"])
    event_time = to_event_time(arguments["event_time"])
    key = _to_key("primary", arguments)
    fields = {
        "description": arguments["description"],
        "primary_key": _leave_out_event_time(arguments["name"], key, event_time),
        "partition_key": _to_partition_key(method, arguments, event_time),
        "foreign_key": _to_key("foreign", arguments),
        "event_time": event_time,
        "online_enabled": arguments["online_enabled"],
        "features": columns,
        "parents": tuple(parent.spec.ref for parent in arguments["parents"]),
        "keep_corrections": arguments.get("keep_corrections"),
        "tags": parse_tags(arguments.get("tags")),
    }
    add_aggregation(arguments["name"], fields, arguments.get("aggregation"))
    _add_on_demand_columns(fields, arguments.get("transformation_functions"))
    given = {name: value for name, value in fields.items() if value}
    return {**given, **_declare_settings(arguments)}


def _add_on_demand_columns(fields: dict[str, Any], functions: Any) -> None:
    """The transformations that compute columns, and these, where columns are declared."""
    specs = to_on_demand_specs(functions)
    fields["transformations"] = specs
    if specs and fields.get("aggregation"):
        raise SettingsError(
            "transformation_functions compute columns of rows that are inserted, and an aggregation"
            " builds its own: attach them to a feature view, or to a group that is inserted into."
        )
    if not specs or not fields["features"]:
        return
    from spark_fs.spec.feature_group import FeatureSpec
    from spark_fs.transform.on_demand import find_dropped, list_output_types

    dropped = find_dropped(specs)
    declared = {feature.name: feature for feature in fields["features"]}
    for name, type_ in list_output_types(specs).items():
        declared.setdefault(name, FeatureSpec(name, type_))
    fields["features"] = tuple(feature for name, feature in declared.items() if name not in dropped)


def _declare_settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of which None alone says that they were left out."""
    from spark_fs.spec.expectations import parse_suite
    from spark_fs.spec.feature_statistics import StatisticsConfig

    fields: dict[str, Any] = {}
    ttl = to_seconds("ttl", arguments["ttl"])
    is_enabled = arguments["ttl_enabled"]
    if is_enabled and ttl is None:
        raise SettingsError("ttl_enabled=True needs a length of time: give ttl=.")
    if is_enabled is False:
        fields["ttl_seconds"] = None
        fields["unused_ttl"] = ttl
    elif ttl is not None:
        fields["ttl_seconds"] = ttl
    if arguments["expectation_suite"] is not None:
        fields["expectation_suite"] = parse_suite(arguments["expectation_suite"])
    if arguments["statistics_config"] is not None:
        config = StatisticsConfig.from_argument(arguments["statistics_config"])
        fields["statistics_config"] = config.to_json()
    return fields


def build_declared_group(name: str, version: int, fields: Mapping[str, Any]) -> GroupSpec:
    """Define a group by what was declared of it.

    Args:
        name: The name.
        version: The version.
        fields: What ``declare_group`` gave.

    Returns:
        The definition.

    Raises:
        SparkFSError: It is not valid.
    """
    from spark_fs.spec.feature_group import GroupSpec

    declared = dict(fields)
    unused_ttl = declared.pop("unused_ttl", None)
    group = GroupSpec(name, version, **declared)
    return group if unused_ttl is None else group.with_unused_ttl(unused_ttl)


def check_declared_group(existing: GroupSpec, fields: Mapping[str, Any]) -> None:
    """Check that a group is what a caller declares; what was left out may be anything.

    A description that differs is named in a warning.

    Args:
        existing: The group.
        fields: What ``declare_group`` gave.

    Raises:
        AlreadyExistsError: It was declared otherwise; it lists each difference.
    """
    from spark_fs.spec.expectations import with_kept_options

    check_aggregation(existing, fields)
    if fields.get("description", existing.description) != existing.description:
        warn_user(
            f"Feature group {existing} keeps its description, {existing.description!r}: use"
            " update_description to change it."
        )
    changes = []
    for field in fields.keys() - {"description", "tags", "aggregation", "unused_ttl"}:
        name = "types" if field == "features" else field
        present = getattr(existing, name)
        wanted = fields[field]
        if field == "features":
            wanted = {feature.name: feature.type for feature in wanted}
        if field == "expectation_suite":
            # code that attaches a suite at creation says nothing of what was changed since
            wanted = with_kept_options(wanted, present)
        if present != wanted:
            changes.append(f"{name} is {_show(present)}, not {_show(wanted)}")
    if changes:
        raise AlreadyExistsError(
            f"Feature group {existing} exists already and was declared otherwise:"
            f" {'; '.join(sorted(changes))}. Use the same arguments, leave them out, or ask for"
            " another version."
        )


def _show(value: Any) -> str:
    return repr(list(map(str, value)) if isinstance(value, tuple) else value)


# -- arguments


def _warn_of_taken(method: str, arguments: Mapping[str, Any]) -> None:
    """Warn of arguments that mean nothing here; NotOfferedError for those that ask for rows."""
    if arguments.get("embedding_index") is not None:
        raise NotOfferedError.for_call(
            f"{method}(embedding_index=)",
            "keeps vectors to search for the nearest",
            "keep them as an array column, and search them with a library for it",
        )
    if arguments.get("sink_enabled"):
        raise NotOfferedError.for_call(
            f"{method}(sink_enabled=True)",
            "copies the rows of a data source by a job",
            "read the source and insert its rows, or join it by create_external_feature_group",
        )
    for reason, names in _TAKEN.items():
        given = {name: arguments.get(name) for name in names}
        warn_of_arguments(method, given, reason)
    table_format = arguments.get("time_travel_format")
    if str(table_format).upper() not in ("NONE", "DELTA"):
        warn_of_arguments(
            method, {"time_travel_format": table_format}, "a group is always a Delta table"
        )


def to_column_specs(features: Sequence[Feature]) -> tuple[FeatureSpec, ...]:
    """Define declared columns, their names in lower snake case; SchemaError for what is none.

    Args:
        features: The columns.

    Returns:
        Their definitions.
    """
    from spark_fs.spec.names import normalize_names

    columns = to_feature_specs(features)
    names = normalize_names("features", [column.name for column in columns])
    return tuple(replace(column, name=name) for column, name in zip(columns, names, strict=True))


def to_event_time(event_time: str | Sequence[str] | None) -> str | None:
    """Read the argument event_time; SettingsError for several columns.

    Args:
        event_time: A column, or a list of one.

    Returns:
        The column, in lower snake case; None where none was given.
    """
    if not event_time:
        return None
    columns = [event_time] if isinstance(event_time, str) else list(event_time)
    if len(columns) > 1:
        raise SettingsError(f"event_time={columns!r} names several columns: give the one.")
    return to_column_names("event_time", columns)[0]


def _leave_out_event_time(
    name: str, key: tuple[str, ...], event_time: str | None
) -> tuple[str, ...]:
    """The primary key without the event time, which is part of a row's identity in any case."""
    if event_time not in key:
        return key
    others = tuple(column for column in key if column != event_time)
    if not others:
        return key
    warn_user(
        f"Feature group {name!r} has the primary key {list(others)!r}: a row is (primary key, event"
        f" time) already, so {event_time!r} is left out of it. Other groups are joined by the key"
        " at or before that time."
    )
    return others


def _to_key(role: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a key, or where none are given those that are declared to be of it."""
    columns = arguments.get(f"{role}_key") or ()
    if not columns:
        columns = [
            column.name for column in arguments["features"] if getattr(column, role, False) is True
        ]
    return to_column_names(f"{role}_key", columns)


def _to_partition_key(
    method: str, arguments: Mapping[str, Any], event_time: str | None
) -> tuple[str, ...]:
    """The partition key, or what Hopsworks' ``partitioned_by`` says in its place."""
    columns = _to_key("partition", arguments)
    transforms = arguments.get("partitioned_by") or ()
    if isinstance(transforms, str):
        raise SettingsError(f"partitioned_by={transforms!r} is a string: give a list of them.")
    if columns and transforms:
        raise SettingsError(
            f"{method} was given partition_key={list(columns)!r} and partitioned_by="
            f"{list(transforms)!r}: give one of the two."
        )
    for transform in transforms:
        grain = _GRAIN.fullmatch(transform)
        column = _COLUMN.fullmatch(transform)
        if grain and grain[2].lower() == event_time:
            columns = (*columns, grain[1])
        elif column:
            columns = (*columns, column[1].lower())
        else:
            reason = (
                f"a table is partitioned by columns and grains of its event time, not {transform}"
            )
            warn_of_arguments(method, {"partitioned_by": transforms}, reason)
    return columns
