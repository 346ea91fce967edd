"""The columns of a feature view by what they are for: features, labels, helpers, identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spark_fs.errors import NotFoundError, QueryError
from spark_fs.transform.transformer import Transformer

if TYPE_CHECKING:
    from spark_fs.planning.plan import JoinPlan
    from spark_fs.spec.feature_view import ViewSpec

States = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ViewColumns:
    """The columns of a view as a plan gives them; the plan holds the spine's identity too.

    carried: columns of a ``spine_df`` that the view does not know.
    """

    view: ViewSpec
    plan: JoinPlan
    extra_columns: tuple[str, ...] = ()

    @cached_property
    def identity(self) -> dict[str, str]:
        """The spine's event time, where it has one, and its primary key, with their types."""
        spine = self.plan.spine
        times = (spine.event_time,) if spine.event_time else ()
        return {name: spine.get_column_type(name) for name in (*times, *spine.primary_key)}

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels that the plan has; a spine of a batch has none."""
        return {
            label: self.plan.schema[label]
            for label in self.view.labels
            if label in self.plan.schema
        }

    @cached_property
    def features(self) -> dict[str, str]:
        """What goes into a model, before transformations."""
        helpers = {
            *self.view.labels,
            *self.view.training_helpers,
            *self.view.inference_helpers,
            *self.extra_columns,
        }
        return {
            output.name: output.type for output in self.plan.features if output.name not in helpers
        }

    @cached_property
    def context_columns(self) -> dict[str, str]:
        """What transformations may take beside the features: helpers and the spine's identity."""
        return {
            name: type_
            for name, type_ in self.plan.schema.items()
            if name not in self.features and name not in self.view.labels
        }

    def check_view(self) -> None:
        """Raise NotFoundError or QueryError unless labels, helpers and transformations fit the query."""
        view = self.view
        kinds = {
            "Label": view.labels,
            "Training helper column": view.training_helpers,
            "Inference helper column": view.inference_helpers,
        }
        for kind, names in kinds.items():
            for name in names:
                if name not in self.plan.schema:
                    raise NotFoundError.for_name(
                        kind, name, self.plan.schema, f"{kind}s are columns of the query."
                    )
                if kind != "Label" and name in view.labels:
                    raise QueryError(
                        f"{kind} {name!r} is a label of the view too: name it as one of the two."
                    )
        for each in view.transformations:
            of_labels = set(each.features) & set(view.labels)
            several = (
                len(each.features) > 1
                or len(each.function.returns) > 1
                or each.function.name == "one_hot_encoder"
            )
            if of_labels and (several or each.outputs):
                raise QueryError(
                    f"Transformation {each} takes the label {sorted(of_labels)[0]!r}: a label is"
                    " transformed alone, into one output of its name, so that no feature is made"
                    " of it."
                )
        self.build_training_transformer(None)
        self.build_inference_transformer(None)

    def build_training_transformer(self, states: States | None) -> Transformer:
        """What becomes of features and labels; states: what each transformation learned."""
        return Transformer(
            self.view.transformations,
            {**self.features, **self.labels},
            self.context_columns,
            states,
        )

    def build_inference_transformer(self, states: States | None) -> Transformer:
        """What becomes of the features of a batch or an entry, which have no labels."""
        chosen = [
            i
            for i, each in enumerate(self.view.transformations)
            if not set(each.features) & set(self.view.labels)
        ]
        specs = [self.view.transformations[i] for i in chosen]
        return Transformer(
            specs,
            self.features,
            self.context_columns,
            None if states is None else [states[i] for i in chosen],
        )

    def get_training_columns(self, states: States | None) -> dict[str, str]:
        """The columns of X, with their types, in the order of training data and vectors."""
        return self.build_inference_transformer(states).columns
