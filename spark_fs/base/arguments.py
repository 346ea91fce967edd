"""Arguments of public methods are checked once, by their annotations, before anything is done.

``@validate_arguments`` on a class wraps its public methods. An annotation is a string in our
modules and is read as an expression: its parts, between bars, are looked up by name in ``_CHECKS``.
So none of the types that it names is loaded, and a call costs about a microsecond. None stands for
an empty list or string where that is the default, as elsewhere in the field.
"""

from __future__ import annotations

import ast
import inspect
import numbers
import os
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, timedelta
from functools import cache, wraps
from typing import Any, NamedTuple, TypeVar, cast

from spark_fs.base.arithmetic import is_nan
from spark_fs.errors import InvalidNameError, SettingsError, SparkFSError, format_suggestions

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Check(NamedTuple):
    """Which values an annotation takes, and what these are called in an error."""

    accepts: Callable[[Any], bool]
    expected: str


def _is_none(value: Any) -> bool:
    return value is None


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ == "bool"  # NumPy's too


def _is_integer(value: Any) -> bool:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        return False
    return -(2**63) <= int(value) < 2**63


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_instant(value: Any) -> bool:
    is_time = isinstance(value, str | date) or type(value).__name__ == "datetime64"
    return (is_time and not is_nan(value)) or _is_integer(value)


def _is_duration(value: Any) -> bool:
    return isinstance(value, timedelta) and not is_nan(value)


def _is_path(value: Any) -> bool:
    return isinstance(value, os.PathLike)


def _is_list(value: Any) -> bool:
    return (
        isinstance(value, Collection)
        and not isinstance(value, str | bytes | Mapping)
        and not hasattr(value, "columns")  # a frame
    )


def _is_string_list(value: Any) -> bool:
    """A string is a list of one."""
    return _is_string(value) or (_is_list(value) and all(map(_is_string, value)))


def _has_string_keys(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_string, value))


_LIST = Check(_is_list, "a list")

# The check of each name that an annotation may hold, without what stands in its brackets. None:
# whoever takes the value checks it, and says more of it than could be said here. Any other name is
# a class of ours, see _make_class_check.
_CHECKS: Mapping[str, Check | None] = {
    "None": Check(_is_none, "None"),
    "str": Check(_is_string, "a string"),
    "JoinType": Check(_is_string, "a string"),
    "bool": Check(_is_boolean, "True or False"),
    "int": Check(_is_integer, "an integer"),
    "float": Check(_is_number, "a number"),
    "Instant": Check(_is_instant, "a time: a datetime, a date, an ISO 8601 string or an epoch"),
    "timedelta": Check(_is_duration, "a timedelta"),
    "os.PathLike": Check(_is_path, "a path"),
    "Path": Check(_is_path, "a path"),
    "Sequence": _LIST,
    "Mapping": Check(_has_string_keys, "a mapping of names"),
    "Entry": Check(_has_string_keys, "a mapping of names to values"),
    "Any": None,
    "object": None,
    "Builder": None,
    "Callable": None,
    "Config": None,
    "Listeners": None,
    "TransformationFunction": None,
    "Unpack": None,
}
# Lists whose elements are not checked one by one here, or in a way of their own.
_LIST_CHECKS: Mapping[str, Check] = {
    "str": Check(_is_string_list, "a list of strings"),
    "Feature": _LIST,
    "object": _LIST,
    "Any": _LIST,
}
# A length of time in seconds: whoever takes it says more of it.
_SECONDS = {"timedelta", "float"}


def validate_arguments(kind: type[T]) -> type[T]:
    """Wrap the public methods of a class, so that they check their arguments.

    A wrong one raises SettingsError, which names the argument, the value, and what it takes, and so
    does one that there is not.
    """
    checked_dunders = ("__getitem__",) if is_dataclass(kind) else ("__getitem__", "__init__")
    wrappers: dict[Any, Any] = {}  # one for each method, whatever names it has
    for name, method in list(vars(kind).items()):
        is_checked = not name.startswith("_") or name in checked_dunders
        if inspect.isfunction(method) and is_checked:
            if method not in wrappers:
                wrappers[method] = validate_call(method)
            setattr(kind, name, wrappers[method])
    return kind


def validate_call(function: F) -> F:
    """The function, which checks its arguments."""
    by_name: dict[str, Check] = {}
    by_position: list[tuple[int, str, Check]] = []
    empty_defaults: dict[str, Any] = {}
    for position, parameter in enumerate(inspect.signature(function).parameters.values()):
        check = _find_parameter_check(parameter)
        if check:
            by_name[parameter.name] = check
            by_position.append((position, parameter.name, check))
        if parameter.default in ((), ""):
            empty_defaults[parameter.name] = parameter.default

    def replace_or_raise(name: str, value: Any, check: Check) -> Any:
        if value is None and name in empty_defaults:
            return empty_defaults[name]
        raise make_argument_error(name, value, check.expected)

    @wraps(function)
    def validated_call(*args: Any, **kwargs: Any) -> Any:
        for position, name, check in by_position:
            if position >= len(args):
                break
            if not check.accepts(args[position]):
                value = replace_or_raise(name, args[position], check)
                args = (*args[:position], value, *args[position + 1 :])
        for name, value in kwargs.items():
            keyword_check = by_name.get(name)
            if keyword_check and not keyword_check.accepts(value):
                kwargs[name] = replace_or_raise(name, value, keyword_check)
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            traceback = error.__traceback__
            if traceback is None or traceback.tb_next is not None:
                raise  # by the function, and not by the call
            raise _make_call_error(function, kwargs, error) from None

    return cast(F, validated_call)


def _make_call_error(
    function: Callable[..., Any], kwargs: Mapping[str, Any], error: TypeError
) -> SettingsError:
    """The error for arguments that a function does not have, or for those that it lacks."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    for name in kwargs:
        if name not in names:
            suggestions = format_suggestions(name, names)
            return SettingsError(f"{function.__name__}() has no argument {name!r}{suggestions}")
    listed = ", ".join(names) or "no arguments"
    return SettingsError(f"{error}. It takes {listed}.")


def _find_parameter_check(parameter: inspect.Parameter) -> Check | None:
    if parameter.annotation is inspect.Parameter.empty:
        return None
    return get_check(str(parameter.annotation))


@cache
def get_check(annotation: str) -> Check | None:
    """The check of an annotation as it is written; None where any value may do."""
    if not annotation:
        return None
    parts = list(_split_union(ast.parse(annotation, mode="eval").body))
    if {ast.unparse(part) for part in parts} >= _SECONDS:
        return None
    checks = []
    for part in parts:
        check = _find_check(part)
        if check is None:
            return None
        checks.append(check)
    if len(checks) == 1:
        return checks[0]
    tests = [check.accepts for check in checks]
    expected = " or ".join(dict.fromkeys(check.expected for check in checks))
    return Check(lambda value: any(test(value) for test in tests), expected)


def _split_union(annotation: ast.expr) -> Iterator[ast.expr]:
    if isinstance(annotation, ast.BinOp):
        yield from _split_union(annotation.left)
        yield from _split_union(annotation.right)
    else:
        yield annotation


def _find_check(annotation: ast.expr) -> Check | None:
    """The check of a part of a union."""
    if not isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation)
        return _CHECKS[name] if name in _CHECKS else _make_class_check(name)
    name = ast.unparse(annotation.value)
    if name == "Sequence":
        return _get_list_check(ast.unparse(annotation.slice))
    return _CHECKS[name]


def _get_list_check(element_type: str) -> Check:
    if element_type in _LIST_CHECKS:
        return _LIST_CHECKS[element_type]
    element = get_check(element_type)
    if element is None:
        return _LIST
    return Check(
        lambda value: _is_list(value) and all(map(element.accepts, value)),
        f"a list, each {element.expected}",
    )


def _make_class_check(class_name: str) -> Check:
    """A class of ours, recognised by its name, so that it need not be loaded."""
    article = "an" if class_name[0] in "AEIOU" else "a"
    return Check(
        lambda value: any(base.__name__ == class_name for base in type(value).__mro__),
        f"{article} {class_name}",
    )


def make_argument_error(name: str, value: Any, expected: str) -> SparkFSError:
    """The error for an argument that is not what it should be.

    Args:
        name: of the argument.
        value: what was given.
        expected: what it should be.
    """
    try:
        shown = reprlib.repr(value)
    except Exception:  # of a value that cannot even be shown
        shown = f"a {type(value).__name__}"
    if name in ("name", "experiment"):
        return InvalidNameError.for_name("The name", shown)
    if name.endswith("version"):
        expected = expected.replace("an integer", "an integer from 1 up")
    return SettingsError(f"{name}={shown} is not {expected}.")
