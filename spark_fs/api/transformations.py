"""Transformation functions as a user writes and attaches them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec


@validate_arguments
class TransformationFunction:
    """A built-in or a user's function.

    Called with the names of features it is attached to these, as in ``min_max_scaler("amount")``.
    """

    def __init__(
        self,
        function: FunctionSpec,
        features: Sequence[str] | None = None,
        outputs: Sequence[str] = (),
    ) -> None:
        self.spec = function
        self._features = None if features is None else tuple(features)
        self._outputs = tuple(outputs)

    def __repr__(self) -> str:
        features = ", ".join(self._features or self.spec.arguments)
        return f"TransformationFunction({self.name}({features}))"

    @property
    def name(self) -> str:
        """The name."""
        return self.spec.name

    @property
    def version(self) -> int:
        """The version, from 1 up."""
        return self.spec.version

    def __call__(self, *features: str) -> TransformationFunction:
        """The function attached to features, by their names in the query."""
        for name in features:
            if not isinstance(name, str):
                raise SettingsError(
                    f"Transformation {self.name!r} is attached to features by their names, and"
                    f" {name!r} is not a feature name: see run() to try it."
                )
        return TransformationFunction(self.spec, features, self._outputs)

    def alias(self, *names: str) -> TransformationFunction:
        """The same function with these names for its outputs."""
        from spark_fs.spec.names import check_name

        for name in names:
            check_name("Output of a transformation", name)
        return TransformationFunction(self.spec, self._features, names)

    def run(self, *values: Any) -> Any:
        """What the function of a user makes of values (mode "python") or Series ("pandas")."""
        from spark_fs.transform.functions import load_function

        if self.spec.mode == "builtin":
            raise SettingsError(
                f"Transformation {self.name!r} has to learn from training data first: attach it to"
                " a feature view."
            )
        return load_function(self.spec)(*values)

    def save(self) -> Self:
        """The function itself: ``create_transformation_function`` has saved it."""
        return self

    def attached(self, feature: str | None = None) -> TransformationSpec:
        """The function with its features.

        They are those that it was called with, or this one, or those that its arguments are named
        for. Raises SettingsError where it was called with others than this one.
        """
        if feature is not None and self._features not in (None, (feature,)):
            raise SettingsError(
                f"Transformation {self!r} stands under feature {feature!r}: name the feature in one"
                " of the two places."
            )
        features = self.spec.arguments
        if self._features:
            features = self._features
        elif feature is not None:
            features = (feature,)
        return TransformationSpec(self.spec, features, self._outputs)


def udf(
    return_type: Any, mode: str = "python", drop: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], TransformationFunction]:
    """Decorate a function of features, to be attached to a feature view.

    Its source is kept, with the modules and constants that it names, and the same source runs in
    training, batch and online. It must give the same for a row whatever rows are beside it.

    Args:
        return_type: A Python type (float, int, str, bool, bytes, datetime, date, Decimal), a
            feature type as a string, or a list of them for several outputs.
        mode: "python": a value at a time, None for a null, a time as a UTC datetime; or "pandas": a
            Series at a time, of integers and booleans pandas' nullable types.
        drop: Which arguments do not stay beside the outputs; that of a function of one feature
            never does.

    Returns:
        The decorator.

    Raises:
        SettingsError: The source of the function cannot be kept.
        SchemaError: A type is not known.
    """
    from spark_fs.transform.functions import build_function_spec

    def decorate(function: Callable[..., Any]) -> TransformationFunction:
        return TransformationFunction(build_function_spec(function, return_type, mode, drop))

    return decorate


def to_transformation_specs(
    functions: Mapping[str, Any] | Sequence[Any] | None,
) -> tuple[TransformationSpec, ...]:
    """The transformations of a feature view.

    functions: a mapping of features to functions, or a list of attached functions.
    """
    pairs: list[tuple[str | None, Any]]
    if isinstance(functions, Mapping):
        pairs = list(functions.items())
    else:
        pairs = [(None, function) for function in functions or ()]
    for feature, function in pairs:
        if not isinstance(function, TransformationFunction):
            origin = f" (of feature {feature!r})" if feature else ""
            raise SettingsError(
                f"{function!r} is not a transformation function{origin}: take one from"
                " fs.get_transformation_function(name) or @spark_fs.udf."
            )
    return tuple(function.attached(feature) for feature, function in pairs)
