"""The steps of what was served: its log moved to feature groups, and compared with training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.pipelines.step_functions import RunContext

_WINDOW = timedelta(days=1)


def materialize_log(context: RunContext, _options: Mapping[str, Any]) -> None:
    """Move what was logged of the views that read the groups to its feature groups.

    A view whose logging is paused is left out.
    """
    for view in _list_logged_views(context):
        _move_log(context, view)


def skew(context: RunContext, options: Mapping[str, Any]) -> None:
    """Compare what was served in the ``window`` that ends with the run with what training says.

    What waits is moved to the feature groups first. A view of which a feature differs in more than
    ``max_share`` of its values (0 unless said otherwise) is not as it should be.
    """
    start = context.until - options.get("window", _WINDOW)
    max_share = options.get("max_share", 0.0)
    for view in _list_logged_views(context):
        _move_log(context, view)
        report = view.skew(start, context.until)
        differing = sum(feature.differing for feature in report.features)
        context.counts["vectors_compared"] += report.rows
        context.counts["values_differing"] += differing
        line = f"skew {view.name}_{view.version}: {report}"
        facts = {"vectors": report.rows, "differing": differing, "max_share": report.max_share}
        context.report_line(line, view, facts, report.max_share <= max_share)


def _move_log(context: RunContext, view: FeatureView) -> None:
    (job,) = view.materialize_log()
    context.counts["vectors_logged"] += job.summary["inserted"]
    context.report_line(str(job), view, job.summary)


def _list_logged_views(context: RunContext) -> Iterator[FeatureView]:
    """The views that read the groups and that anything was logged of, each once."""
    views = {}
    for group in context.groups:
        for view in group.get_generated_feature_views():
            views[repr(view)] = view
    for view in views.values():
        if view.has_log and not view.logging_paused:
            yield view
