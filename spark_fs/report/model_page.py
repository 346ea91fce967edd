"""The page about models: which were trained on which view and training dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_fs.report import facts
from spark_fs.report.page import render_page
from spark_fs.report.page_links import make_dataset_link, make_view_link

if TYPE_CHECKING:
    from spark_fs.catalog.views import ModelLink
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.feature_view import ViewSpec

_COLUMNS = ["model", "version", "feature view", "training dataset"]


def render_models_page(stores: ProjectStores, base_url: str) -> str:
    """Render every model that was trained on a feature view."""
    rows = []
    for view in stores.catalog.list_views():
        for link in stores.catalog.list_models(view):
            rows.append(_build_row(view, link, base_url))
    none = "No model was saved yet: project.get_model_registry() saves one."
    section = facts.build_section("models", "Models", "models", none=none)
    lead = "Metrics and files are in the model registry; what a model was trained on is here."
    data = {"models": facts.build_table(_COLUMNS, rows)}
    footer = facts.format_footer()
    return render_page("Models", [section], data, lead, footer=footer, home=base_url)


def _build_row(view: ViewSpec, link: ModelLink, base_url: str) -> list[Any]:
    dataset: Any = None
    if link.training_dataset_version is not None:
        dataset = make_dataset_link(
            view.name, view.version, link.training_dataset_version, base_url
        )
    return [link.name, link.version, make_view_link(view.name, view.version, base_url), dataset]
