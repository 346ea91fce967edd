"""Functions that users write, kept as their source: training, batch and online run the same text.

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
    """The definition of a user's function.

    Args:
        user_function: a function that is defined by ``def``.
        return_type: the type of its output, or a list of those of several outputs: feature types
            or Python types.
        mode: "python" for a value at a time, "pandas" for a Series at a time.
        drop: its arguments that do not stay beside the outputs.

    Returns:
        The definition, with the function's source.

    Raises:
        SettingsError: for a function that cannot be kept as its source, and for other arguments
            that do not fit it.
        SchemaError: for a return type that does not exist.
    """
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
    name = user_function.__name__
    arguments = _list_arguments(user_function)
    declared_types = return_type if isinstance(return_type, list | tuple) else [return_type]
    returns = tuple(to_feature_type(declared_type) for declared_type in declared_types)
    for dropped in drop:
        if dropped not in arguments:
            raise SettingsError(
                f"Transformation {name!r}: drop names {dropped!r}, which is not one of its"
                f" arguments {', '.join(arguments)}."
            )
    if not arguments or not returns:
        raise SettingsError(
            f"Transformation {name!r} needs a feature to take and a type to return: give it one of"
            " each at least."
        )
    kept_mode: Mode = "python" if mode == "python" else "pandas"
    return FunctionSpec(
        name,
        1,
        kept_mode,
        arguments,
        returns,
        tuple(drop),
        source=_extract_source(user_function),
        names=_resolve_global_names(user_function),
    )


def _list_arguments(user_function: FunctionType) -> tuple[str, ...]:
    """The parameters that are features: what has a default is not one."""
    parameters = inspect.signature(user_function).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)


def to_feature_type(declared_type: Any) -> str:
    """The feature type of a Python type or a string; SchemaError for what is not a type."""
    if not isinstance(declared_type, type):
        return types.parse_type(declared_type)
    if declared_type not in _PYTHON_TYPES:
        names = ", ".join(python_type.__name__ for python_type in _PYTHON_TYPES)
        raise SchemaError(
            f"{declared_type!r} is not a type of features: use {names}, or a string such as"
            " 'array<double>'."
        )
    return _PYTHON_TYPES[declared_type]


# -- a function's source


def _extract_source(user_function: FunctionType) -> str:
    """The text of the function alone, without its decorators and annotations."""
    name = user_function.__name__
    try:
        text = textwrap.dedent(inspect.getsource(user_function))
    except (OSError, TypeError):
        raise SettingsError(
            f"The source of transformation {name!r} cannot be read: define it in a file or a"
            " notebook cell."
        ) from None
    tree = ast.parse(text).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise SettingsError(
            f"Transformation {name!r} is not defined by def: write it as a function, since its"
            " source is kept."
        )
    tree.decorator_list = []
    # annotations may name what is not there when it runs
    for argument in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs):
        argument.annotation = None
    tree.returns = None
    return ast.unparse(tree)


def _resolve_global_names(user_function: FunctionType) -> dict[str, dict[str, Any]]:
    """What the global names of the function stand for."""
    function_name = user_function.__name__
    if user_function.__closure__:
        raise SettingsError(
            f"Transformation {function_name!r} uses"
            f" {', '.join(user_function.__code__.co_freevars)} of the function that it is defined"
            " in, which its source does not hold: define it at the top of a module."
        )
    namespace = user_function.__globals__
    resolved: dict[str, dict[str, Any]] = {}
    for name in sorted(_list_global_names(user_function.__code__)):
        if name in namespace:
            if name != function_name:
                resolved[name] = _describe_global(function_name, name, namespace[name])
        elif not hasattr(builtins, name):
            raise SettingsError(
                f"Transformation {function_name!r} uses {name!r}, which is not defined: import or"
                " define it first."
            )
    return resolved


def _list_global_names(code: Any) -> set[str]:
    """The global names that a code, or one inside of it, loads."""
    names: set[str] = set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(step.argval)
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            names |= _list_global_names(constant)
    return names


def _describe_global(function_name: str, name: str, value: Any) -> dict[str, Any]:
    """A global as JSON: a module, what a module holds, or a constant."""
    if isinstance(value, ModuleType):
        return {"module": value.__name__}
    module = getattr(value, "__module__", None)
    own_name: str = getattr(value, "__name__", "")
    if isinstance(module, str) and module != "__main__" and _is_in_module(value, module, own_name):
        return {"module": module, "name": own_name}
    try:
        if json.loads(json.dumps(value)) == value:
            return {"value": value}
    except (TypeError, ValueError):
        pass
    raise SettingsError(
        f"Transformation {function_name!r} uses {name!r} ({type(value).__name__}), which cannot be"
        " kept beside its source: define it inside the function, or import it from a module."
    )


def _is_in_module(value: Any, module: str, name: str) -> bool:
    return getattr(importlib.import_module(module), name, None) is value


# -- a function from its source


@lru_cache(maxsize=1024)
def _load_source(source: str, name: str, names: str) -> Callable[..., Any]:
    """The function of a source; one text is compiled once in a process."""
    namespace: dict[str, Any] = {}
    for alias, described in json.loads(names).items():
        if "value" in described:
            namespace[alias] = described["value"]
            continue
        module = importlib.import_module(described["module"])
        if "name" in described:
            namespace[alias] = getattr(module, described["name"])
        else:
            namespace[alias] = module
    exec(compile(source, f"<transformation {name}>", "exec"), namespace)  # noqa: S102 # the user's own function, by its kept source
    function: Callable[..., Any] = namespace[name]
    return function


def load_function(function: FunctionSpec) -> Callable[..., Any]:
    """The function of a definition; SparkFSError where a module that it imports is missing."""
    names = json.dumps(function.names, sort_keys=True)
    try:
        return _load_source(function.source, function.name, names)
    except ImportError as error:
        raise SparkFSError(
            f"Transformation {function} needs {error.name}, which is not installed here:"
            " install it."
        ) from error


def make_value_function(function: FunctionSpec) -> Callable[..., tuple[Any, ...]]:
    """A function in mode "python" as one of values.

    It gives as many values as the function has outputs, each of its type, and raises SparkFSError
    where the function fails or gives other values.
    """
    call = load_function(function)
    has_several = len(function.returns) > 1
    converters = [_get_converter(type_) for type_ in function.returns]

    def run_row(*values: Any) -> tuple[Any, ...]:
        try:
            result = call(*values)
            outputs: Sequence[Any] = tuple(result) if has_several else (result,)
            return tuple(
                None if output is None else convert(to_python(output))
                for output, convert in zip(outputs, converters, strict=True)
            )
        except Exception as error:
            pairs = zip(function.arguments, values, strict=True)
            arguments = ", ".join(f"{name}={value!r}" for name, value in pairs)
            raise SparkFSError(
                f"Transformation {function} failed for {arguments}: {type(error).__name__}:"
                f" {error}. It must give {' and '.join(function.returns)}."
            ) from error

    return run_row


def _get_converter(type_: str) -> Callable[[Any], Any]:
    return _CONVERTERS.get(types.get_base_type(type_), _keep_unchanged)


def _keep_unchanged(value: Any) -> Any:
    return value


def _to_integer(value: Any) -> int:
    if int(value) != value:
        raise ValueError(f"{value!r} is not an integer")
    return int(value)


def _to_float32(value: Any) -> float:
    if not math.isfinite(value):
        return float(value)
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "double": float,
    "float": _to_float32,
    **dict.fromkeys(types.INTEGERS, _to_integer),
    "boolean": bool,
    "timestamp": times.as_utc,
}
