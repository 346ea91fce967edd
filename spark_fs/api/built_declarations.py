"""What an aggregation declares of the group that is built of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_fs.errors import AlreadyExistsError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.aggregation import Aggregation
    from spark_fs.spec.feature_group import FeatureSpec, GroupSpec


def add_aggregation(name: str, fields: dict[str, Any], aggregation: Aggregation | None) -> None:
    """Declare what follows from the window features that the rows are built of.

    Args:
        name: The name of the group.
        fields: What was declared, to which key, event time and columns are added.
        aggregation: The window features; None: the rows are inserted.

    Raises:
        SettingsError: What was declared is not what they are by or known at.
    """
    if aggregation is None:
        return
    built_of = aggregation.spec
    _check_left_out(name, aggregation, fields)
    fields["aggregation"] = built_of
    fields["primary_key"] = built_of.by
    fields["event_time"] = aggregation.known_at
    fields["features"] = _list_built_columns(aggregation)
    fields["parents"] = fields["parents"] or tuple(dict.fromkeys(built_of.list_groups()))


def _check_left_out(name: str, aggregation: Aggregation, fields: Mapping[str, Any]) -> None:
    """Raise SettingsError for what was declared otherwise than the aggregation has it."""
    key = fields["primary_key"]
    event_time = fields["event_time"]
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
    if fields["features"]:
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


def check_aggregation(existing: GroupSpec, fields: Mapping[str, Any]) -> None:
    """Check that a group is built of the window features that are asked for, if any are.

    Args:
        existing: The group.
        fields: What was declared.

    Raises:
        AlreadyExistsError: It is not; the error lists each difference.
    """
    from spark_fs.planning.window_text import list_differences

    present = existing.aggregation
    wanted = fields.get("aggregation", present)
    if present == wanted:
        return
    if present is None:
        differences = ["its rows are inserted, not built by an aggregation"]
    else:
        differences = list_differences(present, wanted)
    raise AlreadyExistsError(
        f"Feature group {existing} exists already, and its window features were declared otherwise:"
        f" {'; '.join(differences)}. Nothing was changed. Use the same aggregation, or create a new"
        " version for another one."
    )
