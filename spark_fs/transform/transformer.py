"""Transformations bound to the columns of a view: which columns come out, and the function of one row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from spark_fs.base.types import INTEGERS, NUMERIC
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec
from spark_fs.transform.builtin import BUILTINS, Builtin, State, get_column_names
from spark_fs.transform.functions import make_value_function

CATEGORY_TYPES = (*INTEGERS, "boolean", "string", "date")
RowFunction = Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True)
class Transformation:
    """One that is bound: the types of its features, what it learned (None: nothing yet), and its outputs with their types."""

    spec: TransformationSpec
    types: tuple[str, ...]
    state: State | None
    outputs: tuple[tuple[str, str], ...]

    @property
    def function(self) -> FunctionSpec:
        """The function."""
        return self.spec.function

    @property
    def builtin(self) -> Builtin | None:
        """The row of the table; None for a user's function."""
        return BUILTINS[self.function.name] if self.function.mode == "builtin" else None

    @property
    def needs_fit(self) -> bool:
        """Whether it must be fitted."""
        return self.builtin is not None and self.builtin.required_statistic is not None


class Transformer:
    """What becomes of the columns of a view: of each row, the values of ``inputs`` in, those of ``columns`` out.

    columns: the features, by name and type. helpers: more columns that transformations may take and
    that do not come out. states: what each transformation learned, in their order; None: nothing
    was fitted, so what must learn cannot be run.
    """

    def __init__(
        self,
        transformations: Sequence[TransformationSpec],
        columns: Mapping[str, str],
        helpers: Mapping[str, str] | None = None,
        states: Sequence[State] | None = None,
    ) -> None:
        self._arguments = (tuple(transformations), dict(columns), dict(helpers or {}))
        known = {**(helpers or {}), **columns}
        self.transformations = tuple(
            _bind_transformation(spec, known, states[i] if states else None)
            for i, spec in enumerate(transformations)
        )
        used = {feature for spec in transformations for feature in spec.features}
        self.inputs = {
            name: type_ for name, type_ in known.items() if name in columns or name in used
        }
        self.columns = self._order_columns(columns)

    def with_states(self, states: Sequence[State]) -> Self:
        """A copy that has learned."""
        return type(self)(*self._arguments, states)

    @property
    def needs_fit(self) -> bool:
        """Whether anything must be fitted."""
        return any(each.needs_fit for each in self.transformations)

    @property
    def is_fitted(self) -> bool:
        """Whether all that must be fitted is."""
        return all(each.state is not None for each in self.transformations if each.needs_fit)

    def _order_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The columns that come out: what one feature gives stands in its place, what several give at the end."""
        instead: dict[str, list[tuple[str, str]]] = {}
        behind: list[tuple[str, str]] = []
        gone: set[str] = set()
        for each in self.transformations:
            gone |= {
                f
                for f, a in zip(each.spec.features, each.function.arguments, strict=True)
                if a in each.function.drop
            }
            if len(each.spec.features) == 1 and each.spec.features[0] in columns:
                instead.setdefault(each.spec.features[0], []).extend(each.outputs)
            else:
                behind += each.outputs
        found: list[tuple[str, str]] = []
        for name, type_ in columns.items():
            found += instead.get(name, [] if name in gone else [(name, type_)])
        found += behind
        for name, _ in found:
            if sum(name == other for other, _ in found) > 1:
                raise QueryError(
                    f"Two training columns would be named {name!r}: give one of the transformations"
                    " another name by .alias('...')."
                )
        return dict(found)

    def make_row_function(self) -> RowFunction:
        """The function from one row's inputs to its columns; it imports no library."""
        calls, names = [], list(self.inputs)
        for each in self.transformations:
            calls.append(
                (_make_call(each), tuple(names.index(feature) for feature in each.spec.features))
            )
            names += (name for name, _ in each.outputs)
        last = {
            name: place for place, name in enumerate(names)
        }  # an output may have the name of its feature
        plan = [last[name] for name in self.columns]
        if not calls and plan == list(range(len(names))):
            return list

        def run_row(values: Sequence[Any]) -> list[Any]:
            found = [*values]
            for call, places in calls:
                found += call(*[values[place] for place in places])
            return [found[place] for place in plan]

        return run_row


def _make_call(transformation: Transformation) -> Callable[..., Sequence[Any]]:
    """The function from the values of a transformation's features to those of its outputs."""
    if transformation.builtin is None:
        if transformation.function.mode == "pandas":
            from spark_fs.transform.arrays import make_pandas_row_function

            return make_pandas_row_function(transformation)
        return make_value_function(transformation.function)
    formula, nothing = transformation.builtin.formula(transformation.state or {}), (None,)
    if transformation.builtin.multi_output:
        none = (False,) * len(transformation.outputs)
        return lambda x: none if x is None else formula(x)
    if transformation.builtin.accepts == "number":
        return lambda x: nothing if x is None else (formula(float(x)),)
    return lambda x: nothing if x is None else (formula(x),)


def _bind_transformation(
    spec: TransformationSpec, column_types: Mapping[str, str], state: State | None
) -> Transformation:
    for feature in spec.features:
        if feature not in column_types:
            raise NotFoundError.for_name(
                f"Feature of transformation {spec.function}",
                feature,
                column_types,
                "Name columns of the query that are not labels.",
            )
    types = tuple(column_types[feature] for feature in spec.features)
    function = spec.function
    if function.mode != "builtin":
        return Transformation(
            spec,
            types,
            state,
            tuple(zip(_choose_output_names(spec), function.returns, strict=True)),
        )
    row = BUILTINS[function.name]
    takes = NUMERIC if row.accepts == "number" else CATEGORY_TYPES
    if types[0].partition("(")[0] not in takes:
        raise QueryError(
            f"Transformation {function} takes {', '.join(takes)}, and feature {spec.features[0]!r}"
            f" is {types[0]}: choose another."
        )
    if not row.multi_output:
        return Transformation(
            spec,
            types,
            state,
            ((spec.outputs[0] if spec.outputs else spec.features[0], row.returns),),
        )
    if spec.outputs:
        raise SettingsError(
            f"Transformation {function} has a column for each category, named for them: leave alias"
            " out."
        )
    names = get_column_names(spec.features[0], state) if state is not None else []
    return Transformation(spec, types, state, tuple((name, row.returns) for name in names))


def _choose_output_names(spec: TransformationSpec) -> tuple[str, ...]:
    """The names of a user's outputs: those that were chosen, the feature of an only one, or the function and its features."""
    returns = spec.function.returns
    if spec.outputs:
        if len(spec.outputs) != len(returns):
            raise SettingsError(
                f"Transformation {spec.function} has {len(returns)} outputs and alias names"
                f" {len(spec.outputs)}: name each once."
            )
        return spec.outputs
    if len(returns) == len(spec.features) == 1:
        return spec.features
    name = "_".join((spec.function.name, *spec.features))
    return tuple(f"{name}_{i}" for i in range(len(returns))) if len(returns) > 1 else (name,)
