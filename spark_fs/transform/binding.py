"""Bind a transformation to the columns that it takes: their types, and its outputs with theirs."""

from collections.abc import Mapping
from dataclasses import dataclass

from spark_fs.base.types import INTEGERS, NUMERIC
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec
from spark_fs.transform.builtin import BUILTINS, Builtin
from spark_fs.transform.states import State, get_column_names

_ACCEPTED_TYPES = {"number": NUMERIC, "category": (*INTEGERS, "boolean", "string", "date")}


@dataclass(frozen=True)
class Transformation:
    """A transformation that is bound.

    Attributes:
        spec: the function and its features.
        types: the types of its features.
        state: what it learned; None: nothing yet.
        outputs: its outputs with their types.
    """

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
        return get_builtin(self.function)

    @property
    def needs_fit(self) -> bool:
        """Whether it must be fitted."""
        return self.builtin is not None and self.builtin.required_statistic is not None


def get_builtin(function: FunctionSpec) -> Builtin | None:
    """The row of a built-in function; None for a user's function."""
    return BUILTINS[function.name] if function.mode == "builtin" else None


def bind_transformation(
    spec: TransformationSpec, column_types: Mapping[str, str], state: State | None
) -> Transformation:
    """Bind a transformation to columns.

    Args:
        spec: the function and its features.
        column_types: the columns that it may take, with their types.
        state: what it learned; None: nothing yet.

    Returns:
        The bound transformation; one with an output for each category has none before it learned.

    Raises:
        NotFoundError: for a feature that is not among the columns.
        QueryError: for a feature of a type that it does not take.
        SettingsError: for names of outputs that do not fit their number.
    """
    for feature in spec.features:
        if feature not in column_types:
            raise NotFoundError.for_name(
                f"Feature of transformation {spec.function}",
                feature,
                column_types,
                "Name columns of the query that are not labels.",
            )
    types = tuple(column_types[feature] for feature in spec.features)
    row = get_builtin(spec.function)
    if row is None:
        names = _choose_output_names(spec)
        outputs = tuple(zip(names, spec.function.returns, strict=True))
    else:
        _check_accepted_type(spec, row, types[0])
        names = _name_builtin_outputs(spec, row, state)
        outputs = tuple((name, row.returns) for name in names)
    return Transformation(spec, types, state, outputs)


def _check_accepted_type(spec: TransformationSpec, row: Builtin, type_: str) -> None:
    accepted = _ACCEPTED_TYPES[row.accepts]
    if type_.partition("(")[0] not in accepted:
        raise QueryError(
            f"Transformation {spec.function} takes {', '.join(accepted)}, and feature"
            f" {spec.features[0]!r} is {type_}: choose another."
        )


def _name_builtin_outputs(
    spec: TransformationSpec, row: Builtin, state: State | None
) -> tuple[str, ...]:
    """The chosen name or the feature's, or a name for each category that is known."""
    if not row.multi_output:
        return (spec.outputs or spec.features)[:1]
    if spec.outputs:
        raise SettingsError(
            f"Transformation {spec.function} has a column for each category, named for them: leave"
            " alias out."
        )
    if state is None:
        return ()
    return tuple(get_column_names(spec.features[0], state))


def _choose_output_names(spec: TransformationSpec) -> tuple[str, ...]:
    """The names of a user's outputs.

    They are those that were chosen, the feature of an only one, or made of the function's name and
    its features'.
    """
    output_count = len(spec.function.returns)
    if spec.outputs:
        if len(spec.outputs) != output_count:
            raise SettingsError(
                f"Transformation {spec.function} has {output_count} outputs and alias names"
                f" {len(spec.outputs)}: name each once."
            )
        return spec.outputs
    if output_count == len(spec.features) == 1:
        return spec.features
    name = "_".join((spec.function.name, *spec.features))
    if output_count == 1:
        return (name,)
    return tuple(f"{name}_{i}" for i in range(output_count))
