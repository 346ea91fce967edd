"""Transformations of the columns of a view: which columns come out, and the function of one row."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from spark_fs.errors import QueryError
from spark_fs.spec.transformation import TransformationSpec
from spark_fs.transform.binding import (
    Source,
    Transformation,
    bind_transformation,
    list_source_names,
)
from spark_fs.transform.functions import make_value_function
from spark_fs.transform.states import State

RowFunction = Callable[[Sequence[Any]], list[Any]]
_NULL_OUTPUT = (None,)


class Transformer:
    """What becomes of the columns of a view: of each row, values of ``inputs`` to ``columns``.

    Args:
        transformations: those of the view; each stands after those whose outputs it takes.
        columns: the features, by name and type.
        helpers: more columns that transformations may take and that do not come out.
        states: what each transformation learned, in their order; None, of all or of one: nothing
            was fitted, so what must learn cannot be run.
        context: what is set of all transformations for this time.

    Attributes:
        transformations: the bound ones.
        inputs: the columns that go in, with their types.
        columns: the columns that come out, with their types.
        output_sources: where each of them comes from.
    """

    def __init__(
        self,
        transformations: Sequence[TransformationSpec],
        columns: Mapping[str, str],
        helpers: Mapping[str, str] | None = None,
        states: Sequence[State | None] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self._specs = tuple(transformations)
        self._columns = dict(columns)
        self._helpers = dict(helpers or {})
        self._context = dict(context or {})
        available = {**self._helpers, **columns}
        self.transformations = _bind_in_order(self._specs, available, states, self._context)
        used = list_source_names(self.transformations)
        self.inputs: dict[str, str] = {}
        for name, type_ in available.items():
            if name in columns or name in used:
                self.inputs[name] = type_
        self.columns: dict[str, str] = {}
        self.output_sources: dict[str, Source] = {}
        for source, type_ in self._order_columns():
            if source.name in self.columns:
                raise QueryError(
                    f"Two training columns would be named {source.name!r}: give one of the"
                    " transformations another name by .alias('...')."
                )
            self.columns[source.name] = type_
            self.output_sources[source.name] = source

    def with_states(self, states: Sequence[State | None]) -> Self:
        """A copy that has learned."""
        return type(self)(self._specs, self._columns, self._helpers, states, self._context)

    def with_context(self, context: Mapping[str, Any]) -> Self:
        """A copy that has learned the same, and of which this is set for this time."""
        states = [bound.state for bound in self.transformations]
        return type(self)(self._specs, self._columns, self._helpers, states, context)

    @property
    def needs_fit(self) -> bool:
        """Whether anything must be fitted."""
        return any(bound.needs_fit for bound in self.transformations)

    @property
    def is_fitted(self) -> bool:
        """Whether all that must be fitted is."""
        return all(bound.state is not None for bound in self.transformations if bound.needs_fit)

    def list_fittable(self) -> list[int]:
        """The places of those that have yet to learn, of features that can be computed already."""
        fittable: list[int] = []
        is_known: list[bool] = []
        for place, bound in enumerate(self.transformations):
            producers = (source.producer for source in bound.sources)
            can_take = all(producer is None or is_known[producer] for producer in producers)
            is_learned = bound.state is not None or not bound.needs_fit
            is_known.append(can_take and is_learned)
            if can_take and not is_learned:
                fittable.append(place)
        return fittable

    def list_inputs_of(self, sources: Iterable[Source]) -> list[str]:
        """The columns that go in that these values are computed of."""
        names: list[str] = []
        for source in sources:
            if source.producer is None:
                names.append(source.name)
            else:
                names += self.list_inputs_of(self.transformations[source.producer].sources)
        return list(dict.fromkeys(names))

    def _order_columns(self) -> list[tuple[Source, str]]:
        """The columns that come out, with where they come from and their types.

        What one feature gives stands in its place, what several give at the end.
        """
        replacements: dict[Source, list[tuple[Source, str]]] = {}
        columns = [(Source(None, name), type_) for name, type_ in self._columns.items()]
        dropped: set[Source] = set()
        for place, bound in enumerate(self.transformations):
            outputs = [(Source(place, name), type_) for name, type_ in bound.outputs]
            first = bound.sources[0]
            has_place = first.producer is not None or first.name in self._columns
            if len(bound.sources) == 1 and has_place:
                replacements.setdefault(first, []).extend(outputs)
            else:
                columns += outputs
            for source, argument in zip(bound.sources, bound.function.arguments, strict=True):
                if argument in bound.function.drop:
                    dropped.add(source)
        return list(_replace_columns(columns, replacements, dropped))

    def make_row_function(self) -> RowFunction:
        """The function from one row's inputs to its columns; it imports no library."""
        calls: list[tuple[Callable[..., Sequence[Any]], tuple[int, ...]]] = []
        places = {Source(None, name): place for place, name in enumerate(self.inputs)}
        for number, bound in enumerate(self.transformations):
            calls.append((make_call(bound), tuple(places[source] for source in bound.sources)))
            for name, _ in bound.outputs:
                places[Source(number, name)] = len(places)
        output_places = [places[source] for source in self.output_sources.values()]
        if not calls and output_places == list(range(len(places))):
            return list

        def run_row(values: Sequence[Any]) -> list[Any]:
            row = [*values]
            for call, feature_places in calls:
                row += call(*[row[place] for place in feature_places])
            return [row[place] for place in output_places]

        return run_row


def _bind_in_order(
    specs: Sequence[TransformationSpec],
    columns: Mapping[str, str],
    states: Sequence[State | None] | None,
    context: Mapping[str, Any],
) -> tuple[Transformation, ...]:
    """The transformations bound to columns, and to the outputs of those before them."""
    available = {Source(None, name): type_ for name, type_ in columns.items()}
    bound: list[Transformation] = []
    for place, spec in enumerate(specs):
        state = states[place] if states else None
        transformation = bind_transformation(spec, available, state, context)
        bound.append(transformation)
        for name, type_ in transformation.outputs:
            available[Source(place, name)] = type_
    return tuple(bound)


def _replace_columns(
    columns: Iterable[tuple[Source, str]],
    replacements: Mapping[Source, list[tuple[Source, str]]],
    dropped: Collection[Source],
) -> Iterator[tuple[Source, str]]:
    """The columns that stay; in the place of one that is transformed alone stand its outputs."""
    for source, type_ in columns:
        if source in replacements:
            yield from _replace_columns(replacements[source], replacements, dropped)
        elif source not in dropped:
            yield source, type_


def make_call(transformation: Transformation) -> Callable[..., Sequence[Any]]:
    """The function from the values of a transformation's features to those of its outputs."""
    if transformation.builtin is None:
        if transformation.function.takes_series:
            # a vector is served without pandas and pyarrow but for such a function
            from spark_fs.transform.user_columns import make_pandas_row_function

            return make_pandas_row_function(transformation)
        return make_value_function(transformation.function, transformation.state)
    formula = transformation.builtin.formula(transformation.state or {})
    if transformation.builtin.multi_output:
        no_category = (False,) * len(transformation.outputs)
        return lambda x: no_category if x is None else formula(x)
    if transformation.builtin.fills_nulls:
        if transformation.builtin.accepts == "number":
            return lambda x: (formula(None if x is None else float(x)),)
        return lambda x: (formula(x),)
    if transformation.builtin.accepts == "number":
        return lambda x: _NULL_OUTPUT if x is None else (formula(float(x)),)
    return lambda x: _NULL_OUTPUT if x is None else (formula(x),)
