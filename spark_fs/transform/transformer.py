"""Transformations of the columns of a view: which columns come out, and the function of one row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from spark_fs.errors import QueryError
from spark_fs.spec.transformation import TransformationSpec
from spark_fs.transform.binding import Transformation, bind_transformation
from spark_fs.transform.functions import make_value_function
from spark_fs.transform.states import State

RowFunction = Callable[[Sequence[Any]], list[Any]]
_NULL_OUTPUT = (None,)


class Transformer:
    """What becomes of the columns of a view: of each row, values of ``inputs`` to ``columns``.

    Args:
        transformations: those of the view, in their order.
        columns: the features, by name and type.
        helpers: more columns that transformations may take and that do not come out.
        states: what each transformation learned, in their order; None: nothing was fitted, so what
            must learn cannot be run.

    Attributes:
        transformations: the bound ones.
        inputs: the columns that go in, with their types.
        columns: the columns that come out, with their types.
    """

    def __init__(
        self,
        transformations: Sequence[TransformationSpec],
        columns: Mapping[str, str],
        helpers: Mapping[str, str] | None = None,
        states: Sequence[State] | None = None,
    ) -> None:
        self._arguments = (tuple(transformations), dict(columns), dict(helpers or {}))
        available = {**(helpers or {}), **columns}
        self.transformations = tuple(
            bind_transformation(spec, available, states[i] if states else None)
            for i, spec in enumerate(transformations)
        )
        used = set[str]().union(*(spec.features for spec in transformations))
        self.inputs: dict[str, str] = {}
        for name, type_ in available.items():
            if name in columns or name in used:
                self.inputs[name] = type_
        self.columns = self._order_columns(columns)

    def with_states(self, states: Sequence[State]) -> Self:
        """A copy that has learned."""
        return type(self)(*self._arguments, states)

    @property
    def needs_fit(self) -> bool:
        """Whether anything must be fitted."""
        return any(bound.needs_fit for bound in self.transformations)

    @property
    def is_fitted(self) -> bool:
        """Whether all that must be fitted is."""
        return all(bound.state is not None for bound in self.transformations if bound.needs_fit)

    def _order_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The columns that come out, with their types.

        What one feature gives stands in its place, what several give at the end.
        """
        replacements: dict[str, list[tuple[str, str]]] = {}
        appended: list[tuple[str, str]] = []
        dropped = self._find_dropped_features()
        for bound in self.transformations:
            features = bound.spec.features
            if len(features) == 1 and features[0] in columns:
                replacements.setdefault(features[0], []).extend(bound.outputs)
            else:
                appended += bound.outputs
        ordered: list[tuple[str, str]] = []
        for name, type_ in columns.items():
            if name in replacements:
                ordered += replacements[name]
            elif name not in dropped:
                ordered.append((name, type_))
        ordered += appended
        _check_names_differ([name for name, _ in ordered])
        return dict(ordered)

    def _find_dropped_features(self) -> set[str]:
        dropped: set[str] = set()
        for bound in self.transformations:
            pairs = zip(bound.spec.features, bound.function.arguments, strict=True)
            for feature, argument in pairs:
                if argument in bound.function.drop:
                    dropped.add(feature)
        return dropped

    def make_row_function(self) -> RowFunction:
        """The function from one row's inputs to its columns; it imports no library."""
        calls: list[tuple[Callable[..., Sequence[Any]], tuple[int, ...]]] = []
        names = list(self.inputs)
        for bound in self.transformations:
            places = tuple(names.index(feature) for feature in bound.spec.features)
            calls.append((_make_call(bound), places))
            names += (name for name, _ in bound.outputs)
        # the last of a name, since an output may have the name of its feature
        last_places = {name: place for place, name in enumerate(names)}
        output_places = [last_places[name] for name in self.columns]
        if not calls and output_places == list(range(len(names))):
            return list

        def run_row(values: Sequence[Any]) -> list[Any]:
            row = [*values]
            for call, places in calls:
                row += call(*[row[place] for place in places])
            return [row[place] for place in output_places]

        return run_row


def _check_names_differ(names: Sequence[str]) -> None:
    """Raise QueryError for a name that two columns have."""
    for name in names:
        if names.count(name) > 1:
            raise QueryError(
                f"Two training columns would be named {name!r}: give one of the transformations"
                " another name by .alias('...')."
            )


def _make_call(transformation: Transformation) -> Callable[..., Sequence[Any]]:
    """The function from the values of a transformation's features to those of its outputs."""
    if transformation.builtin is None:
        if transformation.function.mode == "pandas":
            # a vector is served without pandas and pyarrow but for such a function
            from spark_fs.transform.user_columns import make_pandas_row_function

            return make_pandas_row_function(transformation)
        return make_value_function(transformation.function)
    formula = transformation.builtin.formula(transformation.state or {})
    if transformation.builtin.multi_output:
        no_category = (False,) * len(transformation.outputs)
        return lambda x: no_category if x is None else formula(x)
    if transformation.builtin.accepts == "number":
        return lambda x: _NULL_OUTPUT if x is None else (formula(float(x)),)
    return lambda x: _NULL_OUTPUT if x is None else (formula(x),)
