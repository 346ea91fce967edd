"""What can be set of a built-in transformation, by the names that Hopsworks' context has for it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.transform.learning import Options


@dataclass(frozen=True)
class Option:
    """One setting of a built-in.

    Attributes:
        default: its value where none is set.
        convert: the value that is meant; ValueError or TypeError for one that is none.
        described: what it may be.
    """

    default: Any
    convert: Callable[[Any], Any]
    described: str


def check_option_names(
    name: str, options: Mapping[str, Option], context: Mapping[str, Any]
) -> None:
    """Raise NotFoundError for a setting that the built-in of this name does not have."""
    for key in context:
        if key not in options:
            raise NotFoundError.for_name(
                f"transformation_context of {name!r} names a setting that",
                key,
                options,
                "Leave it out." if not options else "Use one of them.",
            )


def resolve_options(
    name: str, options: Mapping[str, Option], context: Mapping[str, Any]
) -> Options:
    """The value of each setting of a built-in.

    Args:
        name: the built-in.
        options: what can be set of it.
        context: what is set; names that are no setting of it are for others.

    Raises:
        SettingsError: for a value that does not fit.
    """
    resolved: dict[str, Any] = {}
    for key, option in options.items():
        value = context.get(key, option.default)
        try:
            resolved[key] = option.convert(value)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"transformation_context of {name!r} has {key}={value!r}: give {option.described}."
            ) from error
    return resolved


def to_bin_count(value: Any) -> int:
    """A number of bins."""
    return _to_integer_from(value, 2)


def to_category_count(value: Any) -> int:
    """A number of categories."""
    return _to_integer_from(value, 1)


def _to_integer_from(value: Any, least: int) -> int:
    number = int(value)
    if number < least or number != float(value):
        raise ValueError(value)
    return number


def to_finite_number(value: Any) -> float:
    """A number."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def to_percent(value: Any) -> float:
    """A percentage from 0 to 100."""
    number = float(value)
    if not 0 <= number <= 100:
        raise ValueError(value)
    return number
