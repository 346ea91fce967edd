"""The page about a feature view, made without Spark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.errors import SparkFSError
from spark_fs.online.entry_keys import list_key_types
from spark_fs.planning.sql_text import to_sql
from spark_fs.report import facts, lineage
from spark_fs.report.dataset_page import build_split_rows, build_split_section
from spark_fs.report.page import render_page
from spark_fs.report.page_links import (
    make_dataset_link,
    make_feature_link,
    make_link,
    make_version_links,
)
from spark_fs.report.skew_page import build_skew_data, build_skew_section, make_skew_link

if TYPE_CHECKING:
    from spark_fs.catalog.views import ModelLink
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.flows.view_columns import ViewColumns
    from spark_fs.planning.plan import PlanNode
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_statistics import FeatureStatistics, Statistics
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
    data: dict[str, Any] = {
        "features": _build_feature_rows(stores, columns, base_url),
        **facts.build_labels(),
        **facts.build_drift_data(catalog.list_comparisons(view)),
        **_build_skew_data(stores, view, base_url),
        "datasets": _build_dataset_table(view, datasets, base_url),
        "models": _build_model_table(view, models, base_url),
    }
    sections = [_build_feature_section(), _build_code_section(view, columns, datasets)]
    for split in splits:
        data[f"features-{split.split}"] = build_split_rows(split)
        sections.append(build_split_section(split))
    sections += _build_last_sections()
    graph = lineage.build_view_graph(catalog, view, base_url)
    sections.append({"id": "lineage", "title": "Lineage", "kind": "graph", "graph": graph})
    top_facts: list[tuple[str, Any]] = [
        ("labels", ", ".join(view.labels) or "none"),
        ("features", f"{len(columns.features):,}"),
        ("training datasets", len(datasets)),
        ("models", len(models)),
        ("transformations", len(view.transformations)),
    ]
    versions = catalog.list_view_versions(view.name)
    others = make_version_links("view", view.name, versions, view.version, base_url)
    if others:
        top_facts.append(("other versions", others))
    top_facts += facts.format_tags(view.tags)
    title = f"{view.name}, version {view.version}"
    footer = facts.format_footer()
    return render_page(title, sections, data, view.description, top_facts, footer, base_url)


# -- features


def _build_feature_section() -> dict[str, Any]:
    return facts.build_section(
        "features",
        "Features and labels",
        "features",
        lead=(
            "Figures are those of the whole feature group that a feature comes from. Open one for"
            " its histogram."
        ),
        search="Search features",
    )


def _build_feature_rows(
    stores: ProjectStores, columns: ViewColumns, base_url: str
) -> list[dict[str, Any]]:
    """Make a row for each column: where it comes from, its figures, what is made of it."""
    view = columns.view
    outputs = {output.name: output for output in columns.plan.outputs}
    transformed = _describe_transformations(view)
    figures: dict[int, dict[str, FeatureStatistics]] = {}
    descriptions = [_list_descriptions(node.group) for node in columns.plan.nodes]
    rows = []
    types = {**columns.features, **columns.labels}
    for row in facts.build_feature_rows(types, roles=_get_column_roles(view)):
        source = outputs[row["name"]].source
        node = columns.plan.nodes[source.node]
        if source.node not in figures:
            figures[source.node] = _load_figures(stores, node)
        known = figures[source.node].get(source.column)
        if known:
            row.update(facts.build_feature_facts(known))
        row["description"] = descriptions[source.node].get(source.column, "")
        row["from"] = make_feature_link(node.group.ref, source.column, base_url)
        if row["name"] in transformed:
            row["transformation"] = transformed[row["name"]]
        rows.append(row)
    return rows


def _load_figures(stores: ProjectStores, node: PlanNode) -> dict[str, FeatureStatistics]:
    """The newest statistics of a group's columns; none of windows, which no group holds."""
    from spark_fs.flows.statistics import load_commit_statistics
    from spark_fs.tables.statistics_files import get_statistics_folder

    if node.windows or node.group.source:
        return {}
    folder = get_statistics_folder(stores.find_table(node.group))
    try:
        statistics = load_commit_statistics(folder, None, correlations=False)
    except SparkFSError:  # of one group, and the page is about a view
        return {}
    described = statistics.feature_descriptive_statistics if statistics else ()
    return {feature.feature_name: feature for feature in described}


def _list_descriptions(group: GroupSpec) -> dict[str, str]:
    return {feature.name: feature.description for feature in group.features}


def _describe_transformations(view: ViewSpec) -> dict[str, str]:
    """The functions that take each feature, in their order."""
    names: dict[str, list[str]] = {}
    for transformation in view.transformations:
        for feature in transformation.features:
            names.setdefault(feature, []).append(transformation.function.name)
    return {feature: ", ".join(functions) for feature, functions in names.items()}


def _get_column_roles(view: ViewSpec) -> dict[str, str]:
    roles = dict.fromkeys(view.labels, "label")
    roles.update(dict.fromkeys(view.training_helpers, "training helper"))
    roles.update(dict.fromkeys(view.inference_helpers, "inference helper"))
    return roles


# -- code


def _build_code_section(
    view: ViewSpec, columns: ViewColumns, datasets: Sequence[TrainingDatasetSpec]
) -> dict[str, Any]:
    """Show how to train and serve, and the query as SQL."""
    blocks = [
        {"title": "Train", "text": _write_training_code(view)},
        {"title": "Serve", "text": _write_serving_code(view, columns, datasets)},
        {"title": "Serve over HTTP", "text": _write_http_code(view, columns, datasets)},
        {"title": "The query, as SQL", "text": to_sql(columns.plan)},
    ]
    return {"id": "code", "title": "Use it", "kind": "code", "blocks": blocks}


def _write_training_code(view: ViewSpec) -> str:
    names = "X_train, X_test, y_train, y_test" if view.labels else "X_train, X_test, _, _"
    return (
        f"{_write_opening(view)}\n"
        f"{names} = view.train_test_split(\n"
        "    train_start=..., train_end=..., test_start=..., test_end=...\n"
        ")"
    )


def _write_serving_code(
    view: ViewSpec, columns: ViewColumns, datasets: Sequence[TrainingDatasetSpec]
) -> str:
    newest = datasets[-1].version if datasets else ""
    keys = ", ".join(f'"{name}": ...' for name in list_key_types(columns.plan))
    return (
        f"{_write_opening(view)}\n"
        f"view.init_serving({newest})\n"
        f"vector = view.get_feature_vector({{{keys}}})"
    )


def _write_http_code(
    view: ViewSpec, columns: ViewColumns, datasets: Sequence[TrainingDatasetSpec]
) -> str:
    served = f"{view.name}:{view.version}"
    request: dict[str, Any] = {"view": view.name, "version": view.version}
    if datasets:
        served += f":{datasets[-1].version}"
        request["training_dataset_version"] = datasets[-1].version
    request["entries"] = [dict.fromkeys(list_key_types(columns.plan), "...")]
    return (
        f"spark-fs serve --view {served}\n"
        "curl -s localhost:8080/v1/feature-vectors -H 'Content-Type: application/json' \\\n"
        f"    -d '{json.dumps(request)}'"
    )


def _write_opening(view: ViewSpec) -> str:
    return (
        "import spark_fs\n\n"
        "fs = spark_fs.login().get_feature_store()\n"
        f'view = fs.get_feature_view("{view.name}", version={view.version})'
    )


# -- what was made of it


def _build_last_sections() -> list[dict[str, Any]]:
    return [
        facts.build_section(
            "datasets", "Training datasets", "datasets", none="No training dataset yet."
        ),
        facts.build_section("models", "Models", "models", none="No model was trained on it yet."),
        facts.build_drift_section(),
        build_skew_section(),
    ]


def _build_skew_data(stores: ProjectStores, view: ViewSpec, base_url: str) -> dict[str, Any]:
    reports = stores.catalog.list_skew_reports(view)
    link = make_skew_link(view, reports[-1], base_url) if reports else None
    return build_skew_data(reports, link)


def _build_dataset_table(
    view: ViewSpec, datasets: Sequence[TrainingDatasetSpec], base_url: str
) -> dict[str, Any]:
    rows = []
    for dataset in datasets:
        counts = [f"{split} {count:,}" for split, count in dataset.rows.items()]
        row = [
            make_dataset_link(view.name, view.version, dataset.version, base_url),
            dataset.created_at and facts.format_time(dataset.created_at),
            ", ".join(counts),
            dataset.seed,
            dataset.files.location if dataset.files else "in memory",
            dataset.description,
        ]
        rows.append(row)
    columns = ["version", "at (UTC)", "splits and rows", "seed", "files", "description"]
    return facts.build_table(columns, rows)


def _build_model_table(
    view: ViewSpec, models: Sequence[ModelLink], base_url: str
) -> dict[str, Any]:
    rows = []
    for link in models:
        dataset: Any = link.training_dataset_version
        if dataset is not None:
            dataset = make_dataset_link(view.name, view.version, dataset, base_url)
        model = make_link(link.name, base_url, f"models#models={link.name}")
        rows.append([model, link.version, dataset])
    return facts.build_table(["model", "version", "training dataset"], rows)
