"""The built-in transformations, by name: every row of their table is there.

Each is attached to a feature, as in ``min_max_scaler("amount")``, in the
``transformation_functions`` of a feature view.
"""

from spark_fs.api.transformations import TransformationFunction
from spark_fs.errors import format_suggestions
from spark_fs.spec.transformation import FunctionSpec
from spark_fs.transform.builtin import BUILTINS

_FUNCTIONS = {name: TransformationFunction(FunctionSpec(name)) for name in BUILTINS}
__all__ = list(_FUNCTIONS)


def __getattr__(name: str) -> TransformationFunction:
    if name not in _FUNCTIONS:
        raise AttributeError(
            f"No built-in transformation is called {name!r}{format_suggestions(name, _FUNCTIONS)}"
        )
    return _FUNCTIONS[name]


def __dir__() -> list[str]:
    return sorted(_FUNCTIONS)
