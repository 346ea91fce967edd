"""Feature selection: from thousands of candidates to a feature view of the few that help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from spark_fs.base.arguments import validate_arguments, validate_call
from spark_fs.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.query import Query
    from spark_fs.base.plots import Figure
    from spark_fs.planning.plan import JoinPlan
    from spark_fs.spec.feature_selection import (
        Method,
        Score,
        SelectionRequest,
        SelectionResult,
        Task,
    )
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
    engine: str | None = None,
) -> Selection:
    """Search a query or a feature view for the features that predict a label, eagerly.

    Every row counts, and none is collected: tasks sum up what scores follow from; only models see a
    sample. Keys and event times of the groups are no candidates. The result is the same for the
    same rows and seed.

    Args:
        query_or_feature_view: What holds the candidates.
        label: The column to predict; None: the only label of a feature view.
        k: How many features to choose at most.
        method: "mrmr" (the F statistic over the mean absolute correlation with those chosen before:
            FCQ of Zhao, Anand, Wang, 2019), "k_best" (by ``score``) or "importance" (the gain in an
            XGBoost model of all candidates).
        score: "f" (the F of an analysis of variance or a regression), "mutual_information",
            "chi_squared" or, for two classes, "auc", of one feature alone; the last three over up
            to 64 quantile bins.
        task: "classification" for a label of 2 to 50 classes, "regression" for a number; None: by
            the label.
        baseline: Features that a model has today. Models are measured on held out rows, of the
            baseline and then step by step of more features, and the least set that is as good as
            the best is chosen.
        evaluate: Whether models are measured in that way without a baseline.
        sample: How many rows models are trained on.
        max_null_share: The share of nulls, up to 1, beyond which a feature is left out.
        leak: The AUC, or the absolute correlation, up to 1, from which a feature that reaches it
            alone is called out as a leak and not chosen.
        seed: An integer that the sample and the models follow from.
        progress: Called with what is being done and the numbers of tasks done and known.
        engine: What reads the rows: "local", "spark" or "auto"; None: as the settings say.

    Returns:
        The chosen features, and every candidate with its scores.

    Raises:
        NotFoundError: The label or a baseline feature is not a column.
        SettingsError: An argument is out of its range, the label does not vary, or no candidate is
            left.
        SetupError: XGBoost is needed and not installed.
    """
    from spark_fs.flows import select
    from spark_fs.spec.feature_selection import SelectionRequest, check_candidates

    query, view, features = _resolve_source(query_or_feature_view)
    label = _resolve_label(view, label)
    plan = query.plan()
    check_candidates(label, plan.schema, baseline)
    keys = plan.identity_names
    names = plan.schema if features is None else features
    candidates = [name for name in names if name not in keys or name in baseline]
    request = SelectionRequest(
        label,
        k,
        cast("Method", method),  # which the request checks, as the two below
        cast("Score", score),
        cast("Task | None", task),
        tuple(baseline),
        evaluate,
        sample,
        max_null_share,
        leak,
        seed,
    )
    stores = query._stores
    result = select.search_features(
        stores.engines.with_request(engine),
        plan.select_outputs({*candidates, label}),
        stores.find_table,
        stores.settings.warehouse,
        request,
        progress,
    )
    return Selection(query, view, request, result)


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
    if view is None:
        reason = "a query has none of its own"
    elif len(view.labels) == 1:
        return view.labels[0]
    else:
        reason = f"the feature view has {len(view.labels)} labels"
    raise SettingsError(f"label is needed, since {reason}: name the column to predict.")


@validate_arguments
class Selection:
    """The chosen features, and every candidate with its scores and the reason for its place."""

    def __init__(
        self,
        query: Query,
        view: ViewSpec | None,
        request: SelectionRequest,
        result: SelectionResult,
    ) -> None:
        self._query = query
        self._view = view
        self._request = request
        self._result = result

    @property
    def features(self) -> list[str]:
        """The chosen features, the best first."""
        return list(self._result.chosen)

    @property
    def task(self) -> str:
        """What is predicted: "classification" or "regression"."""
        return self._result.task

    @property
    def scores(self) -> pd.DataFrame:
        """A row for each candidate, the chosen ones first: rank, scores and reason.

        value: what the method ranks by. strength: the correlation ratio, correlation or Cramer's V
        with the label.
        """
        import pandas as pd

        frame = pd.DataFrame([vars(candidate) for candidate in self._result.candidates])
        return frame.drop(columns="leaks")  # `warnings` names them

    @property
    def steps(self) -> pd.DataFrame:
        """What models were measured at: the step, its number of features and the metric.

        The metric is of held out rows: AUC for two classes, accuracy for more, R2 for a number.
        Empty unless a baseline or ``evaluate`` was given.
        """
        import pandas as pd

        metric = self._result.metric
        rows = [
            {"step": step.step, "features": step.features, metric: step.metric}
            for step in self._result.steps
        ]
        return pd.DataFrame(rows, columns=["step", "features", metric or "metric"])

    @property
    def warnings(self) -> dict[str, str]:
        """The candidates that were called out, with the reason.

        They are constant, mostly null, like a leak, or of too many categories.
        """
        reasons = {}
        for candidate in self._result.candidates:
            if candidate.leaks:
                reasons[candidate.feature] = candidate.reason
        for candidate in self._result.candidates:
            is_unscored = candidate.value is None and candidate.f is None
            if candidate.rank is None and is_unscored:
                reasons[candidate.feature] = candidate.reason
        return reasons

    def __repr__(self) -> str:
        features = ", ".join(self.features[:5])
        if len(self.features) > 5:
            features += ", ..."
        return (
            f"Selection({len(self.features)} of {len(self._result.candidates)} candidates for"
            f" {self._request.label!r}, {self._request.method}, {self._result.rows} rows:"
            f" {features})"
        )

    def plot(self) -> Figure:
        """A Plotly figure of the metric after each step, or of the value of each chosen feature.

        The first where models were measured.
        """
        return self._plot_steps() if self._result.steps else self._plot_values()

    def _plot_steps(self) -> Figure:
        from spark_fs.base import plots

        measured = {}
        baseline = None
        for step in self._result.steps:
            if step.step != "baseline":
                measured[step.features] = step.metric
            elif baseline is None:
                baseline = step.metric
        title = f"{self._request.label}: {self._result.metric} on held out rows"
        return plots.plot_steps(measured, title, self._result.metric, baseline)

    def _plot_values(self) -> Figure:
        from spark_fs.base import plots

        values = {}
        notes = []
        for candidate in self._result.candidates:
            if candidate.rank is not None:
                values[candidate.feature] = float(candidate.value or 0.0)
                notes.append(candidate.reason)
        title = f"Features for {self._request.label}, by {self._request.method}"
        return plots.plot_bars(values, title, notes=notes)

    def to_feature_view(
        self, name: str, version: int | None = None, description: str = ""
    ) -> FeatureView:
        """Save the choice as a feature view, eagerly.

        Its query has the chosen columns and the label alone.
        Groups that are joined from the left and give none are left out. Of a feature view, the
        transformations of chosen features and the helper columns go along.

        Args:
            name: The name of the new view.
            version: From 1 up; None: the next free one.
            description: What it is for.

        Raises:
            NotFoundError: Nothing was chosen.
            AlreadyExistsError: The version is taken.
            InvalidNameError: The name is not valid.
        """
        from spark_fs.api.versions import create_version

        if not self.features:
            raise NotFoundError(
                "No feature was chosen, so there is nothing to save: look at .scores for the"
                " reasons."
            )
        stores = self._query._stores
        next_version = partial(stores.catalog.next_view_version, name)
        first_version = next_version() if version is None else version
        spec = self._build_view_spec(name, first_version, description)

        def save_version(number: int) -> FeatureView:
            view = stores.open_view(replace(spec, version=number))
            view.check()
            stores.catalog.add_view(view._spec)
            return view

        return create_version(version, next_version, save_version)

    def _build_view_spec(self, name: str, version: int, description: str) -> ViewSpec:
        from spark_fs.spec.feature_view import ViewSpec

        view = self._view
        label = self._request.label
        columns = {*self.features, label}
        plan = self._query.plan()
        query_spec = self._query.spec.with_current_rules()
        transformations = []
        for transformation in view.transformations if view else ():
            if columns.issuperset(transformation.features):
                transformations.append(transformation)
        return ViewSpec(
            name,
            version,
            query_spec.select_columns(self._list_node_columns(plan)),
            (label,),
            description,
            tuple(transformations),
            view.training_helpers if view else (),
            view.inference_helpers if view else (),
            key_features=tuple(key for key in plan.list_spine_keys() if key in self.features),
        )

    def _list_node_columns(self, plan: JoinPlan) -> list[set[str]]:
        """The columns of each node of the query that the new view takes."""
        wanted = {*self.features, self._request.label}
        if self._view:
            wanted |= {*self._view.training_helpers, *self._view.inference_helpers}
        columns: list[set[str]] = [set() for _ in plan.nodes]
        for output in plan.outputs:
            if output.name in wanted:
                columns[output.source.node].add(output.source.column)
        return columns
