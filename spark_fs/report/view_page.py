"""The page about a feature view, made without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.report import facts, lineage
from spark_fs.report.page import render_page

if TYPE_CHECKING:
    from spark_fs.catalog.views import ModelLink
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.feature_statistics import Statistics
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.training_dataset import TrainingDatasetSpec


def render_view_page(
    stores: ProjectStores, view: ViewSpec, splits: Sequence[Statistics] = (), base_url: str = ""
) -> str:
    """Render the page about a feature view.

    Args:
        stores: Where the view is kept.
        view: The view.
        splits: The statistics of the splits of a training dataset.
        base_url: Where the explorer is, of a page that is served; empty: of a file.

    Returns:
        The page, as HTML that needs nothing else.
    """
    from spark_fs.flows.view_columns import resolve_view_columns

    catalog = stores.catalog
    columns = resolve_view_columns(catalog, view)
    datasets = [
        dataset for dataset in catalog.list_training_datasets(view) if dataset.state == "finished"
    ]
    models = catalog.list_models(view)
    types = {**columns.features, **columns.labels}
    data: dict[str, Any] = {
        "features": facts.build_feature_rows(types, roles=_get_column_roles(view)),
        "figures": facts.list_figures(),
        **facts.build_drift_data(catalog.list_comparisons(view)),
        "datasets": _build_dataset_table(datasets),
        "models": _build_model_table(models),
    }
    sections = [facts.build_section("features", "Features and labels", "features")]
    for split in splits:
        data[f"features-{split.split}"] = _build_split_rows(split)
        sections.append(_build_split_section(split))
    sections += _build_last_sections()
    graph = lineage.build_view_graph(catalog, view, base_url)
    sections.append({"id": "lineage", "title": "Lineage", "kind": "graph", "graph": graph})
    top_facts = [
        ("labels", ", ".join(view.labels) or "none"),
        ("features", f"{len(columns.features):,}"),
        ("training datasets", len(datasets)),
        ("models", len(models)),
        ("transformations", len(view.transformations)),
    ]
    title = f"{view.name}, version {view.version}"
    footer = facts.format_footer()
    return render_page(title, sections, data, view.description, top_facts, footer, base_url)


def _get_column_roles(view: ViewSpec) -> dict[str, str]:
    roles = dict.fromkeys(view.labels, "label")
    roles.update(dict.fromkeys(view.training_helpers, "training helper"))
    roles.update(dict.fromkeys(view.inference_helpers, "inference helper"))
    return roles


def _build_split_rows(split: Statistics) -> list[dict[str, Any]]:
    columns = split.feature_descriptive_statistics
    types = {column.feature_name: column.feature_type for column in columns}
    return facts.build_feature_rows(types, split)


def _build_split_section(split: Statistics) -> dict[str, Any]:
    return facts.build_section(
        f"split-{split.split}",
        f"Statistics of the {split.split} split",
        f"features-{split.split}",
        lead=f"{split.row_count:,} rows, after the transformations.",
    )


def _build_last_sections() -> list[dict[str, Any]]:
    return [
        facts.build_section(
            "datasets", "Training datasets", "datasets", none="No training dataset yet."
        ),
        facts.build_section("models", "Models", "models", none="No model was trained on it yet."),
        facts.build_drift_section(),
    ]


def _build_dataset_table(datasets: Sequence[TrainingDatasetSpec]) -> dict[str, Any]:
    rows = []
    for dataset in datasets:
        counts = [f"{split} {count}" for split, count in dataset.rows.items()]
        row = [
            dataset.version,
            dataset.created_at and facts.format_time(dataset.created_at),
            ", ".join(counts),
            dataset.seed,
            dataset.files.location if dataset.files else "in memory",
            dataset.description,
        ]
        rows.append(row)
    columns = ["version", "at (UTC)", "splits and rows", "seed", "files", "description"]
    return facts.build_table(columns, rows)


def _build_model_table(models: Sequence[ModelLink]) -> dict[str, Any]:
    rows = [[link.name, link.version, link.training_dataset_version] for link in models]
    return facts.build_table(["model", "version", "training dataset"], rows)
