"""Compute on-demand features of what a request brings, beside what the online store has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_fs.base.python_values import UnfitError, format_value, to_python
from spark_fs.base.values import get_converter
from spark_fs.errors import KeyValueError, SchemaError
from spark_fs.transform.on_demand import OnDemandColumns
from spark_fs.transform.transformer import make_call

if TYPE_CHECKING:
    from spark_fs.online.store import LookupRow
    from spark_fs.online.vectors import PreparedEntries, VectorReader
    from spark_fs.planning.plan import JoinPlan, PlanNode

Entry = Mapping[str, Any]


class _Column(NamedTuple):
    """A column of the group at one node of the query, or an intermediate value of it."""

    node: int
    name: str


@dataclass(frozen=True)
class _Input:
    """What a function takes: by which names it is passed, and the feature that holds it."""

    column: _Column
    names: tuple[str, ...]
    type: str


@dataclass(frozen=True)
class _Step:
    """One function: what it takes, and what it gives."""

    function: str
    inputs: tuple[_Input, ...]
    outputs: tuple[_Column, ...]
    call: Callable[..., Sequence[Any]]


@dataclass(frozen=True)
class OnDemandEntries:
    """The entries of one request whose rows are still to be found.

    computed: what was computed of each, before its row was read. prepared: what the reader of
    stored features made of them.
    """

    entries: Sequence[Entry]
    passed: Sequence[Entry]
    computed: Sequence[Mapping[_Column, Any]]
    prepared: PreparedEntries


class OnDemandVectorReader:
    """A reader of vectors that computes on-demand features of what is passed for an entry.

    One is computed where any column that it is made of is passed; else it is as it is stored.

    Args:
        plan: The plan of the view.
        reader: What reads the stored features.
        context: What is set of the functions for this time.
    """

    def __init__(
        self, plan: JoinPlan, reader: VectorReader, context: Mapping[str, Any] | None = None
    ) -> None:
        self._plan = plan
        self._reader = reader
        self.output_types = reader.output_types
        self.output_names = reader.output_names
        self.key_types = reader.key_types
        self.convert_features = reader.convert_features
        self._features = _list_features(plan, reader.output_names)
        self._steps = _plan_steps(plan, self._features, context)
        self.passable: dict[str, str] = {}
        for step in self._steps:
            for taken in step.inputs:
                self.passable.update(dict.fromkeys(taken.names, taken.type))
        self.passable.update(reader.output_types)

    def with_context(self, context: Mapping[str, Any]) -> OnDemandVectorReader:
        """The same, of whose functions this is set for this time."""
        if not self._steps:
            return self
        return OnDemandVectorReader(self._plan, self._reader, context)

    def with_max_age(self, seconds: float) -> OnDemandVectorReader:
        """The same with a bound on the age of what replicas answer, in seconds."""
        bounded = copy(self)
        bounded._reader = self._reader.with_max_age(seconds)
        return bounded

    def without_functions(self) -> OnDemandVectorReader:
        """The same without functions: every feature is as it is stored or passed."""
        plain = OnDemandVectorReader(self._plan, self._reader)
        plain._steps = []
        plain.passable = dict(plain.output_types)
        return plain

    def read_vectors(
        self,
        entries: Sequence[Entry],
        passed_features: Sequence[Entry],
        allow_missing: bool,
        now: datetime,
    ) -> list[list[Any]]:
        """Read as many vectors as entries, as ``VectorReader.read_vectors`` does.

        Args:
            entries: The key values of each.
            passed_features: For each entry values of features, and of columns that on-demand
                features are computed of.
            allow_missing: Whether a group without a row for an entry gives nulls.
            now: The instant at which a row past its ttl is absent.

        Raises:
            KeyValueError: A column that a function takes was not passed, and no feature has it.
            SchemaError: A passed value is of another type.
        """
        if not self._steps:
            return self._reader.read_vectors(entries, passed_features, allow_missing, now)
        if not entries:
            return []
        prepared = self.prepare_entries(entries, passed_features)
        rows_of_requests = self.find_rows([prepared], now)
        return self.build_vectors(prepared, rows_of_requests[0], allow_missing, now)

    def prepare_entries(
        self, entries: Sequence[Entry], passed_features: Sequence[Entry]
    ) -> OnDemandEntries:
        """Check what a request gives, and compute what follows from that alone.

        Args:
            entries: As in ``read_vectors``, whose errors are raised.
            passed_features: Likewise.
        """
        if not self._steps:
            prepared = self._reader.prepare_entries(entries, passed_features)
            return OnDemandEntries(entries, passed_features, (), prepared)
        names = self.output_names
        computed_of_entries = []
        stored_passed = []
        for entry, passed in zip(entries, passed_features, strict=True):
            computed = self._compute(entry, passed, {})
            computed_of_entries.append(computed)
            known: dict[str, Any] = {}
            for name, value in passed.items():
                if name in names or name not in self.passable:
                    known[name] = value
            stored_passed.append(known | self._name_features(computed))
        prepared = self._reader.prepare_entries(entries, stored_passed)
        return OnDemandEntries(entries, passed_features, computed_of_entries, prepared)

    def find_rows(
        self, requests: Sequence[OnDemandEntries], now: datetime
    ) -> list[Sequence[LookupRow]]:
        """Find the rows of several requests in one round trip.

        Args:
            requests: The entries of each.
            now: The instant (UTC) at which a row past its ttl is absent.

        Returns:
            For each request the rows of its entries, in their order.
        """
        return self._reader.find_rows([request.prepared for request in requests], now)

    def build_vectors(
        self,
        request: OnDemandEntries,
        rows: Sequence[LookupRow],
        allow_missing: bool,
        now: datetime,
    ) -> list[list[Any]]:
        """Make the vectors of a request, as ``VectorReader.build_vectors`` does.

        Args:
            request: The entries.
            rows: What ``find_rows`` found for each.
            allow_missing: Whether a group without a row for an entry gives nulls.
            now: The instant (UTC) at which live windows end.
        """
        names = self.output_names
        vectors = self._reader.build_vectors(request.prepared, rows, allow_missing, now)
        if not self._steps:
            return vectors
        parts = zip(vectors, request.entries, request.passed, request.computed, strict=True)
        for vector, entry, passed, computed in parts:
            if len(computed) < self._output_count:
                stored = dict(zip(names, vector, strict=True))
                more = self._compute(entry, passed, computed, stored)
                for name, value in self._name_features(more).items():
                    vector[names.index(name)] = value
        return vectors

    def warm_up(self) -> None:
        """Make a connection and its statements, as ``VectorReader.warm_up`` does."""
        self._reader.warm_up()

    def compute_features(self, row: Entry, passed: Entry) -> dict[str, Any]:
        """A vector by name, with the on-demand features that what is passed gives.

        Args:
            row: The features as they are stored, by name.
            passed: Values of columns that on-demand features are computed of.

        Raises:
            KeyValueError: A column that a function takes was not passed, and no feature has it.
            SchemaError: A passed value is of another type.
        """
        return {**row, **self._name_features(self._compute({}, passed, {}, row))}

    @property
    def _output_count(self) -> int:
        return sum(len(step.outputs) for step in self._steps)

    def _name_features(self, computed: Mapping[_Column, Any]) -> dict[str, Any]:
        """The computed values that are features of the view, by their names."""
        features: dict[str, Any] = {}
        for column, value in computed.items():
            if column in self._features:
                features[self._features[column]] = value
        return features

    def _compute(
        self,
        entry: Entry,
        passed: Entry,
        known: Mapping[_Column, Any],
        stored: Mapping[str, Any] | None = None,
    ) -> dict[_Column, Any]:
        """What can be computed of what was passed, and of stored features where these were read."""
        computed = dict(known)
        for step in self._steps:
            if step.outputs[0] in computed or not self._is_passed(step, passed, computed):
                continue
            values = list(self._find_values(step, entry, passed, computed, stored))
            if len(values) == len(step.inputs):
                computed.update(zip(step.outputs, step.call(*values), strict=True))
        return computed

    def _is_passed(self, step: _Step, passed: Entry, computed: Mapping[_Column, Any]) -> bool:
        """Whether something that a function takes was passed or is computed of that."""
        taken_columns = [taken.column for taken in step.inputs]
        for output in step.outputs:
            if output not in taken_columns and self._features.get(output) in passed:
                return False  # the caller gives the feature itself
        for taken in step.inputs:
            if taken.column in computed or any(name in passed for name in taken.names):
                return True
        return False

    def _find_values(
        self,
        step: _Step,
        entry: Entry,
        passed: Entry,
        computed: Mapping[_Column, Any],
        stored: Mapping[str, Any] | None,
    ) -> Iterator[Any]:
        """The values that a function takes; fewer where stored features have to be read first."""
        for taken in step.inputs:
            feature = self._features.get(taken.column)
            if taken.column in computed:
                yield computed[taken.column]
            elif any(name in passed for name in taken.names):
                yield _convert_first(taken, passed)
            elif feature is not None and stored is None:
                return
            elif feature is not None and stored is not None:
                yield stored.get(feature)
            elif any(name in entry for name in taken.names):
                yield _convert_first(taken, entry)
            else:
                raise KeyValueError(
                    f"On-demand feature {step.outputs[0].name!r} is computed by {step.function} of"
                    f" {', '.join(repr(one.names[0]) for one in step.inputs)}, and"
                    f" {taken.names[0]!r} was not passed: add it to request_parameters."
                )


def _list_features(plan: JoinPlan, names: Sequence[str]) -> dict[_Column, str]:
    """The features of a view by the column that each is of."""
    features: dict[_Column, str] = {}
    for output in plan.outputs:
        if output.name in names:
            features[_Column(output.source.node, output.source.column)] = output.name
    return features


def _plan_steps(
    plan: JoinPlan, features: Mapping[_Column, str], context: Mapping[str, Any] | None
) -> list[_Step]:
    """The functions that features of a view come of, each after those whose outputs it takes."""
    steps = [step for node in plan.nodes for step in _plan_node_steps(node, context)]
    needed = set(features)
    needed_steps: list[_Step] = []
    for step in reversed(steps):
        if needed.intersection(step.outputs):
            needed.update(taken.column for taken in step.inputs)
            needed_steps.append(step)
    return needed_steps[::-1]


def _plan_node_steps(node: PlanNode, context: Mapping[str, Any] | None) -> Iterator[_Step]:
    """The on-demand functions of the group at a node."""
    group = node.group
    if not group.transformations:
        return
    types = {**group.types, **group.on_demand_inputs}
    for spec in group.transformations:
        if not types.keys() | set(spec.chained) >= set(spec.features):
            return  # no row was ever inserted
    bound = OnDemandColumns.bind(group.transformations, types, context)
    for transformation in bound.transformer.transformations:
        inputs: list[_Input] = []
        for source, type_ in zip(transformation.sources, transformation.types, strict=True):
            names = tuple(dict.fromkeys((node.prefix + source.name, source.name)))
            column = _Column(node.index, source.name)
            inputs.append(_Input(column, names, type_))
        outputs = tuple(_Column(node.index, name) for name, _ in transformation.outputs)
        call = make_call(transformation)
        yield _Step(str(transformation.spec), tuple(inputs), outputs, call)


def _convert_first(taken: _Input, given: Entry) -> Any:
    """The value of a column that was passed, as the one of its type that equals it."""
    name = next(name for name in taken.names if name in given)
    value = to_python(given[name])
    if value is None:
        return None
    try:
        return get_converter(taken.type)(value)
    except UnfitError as error:
        raise SchemaError(
            f"Request parameter {name!r} is {format_value(value)}, but its type is {taken.type}:"
            f" pass a value of that type, {error}."
        ) from None
