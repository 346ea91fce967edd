"""Bind a transformation to the columns that it takes: their types, and its outputs with theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from spark_fs.base.types import INTEGERS, NUMERIC, get_base_type
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec
from spark_fs.transform.builtin import BUILTINS, Builtin
from spark_fs.transform.builtin_options import resolve_options
from spark_fs.transform.learning import PERCENTILES, Options, RequiredStatistic
from spark_fs.transform.states import State, get_column_names

_CATEGORIES = (*INTEGERS, "boolean", "string", "date")
_ACCEPTED_TYPES = {"number": NUMERIC, "category": _CATEGORIES}


class Source(NamedTuple):
    """Where a value comes from.

    Attributes:
        producer: the place of the transformation whose output it is; None for a column that goes
            in.
        name: its name.
    """

    producer: int | None
    name: str


class Learned(NamedTuple):
    """What a transformation must know of one of its features.

    Attributes:
        source: the feature.
        type: its type.
        statistic: what is to be known.
        argument: the argument that it is given as.
    """

    source: Source
    type: str
    statistic: RequiredStatistic
    argument: str


@dataclass(frozen=True)
class Transformation:
    """A transformation that is bound.

    Attributes:
        spec: the function and its features.
        types: the types of its features.
        sources: where its features come from.
        state: what it learned; None: nothing yet.
        outputs: its outputs with their types.
        options: what is set of it.
    """

    spec: TransformationSpec
    types: tuple[str, ...]
    sources: tuple[Source, ...]
    state: State | None
    outputs: tuple[tuple[str, str], ...]
    options: Options

    @property
    def function(self) -> FunctionSpec:
        """The function."""
        return self.spec.function

    @property
    def builtin(self) -> Builtin | None:
        """The row of the table; None for a user's function."""
        return get_builtin(self.function)

    @property
    def learned(self) -> tuple[Learned, ...]:
        """What it must know of its features, of the train split."""
        row = self.builtin
        arguments = self.function.arguments
        if row is not None:
            if row.required_statistic is None:
                return ()
            return (Learned(self.sources[0], self.types[0], row.required_statistic, arguments[0]),)
        learned: list[Learned] = []
        for argument, source, type_ in zip(arguments, self.sources, self.types, strict=True):
            if argument in self.function.statistics:
                learned.append(Learned(source, type_, _choose_statistic(type_), argument))
        return tuple(learned)

    @property
    def quantile_shares(self) -> tuple[float, ...]:
        """The quantiles of its features that it must know."""
        return PERCENTILES if self.builtin is None else self.builtin.list_shares(self.options)

    @property
    def needs_fit(self) -> bool:
        """Whether it must be fitted."""
        return bool(self.learned)


def _choose_statistic(type_: str) -> RequiredStatistic:
    """What a user's function is told of a feature of this type."""
    base_type = get_base_type(type_)
    if base_type in NUMERIC:
        return "description"
    return "counts" if base_type in _CATEGORIES else "rows"


def get_builtin(function: FunctionSpec) -> Builtin | None:
    """The row of a built-in function; None for a user's function."""
    return BUILTINS[function.name] if function.is_builtin else None


def bind_transformation(
    spec: TransformationSpec,
    columns: Mapping[Source, str],
    state: State | None,
    context: Mapping[str, Any],
) -> Transformation:
    """Bind a transformation to columns.

    Args:
        spec: the function and its features.
        columns: the columns that it may take, with their types; the last of a name counts.
        state: what it learned; None: nothing yet.
        context: what is set of it for this time, before what is set of it for good.

    Returns:
        The bound transformation; one with an output for each category has none before it learned.

    Raises:
        NotFoundError: for a feature that is not among the columns.
        QueryError: for a feature of a type that it does not take.
        SettingsError: for names of outputs that do not fit their number, or a setting that is not
            valid.
    """
    sources = tuple(_find_source(spec, feature, columns) for feature in spec.features)
    types = tuple(columns[source] for source in sources)
    row = get_builtin(spec.function)
    if row is None:
        names = name_outputs(spec)
        outputs = tuple(zip(names, spec.function.returns, strict=True))
        options, state = _resolve_user_context(spec, state, context)
        return Transformation(spec, types, sources, state, outputs, options)
    _check_accepted_type(spec, row, types[0])
    options = resolve_options(row.name, row.options, {**spec.context, **context})
    if row.required_statistic is None and (not state or row.options.keys() & context.keys()):
        state = row.fit(None, options)
    elif state is not None and row.options.keys() & context.keys():
        _check_learned_options(spec, row, state, options)
    names = _name_builtin_outputs(spec, row, state)
    outputs = tuple((name, row.returns) for name in names)
    return Transformation(spec, types, sources, state, outputs, options)


def _find_source(spec: TransformationSpec, feature: str, columns: Mapping[Source, str]) -> Source:
    is_chained = feature in spec.chained
    for source in reversed(list(columns)):
        if source.name == feature and is_chained is (source.producer is not None):
            return source
    raise NotFoundError.for_name(
        f"Feature of transformation {spec.function}",
        feature,
        [source.name for source in columns],
        "Name columns of the query that are not labels.",
    )


def _resolve_user_context(
    spec: TransformationSpec, state: State | None, context: Mapping[str, Any]
) -> tuple[Options, State | None]:
    """What is set of a user's function, and its state with that.

    What was set when it learned stays set, but for what is set for this time.
    """
    function = spec.function
    if not function.takes_context:
        return {}, state
    options = {**spec.context, **(state or {}).get("context", {}), **context}
    if state is None and function.statistics:
        return options, None
    return options, {**(state or {}), "context": options}


def _check_learned_options(
    spec: TransformationSpec, row: Builtin, state: State, options: Options
) -> None:
    """SettingsError for a setting that is not the one that a built-in learned with."""
    learned = state.get("options", resolve_options(row.name, row.options, {}))
    for name, value in options.items():
        if learned[name] != value:
            raise SettingsError(
                f"Transformation {spec} learned with {name}={learned[name]!r}, not {value!r}: leave"
                " it out, or make a training dataset with it."
            )


def _check_accepted_type(spec: TransformationSpec, row: Builtin, type_: str) -> None:
    accepted = _ACCEPTED_TYPES[row.accepts]
    if get_base_type(type_) not in accepted:
        raise QueryError(
            f"Transformation {spec.function} takes {', '.join(accepted)}, and feature"
            f" {spec.features[0]!r} is {type_}: choose another."
        )


def _name_builtin_outputs(
    spec: TransformationSpec, row: Builtin, state: State | None
) -> tuple[str, ...]:
    """The chosen name or the feature's, or a name for each category that is known."""
    if not row.multi_output:
        return name_outputs(spec)
    if spec.outputs:
        raise SettingsError(
            f"Transformation {spec.function} has a column for each category, named for them: leave"
            " alias out."
        )
    if state is None:
        return ()
    return tuple(get_column_names(spec.features[0], state))


def name_outputs(spec: TransformationSpec) -> tuple[str, ...]:
    """The names of the outputs of a transformation, but of one with an output for each category.

    They are those that were chosen, the feature of an only one, or made of the function's name and
    its features'.
    """
    function = spec.function
    output_count = 1 if function.is_builtin else len(function.returns)
    if spec.outputs:
        if len(spec.outputs) != output_count:
            raise SettingsError(
                f"Transformation {function} has {output_count} outputs and alias names"
                f" {len(spec.outputs)}: name each once."
            )
        return spec.outputs
    if output_count == len(spec.features) == 1:
        return spec.features
    name = "_".join((function.name, *spec.features))
    if output_count == 1:
        return (name,)
    return tuple(f"{name}_{i}" for i in range(output_count))


def list_source_names(transformations: Sequence[Transformation]) -> set[str]:
    """The columns that must go in for these transformations."""
    names: set[str] = set()
    for transformation in transformations:
        names.update(source.name for source in transformation.sources if source.producer is None)
    return names
