"""What pages show of features, commits, validations and drift, as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spark_fs.base.arithmetic import is_nan
from spark_fs.base.json_values import to_json
from spark_fs.planning.window_text import describe_feature

if TYPE_CHECKING:
    from spark_fs.spec.aggregation import AggregationSpec
    from spark_fs.spec.comparison import DriftReport
    from spark_fs.spec.feature_statistics import FeatureStatistics, Statistics
    from spark_fs.spec.validation_report import ValidationReport
    from spark_fs.tables.commits import Commit

SHOWN_COLUMNS = 50
MAX_HEAT_MAP_FEATURES = 40
_MAX_RELATED_FEATURES = 5
_MAX_CROSSED_FEATURES = 10
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


def format_time(instant: datetime) -> str:
    """Write an instant (UTC) to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def format_footer() -> str:
    """Say when a page was made."""
    return f"Made by spark_fs at {format_time(datetime.now(UTC))} UTC. All times are UTC."


def format_tags(tags: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write tags as facts: each with its name and its value, as JSON where it is no string."""
    facts = []
    for name, value in tags.items():
        text = value if isinstance(value, str) else json.dumps(to_json(value), ensure_ascii=False)
        facts.append((f"tag {name}", text))
    return facts


def build_section(
    name: str, title: str, data: str, none: str = "", lead: str = "", search: str = ""
) -> dict[str, Any]:
    """Make a section that is a table to search and sort.

    Args:
        name: What links call it.
        title: Its heading.
        data: Which part of the page's data it shows.
        none: What it says where there are no rows.
        lead: What stands above the rows.
        search: What its search field says.

    Returns:
        The section.
    """
    section = {"id": name, "title": title, "kind": "explore", "data": data}
    return {**section, "none": none, "lead": lead, "search": search}


def build_drift_section() -> dict[str, Any]:
    """Make the section on drift, whose data is that of ``build_drift_data``."""
    section = {"id": "drift", "title": "Drift", "kind": "trend", "data": "trend"}
    return {**section, "table": "drifts", "none": "Nothing was compared yet."}


def build_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """Make the data of a table from its column names and rows."""
    return {"columns": list(columns), "rows": [{"cells": list(row)} for row in rows]}


# -- features


def build_feature_rows(
    types: Mapping[str, str],
    statistics: Statistics | None = None,
    correlations: Any = None,
    roles: Mapping[str, str] | None = None,
    descriptions: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Make a row of facts for each feature.

    Args:
        types: The features, with their types.
        statistics: What is known of their values.
        correlations: Features, other features, and by how much they correlate.
        roles: What a feature is beside a feature, such as "primary key".
        descriptions: What features are, in words.

    Returns:
        The rows, in the order of the types.
    """
    columns = statistics.feature_descriptive_statistics if statistics else ()
    statistics_by_name = {column.feature_name: column for column in columns}
    strongest = _find_strongest(correlations)
    rows = []
    for name, type_ in types.items():
        row: dict[str, Any] = {"name": name, "type": type_}
        row["role"] = (roles or {}).get(name)
        row["description"] = (descriptions or {}).get(name)
        if name in statistics_by_name:
            row.update(build_feature_facts(statistics_by_name[name]))
        row["related"] = strongest.get(name)
        rows.append({key: value for key, value in row.items() if value not in (None, "", [])})
    return rows


def build_labels() -> dict[str, Any]:
    """Make the data that says by which labels and formats a page shows figures of features."""
    from spark_fs.stats.describe import STATISTICS

    figures = [
        {"name": statistic.name, "label": statistic.label, "format": statistic.format}
        for statistic in STATISTICS
    ]
    return {"figures": figures, "percentiles": list(map(_format_percentile, _PERCENTILES))}


def build_feature_facts(feature: FeatureStatistics) -> dict[str, Any]:
    """Make the figures of a feature that are known, by the names of ``build_labels``."""
    from spark_fs.stats.describe import STATISTICS

    facts = {}
    for statistic in STATISTICS:
        value = getattr(feature, statistic.name)
        if value is not None:
            facts[statistic.name] = value
    if feature.percentiles:
        facts["percentiles"] = [feature.percentiles[number - 1] for number in _PERCENTILES]
    if feature.histogram:
        facts["histogram"] = _pack_histogram(feature.histogram)
    return facts


def _pack_histogram(bins: Sequence[Mapping[str, Any]]) -> Any:
    """Write bins of numbers as their edges and counts, a fifth as long; others as they are."""
    if not all(isinstance(bin_.get("high"), int | float) for bin_ in bins):
        return list(bins)
    edges = [*(bin_["low"] for bin_ in bins), bins[-1]["high"]]
    each_number = all(_is_integer(str(bin_["value"])) for bin_ in bins)
    if not each_number:
        edges = [float(f"{edge:.6g}") for edge in edges]
    counts = [bin_["count"] for bin_ in bins]
    return {"edges": edges, "counts": counts, "each_number": each_number}


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _format_percentile(percentile: int) -> str:
    if percentile == 50:
        return "median"
    return "1st percentile" if percentile == 1 else f"{percentile}th percentile"


def _find_strongest(correlations: Any) -> dict[str, list[list[Any]]]:
    """Find, for each feature, the others that it correlates with most."""
    if correlations is None:
        return {}
    import numpy as np

    features, others, values = correlations
    column_of = {name: column for column, name in enumerate(others)}
    strongest = {}
    for name, coefficients in zip(features, values, strict=True):
        strengths = np.where(np.isnan(coefficients), -1.0, np.abs(coefficients))
        if name in column_of:
            strengths[column_of[name]] = -1.0
        order = np.argsort(-strengths, kind="stable")[:_MAX_RELATED_FEATURES]
        related = [index for index in order if strengths[index] > 0]
        strongest[name] = [[others[index], float(coefficients[index])] for index in related]
    return strongest


def build_heat_map(correlations: Any) -> dict[str, Any]:
    """Make the matrix of the features that correlate most."""
    if correlations is None or not correlations[1]:
        return {"names": [], "values": []}
    import numpy as np

    features, others, values = correlations
    row_of = {name: row for row, name in enumerate(features)}
    names = [name for name in others if name in row_of]
    rows = [row_of[name] for name in names]
    columns = [others.index(name) for name in names]
    square = values[np.ix_(rows, columns)]
    strengths = np.where(np.isnan(square), 0, np.abs(square))
    np.fill_diagonal(strengths, 0)
    order = np.argsort(-strengths.max(axis=1, initial=0), kind="stable")
    chosen = sorted(order[:MAX_HEAT_MAP_FEATURES].tolist())
    matrix = square[np.ix_(chosen, chosen)]
    np.fill_diagonal(matrix, 1.0)
    cells = [[None if is_nan(cell) else cell for cell in row] for row in matrix.tolist()]
    return {"names": [names[index] for index in chosen], "values": cells}


def build_sample_table(frame: Any, none: str) -> dict[str, Any]:
    """Make the data of a table of some rows of a pandas frame.

    Args:
        frame: The rows; None where they were not read.
        none: What is said where there are none.
    """
    if frame is None or frame.empty:
        return {"columns": [], "rows": [], "none": none}
    frame = frame.iloc[:, :SHOWN_COLUMNS]
    rows = frame.astype(object).values.tolist()
    cells = [[_format_cell(value) for value in row] for row in rows]
    return {"columns": list(frame.columns), "rows": cells}


def _format_cell(value: Any) -> Any:
    if value is None or is_nan(value) or str(value) == "NaT":
        return ""
    if isinstance(value, bool | int):
        return value
    return float(f"{value:.6g}") if isinstance(value, float) else str(value)[:80]


def build_window_table(aggregation: AggregationSpec, types: Mapping[str, str]) -> dict[str, Any]:
    """Make the data of a table of what each window feature is, in words."""
    rows = [
        [feature.name, types[feature.name], describe_feature(feature)]
        for feature in aggregation.features
    ]
    return build_table(["feature", "type", "what it is"], rows)


# -- what happened


def build_commit_table(commits: Iterable[Commit]) -> dict[str, Any]:
    """Make the data of a table of commits."""
    columns = ["commit", "at (UTC)", "operation", "inserted", "updated", "deleted", "batch"]
    rows = []
    for commit in commits:
        counts = [commit.inserted, commit.updated, commit.deleted]
        time = format_time(commit.committed_at)
        rows.append([commit.version, time, commit.operation, *counts, commit.batch_id])
    return build_table(columns, rows)


def build_validation_table(reports: Sequence[ValidationReport]) -> dict[str, Any]:
    """Make the data of a table of validation reports, the newest first."""
    columns = ["at (UTC)", "suite", "passed", "batch", "set aside", "failed expectations"]
    return build_table(columns, _iter_validations(reports))


def _iter_validations(reports: Sequence[ValidationReport]) -> Iterator[list[Any]]:
    for report in reversed(reports):
        failures = [
            f"{result.type} ({result.failed} of {result.checked})"
            for result in report.results
            if not result.success
        ]
        yield [
            format_time(report.validated_at) if report.validated_at else "",
            report.suite,
            "yes" if report.success else "no",
            report.ingestion,
            report.set_aside,
            "; ".join(failures),
        ]


def build_drift_data(reports: Sequence[DriftReport]) -> dict[str, Any]:
    """Make the data of the section on drift: the greatest PSI over time, and the comparisons."""
    points = []
    for report in reports:
        values = [feature.measures.get("psi", 0.0) for feature in report.features]
        time = _format_compared_at(report)
        name = f"{time}: {report.current}"
        points.append({"name": name, "at": time, "value": max(values, default=0.0)})
    limits = [report.thresholds["psi"] for report in reports if "psi" in report.thresholds]
    trend = {
        "title": "The greatest PSI of any feature, comparison by comparison",
        "limit": limits[-1] if limits else None,
        "points": points,
    }
    columns = ["at (UTC)", "compared", "reference", "drifted", "features"]
    return {"trend": trend, "drifts": build_table(columns, _iter_comparisons(reports))}


def _iter_comparisons(reports: Sequence[DriftReport]) -> Iterator[list[Any]]:
    for report in reversed(reports):
        crossed = []
        for feature in report.crossed[:_MAX_CROSSED_FEATURES]:
            values = [f"{measure} {feature.measures[measure]:.3g}" for measure in feature.crossed]
            crossed.append(f"{feature.feature_name}: {', '.join(values)}")
        yield [
            _format_compared_at(report),
            report.current,
            report.reference,
            "no" if report.ok else "yes",
            "; ".join(crossed),
        ]


def _format_compared_at(report: DriftReport) -> str:
    assert report.compared_at  # which a report has once it is kept
    return format_time(report.compared_at)
