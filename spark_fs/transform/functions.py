"""Functions that users write, from their kept source: training, batch and online run one text."""

import importlib
import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from spark_fs.base import times, types
from spark_fs.base.python_values import to_python
from spark_fs.errors import SparkFSError
from spark_fs.spec.transformation import FunctionSpec
from spark_fs.transform.states import State
from spark_fs.transform.statistics import build_statistics


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


def load_function(function: FunctionSpec, state: State | None = None) -> Callable[..., Any]:
    """The function of a definition, told of what it learned and what is set of it.

    Raises SparkFSError where a module that it imports is missing.
    """
    names = json.dumps(function.names, sort_keys=True)
    known = state or {}
    keywords: dict[str, Any] = {}
    if function.statistics:
        keywords["statistics"] = build_statistics(known.get("statistics", {}))
    if function.takes_context:
        keywords["context"] = dict(known.get("context", {}))
    try:
        loaded = _load_source(function.source, function.name, names)
        return partial(loaded, **keywords) if keywords else loaded
    except ImportError as error:
        raise SparkFSError(
            f"Transformation {function} needs {error.name}, which is not installed here:"
            " install it."
        ) from error


def make_value_function(
    function: FunctionSpec, state: State | None = None
) -> Callable[..., tuple[Any, ...]]:
    """A function in mode "python" as one of values.

    It gives as many values as the function has outputs, each of its type, and raises SparkFSError
    where the function fails or gives other values.
    """
    call = load_function(function, state)
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
