"""What callers of feature vectors give: entries, passed features, and the errors for wrong ones.

A view in this process and a client of a server have the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from spark_fs.base.python_values import UnfitError, format_value
from spark_fs.errors import KeyValueError, SchemaError, SettingsError

Entry = Mapping[str, Any]
T = TypeVar("T")


class VectorRequest(NamedTuple):
    """What one caller asks of a view.

    passed: for each entry the values that win over stored ones. transform: whether the view's
    transformations are applied.
    """

    entries: Sequence[Entry]
    passed: Sequence[Entry]
    allow_missing: bool = False
    transform: bool = True


def choose_entry(entry: T | None, keys: T | None) -> T:
    """What was given by one of two names; SettingsError where it was by none or by both.

    Args:
        entry: Given as ``entry``.
        keys: Given as ``keys``.
    """
    if entry is not None and keys is None:
        return entry
    if keys is not None and entry is None:
        return keys
    raise SettingsError("Give the keys of an entry as entry=..., or as keys=....")


def spread_passed(
    argument: str, passed: Sequence[Entry] | Entry | None, count: int
) -> Sequence[Entry | None]:
    """A mapping for each entry; nothing where none was given.

    Args:
        argument: The name of the argument.
        passed: One mapping for all entries, or one for each.
        count: How many entries there are.

    Raises:
        SettingsError: There are more or fewer mappings than entries.
    """
    if not passed:
        return [None] * count
    if isinstance(passed, Mapping):
        return [passed] * count
    if len(passed) != count:
        raise SettingsError(
            f"{count} entries and {len(passed)} {argument}: give one mapping per entry."
        )
    return passed


def merge_passed(
    passable: Mapping[str, str], passed: Entry | None, requested: Entry | None
) -> Entry:
    """What was passed for an entry: request parameters win; those of no use are left out.

    Args:
        passable: The types of what may be passed, by name.
        passed: Features that win over stored ones.
        requested: Request parameters.
    """
    if not requested:
        return passed or {}
    known = {name: value for name, value in requested.items() if name in passable}
    return {**(passed or {}), **known}


def make_key_error(name: str, value: Any, type_: str, error: UnfitError) -> KeyValueError:
    """The error for a key that equals no value of its type.

    Args:
        name: Of the key.
        value: What was given.
        type_: The type of the key.
        error: Why it does not fit.
    """
    return KeyValueError(
        f"Key {name!r} is {format_value(value)}, but its type is {type_}: give a value of that"
        f" type, {error}."
    )


def make_feature_error(name: str, value: Any, type_: str, error: UnfitError) -> SchemaError:
    """The error for a passed feature that equals no value of its type.

    Args:
        name: Of the feature.
        value: What was passed.
        type_: The type of the feature.
        error: Why it does not fit.
    """
    return SchemaError(
        f"Passed feature {name!r} is {format_value(value)}, but its type is {type_}: pass a value"
        f" of that type, {error}."
    )
