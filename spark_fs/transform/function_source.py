"""Users' functions as definitions: their source, and what their global names stand for.

A function is taken from its file, with what its global names stand for: modules, what modules hold,
and plain constants. Anything else it would lose on the way, and it is refused.
"""

import ast
import builtins
import dis
import importlib
import inspect
import json
import textwrap
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import FunctionType, ModuleType
from typing import Any

from spark_fs.base import types
from spark_fs.errors import SchemaError, SettingsError
from spark_fs.spec.transformation import FunctionSpec, Mode
from spark_fs.transform.statistics import TransformationStatistics

_STATISTICS = "statistics"
_CONTEXT = "context"
_MODES: dict[str, Mode] = {"default": "default", "python": "python", "pandas": "pandas"}
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
    user_function: Callable[..., Any], return_type: Any, mode: str, drop: str | Sequence[str] | None
) -> FunctionSpec:
    """The definition of a user's function.

    Args:
        user_function: a function that is defined by ``def``.
        return_type: the type of its output, or a list of those of several outputs: feature types
            or Python types.
        mode: "python" for a value at a time, "pandas" or "default" for a Series at a time.
        drop: its arguments that do not stay beside the outputs; a string is one of them.

    Returns:
        The definition, with the function's source.

    Raises:
        SettingsError: for a function that cannot be kept as its source, and for other arguments
            that do not fit it.
        SchemaError: for a return type that does not exist.
    """
    kept_mode = _MODES.get(mode.lower()) if isinstance(mode, str) else None
    if kept_mode is None:
        raise SettingsError(
            f"mode {mode!r} of a transformation is not known: use 'python' (a value at a time),"
            " 'pandas' or 'default' (a Series at a time)."
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
    dropped_arguments = (drop,) if isinstance(drop, str) else tuple(drop or ())
    for dropped in dropped_arguments:
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
    return FunctionSpec(
        name,
        1,
        kept_mode,
        arguments,
        returns,
        dropped_arguments,
        source=_extract_source(user_function),
        names=_resolve_global_names(user_function),
        statistics=_list_statistics(user_function, arguments),
        takes_context=_CONTEXT in inspect.signature(user_function).parameters,
    )


def _list_arguments(user_function: FunctionType) -> tuple[str, ...]:
    """The parameters that are features: what has a default, statistics and context are not."""
    arguments: list[str] = []
    for name, parameter in inspect.signature(user_function).parameters.items():
        if name not in (_STATISTICS, _CONTEXT) and parameter.default is parameter.empty:
            arguments.append(name)
    return tuple(arguments)


def _list_statistics(user_function: FunctionType, arguments: Sequence[str]) -> tuple[str, ...]:
    """The arguments of which the function asks for statistics of the train split."""
    parameter = inspect.signature(user_function).parameters.get(_STATISTICS)
    if parameter is None or parameter.default is None or parameter.default is parameter.empty:
        return ()
    asked = parameter.default
    if not isinstance(asked, TransformationStatistics):
        raise SettingsError(
            f"Transformation {user_function.__name__!r} has statistics={asked!r}: give"
            " TransformationStatistics('...') with arguments of the function."
        )
    for name in asked.features:
        if name not in arguments:
            raise SettingsError(
                f"Transformation {user_function.__name__!r} asks for statistics of {name!r}, which"
                f" is not one of its arguments {', '.join(arguments)}."
            )
    return asked.features


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
    for keyword in (_STATISTICS, _CONTEXT):
        _move_to_keywords(tree.args, keyword)
    return ast.unparse(tree)


def _move_to_keywords(arguments: ast.arguments, name: str) -> None:
    """Let a parameter be given by its name alone, without the default that may not be there."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults
    for place, argument in enumerate(positional):
        if argument.arg == name:
            del defaults[place]
            arguments.posonlyargs = [one for one in arguments.posonlyargs if one is not argument]
            arguments.args = [one for one in arguments.args if one is not argument]
            arguments.defaults = [default for default in defaults if default is not None]
            arguments.kwonlyargs.append(argument)
            arguments.kw_defaults.append(ast.Constant(None))


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
