"""Transformation functions as a user writes and attaches them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.transformation_contexts import check_context
from spark_fs.base.arguments import validate_arguments, validate_call
from spark_fs.errors import SettingsError
from spark_fs.spec.names import make_id
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec

if TYPE_CHECKING:
    import pandas as pd

    from spark_fs.api.transformation_executor import TransformationExecutor
    from spark_fs.catalog.store import Catalog
    from spark_fs.transform.statistics import TransformationStatistics


class TransformationType(Enum):
    """Who has a transformation: a feature view, a feature group, or nobody yet."""

    MODEL_DEPENDENT = "model_dependent"
    ON_DEMAND = "on_demand"
    UNDEFINED = "undefined"


@validate_arguments
class TransformationFunction:
    """A built-in or a user's function.

    Called with the names of features it is attached to these, as in ``min_max_scaler("amount")``.
    Called with another one it takes what that gives: ``min_max_scaler(impute_mean("amount"))``.
    """

    def __init__(
        self,
        function: FunctionSpec,
        features: Sequence[Any] | None = None,
        outputs: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec = function
        self._features = None if features is None else tuple(features)
        self._outputs = tuple(outputs)
        self._context = dict(context or {})
        self._learned: TransformationStatistics | None = None
        self._catalog: Catalog | None = None
        self._chained: tuple[str, ...] = ()
        self._type = TransformationType.UNDEFINED

    def __repr__(self) -> str:
        features = ", ".join(map(str, self._features or self.spec.arguments))
        return f"TransformationFunction({self.name}({features}))"

    @property
    def name(self) -> str:
        """The name."""
        return self.spec.name

    @property
    def version(self) -> int:
        """The version, from 1 up."""
        return self.spec.version

    @property
    def function_name(self) -> str:
        """The name."""
        return self.spec.name

    @property
    def hopsworks_udf(self) -> Self:
        """The function itself, which is not kept apart from its features here."""
        return self

    @property
    def transformation_features(self) -> list[str]:
        """The features that it is attached to."""
        return list(self.attached().features)

    @property
    def output_column_names(self) -> list[str]:
        """The names of its outputs, but of one with an output for each category."""
        from spark_fs.transform.binding import name_outputs

        return list(name_outputs(self.attached()))

    @property
    def return_types(self) -> list[str]:
        """The types of its outputs."""
        from spark_fs.transform.binding import get_builtin

        builtin = get_builtin(self.spec)
        return [builtin.returns] if builtin else list(self.spec.returns)

    @property
    def dropped_features(self) -> list[str]:
        """The features that do not stay beside its outputs."""
        spec = self.attached()
        pairs = zip(spec.features, self.spec.arguments, strict=True)
        is_single = len(spec.features) == 1
        return [feature for feature, argument in pairs if is_single or argument in self.spec.drop]

    @property
    def id(self) -> int:
        """A number that no other function has, made of its name and version."""
        return make_id(f"{self.name} {self.version}")

    @property
    def transformation_type(self) -> TransformationType:
        """Whether a feature view or a feature group has it."""
        return self._type

    @property
    def execution_mode(self) -> str:
        """The mode: "builtin", "python", "pandas" or "default"."""
        return self.spec.mode

    @property
    def transformation_context(self) -> dict[str, Any]:
        """What is set of it, by name, such as ``{"n_bins": 20}`` of equal_width_binner."""
        return dict(self._context)

    @transformation_context.setter
    def transformation_context(self, context: Mapping[str, Any] | None) -> None:
        self._context = check_context(context, self.spec)

    @property
    def transformation_statistics(self) -> TransformationStatistics | None:
        """What it learned, of a function that a feature view gives; None before."""
        return self._learned

    def _set_learned(self, state: Mapping[str, Any]) -> None:
        """Note what it learned."""
        from spark_fs.transform.statistics import describe_state

        self._learned = describe_state(self.spec, state)

    @classmethod
    def _open(cls, function: FunctionSpec, catalog: Catalog) -> Self:
        """The function as a feature store has it."""
        opened = cls(function)
        opened._catalog = catalog
        return opened

    @classmethod
    def _from_spec(cls, spec: TransformationSpec, type_: TransformationType) -> Self:
        """The function as a feature view or a feature group has it."""
        opened = cls(spec.function, spec.features, spec.outputs, spec.context)
        opened._chained = spec.chained
        opened._type = type_
        return opened

    def __call__(self, *features: Any) -> TransformationFunction:
        """The function attached to features, by their names in the query, or to other functions."""
        for feature in features:
            if not isinstance(feature, str | TransformationFunction):
                raise SettingsError(
                    f"Transformation {self.name!r} is attached to features by their names, and"
                    f" {feature!r} is not a feature name: see execute() to try it."
                )
        return TransformationFunction(self.spec, features, self._outputs, self._context)

    def alias(self, *names: Any) -> TransformationFunction:
        """The same function with these names for its outputs, one by one or in a list."""
        from spark_fs.spec.names import check_name

        if len(names) == 1 and isinstance(names[0], list | tuple):
            names = tuple(names[0])
        for name in names:
            check_name("Output of a transformation", name)
        return TransformationFunction(self.spec, self._features, names, self._context)

    def run(self, *values: Any) -> pd.Series | pd.DataFrame | Any:
        """What the function of a user makes of values (mode "python") or Series ("pandas")."""
        from spark_fs.transform.functions import load_function

        if self.spec.is_builtin:
            raise SettingsError(
                f"Transformation {self.name!r} has to learn from training data first: attach it to"
                " a feature view, or say what it learned: executor(statistics=...)."
            )
        return load_function(self.spec, {"context": self._context})(*values)

    def executor(
        self,
        statistics: TransformationStatistics | Mapping[str, Any] | Sequence[Any] | None = None,
        context: Mapping[str, Any] | None = None,
        online: bool = False,
    ) -> TransformationExecutor:
        """The function to be tried on values, told of statistics and settings.

        Args:
            statistics: What the train split is taken to say, by argument, such as
                ``{"feature": {"mean": 5.0, "std_dev": 2.0}}``.
            context: What is set of it; None: what is set already.
            online: Whether a function of mode "default" takes single values, as of one entry.

        Returns:
            What has ``execute(*values)``.
        """
        from spark_fs.api.transformation_executor import TransformationExecutor

        return TransformationExecutor(
            self.spec, statistics, self._context if context is None else context, online
        )

    def execute(self, *values: Any) -> pd.Series | pd.DataFrame | Any:
        """What the function makes of Series, or of values in mode "python"."""
        return self.executor().execute(*values)

    def save(self) -> Self:
        """The function itself: ``create_transformation_function`` has saved it."""
        return self

    def delete(self) -> None:
        """Forget a saved function, eagerly; feature views and groups that have it keep it.

        Raises SettingsError for a function that no feature store gave.
        """
        if self._catalog is None or self.spec.is_builtin:
            raise SettingsError(
                f"Transformation {self.name!r} is not a saved one: delete what"
                " fs.get_transformation_function(name, version) gives."
            )
        self._catalog.delete_function(self.spec)

    def attached(self, feature: str | None = None) -> TransformationSpec:
        """The function with its features.

        They are those that it was called with, or this one, or those that its arguments are named
        for. Raises SettingsError where it was called with others than this one.
        """
        return self.list_chain(feature)[-1]

    def list_chain(self, feature: str | None = None) -> list[TransformationSpec]:
        """The function with its features, after the functions that it was called with."""
        if feature is not None and self._features not in (None, (feature,)):
            raise SettingsError(
                f"Transformation {self!r} stands under feature {feature!r}: name the feature in one"
                " of the two places."
            )
        given: Sequence[Any] = self.spec.arguments
        if self._features:
            given = self._features
        elif feature is not None:
            given = (feature,)
        chain: list[TransformationSpec] = []
        features: list[str] = []
        chained = list(self._chained)
        for source in given:
            if isinstance(source, TransformationFunction):
                chain += source.list_chain()
                source = _name_only_output(chain[-1])
                chained.append(source)
            features.append(source)
        spec = TransformationSpec(
            self.spec, tuple(features), self._outputs, tuple(chained), self._context
        )
        return [*chain, spec]


def _name_only_output(spec: TransformationSpec) -> str:
    """The output of a transformation that another one takes."""
    from spark_fs.transform.binding import get_builtin, name_outputs

    builtin = get_builtin(spec.function)
    names = name_outputs(spec)
    if len(names) > 1 or (builtin is not None and builtin.multi_output):
        raise SettingsError(
            f"Transformation {spec} has several outputs, and a transformation takes one: name them"
            " by .alias('...'), and call it with a name."
        )
    return names[0]


@validate_call
def udf(
    return_type: Any, drop: str | Sequence[str] | None = None, mode: str = "default"
) -> Callable[[Callable[..., Any]], TransformationFunction]:
    """Decorate a function of features, to be attached to a feature view or a feature group.

    Its source is kept, with the modules and constants that it names, and the same source runs in
    training, batch and online. It must give the same for a row whatever rows are beside it. A
    parameter ``statistics=TransformationStatistics("amount")`` tells it what the train split says
    of that argument, a parameter ``context`` what was set by transformation_context.

    Args:
        return_type: A Python type (float, int, str, bool, bytes, datetime, date, Decimal), a
            feature type as a string, or a list of them for several outputs.
        drop: Which arguments do not stay beside the outputs; that of a function of one feature
            never does.
        mode: "default" or "pandas": a Series at a time, of integers and booleans pandas' nullable
            types, online of one row; or "python": a value at a time, None for a null, a time as a
            UTC datetime.

    Returns:
        The decorator.

    Raises:
        SettingsError: The source of the function cannot be kept.
        SchemaError: A type is not known.
    """
    from spark_fs.transform.function_source import build_function_spec

    def decorate(function: Callable[..., Any]) -> TransformationFunction:
        return TransformationFunction(build_function_spec(function, return_type, mode, drop))

    return decorate
