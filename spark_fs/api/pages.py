"""What the pages about groups, views and the whole store show, gathered without Spark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_fs.api import lineage
from spark_fs.base.arithmetic import is_nan
from spark_fs.base.json_values import to_json
from spark_fs.errors import SettingsError, SetupError, SparkFSError

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.spec.comparison import DriftReport
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_statistics import FeatureStatistics, Statistics
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.tables.delta.history import Commit

SHOWN_ROWS, SHOWN_COLUMNS, MAX_COMMITS, HEAT_MAP_FEATURES = 20, 50, 50, 40
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def write_page(path: Path, page: str) -> Path:
    """Write a page to a file; SettingsError where that cannot be done."""
    try:
        path.write_text(page, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The page cannot be written to {path}: {error}. Name a file in a folder that is there."
        ) from None
    return path


def render_group_page(stores: Stores, group: GroupSpec, base_url: str = "") -> str:
    """The page about a feature group; home: where the explorer is, of a page that is served."""
    from spark_fs.flows.statistics import load_commit_statistics
    from spark_fs.report.page import render_page
    from spark_fs.tables import statistics_files
    from spark_fs.tables.delta import history

    place = stores.find_table(group)
    outside = group.source is not None
    commits = [] if outside else history.list_commits(place, MAX_COMMITS)
    found = (
        None
        if outside
        else load_commit_statistics(
            statistics_files.get_statistics_folder(place), None, correlations=False
        )
    )
    related = (
        statistics_files.read_correlations(
            statistics_files.get_statistics_folder(place),
            statistics_files.format_commit_name(found.commit),
        )
        if found and found.commit is not None
        else None
    )
    features = _build_feature_rows(
        group.types,
        found,
        related,
        _get_column_roles(group),
        {f.name: f.description for f in group.features},
    )
    sample = _read_sample(stores, group) if commits and not group.may_have_duplicates else None
    drifts = stores.catalog.list_comparisons(group)
    data = {
        "features": features,
        "heat": _build_heat_map(related),
        **_build_drift_data(drifts),
        "commits": _build_table(
            ["commit", "at (UTC)", "operation", "inserted", "updated", "deleted", "batch"],
            map(_format_commit, commits),
        ),
        "validations": _build_table(
            ["at (UTC)", "suite", "passed", "became", "set aside", "failed expectations"],
            _iter_validations(stores, group),
        ),
    }
    sections: list[dict[str, Any]] = [
        {
            "id": "features",
            "title": "Features",
            "kind": "explore",
            "data": "features",
            "search": "Search features (press /)",
            "none": "No schema yet: the first insert gives it.",
            "lead": _describe_statistics(found, commits),
        },
        {"id": "rows", "title": "Some rows", "kind": "table", **_build_sample_table(sample)},
        {
            "id": "correlations",
            "title": "Correlations",
            "kind": "heat",
            "data": "heat",
            "lead": (
                f"Of the {HEAT_MAP_FEATURES} features that hang together most: Pearson's"
                " correlation, Cramer's V, or the correlation ratio."
            ),
        },
        {
            "id": "commits",
            "title": "Commits",
            "kind": "explore",
            "data": "commits",
            "none": "No commits yet.",
        },
        {
            "id": "validation",
            "title": "Validation",
            "kind": "explore",
            "data": "validations",
            "none": "No batch was validated yet.",
        },
        {
            "id": "drift",
            "title": "Drift",
            "kind": "trend",
            "data": "trend",
            "table": "drifts",
            "none": "Nothing was compared yet.",
        },
        {
            "id": "lineage",
            "title": "Lineage",
            "kind": "graph",
            "graph": lineage.build_group_graph(stores, group, base_url),
        },
    ]
    facts = _list_group_facts(group, commits, found)
    return render_page(
        f"{group.name}, version {group.version}",
        sections,
        data,
        group.description,
        facts,
        _format_footer(),
        base_url,
    )


def render_view_page(
    stores: Stores, view: ViewSpec, splits: Sequence[Statistics] = (), base_url: str = ""
) -> str:
    """The page about a feature view, with the statistics of a training dataset's splits."""
    from spark_fs.flows.view_columns import resolve_view_columns
    from spark_fs.report.page import render_page

    columns = resolve_view_columns(stores.catalog, view)
    datasets = [
        dataset
        for dataset in stores.catalog.list_training_datasets(view)
        if dataset.state == "finished"
    ]
    models = stores.catalog.list_models(view)
    roles = dict.fromkeys(view.labels, "label") | dict.fromkeys(
        view.training_helpers, "training helper"
    )
    roles |= dict.fromkeys(view.inference_helpers, "inference helper")
    types = {**columns.features, **columns.labels}
    data: dict[str, Any] = {
        "features": _build_feature_rows(types, None, None, roles, {}),
        **_build_drift_data(stores.catalog.list_comparisons(view)),
        "datasets": _build_table(
            ["version", "at (UTC)", "splits and rows", "seed", "files", "description"],
            (
                [
                    d.version,
                    d.created_at and f"{d.created_at:{_TIME_FORMAT}}",
                    ", ".join(f"{k} {v}" for k, v in d.rows.items()),
                    d.seed,
                    d.files.location if d.files else "in memory",
                    d.description,
                ]
                for d in datasets
            ),
        ),
        "models": _build_table(
            ["model", "version", "training dataset"],
            ([m.name, m.version, m.training_dataset_version] for m in models),
        ),
    }
    sections: list[dict[str, Any]] = [
        {"id": "features", "title": "Features and labels", "kind": "explore", "data": "features"}
    ]
    for split in splits:
        held = {
            each.feature_name: each.feature_type for each in split.feature_descriptive_statistics
        }
        data[f"features-{split.split}"] = _build_feature_rows(held, split, None, {}, {})
        sections.append(
            {
                "id": f"split-{split.split}",
                "title": f"Statistics of the {split.split} split",
                "kind": "explore",
                "data": f"features-{split.split}",
                "lead": f"{split.row_count:,} rows, after the transformations.",
            }
        )
    sections += [
        {
            "id": "datasets",
            "title": "Training datasets",
            "kind": "explore",
            "data": "datasets",
            "none": "No training dataset yet.",
        },
        {
            "id": "models",
            "title": "Models",
            "kind": "explore",
            "data": "models",
            "none": "No model was trained on it yet.",
        },
        {
            "id": "drift",
            "title": "Drift",
            "kind": "trend",
            "data": "trend",
            "table": "drifts",
            "none": "Nothing was compared yet.",
        },
        {
            "id": "lineage",
            "title": "Lineage",
            "kind": "graph",
            "graph": lineage.build_view_graph(stores, view, base_url),
        },
    ]
    facts = [
        ("labels", ", ".join(view.labels) or "none"),
        ("features", f"{len(columns.features):,}"),
        ("training datasets", len(datasets)),
        ("models", len(models)),
        ("transformations", len(view.transformations)),
    ]
    return render_page(
        f"{view.name}, version {view.version}",
        sections,
        data,
        view.description,
        facts,
        _format_footer(),
        base_url,
    )


def render_home_page(stores: Stores, base_url: str) -> str:
    """The first page of the explorer: every group and view."""
    from spark_fs.report.page import render_page

    groups = []
    for group in stores.catalog.list_groups():
        fresh = "external" if group.source else _format_newest_commit(stores, group)
        cells = [
            group.name,
            group.version,
            ", ".join(group.primary_key),
            group.event_time,
            len(group.types),
            "yes" if group.online_enabled else "",
            fresh,
            group.description,
        ]
        groups.append({"cells": cells, "href": f"{base_url}group/{group.name}/{group.version}"})
    views = [
        {
            "cells": [
                v.name,
                v.version,
                ", ".join(v.labels),
                ", ".join(sorted({r.name for r in v.query.iter_groups()})),
                v.description,
            ],
            "href": f"{base_url}view/{v.name}/{v.version}",
        }
        for v in stores.catalog.list_views()
    ]
    data = {
        "groups": {
            "columns": [
                "group",
                "version",
                "primary key",
                "event time",
                "columns",
                "online",
                "newest commit (UTC)",
                "description",
            ],
            "rows": groups,
        },
        "views": {"columns": ["view", "version", "labels", "groups", "description"], "rows": views},
    }
    sections = [
        {
            "id": "groups",
            "title": "Feature groups",
            "kind": "explore",
            "data": "groups",
            "none": "No feature groups yet.",
        },
        {
            "id": "views",
            "title": "Feature views",
            "kind": "explore",
            "data": "views",
            "none": "No feature views yet.",
        },
    ]
    return render_page("Feature store", sections, data, footer=_format_footer(), home=base_url)


def _format_newest_commit(stores: Stores, group: GroupSpec) -> str:
    """When the newest commit of a group was, or why there is none."""
    from spark_fs.tables.delta import history

    try:
        newest = history.list_commits(stores.find_table(group), 1)
    except SparkFSError as error:  # of one group, and the page is about all
        return f"not to be read: {error}"
    return f"{newest[0].committed_at:{_TIME_FORMAT}}" if newest else "no rows yet"


def render_lineage_page(stores: Stores, base_url: str) -> str:
    """How all groups, views, training datasets and models come of one another."""
    from spark_fs.report.page import render_page

    section = {
        "id": "lineage",
        "title": "From groups to models",
        "kind": "graph",
        "graph": lineage.build_store_graph(stores, base_url),
    }
    return render_page("Lineage", [section], {}, footer=_format_footer(), home=base_url)


# -- parts of pages


def _build_feature_rows(
    types: Mapping[str, str],
    statistics: Statistics | None,
    correlations: Any,
    roles: Mapping[str, str],
    descriptions: Mapping[str, str],
) -> list[dict[str, Any]]:
    known = (
        {each.feature_name: each for each in statistics.feature_descriptive_statistics}
        if statistics
        else {}
    )
    strongest = _find_strongest(correlations)
    return [
        {
            "name": name,
            "type": type_,
            "role": roles.get(name, ""),
            "description": descriptions.get(name, ""),
            **(_build_feature_facts(known[name]) if name in known else {}),
            "related": strongest.get(name, []),
        }
        for name, type_ in types.items()
    ]


def _build_feature_facts(feature: FeatureStatistics) -> dict[str, Any]:
    percentiles = (
        [[_format_percentile(p), feature.percentiles[p - 1]] for p in _PERCENTILES]
        if feature.percentiles
        else []
    )
    found: dict[str, Any] = to_json(
        {
            "count": feature.count,
            "nulls": feature.num_null_values,
            "nan": feature.num_nan_values,
            "infinite": feature.num_infinite_values,
            "completeness": feature.completeness,
            "distinct": feature.approx_num_distinct_values,
            "exact": feature.exact_num_distinct_values,
            "distinctness": feature.distinctness,
            "uniqueness": feature.uniqueness,
            "entropy": feature.entropy,
            "min": feature.min,
            "max": feature.max,
            "sum": feature.sum,
            "mean": feature.mean,
            "stddev": feature.stddev,
            "percentiles": percentiles,
            "histogram": list(feature.histogram or ()),
        }
    )
    return found


def _format_percentile(percentile: int) -> str:
    return (
        "median"
        if percentile == 50
        else "1st percentile"
        if percentile == 1
        else f"{percentile}th percentile"
    )


def _find_strongest(correlations: Any) -> dict[str, list[list[Any]]]:
    if correlations is None:
        return {}
    import numpy as np

    features, others, values = correlations
    found = {}
    for name, row in zip(features, values, strict=True):
        strength = np.array(
            [
                abs(v) if not is_nan(v) and o != name else -1.0
                for o, v in zip(others, row, strict=True)
            ]
        )
        best = np.argsort(-strength, kind="stable")[:5]
        found[name] = [[others[at], float(row[at])] for at in best if strength[at] > 0]
    return found


def _build_heat_map(correlations: Any) -> dict[str, Any]:
    """The matrix of the features that hang together most."""
    if correlations is None or not correlations[1]:
        return {"names": [], "values": []}
    import numpy as np

    features, others, values = correlations
    place = {name: at for at, name in enumerate(features)}
    known = [name for name in others if name in place]
    square = values[np.ix_([place[name] for name in known], [others.index(name) for name in known])]
    apart = np.where(np.isnan(square), 0, np.abs(square))
    np.fill_diagonal(apart, 0)
    most = sorted(
        np.argsort(-apart.max(axis=1, initial=0), kind="stable")[:HEAT_MAP_FEATURES].tolist()
    )
    chosen = square[np.ix_(most, most)]
    np.fill_diagonal(chosen, 1.0)
    return {
        "names": [known[at] for at in most],
        "values": [[None if is_nan(v) else v for v in row] for row in chosen.tolist()],
    }


def _get_column_roles(group: GroupSpec) -> dict[str, str]:
    roles = dict.fromkeys(group.partition_key, "partition key") | dict.fromkeys(
        group.primary_key, "primary key"
    )
    return roles | ({group.event_time: "event time"} if group.event_time else {})


def _build_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    return {"columns": list(columns), "rows": [{"cells": list(row)} for row in rows]}


def _format_commit(commit: Commit) -> list[Any]:
    counts = commit.inserted, commit.updated, commit.deleted
    return [
        commit.version,
        f"{commit.committed_at:{_TIME_FORMAT}}",
        commit.operation,
        *counts,
        commit.batch_id,
    ]


def _iter_validations(stores: Stores, group: GroupSpec) -> Iterable[list[Any]]:
    for report in reversed(stores.catalog.list_validations(group.ref)):
        failed = "; ".join(
            f"{r.type} ({r.failed} of {r.checked})" for r in report.results if not r.success
        )
        at = f"{report.validated_at:{_TIME_FORMAT}}" if report.validated_at else ""
        yield [
            at,
            report.suite,
            "yes" if report.success else "no",
            report.ingestion,
            report.set_aside,
            failed,
        ]


def _build_drift_data(reports: Sequence[DriftReport]) -> dict[str, Any]:
    points = [
        {
            "name": f"{r.compared_at:{_TIME_FORMAT}}: {r.current}",
            "value": max((f.measures.get("psi", 0.0) for f in r.features), default=0.0),
        }
        for r in reports
    ]
    limit = next((r.thresholds["psi"] for r in reversed(reports) if "psi" in r.thresholds), None)
    rows = (
        [
            f"{r.compared_at:{_TIME_FORMAT}}",
            r.current,
            r.reference,
            "no" if r.ok else "yes",
            "; ".join(
                f"{f.feature_name}: {', '.join(f'{m} {f.measures[m]:.3g}' for m in f.crossed)}"
                for f in r.crossed[:10]
            ),
        ]
        for r in reversed(reports)
    )
    return {
        "trend": {
            "title": "The greatest PSI of any feature, comparison by comparison",
            "limit": limit,
            "points": points,
        },
        "drifts": _build_table(["at (UTC)", "compared", "beside", "drifted", "features"], rows),
    }


def _read_sample(stores: Stores, group: GroupSpec) -> Any:
    """Some rows of a group, where they can be read without Spark; None where they cannot."""
    from spark_fs.api.stores import StoresWithoutSpark
    from spark_fs.flows import head

    try:
        return head.read_first_rows(
            lambda: StoresWithoutSpark(stores.settings).spark,
            group,
            stores.get_table_path(group),
            SHOWN_ROWS,
        )
    except SetupError:
        return None


def _build_sample_table(frame: Any) -> dict[str, Any]:
    if frame is None or frame.empty:
        return {"columns": [], "rows": [], "none": "No rows to show without Spark."}
    frame = frame.iloc[:, :SHOWN_COLUMNS]
    return {
        "columns": list(frame.columns),
        "rows": [
            [_format_cell(value) for value in row] for row in frame.astype(object).values.tolist()
        ],
    }


def _format_cell(value: Any) -> Any:
    if value is None or is_nan(value) or str(value) == "NaT":
        return ""
    if isinstance(value, bool | int):
        return value
    return float(f"{value:.6g}") if isinstance(value, float) else str(value)[:80]


def _describe_statistics(statistics: Statistics | None, commits: Sequence[Commit]) -> str:
    if statistics is None:
        return "No statistics are kept: make them with compute_statistics()."
    behind = (
        ""
        if not commits or statistics.commit == commits[0].version
        else f"; the newest commit is {commits[0].version}"
    )
    return (
        f"Statistics of commit {statistics.commit}, made {statistics.computed_at:{_TIME_FORMAT}}"
        f" UTC{behind}. Open a feature for its histogram."
    )


def _list_group_facts(
    group: GroupSpec, commits: Sequence[Commit], statistics: Statistics | None
) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("primary key", ", ".join(group.primary_key)),
        ("event time", group.event_time or "none"),
        ("columns", f"{len(group.types):,}"),
        ("online", "yes" if group.online_enabled else "no"),
    ]
    if statistics:
        facts.append(("rows", f"{statistics.row_count:,}"))
        newest = next(
            (
                f.max
                for f in statistics.feature_descriptive_statistics
                if f.feature_name == group.event_time
            ),
            None,
        )
        facts.append(("newest event time", str(newest)[:19])) if newest is not None else None
    if commits:
        hours = (datetime.now(UTC) - commits[0].committed_at).total_seconds() / 3600
        facts.append(
            (
                "newest commit",
                f"{commits[0].committed_at:{_TIME_FORMAT}} UTC ({hours:.1f} hours ago)",
            )
        )
    return facts + [(f"tag {name}", str(value)) for name, value in group.tags.items()]


def _format_footer() -> str:
    return f"Made by spark_fs at {datetime.now(UTC):{_TIME_FORMAT}} UTC. All times are UTC."
