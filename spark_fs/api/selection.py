"""Feature selection: from a query of thousands of candidates to a feature view of the few that help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_fs.base.arguments import validate_arguments, validate_call
from spark_fs.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.query import Query
    from spark_fs.spec.feature_selection import SelectionRequest, SelectionResult
    from spark_fs.spec.feature_view import ViewSpec


@validate_call
def select_features(
    query_or_feature_view: Query | FeatureView,
    label: str | None = None,
    k: int = 20,
    method: str = "mrmr",
    score: str = "f",
    task: str | None = None,
    baseline: Sequence[str] = (),
    evaluate: bool = False,
    sample: int = 20_000,
    max_null_share: float = 0.9,
    leak: float = 0.995,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Selection:
    """Search the columns of a query, or the features of a feature view, for those that tell of a label, eagerly.

    Every row counts, and none is collected: the executors sum up what scores follow from; only
    models see a sample. Keys and event time of the leftmost group are no candidates.

    label: a column; of a feature view its only label by default. k: how many features at most.
    method: "mrmr" (the F statistic over the mean absolute correlation with those chosen before: FCQ
    of Zhao, Anand, Wang, 2019), "k_best" (by ``score``: "f", the F of an analysis of variance or a
    regression, "mutual_information", "chi_squared" or, for two classes, "auc", of one feature
    alone; the last three over up to 64 quantile bins) or "importance" (the gain in an XGBoost model
    of all candidates). task: "classification" for a label of 2 to 50 classes, "regression" for a
    number; None: by the label. evaluate, or a baseline (features that a model has today): measure
    models on held out rows, of the baseline and then step by step of more features, and choose the
    least set that is as good as the best. sample: rows that models are trained on. max_null_share:
    a feature with more nulls is left out. leak: one that alone reaches this AUC, or this
    correlation, is called out as a leak and not chosen. seed: of the sample and the models; the
    result is the same for the same rows and seed. progress: called with what is being done and the
    numbers of tasks done and known.

    Raises NotFoundError for a label or baseline feature that is no column, SettingsError for an
    argument out of its range, a label that does not vary, or where no candidate is left, SetupError
    where XGBoost is needed and not installed.
    """
    from spark_fs.flows import select
    from spark_fs.spec.feature_selection import SelectionRequest, check_candidates

    query, view, names = _resolve_source(query_or_feature_view)
    label = _resolve_label(view, label)
    plan = query.plan()
    check_candidates(label, plan.schema, baseline)
    taken = {output.name for output in plan.features} if names is None else set(names)
    asked: Any = {
        "label": label,
        "k": k,
        "method": method,
        "score": score,
        "task": task,
        "baseline": tuple(baseline),
        "evaluate": evaluate,
        "sample": sample,
        "max_null_share": max_null_share,
        "leak": leak,
        "seed": seed,
    }
    wanted = SelectionRequest(**asked)
    stores = query._stores
    found = select.search_features(
        stores.spark,
        plan.select_outputs({*taken, label}),
        stores.find_table,
        stores.settings.warehouse,
        wanted,
        progress,
    )
    return Selection(query, view, wanted, found)


def _resolve_source(source: Query | FeatureView) -> tuple[Query, ViewSpec | None, list[str] | None]:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.query import Query

    if isinstance(source, FeatureView):
        return source.query, source._spec, list(source.schema)
    if isinstance(source, Query):
        if source.spine is not None:
            raise SettingsError(
                "A spine is a DataFrame of this session: begin the query with the feature group"
                " that has the label."
            )
        return source, None, None
    raise SettingsError(f"{source!r} holds no candidates: give a query or a feature view.")


def _resolve_label(view: ViewSpec | None, label: str | None) -> str:
    if label is not None:
        return label
    if view is None or len(view.labels) != 1:
        has = (
            f"the feature view has {len(view.labels)} labels"
            if view
            else "a query has none of its own"
        )
        raise SettingsError(f"label is needed, since {has}: name the column to predict.")
    return view.labels[0]


@validate_arguments
class Selection:
    """What a search found: the chosen features, and every candidate with its scores and the reason for its place."""

    def __init__(
        self,
        query: Query,
        view: ViewSpec | None,
        request: SelectionRequest,
        result: SelectionResult,
    ) -> None:
        self._query, self._view, self._request, self._result = query, view, request, result

    @property
    def features(self) -> list[str]:
        """The chosen features, the best first."""
        return list(self._result.chosen)

    @property
    def task(self) -> str:
        """What is predicted: "classification" or "regression"."""
        return self._result.task

    @property
    def scores(self) -> Any:
        """A pandas frame with a row for each candidate, the chosen ones first: rank, scores and reason.

        value: what the method ranks by. strength: the correlation ratio, correlation or Cramer's V
        with the label.
        """
        import pandas as pd

        rows = [
            {name: value for name, value in vars(candidate).items() if name != "leaks"}
            for candidate in self._result.candidates
        ]
        return pd.DataFrame(rows)

    @property
    def steps(self) -> Any:
        """A pandas frame of what models were measured at: the step, its number of features and the metric on held out rows.

        The metric is AUC for two classes, accuracy for more, R2 for a number. Empty unless a
        baseline or ``evaluate`` was given.
        """
        import pandas as pd

        steps = [
            {"step": each.step, "features": each.features, self._result.metric: each.metric}
            for each in self._result.steps
        ]
        return pd.DataFrame(steps, columns=["step", "features", self._result.metric or "metric"])

    @property
    def warnings(self) -> dict[str, str]:
        """The candidates that were called out (constant, mostly null, like a leak, of too many categories), with the reason."""
        told = [
            each
            for each in self._result.candidates
            if each.rank is None and (each.value is None and each.f is None)
        ]
        leaks = [each for each in self._result.candidates if each.leaks]
        return {each.feature: each.reason for each in [*leaks, *told]}

    def __repr__(self) -> str:
        return (
            f"Selection({len(self.features)} of {len(self._result.candidates)} candidates for"
            f" {self._request.label!r}, {self._request.method}, {self._result.rows} rows:"
            f" {', '.join(self.features[:5])}{', ...' if len(self.features) > 5 else ''})"
        )

    def plot(self) -> Any:
        """A Plotly figure: the metric after each step where models were measured, else the value of each chosen feature."""
        from spark_fs.base import plots

        if self._result.steps:
            steps = [each for each in self._result.steps if each.step != "baseline"]
            baseline = [each for each in self._result.steps if each.step == "baseline"]
            title = f"{self._request.label}: {self._result.metric} on held out rows"
            measured = {each.features: each.metric for each in steps}
            return plots.plot_steps(
                measured, title, self._result.metric, baseline[0].metric if baseline else None
            )
        chosen = [each for each in self._result.candidates if each.rank is not None]
        values = {each.feature: float(each.value or 0.0) for each in chosen}
        return plots.plot_bars(
            values,
            f"Features for {self._request.label}, by {self._request.method}",
            notes=[each.reason for each in chosen],
        )

    def to_feature_view(
        self, name: str, version: int | None = None, description: str = ""
    ) -> FeatureView:
        """Save the choice as a feature view, eagerly: the query with the chosen columns and the label alone.

        Groups that are joined from the left and give none are left out. Of a feature view, the
        transformations of chosen features and the helper columns go along. Raises NotFoundError
        where nothing was chosen, AlreadyExistsError when the version is taken.
        """
        from spark_fs.api.feature_store import FeatureStore
        from spark_fs.api.feature_view import FeatureView
        from spark_fs.api.query import Query
        from spark_fs.api.versions import create_version
        from spark_fs.spec.feature_view import ViewSpec

        if not self.features:
            raise NotFoundError(
                "No feature was chosen, so there is nothing to save: look at .scores for the"
                " reasons."
            )
        plan, chosen, view = self._query.plan(), set(self.features), self._view
        known = chosen | {self._request.label}
        transformations = tuple(
            each for each in (view.transformations if view else ()) if set(each.features) <= known
        )
        helpers = (*view.training_helpers, *view.inference_helpers) if view else ()
        wanted = {
            *chosen,
            self._request.label,
            *helpers,
            *(set(plan.schema) - {output.name for output in plan.features}),
        }
        columns = [
            {
                o.source.column
                for o in plan.outputs
                if o.source.node == node.index and o.name in wanted
            }
            for node in plan.nodes
        ]
        stores = self._query._stores
        next_version = partial(stores.catalog.next_view_version, name)
        spec = ViewSpec(
            name,
            next_version() if version is None else version,
            Query(stores, self._query.spec.select_columns(columns)).spec,
            (self._request.label,),
            description,
            transformations,
            view.training_helpers if view else (),
            view.inference_helpers if view else (),
        )
        create = FeatureStore(stores)._create_view
        return FeatureView(
            stores,
            create_version(
                version, next_version, lambda taken: create(replace(spec, version=taken))
            ),
        )
