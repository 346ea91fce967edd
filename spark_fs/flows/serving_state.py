"""Feature vectors from the online store: prepared once for a model, read without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spark_fs.base.given_values import VectorRequest
from spark_fs.errors import NotFoundError
from spark_fs.flows.live_sources import find_live_sources
from spark_fs.flows.on_demand_vectors import OnDemandEntries, OnDemandVectorReader
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.view_columns import find_learned_dataset, resolve_view_columns
from spark_fs.online.vectors import VectorReader
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.transform.transformer import RowFunction, Transformer

if TYPE_CHECKING:
    from spark_fs.online.store import LookupRow

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class ServingState:
    """A view made ready to serve; safe to share between threads.

    inputs: the features that may be passed, with their types. columns: what a vector holds, in its
    order, after the transformations. features: what it holds before them. dataset_version: of the
    training dataset that the transformations learned of.
    """

    inputs: Mapping[str, str]
    columns: Mapping[str, str]
    features: Mapping[str, str]
    transformer: Transformer
    transform_row: RowFunction
    vector_reader: OnDemandVectorReader
    helper_reader: VectorReader
    dataset_version: int | None = None

    @property
    def passable(self) -> Mapping[str, str]:
        """What may be passed, with its type: inputs, and what on-demand features are made of."""
        return self.vector_reader.passable

    def with_context(self, context: Mapping[str, Any] | None) -> ServingState:
        """The same, of whose transformations this is set for this time."""
        if not context:
            return self
        transform_row = self.transformer.with_context(context).make_row_function()
        reader = self.vector_reader.with_context(context)
        return replace(self, transform_row=transform_row, vector_reader=reader)

    def with_max_age(self, seconds: float) -> ServingState:
        """The same with a bound on the age of what replicas answer, in seconds."""
        return replace(self, vector_reader=self.vector_reader.with_max_age(seconds))

    def with_stored_features(self) -> ServingState:
        """The same, which computes no on-demand features."""
        return replace(self, vector_reader=self.vector_reader.without_functions())

    def read_vectors(
        self,
        entries: Sequence[Entry],
        passed: Sequence[Entry],
        allow_missing: bool,
        now: datetime,
    ) -> list[list[Any]]:
        """As many transformed vectors as entries, in their order, in one round trip."""
        stored = self.vector_reader.read_vectors(entries, passed, allow_missing, now)
        transform_row = self.transform_row
        return [transform_row(values) for values in stored]

    def read_features(
        self,
        entries: Sequence[Entry],
        passed: Sequence[Entry],
        allow_missing: bool,
        now: datetime,
    ) -> list[list[Any]]:
        """As many vectors as entries, before the transformations, in one round trip."""
        stored = self.vector_reader.read_vectors(entries, passed, allow_missing, now)
        return self._select_features(stored)

    def read_both(
        self,
        entries: Sequence[Entry],
        passed: Sequence[Entry],
        allow_missing: bool,
        now: datetime,
    ) -> tuple[list[list[Any]], list[list[Any]]]:
        """Vectors before and after the transformations, as many as entries, in one round trip.

        Args:
            entries: The keys of each.
            passed: For each what the caller passes.
            allow_missing: Whether nulls stand for a key without an online row.
            now: The instant (UTC) at which a row past its ttl is absent.
        """
        stored = self.vector_reader.read_vectors(entries, passed, allow_missing, now)
        transform_row = self.transform_row
        return self._select_features(stored), [transform_row(values) for values in stored]

    def read_requests(
        self, requests: Sequence[VectorRequest], now: datetime
    ) -> list[list[list[Any]] | Exception]:
        """Read the vectors of several requests in one round trip.

        Args:
            requests: What each asks for.
            now: The instant (UTC) at which a row past its ttl is absent.

        Returns:
            For each request its vectors, or the error of that request alone.

        Raises:
            OnlineStoreError: The database fails, or does not answer in time.
        """
        reader = self.vector_reader
        prepared_of_requests: list[OnDemandEntries | Exception] = []
        for request in requests:
            try:
                prepared = reader.prepare_entries(request.entries, request.passed)
                prepared_of_requests.append(prepared)
            except Exception as error:  # whatever a user's function raises, the others go on
                prepared_of_requests.append(error)
        valid = [each for each in prepared_of_requests if not isinstance(each, Exception)]
        rows_of_valid = iter(reader.find_rows(valid, now) if valid else ())
        answers: list[list[list[Any]] | Exception] = []
        for request, prepared_or_error in zip(requests, prepared_of_requests, strict=True):
            if isinstance(prepared_or_error, Exception):
                answers.append(prepared_or_error)
                continue
            try:
                rows = next(rows_of_valid)
                answers.append(self._answer_request(request, prepared_or_error, rows, now))
            except Exception as error:
                answers.append(error)
        return answers

    def _answer_request(
        self,
        request: VectorRequest,
        prepared: OnDemandEntries,
        rows: Sequence[LookupRow],
        now: datetime,
    ) -> list[list[Any]]:
        stored = self.vector_reader.build_vectors(prepared, rows, request.allow_missing, now)
        if not request.transform:
            return self._select_features(stored)
        transform_row = self.transform_row
        return [transform_row(values) for values in stored]

    def _select_features(self, stored: Sequence[Sequence[Any]]) -> list[list[Any]]:
        names = list(self.inputs)
        places = [names.index(name) for name in self.features]
        return [[values[place] for place in places] for values in stored]

    def transform_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Vectors of the view of rows that hold its features by name, before transformations.

        Raises NotFoundError for a row without a column that goes in, SchemaError for a value of
        another type.
        """
        transform_row = self.transform_row
        vectors = []
        for row in rows:
            values = self._list_inputs(row)
            vectors.append(transform_row(values))
        return vectors

    def _list_inputs(self, row: Mapping[str, Any]) -> list[Any]:
        for name in self.inputs:
            if name not in row:
                raise NotFoundError.for_name(
                    "Feature",
                    name,
                    row,
                    "A transformation of the view takes it: give a frame or a dict that has it.",
                )
        values = self.vector_reader.convert_features({name: row[name] for name in self.inputs})
        return [values[name] for name in self.inputs]

    def read_helpers(
        self, entries: Sequence[Entry], allow_missing: bool, now: datetime
    ) -> list[list[Any]]:
        """The inference helper columns of each entry, in their order, in one round trip."""
        return self.helper_reader.read_vectors(entries, [{}] * len(entries), allow_missing, now)


def prepare_serving(
    stores: ProjectStores, view: ViewSpec, training_dataset_version: int | None
) -> ServingState:
    """A view made ready to serve, transformed as for a training dataset version.

    None stands for the only training dataset; NotFoundError for one that does not exist.
    """
    columns = resolve_view_columns(stores.catalog, view)
    dataset = find_learned_dataset(stores.catalog, view, training_dataset_version, columns)
    states = None if dataset is None else dataset.states
    transformer = columns.build_inference_transformer(states)
    outputs = {output.name: output for output in columns.plan.outputs}
    features = [outputs[name] for name in transformer.inputs]
    helpers = [outputs[name] for name in view.inference_helpers]
    live_sources = find_live_sources(stores.catalog, columns.plan, stores.online)
    stored = VectorReader(columns.plan, features, stores.online, live_sources)
    return ServingState(
        inputs=transformer.inputs,
        columns=transformer.columns,
        features=columns.features,
        transformer=transformer,
        transform_row=transformer.make_row_function(),
        vector_reader=OnDemandVectorReader(columns.plan, stored),
        helper_reader=VectorReader(columns.plan, helpers, stores.online, live_sources),
        dataset_version=None if dataset is None else dataset.version,
    )
