"""The page about what was served of a feature view beside what training says, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.report import facts
from spark_fs.report.page import render_page
from spark_fs.report.page_links import Cell, make_link
from spark_fs.spec.skew import REASONS

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.skew import SkewReport


def render_skew_page(stores: ProjectStores, view: ViewSpec, base_url: str) -> str:
    """Render the comparisons of what was served of a view with what training says.

    Args:
        stores: Where the view is kept.
        view: The view.
        base_url: Where the explorer is.

    Returns:
        The page, as HTML that needs nothing else.
    """
    reports = stores.catalog.list_skew_reports(view)
    newest = reports[-1] if reports else None
    data = {
        **build_skew_data(reports),
        "skew-features": _build_feature_table(newest),
        "skew-examples": _build_example_table(newest),
        "skew-reasons": facts.build_table(["reason", "what it means"], REASONS.items()),
    }
    sections = [
        facts.build_section(
            "skew-features",
            "By feature, in the newest comparison",
            "skew-features",
            none="Nothing was compared yet: call skew(start, end), or let a pipeline do it.",
            search="Search features",
        ),
        facts.build_section(
            "skew-examples", "Values that differ", "skew-examples", none="No value differs."
        ),
        build_skew_section("Comparisons"),
        facts.build_section("skew-reasons", "What the reasons mean", "skew-reasons"),
    ]
    return render_page(
        f"{view.name}, version {view.version}: what was served",
        sections,
        data,
        "Each served value is put beside what a point-in-time read says of its key and instant.",
        _list_facts(newest),
        facts.format_footer(),
        base_url,
    )


def build_skew_data(reports: Sequence[SkewReport], link: Cell | None = None) -> dict[str, Any]:
    """Make the data of the section on skew: the greatest share over time, and the comparisons.

    Args:
        reports: The comparisons, the oldest first.
        link: A cell that leads to the page about them, in the place of the newest instant.

    Returns:
        The data, by its names.
    """
    points = []
    rows = []
    for report in reports:
        assert report.compared_at  # which a report has once it is kept
        at = facts.format_time(report.compared_at)
        points.append({"name": f"{at}: {report.interval}", "value": report.max_share})
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.reasons.items())
        share = _format_share(report.max_share)
        rows.append([at, str(report.interval), report.rows, share, reasons])
    rows.reverse()
    if link is not None and rows:
        rows[0][0] = link
    columns = [
        "at (UTC)",
        "served in",
        "vectors",
        "greatest share that differs",
        "values by reason",
    ]
    trend = {
        "title": "The greatest share of differing values of any feature",
        "format": "share",
        "limit": None,
        "points": points,
    }
    return {"skew-trend": trend, "skews": facts.build_table(columns, rows)}


def build_skew_section(title: str = "What was served") -> dict[str, Any]:
    """Make the section on skew, whose data is that of ``build_skew_data``."""
    section = {"id": "skew", "title": title, "kind": "trend", "data": "skew-trend"}
    none = "What was served was not compared with training yet."
    return {**section, "table": "skews", "none": none}


def make_skew_link(view: ViewSpec, report: SkewReport, base_url: str) -> Cell:
    """A cell with the instant of a comparison that leads to the page about them."""
    assert report.compared_at
    path = f"view/{view.name}/{view.version}/skew"
    return make_link(facts.format_time(report.compared_at), base_url, path)


def _format_share(share: float) -> str:
    """A share as a page shows it."""
    return f"{share:.2%}"


def _build_feature_table(report: SkewReport | None) -> dict[str, Any]:
    columns = ["feature", "compared", "differ", "share", *REASONS]
    rows = []
    features = report.features if report else ()
    for feature in sorted(features, key=lambda feature: -feature.share):
        counts = [feature.reasons.get(reason, 0) for reason in REASONS]
        share = _format_share(feature.share)
        rows.append([feature.feature_name, feature.compared, feature.differing, share, *counts])
    return facts.build_table(columns, rows)


def _build_example_table(report: SkewReport | None) -> dict[str, Any]:
    columns = ["feature", "entry", "served at (UTC)", "served", "training says", "reason"]
    rows = []
    for feature in report.features if report else ():
        for example in feature.examples:
            at = facts.format_time(example.instant)
            values = [example.served, example.expected, example.reason]
            rows.append([feature.feature_name, example.key, at, *values])
    return facts.build_table(columns, rows)


def _list_facts(report: SkewReport | None) -> list[tuple[str, Any]]:
    if report is None or report.compared_at is None:
        return []
    return [
        ("compared at", f"{facts.format_time(report.compared_at)} UTC"),
        ("served in", str(report.interval)),
        ("vectors", f"{report.rows:,}"),
        ("greatest share that differs", _format_share(report.max_share)),
    ]
