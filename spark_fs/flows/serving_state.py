"""Feature vectors from the online store: prepared once for a model, read without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.view_columns import find_states, resolve_view_columns
from spark_fs.online.vectors import VectorReader
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.transform.transformer import RowFunction

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class ServingState:
    """A view made ready to serve; safe to share between threads.

    inputs: the features that may be passed, with their types. columns: what a vector holds, in its
    order, after the transformations.
    """

    inputs: Mapping[str, str]
    columns: Mapping[str, str]
    transform_row: RowFunction
    vector_reader: VectorReader
    helper_reader: VectorReader

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

    def read_helpers(self, entry: Entry, allow_missing: bool, now: datetime) -> list[Any]:
        """The inference helper columns of an entry, in their order, in one round trip."""
        (values,) = self.helper_reader.read_vectors([entry], [{}], allow_missing, now)
        return values


def prepare_serving(
    stores: ProjectStores, view: ViewSpec, training_dataset_version: int | None
) -> ServingState:
    """A view made ready to serve, transformed as for a training dataset version.

    None stands for the only training dataset; NotFoundError for one that does not exist.
    """
    columns = resolve_view_columns(stores.catalog, view)
    states = find_states(stores.catalog, view, training_dataset_version, columns)
    transformer = columns.build_inference_transformer(states)
    outputs = {output.name: output for output in columns.plan.outputs}
    features = [outputs[name] for name in transformer.inputs]
    helpers = [outputs[name] for name in view.inference_helpers]
    return ServingState(
        inputs=transformer.inputs,
        columns=transformer.columns,
        transform_row=transformer.make_row_function(),
        vector_reader=VectorReader(columns.plan, features, stores.online),
        helper_reader=VectorReader(columns.plan, helpers, stores.online),
    )
