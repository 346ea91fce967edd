"""What callers give: each argument of a public method is looked at once, by its annotation, before anything is done with it.

``@checked`` on a class wraps its public methods. It goes by the texts of annotations, so it loads
none of the types that they name, and costs about a microsecond a call. None stands for an empty
list or text where that is the default, as elsewhere in the field.
"""

from __future__ import annotations

import inspect
import numbers
import os
import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass
from datetime import date, timedelta
from functools import cache, wraps
from typing import Any, TypeVar, cast

from spark_fs.errors import InvalidNameError, SettingsError, SparkFSError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Check = Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool)
        and -(2**63) <= int(value) < 2**63
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return (
        isinstance(value, Collection)
        and not isinstance(value, str | bytes | Mapping)
        and not hasattr(value, "columns")
    )


def _is_string_list(value: Any) -> bool:
    return isinstance(value, str) or (
        _is_list(value) and all(isinstance(each, str) for each in value)
    )


def _has_string_keys(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, str) for each in value)


# What an annotation, or a part of one between bars, stands for: how it is told, and how it is said.
_CHECKS: Mapping[str, tuple[Check, str]] = {
    "None": (lambda value: value is None, "None"),
    "str": (lambda value: isinstance(value, str), "a text"),
    "JoinType": (lambda value: isinstance(value, str), "a text"),
    "bool": (
        lambda value: isinstance(value, bool) or type(value).__name__ == "bool",
        "True or False",
    ),
    "int": (_is_integer, "a whole number"),
    "float": (_is_number, "a number"),
    "Instant": (
        lambda value: isinstance(value, str | date) and value == value,
        "a time: a datetime, a date or an ISO 8601 text",
    ),
    "timedelta": (lambda value: isinstance(value, timedelta) and value == value, "a timedelta"),
    "os.PathLike[str]": (lambda value: isinstance(value, os.PathLike), "a path"),
    "Path": (lambda value: isinstance(value, os.PathLike), "a path"),
    "Sequence[str]": (_is_string_list, "a list of texts"),
    "Mapping": (_has_string_keys, "a mapping of names"),
    "Entry": (_has_string_keys, "a mapping of names to values"),
    "Sequence": (_is_list, "a list"),
}
# Whoever takes it looks at it, and says more of it than could be said here.
_UNCHECKED = (
    "Any",
    "object",
    "Builder",
    "Config",
    "Callable",
    "Unpack",
    "Listeners",
    "TransformationFunction",
)
_DURATION, _FEATURE = "timedelta | float | None", "Feature"


def validate_arguments(kind: type[T]) -> type[T]:
    """Let the public methods of a class look at what they are given; SettingsError names the argument, the value, and what to give."""
    wrapped: dict[Any, Any] = {}
    for name, method in list(vars(kind).items()):
        own = "__getitem__" if is_dataclass(kind) else ("__getitem__", "__init__")
        if inspect.isfunction(method) and (not name.startswith("_") or name in own):
            wrapped.setdefault(method, validate_call(method))
            setattr(kind, name, wrapped[method])
    return kind


def validate_call(function: F) -> F:
    """The function, which looks at what it is given."""
    parameters = inspect.signature(function).parameters.values()
    checks = [(each.name, get_check(str(each.annotation))) for each in parameters]
    by_name = {name: found for name, found in checks if found}
    by_place = [(place, name, found) for place, (name, found) in enumerate(checks) if found]
    empty = {each.name: each.default for each in parameters if each.default in ((), "")}

    @wraps(function)
    def validated_call(*args: Any, **kwargs: Any) -> Any:
        for place, name, found in by_place:
            if place >= len(args):
                break
            if not found[0](args[place]):
                args = (
                    *args[:place],
                    _get_replacement(name, args[place], found[1], empty),
                    *args[place + 1 :],
                )
        for name, value in kwargs.items():
            known = by_name.get(name)
            if known and not known[0](value):
                kwargs[name] = _get_replacement(name, value, known[1], empty)
        return function(*args, **kwargs)

    return cast(F, validated_call)


@cache
def get_check(annotation: str) -> tuple[Check, str] | None:
    """How a value of an annotation is told, and how it is said; None where any value may do."""
    parts = [part.strip() for part in re.split(r"\|(?![^\[]*\])", annotation)]
    if (
        annotation in ("", _DURATION)
        or any(part.startswith(_UNCHECKED) for part in parts)
        or "inspect._empty" in annotation
    ):
        return None
    found = [
        _CHECKS.get(part)
        or _get_list_check(part)
        or _CHECKS.get(part.partition("[")[0])
        or _get_class_check(part)
        for part in parts
    ]
    tests = tuple(test for test, _ in found)
    words = " or ".join(dict.fromkeys(words for _, words in found))
    return (
        tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)
    ), words


def _get_replacement(
    name: str, value: Any, expected: str, empty_defaults: Mapping[str, Any]
) -> Any:
    """What stands in for a value that is not what it should be; SettingsError or InvalidNameError where nothing does."""
    if value is None and name in empty_defaults:
        return empty_defaults[name]
    raise make_argument_error(name, value, expected)


def make_argument_error(name: str, value: Any, expected: str) -> SparkFSError:
    """The error for an argument that is not what it should be."""
    try:
        shown = reprlib.repr(value)
    except Exception:  # of a value that cannot even be shown
        shown = f"a {type(value).__name__}"
    if name in ("name", "experiment"):
        return InvalidNameError.for_name("The name", shown)
    numbered = (
        expected.replace("a whole number", "a whole number from 1 up")
        if name.endswith("version")
        else expected
    )
    return SettingsError(f"{name}={shown} is not {numbered}. Nothing was done: give what it takes.")


def _get_list_check(part: str) -> tuple[Check, str] | None:
    """A list of things of one kind."""
    kind, _, inner = part.partition("[")
    each = (
        get_check(inner.removesuffix("]"))
        if kind == "Sequence" and inner != f"{_FEATURE}]"
        else None
    )
    return each and (
        lambda value: _is_list(value) and all(map(each[0], value)),
        f"a list, each {each[1]}",
    )


def _get_class_check(class_name: str) -> tuple[Check, str]:
    """A class of ours, told by its name, so that it need not be loaded."""
    article = "an" if class_name[0] in "AEIOU" else "a"
    return (
        lambda value: any(each.__name__ == class_name for each in type(value).__mro__)
    ), f"{article} {class_name}"
