"""Functions that users write: kept as their source, so that training, batch and online run one and the same text.

A function is taken from its file, with what its global names stand for: modules, what modules hold,
and plain constants. Anything else it would lose on the way, and it is refused.
"""

import ast
import builtins
import dis
import importlib
import inspect
import json
import math
import struct
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

from spark_fs.base import times, types
from spark_fs.base.python_values import to_python
from spark_fs.errors import SchemaError, SettingsError, SparkFSError
from spark_fs.spec.transformation import FunctionSpec, Mode

_PYTHON_TYPES = {
    float: "double",
    int: "bigint",
    str: "string",
    bool: "boolean",
    bytes: "binary",
    datetime: "timestamp",
    date: "date",
    Decimal: "decimal(38,18)",
}


def build_function_spec(
    user_function: Callable[..., Any], return_type: Any, mode: str, drop: Sequence[str]
) -> FunctionSpec:
    """The definition of a user's function; SettingsError for one that cannot be kept as its source."""
    if not isinstance(mode, str) or mode not in ("python", "pandas"):
        raise SettingsError(
            f"mode {mode!r} of a transformation is not known: use 'python' (a value at a time) or"
            " 'pandas' (a Series at a time)."
        )
    if not isinstance(user_function, FunctionType):
        raise SettingsError(
            f"{user_function!r} is not a function defined by def: write one, since its source is"
            " kept."
        )
    parameters = inspect.signature(user_function).parameters.values()
    arguments = tuple(
        each.name for each in parameters if each.default is each.empty
    )  # what has a default is no feature
    returns = tuple(
        to_feature_type(one)
        for one in (return_type if isinstance(return_type, list | tuple) else [return_type])
    )
    for name in drop:
        if name not in arguments:
            raise SettingsError(
                f"Transformation {user_function.__name__!r}: drop names {name!r}, which is none of"
                f" its arguments {', '.join(arguments)}."
            )
    if not arguments or not returns:
        raise SettingsError(
            f"Transformation {user_function.__name__!r} needs a feature to take and a type to"
            " return: give it one of each at least."
        )
    source = _extract_source(user_function)
    kept: Mode = "python" if mode == "python" else "pandas"
    return FunctionSpec(
        user_function.__name__,
        1,
        kept,
        arguments,
        returns,
        tuple(drop),
        source,
        _resolve_global_names(user_function),
    )


def to_feature_type(declared_type: Any) -> str:
    """The feature type of a Python type or a text; SchemaError for what names none."""
    if isinstance(declared_type, type):
        if declared_type not in _PYTHON_TYPES:
            raise SchemaError(
                f"{declared_type!r} is not a type of features: use"
                f" {', '.join(t.__name__ for t in _PYTHON_TYPES)}, or a text such as"
                " 'array<double>'."
            )
        return _PYTHON_TYPES[declared_type]
    return types.parse_type(declared_type)


def _extract_source(user_function: FunctionType) -> str:
    """The text of the function alone, its decorators left out."""
    try:
        text = textwrap.dedent(inspect.getsource(user_function))
    except (OSError, TypeError):
        raise SettingsError(
            f"The source of transformation {user_function.__name__!r} is not to be had: define it"
            " in a file or a notebook cell."
        ) from None
    tree = ast.parse(text).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise SettingsError(
            f"Transformation {user_function.__name__!r} is not defined by def: write it as a"
            " function, since its source is kept."
        )
    tree.decorator_list = []
    for argument in (
        *tree.args.posonlyargs,
        *tree.args.args,
        *tree.args.kwonlyargs,
    ):  # annotations may name what is not there when it runs
        argument.annotation = None
    tree.returns = None
    return ast.unparse(tree)


def _resolve_global_names(user_function: FunctionType) -> dict[str, dict[str, Any]]:
    """What the global names of the function stand for."""
    if user_function.__closure__:
        raise SettingsError(
            f"Transformation {user_function.__name__!r} uses"
            f" {', '.join(user_function.__code__.co_freevars)} of the function that it is defined"
            " in, which its source does not hold: define it at the top of a module."
        )
    found = {}
    for name in sorted(_list_global_names(user_function.__code__)):
        if name in user_function.__globals__ and name != user_function.__name__:
            found[name] = _describe_global(
                user_function.__name__, name, user_function.__globals__[name]
            )
        elif not hasattr(builtins, name) and name not in user_function.__globals__:
            raise SettingsError(
                f"Transformation {user_function.__name__!r} uses {name!r}, which is not defined:"
                " import or define it first."
            )
    return found


def _list_global_names(code: Any) -> set[str]:
    """The global names that a code, or one inside of it, loads."""
    names = {
        step.argval
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    return names.union(
        *(_list_global_names(inner) for inner in code.co_consts if hasattr(inner, "co_code"))
    )


def _describe_global(function_name: str, name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, ModuleType):
        return {"module": value.__name__}
    home = getattr(value, "__module__", None)
    own: str = getattr(value, "__name__", "")
    if (
        isinstance(home, str)
        and home != "__main__"
        and getattr(importlib.import_module(home), own, None) is value
    ):
        return {"module": home, "name": own}
    try:
        if json.loads(json.dumps(value)) == value:
            return {"value": value}
    except (TypeError, ValueError):
        pass
    raise SettingsError(
        f"Transformation {function_name!r} uses {name!r} ({type(value).__name__}), which cannot be"
        " kept beside its source: define it inside the function, or import it from a module."
    )


@lru_cache(maxsize=1024)
def _load_source(source: str, name: str, names: str) -> Callable[..., Any]:
    """The function of a source; one text is compiled once in a process."""
    space: dict[str, Any] = {}
    for alias, what in json.loads(names).items():
        if "value" in what:
            space[alias] = what["value"]
        else:
            module = importlib.import_module(what["module"])
            space[alias] = getattr(module, what["name"]) if "name" in what else module
    exec(compile(source, f"<transformation {name}>", "exec"), space)  # noqa: S102 # the user's own function, by its kept source
    found: Callable[..., Any] = space[name]
    return found


def load_function(function: FunctionSpec) -> Callable[..., Any]:
    """The function that the definition holds; SparkFSError where a module that it imports is not there."""
    try:
        return _load_source(
            function.source, function.name, json.dumps(function.names, sort_keys=True)
        )
    except ImportError as error:
        raise SparkFSError(
            f"Transformation {function} needs {error.name}, which is not installed here:"
            " install it."
        ) from error


def make_value_function(function: FunctionSpec) -> Callable[..., tuple[Any, ...]]:
    """A function in mode "python" as one from values to as many values as it has outputs, each of its type."""
    call, several = load_function(function), len(function.returns) > 1
    convert = [
        _CONVERTERS.get(types.get_base_type(type_), _keep_unchanged) for type_ in function.returns
    ]

    def run_row(*values: Any) -> tuple[Any, ...]:
        try:
            found = call(*values)
            outputs: Sequence[Any] = tuple(found) if several else (found,)
            return tuple(
                None if v is None else to(to_python(v))
                for v, to in zip(outputs, convert, strict=True)
            )
        except Exception as error:
            given = ", ".join(
                f"{name}={value!r}" for name, value in zip(function.arguments, values, strict=True)
            )
            raise SparkFSError(
                f"Transformation {function} failed for {given}: {type(error).__name__}: {error}. It"
                f" must give {' and '.join(function.returns)}."
            ) from error

    return run_row


def _keep_unchanged(value: Any) -> Any:
    return value


def _to_integer(value: Any) -> int:
    if int(value) != value:
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def _to_float32(value: Any) -> float:
    found: float = (
        struct.unpack("f", struct.pack("f", value))[0] if math.isfinite(value) else float(value)
    )
    return found


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "double": float,
    "float": _to_float32,
    **dict.fromkeys(types.INTEGERS, _to_integer),
    "boolean": bool,
    "timestamp": times.as_utc,
}
