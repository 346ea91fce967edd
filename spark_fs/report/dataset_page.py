"""The page about a training dataset: what makes it again, and the statistics of its splits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.report import facts
from spark_fs.report.page import render_page
from spark_fs.report.page_links import make_group_link

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.feature_statistics import Statistics
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.training_dataset import TrainingDatasetSpec

_SHOWN_STATE = 2_000  # letters of what a transformation learned


def render_dataset_page(stores: ProjectStores, view: ViewSpec, version: int, base_url: str) -> str:
    """Render a training dataset of a view.

    Args:
        stores: Where it is kept.
        view: The view.
        version: The training dataset's.
        base_url: Where the explorer is.

    Raises:
        NotFoundError: The view has no such training dataset.
    """
    from spark_fs.flows import training_statistics

    dataset = stores.catalog.get_training_dataset(view, version)
    statistics = training_statistics.load_statistics(stores, view, dataset)
    data: dict[str, Any] = {
        **facts.build_labels(),
        "groups": _build_group_table(dataset, base_url),
        "splits": _build_split_table(dataset),
    }
    sections = [
        facts.build_section("splits", "Splits", "splits"),
        facts.build_section("groups", "Tables that were read", "groups"),
    ]
    for split in statistics.split_statistics if statistics else ():
        data[f"features-{split.split}"] = build_split_rows(split)
        sections.append(build_split_section(split))
    if dataset.transformations:
        sections.append(_build_state_section(dataset.transformations))
    title = f"{view.name}, version {view.version}, training dataset {version}"
    return render_page(
        title,
        sections,
        data,
        dataset.description,
        _list_facts(dataset),
        facts.format_footer(),
        base_url,
    )


def build_split_rows(split: Statistics) -> list[dict[str, Any]]:
    """Make a row of facts for each feature of a split."""
    columns = split.feature_descriptive_statistics
    types = {column.feature_name: column.feature_type for column in columns}
    return facts.build_feature_rows(types, split)


def build_split_section(split: Statistics) -> dict[str, Any]:
    """Make the section about the features of a split, whose data is under ``features-<split>``."""
    return facts.build_section(
        f"split-{split.split}",
        f"Statistics of the {split.split} split",
        f"features-{split.split}",
        lead=f"{split.row_count:,} rows, after the transformations.",
    )


def _list_facts(dataset: TrainingDatasetSpec) -> list[tuple[str, Any]]:
    """List what stands at the top of the page: names and values."""
    rows: list[tuple[str, Any]] = [
        ("state", dataset.state),
        ("made (UTC)", dataset.created_at and facts.format_time(dataset.created_at)),
        ("rows", f"{sum(dataset.rows.values()):,}"),
        ("files", dataset.location or "in memory: made again when it is read"),
    ]
    if dataset.files:
        rows.append(("format", dataset.files.format))
    if dataset.seed is not None:
        rows.append(("seed", dataset.seed))
    if dataset.extra_filter:
        rows.append(("filter", str(dataset.extra_filter)))
    if dataset.max_feature_age is not None:
        rows.append(("oldest feature, in seconds", f"{dataset.max_feature_age:g}"))
    return rows + facts.format_tags(dataset.tags)


def _build_split_table(dataset: TrainingDatasetSpec) -> dict[str, Any]:
    rows = []
    for split in dataset.parts:
        interval = dataset.splits.get(split)
        start, end = interval.to_json() if interval else (None, None)
        rows.append([split, dataset.rows.get(split), start, end])
    return facts.build_table(["split", "rows", "from (UTC)", "until (UTC, excluded)"], rows)


def _build_group_table(dataset: TrainingDatasetSpec, base_url: str) -> dict[str, Any]:
    rows = []
    for ref, delta_version in dataset.group_versions.items():
        rows.append([make_group_link(ref, base_url), delta_version])
    return facts.build_table(["feature group", "at table version"], rows)


def _build_state_section(transformations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Show what each transformation learned of the train split."""
    blocks = []
    for transformation in transformations:
        text = json.dumps(transformation["state"], indent=1, default=str)
        if len(text) > _SHOWN_STATE:
            text = f"{text[:_SHOWN_STATE]}\n..."
        blocks.append({"title": _name_transformation(transformation), "text": text})
    return {
        "id": "learned",
        "title": "What the transformations learned",
        "kind": "code",
        "blocks": blocks,
    }


def _name_transformation(transformation: Mapping[str, Any]) -> str:
    features = ", ".join(transformation["features"])
    return f"{transformation['function']} of {features}"
