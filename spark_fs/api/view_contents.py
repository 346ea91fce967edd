"""What a feature view holds, as Hopsworks' users ask for it: features, keys, transformations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from spark_fs.api.catalog_object import CatalogObject
from spark_fs.api.feature import Feature
from spark_fs.api.schema_columns import SchemaColumns
from spark_fs.api.transformations import TransformationFunction, TransformationType
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import make_id
from spark_fs.spec.transformation import TransformationSpec
from spark_fs.transform.binding import name_outputs

if TYPE_CHECKING:
    from spark_fs.api.batch_scoring import BatchState
    from spark_fs.api.group import Group
    from spark_fs.api.stores import Stores
    from spark_fs.flows.view_columns import ViewColumns
    from spark_fs.planning.plan import JoinPlan, OutputColumn


@dataclass(frozen=True)
class ViewFeature:
    """A column that the query of a view selects, and what it is for.

    index: its place. feature_group: the group that it comes from, under the name
    ``feature_group_feature_name``. label, inference_helper_column, training_helper_column: whether
    it is one of these; else it is a feature.
    """

    name: str
    type: str
    index: int
    feature_group: Group
    feature_group_feature_name: str
    label: bool = False
    inference_helper_column: bool = False
    training_helper_column: bool = False

    def is_complex(self) -> bool:
        """Whether the type is an array, a struct or a map."""
        return self.type.startswith(("array", "struct", "map", "binary"))


@dataclass(frozen=True)
class ServingKey:
    """A key column of a group, by which the rows of a vector are found.

    join_on: the column of the left side that it is joined to; None for the leftmost group.
    join_index: the place of the group in the query, the leftmost is 0. required: whether an entry
    must have it; another follows from a stored row.
    """

    feature_name: str
    join_index: int
    feature_group: Group
    prefix: str = ""
    required: bool = True
    join_on: str | None = None

    @property
    def required_serving_key(self) -> str:
        """The name that an entry uses for it."""
        return self.join_on or self.feature_name


@validate_arguments
class ViewContentsMixin(CatalogObject[ViewSpec]):
    """The properties of a feature view that say what it holds."""

    _stores: Stores
    _batch_state: BatchState | None  # what init_batch_scoring made

    @property
    def id(self) -> int:
        """A number that no other view of the store has, made of its name and version."""
        return make_id(f"view {self.name} {self.version}")

    @property
    def featurestore_id(self) -> int:
        """1: a project has one feature store."""
        return 1

    @property
    def feature_store_name(self) -> str:
        """The name of its feature store."""
        return self._stores.open_feature_store().name

    @property
    def missing_mandatory_tags(self) -> list[dict[str, Any]]:
        """None are: no tag is mandatory."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as the catalog keeps it, as plain JSON."""
        return self._spec.to_json()

    def json(self) -> str:
        """Return the definition as a JSON text."""
        import json

        return json.dumps(self.to_dict())

    @property
    def features(self) -> list[ViewFeature]:
        """Every column that the query selects, in its order, before transformations.

        Labels and helper columns are among them; ``.label`` and the like tell.
        """
        spec = self._spec
        plan = self._plan_query()
        groups = self._open_groups(plan)
        return [
            ViewFeature(
                output.name,
                output.type,
                index,
                groups[output.source.node],
                output.source.column,
                output.name in spec.labels,
                output.name in spec.inference_helpers,
                output.name in spec.training_helpers,
            )
            for index, output in enumerate(plan.outputs)
        ]

    @property
    def schema(self) -> dict[str, str]:
        """The type of each feature that goes into a model, before transformations.

        Labels and helper columns are not in it. Each name also knows its feature, as in
        ``[f.name for f in view.schema]``.
        """
        inputs = self._resolve_columns().features
        return SchemaColumns([feature for feature in self.features if feature.name in inputs])

    def get_feature(self, name: str) -> Feature:
        """Return a column of the query, to be compared with a value in an ``extra_filter``.

        Args:
            name: Its name in the view, or in its group.

        Raises:
            NotFoundError: The query does not select it; the error has the nearest names.
        """
        plan = self._plan_query()
        output = _find_output(plan, name)
        group = self._open_groups(plan)[output.source.node]
        return group[output.source.column]

    @property
    def primary_keys(self) -> set[str]:
        """The names of the keys of an entry, for ``get_feature_vector``."""
        return {key.required_serving_key for key in self.serving_keys}

    @property
    def serving_keys(self) -> list[ServingKey]:
        """The key columns of each group that the query reads."""
        plan = self._plan_query()
        groups = self._open_groups(plan)
        spine_keys = plan.spine.primary_key
        keys = [ServingKey(name, 0, groups[0]) for name in spine_keys]
        for node in plan.nodes[1:]:
            for right, left in zip(node.right_keys, node.left_keys, strict=True):
                is_required = left.node == 0 and left.column in spine_keys
                group = groups[node.index]
                key = ServingKey(right, node.index, group, node.prefix, is_required, left.column)
                keys.append(key)
        return keys

    @property
    def transformation_functions(self) -> list[TransformationFunction]:
        """The transformations, each attached to its features.

        After ``init_batch_scoring`` each has its ``transformation_statistics``.
        """
        specs = self._spec.transformations
        type_ = TransformationType.MODEL_DEPENDENT
        functions = [TransformationFunction._from_spec(spec, type_) for spec in specs]
        states = self._batch_state.states if self._batch_state else None
        for function, state in zip(functions, states or (), strict=False):
            function._set_learned(state)
        return functions

    def __getitem__(self, name: str) -> TransformationFunction:
        """The transformation of this name; NotFoundError where there is none."""
        functions = {function.name: function for function in self.transformation_functions}
        if name not in functions:
            raise NotFoundError.for_name(
                "Transformation of the view", name, functions, "Name one that is attached to it."
            )
        return functions[name]

    @property
    def _batch_scoring_server(self) -> SimpleNamespace:
        """What public notebooks take from Hopsworks' views, though it is private there."""
        return SimpleNamespace(
            model_dependent_transformation_functions=self.transformation_functions
        )

    @property
    def model_dependent_transformations(self) -> dict[str, TransformationFunction]:
        """The transformations by the first column that each gives."""
        functions = self.transformation_functions
        return {function.output_column_names[0]: function for function in functions}

    @property
    def on_demand_transformations(self) -> dict[str, TransformationFunction]:
        """The functions that compute selected columns when rows are inserted, by their names."""
        return {
            spec.function.name: TransformationFunction(spec.function, spec.features, spec.outputs)
            for spec in self._list_on_demand_specs()
        }

    @property
    def request_parameters(self) -> list[str]:
        """What on-demand transformations take that is no feature, for ``get_feature_vector``."""
        specs = self._list_on_demand_specs()
        known = set(self._plan_query().schema)
        for spec in specs:
            known.update(name_outputs(spec))
        taken = [feature for spec in specs for feature in spec.features]
        return [name for name in dict.fromkeys(taken) if name not in known]

    def _list_on_demand_specs(self) -> list[TransformationSpec]:
        """The transformations of groups whose outputs the query selects, directly or by others."""
        plan = self._plan_query()
        specs = []
        for node in plan.nodes:
            outputs = [output for output in plan.outputs if output.source.node == node.index]
            needed = {output.source.column for output in outputs}
            for spec in reversed(node.group.transformations):
                if needed.intersection(name_outputs(spec)):
                    needed.update(spec.features)
                    specs.append(spec)
        return specs

    def get_training_dataset_schema(
        self, training_dataset_version: int | None = None
    ) -> list[ViewFeature]:
        """Return the columns of X and y, after the transformations.

        Args:
            training_dataset_version: Of which training dataset, where one-hot columns follow from
                what was learned of it; None: of the only one.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: A transformation gives one-hot columns, no version was given, and there
                is not exactly one.
        """
        from spark_fs.flows import view_columns

        columns = self._resolve_columns()
        transformer = columns.build_training_transformer(None)
        builtins = [bound.builtin for bound in transformer.transformations if bound.builtin]
        if any(builtin.multi_output for builtin in builtins):
            states = view_columns.find_states(
                self._stores.catalog, self._spec, training_dataset_version, columns
            )
            transformer = columns.build_training_transformer(states)
        transformed = transformer.columns
        plan = columns.plan
        outputs = {output.name: output for output in plan.outputs}
        groups = self._open_groups(plan)
        features = []
        for index, (name, type_) in enumerate(transformed.items()):
            source = outputs[name].source if name in outputs else None
            group = groups[source.node if source else 0]
            column = source.column if source else name
            is_label = name in columns.labels
            features.append(ViewFeature(name, type_, index, group, column, is_label))
        return features

    def _plan_query(self) -> JoinPlan:
        from spark_fs.flows import view_columns

        return view_columns.plan_query(self._stores.catalog, self._spec.query)

    def _open_groups(self, plan: JoinPlan) -> list[Group]:
        """The group of each node of the query."""
        return [self._stores.open_group(node.group) for node in plan.nodes]

    def _resolve_columns(self) -> ViewColumns:
        from spark_fs.flows import view_columns

        return view_columns.resolve_view_columns(self._stores.catalog, self._spec)


def _find_output(plan: JoinPlan, name: str) -> OutputColumn:
    """A column of the result by its own name, or by that in its group."""
    tests: tuple[Callable[[OutputColumn], Any], ...] = (
        lambda output: output.name == name,
        lambda output: output.source.column == name,
    )
    for is_named in tests:
        for output in plan.outputs:
            if is_named(output):
                return output
    raise NotFoundError.for_name(
        "Feature of the view", name, plan.schema, "Name a column that its query selects."
    )
