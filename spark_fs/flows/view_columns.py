"""The columns of a feature view by what they are for: features, labels, helpers, identity.

Nothing here loads Spark, so that a serving process may use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.planning.bind import bind_query
from spark_fs.spec.predicates import has_named_columns
from spark_fs.transform.builtin import BUILTINS
from spark_fs.transform.transformer import Transformer

if TYPE_CHECKING:
    from spark_fs.catalog.store import Catalog
    from spark_fs.flows.spine_rows import SpineRows
    from spark_fs.planning.plan import JoinPlan
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.predicates import Condition
    from spark_fs.spec.query import QuerySpec
    from spark_fs.spec.training_dataset import TrainingDatasetSpec
    from spark_fs.spec.transformation import TransformationSpec

States = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ViewColumns:
    """The columns of a view as a plan gives them; the plan holds the spine's identity too.

    extra_columns: columns of a ``spine_df`` that the view does not know. feature_names: the
    features, where a ``spine_df`` has other keys than the leftmost group; None: as the plan tells.
    """

    view: ViewSpec
    plan: JoinPlan
    extra_columns: tuple[str, ...] = ()
    feature_names: tuple[str, ...] | None = None

    @cached_property
    def identity(self) -> dict[str, str]:
        """The spine's event time, where it has one, and its primary key, with their types.

        They have the names that the plan gives them.
        """
        schema = self.plan.schema
        return {name: schema[name] for name in self.plan.ordered_names}

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels that the plan has; a spine of a batch has none."""
        schema = self.plan.schema
        return {label: schema[label] for label in self.view.labels if label in schema}

    @cached_property
    def features(self) -> dict[str, str]:
        """What goes into a model, before transformations."""
        schema = self.plan.schema
        if self.feature_names is not None:
            return {name: schema[name] for name in self.feature_names}
        view = self.view
        others = {
            *view.labels,
            *view.training_helpers,
            *view.inference_helpers,
            *self.extra_columns,
            *(set(self.identity) - set(view.key_features)),
        }
        return {name: type_ for name, type_ in schema.items() if name not in others}

    @cached_property
    def context_columns(self) -> dict[str, str]:
        """What transformations may take beside the features: helpers and the spine's identity."""
        others = {*self.features, *self.view.labels}
        return {name: type_ for name, type_ in self.plan.schema.items() if name not in others}

    def list_requested_identity(self, primary_key: bool, event_time: bool) -> list[str]:
        """The columns of the spine's key, and of its event time, where these were asked for."""
        spine = self.plan.spine
        wanted = list(spine.primary_key) if primary_key else []
        if event_time and spine.event_time:
            wanted.append(spine.event_time)
        names = self.plan.spine_names
        return [names[column] for column in dict.fromkeys(wanted)]

    def find_replaced_keys(self, transformer: Transformer) -> dict[str, str]:
        """Under which name a part of the identity stays whose own name a transformation takes."""
        outputs = {name for bound in transformer.transformations for name, _ in bound.outputs}
        prefix = _make_spine_prefix(self.view)
        replaced = {}
        for name in self.identity:
            # one that is a transformation's helper was lost before 0.2, and is in old files
            is_helper = name in transformer.inputs and name not in self.features
            if name in outputs and not is_helper:
                replaced[name] = prefix + name
        return replaced

    def check_view(self) -> None:
        """Raise an error unless labels, helpers and transformations fit the query.

        It is a NotFoundError for a column that the query lacks, a QueryError for one that is named
        for two purposes or transformed in a way that does not fit.
        """
        names_by_kind = {
            "Label": self.view.labels,
            "Training helper column": self.view.training_helpers,
            "Inference helper column": self.view.inference_helpers,
        }
        for kind, names in names_by_kind.items():
            for name in names:
                self._check_name(kind, name)
        for transformation in self.view.transformations:
            self._check_label_transformation(transformation)
        self.build_training_transformer(None)
        self.build_inference_transformer(None)

    def _check_name(self, kind: str, name: str) -> None:
        if name not in self.plan.schema:
            raise NotFoundError.for_name(
                kind, name, self.plan.schema, f"{kind}s are columns of the query."
            )
        if kind != "Label" and name in self.view.labels:
            raise QueryError(
                f"{kind} {name!r} is a label of the view too: name it as one of the two."
            )

    def _check_label_transformation(self, transformation: TransformationSpec) -> None:
        """QueryError where a label is not transformed alone, into one output of its name."""
        labels = sorted(set(transformation.features) & set(self.view.labels))
        if labels and (transformation.outputs or _has_many_columns(transformation)):
            raise QueryError(
                f"Transformation {transformation} takes the label {labels[0]!r}: a label is"
                " transformed alone, into one output of its name, so that no feature is made"
                " of it."
            )

    def build_training_transformer(
        self, states: States | None, context: Mapping[str, Any] | None = None
    ) -> Transformer:
        """What becomes of features and labels.

        Args:
            states: What each transformation learned.
            context: What is set of them for this time.
        """
        columns = {**self.features, **self.labels}
        specs = self.view.transformations
        return Transformer(specs, columns, self.context_columns, states, context)

    def build_inference_transformer(
        self, states: States | None, context: Mapping[str, Any] | None = None
    ) -> Transformer:
        """What becomes of the features of a batch or an entry, which have no labels.

        Args:
            states: What each transformation learned.
            context: What is set of them for this time.
        """
        labels = set(self.view.labels)
        specs = []
        chosen_states = []
        for number, transformation in enumerate(self.view.transformations):
            if not labels.intersection(transformation.features):
                specs.append(transformation)
                if states is not None:
                    chosen_states.append(states[number])
        fitted = None if states is None else chosen_states
        return Transformer(specs, self.features, self.context_columns, fitted, context)

    def build_plain_transformer(self) -> Transformer:
        """What leaves the features of a batch or an entry as they are."""
        return Transformer((), self.features, self.context_columns)

    def get_training_columns(self, states: States | None) -> dict[str, str]:
        """The columns of X, with their types, in the order of training data and vectors."""
        return self.build_inference_transformer(states).columns


def _has_many_columns(transformation: TransformationSpec) -> bool:
    """Whether several columns go into a transformation, or come out of it."""
    function = transformation.function
    if len(transformation.features) > 1 or len(function.returns) > 1:
        return True
    return function.mode == "builtin" and BUILTINS[function.name].multi_output


def plan_query(catalog: Catalog, query: QuerySpec, spine: SpineRows | None = None) -> JoinPlan:
    """A query bound to the schemas of its groups, of which the leftmost may be a DataFrame."""
    frames = {spine.spec.ref: spine.spec} if spine else {}
    kept = (ref for ref in query.iter_groups() if ref not in frames)
    return bind_query(query, catalog.get_groups(kept) | frames)


def resolve_view_columns(
    catalog: Catalog, view: ViewSpec, spine: SpineRows | None = None
) -> ViewColumns:
    """The columns of a view, or of it with a DataFrame in the place of its leftmost group.

    Raises NotFoundError for a column that the view takes from the leftmost group and that the frame
    lacks; a label may be absent.
    """
    prefix = _make_spine_prefix(view)
    own = ViewColumns(view, plan_query(catalog, view.query).with_identity(prefix))
    if spine is None:
        return own
    columns = _choose_spine_columns(own, spine.spec)
    query = view.query.with_spine(spine.spec.ref, columns)
    plan = plan_query(catalog, query, spine)
    if query.keeps_order:  # what is joined has its name though the frame may lack a label
        plan = plan.with_joined_outputs(own.plan)
    plan = plan.with_identity(prefix)
    for name in (*own.features, *view.training_helpers, *view.inference_helpers):
        if name not in plan.schema:
            raise NotFoundError.for_name(
                "Column of spine_df",
                name,
                spine.spec.types,
                "The view takes it from its leftmost group: add it to the frame.",
            )
    known_columns = {*own.plan.schema, *spine.spec.identity}
    extra_columns = tuple(name for name in columns if name not in known_columns)
    feature_names = tuple(own.features) if view.query.keeps_order else None
    return ViewColumns(view, plan, extra_columns, feature_names)


def _make_spine_prefix(view: ViewSpec) -> str:
    """What tells a column of the leftmost group from another of its name."""
    name, version = view.query.group
    return f"{name}_{version}_"


def _choose_spine_columns(own: ViewColumns, frame: GroupSpec) -> tuple[str, ...]:
    """The columns of a frame that stands in for the leftmost group, as a query selects them.

    First come those that the view takes from the group, in its order, then those that it does not
    know. A view from before 0.2 has all of them in the order of the frame.

    Raises:
        QueryError: The frame has a column that the view takes from a joined group.
    """
    if not own.view.query.keeps_order:
        return tuple(frame.types)
    selected = own.view.query.columns
    columns = [name for name in selected if name in frame.types]
    known = {*selected, *own.plan.spine.identity, *frame.identity}
    for name in frame.types:
        if name in known:
            continue
        if name in own.plan.schema:
            raise QueryError(
                f"Column {name!r} of spine_df is one that feature view {own.view} joins to it: give"
                " it another name, or leave it out."
            )
        columns.append(name)
    return tuple(columns)


def list_external_groups(plan: JoinPlan) -> list[GroupSpec]:
    """The external groups that a plan reads, whose rows have no versions."""
    groups = (node.group for node in plan.nodes)
    return [group for group in groups if group.source and not group.is_dataframe]


def bind_filter(catalog: Catalog, view: ViewSpec, condition: Condition | None) -> Condition | None:
    """The condition on a view's rows, whose columns that are named alone have their groups.

    Raises NotFoundError for a column that is not in the view's query, QueryError for one of several
    groups.
    """
    if condition is None or not has_named_columns(condition):
        return condition
    return resolve_view_columns(catalog, view).plan.bind_condition(condition)


def find_states(
    catalog: Catalog, view: ViewSpec, version: int | None, columns: ViewColumns | None = None
) -> States | None:
    """What the transformations of a view learned; None where they learn nothing.

    Args:
        catalog: What knows the training datasets.
        view: The view.
        version: Of which training dataset; None: of the only one.
        columns: Those of the view, where they are resolved already.

    Raises:
        NotFoundError: The version does not exist or is still being made.
        SettingsError: No version was given and there is not exactly one.
    """
    dataset = find_learned_dataset(catalog, view, version, columns)
    return None if dataset is None else dataset.states


def find_learned_dataset(
    catalog: Catalog, view: ViewSpec, version: int | None, columns: ViewColumns | None = None
) -> TrainingDatasetSpec | None:
    """The training dataset that a view predicts as for; None where none was named nor needed.

    Args:
        catalog: What knows the training datasets.
        view: The view.
        version: Of which training dataset; None: of the only one, where transformations learned.
        columns: Those of the view, where they are resolved already.

    Raises:
        NotFoundError: The version does not exist or is still being made.
        SettingsError: No version was given and there is not exactly one.
    """
    if version is not None:
        return _get_dataset(catalog, view, version)
    columns = columns or resolve_view_columns(catalog, view)
    if not columns.build_inference_transformer(None).needs_fit:
        return None
    finished = catalog.list_finished_training_datasets(view)
    if len(finished) != 1:
        listed = ", ".join(str(dataset.version) for dataset in finished) or "none yet"
        raise SettingsError(
            f"Transformations of feature view {view} learn from training data, and"
            f" training_dataset_version is missing (there are: {listed}). Name the one that the"
            " model was trained on, in init_serving or init_batch_scoring."
        )
    return finished[0]


def _get_dataset(catalog: Catalog, view: ViewSpec, version: int) -> TrainingDatasetSpec:
    dataset = catalog.get_training_dataset(view, version)
    if dataset.state == "running":
        raise NotFoundError(
            f"Training dataset {version} of feature view {view} is still being made:"
            " wait for its job."
        )
    return dataset
