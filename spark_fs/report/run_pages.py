"""The pages about runs of pipelines: the last ones, and what each step of one did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_fs.report import facts
from spark_fs.report.page import render_page
from spark_fs.report.page_links import make_link

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

_LISTED_RUNS = 500
_ID_LENGTH = 8  # of a run, where it is listed


def render_runs_page(stores: ProjectStores, base_url: str) -> str:
    """Render the last runs of every pipeline, the newest first."""
    runs = list(stores.catalog.list_runs(limit=_LISTED_RUNS))
    columns = ["run", "pipeline", "state", "started (UTC)", "seconds", "built up to", "error"]
    rows = [_build_run_row(run, base_url) for run in runs]
    section = facts.build_section(
        "runs", "Runs", "runs", none="No pipeline has run yet: spark-fs run begins one."
    )
    data = {"runs": facts.build_table(columns, rows)}
    footer = facts.format_footer()
    return render_page("Runs of pipelines", [section], data, footer=footer, home=base_url)


def render_run_page(stores: ProjectStores, base_url: str, run_id: str) -> str:
    """Render what each step of a run did; NotFoundError where there is no such run.

    Args:
        stores: Where runs are kept.
        base_url: Where the explorer is.
        run_id: The run's id, or how it begins.
    """
    run = stores.catalog.get_run(run_id)
    sections = [facts.build_section("steps", "Steps", "steps", none="No step began.")]
    for step in run.steps:
        if step.lines or step.error:
            sections.append(_build_step_section(step))
    top_facts = [
        ("state", run.state),
        ("started (UTC)", facts.format_time(run.started_at)),
        ("seconds", _get_seconds(run)),
        ("built up to (UTC)", facts.format_time(run.until)),
    ]
    columns = ["step", "state", "seconds", "counts", "error"]
    data = {"steps": facts.build_table(columns, map(_build_step_row, run.steps))}
    title = f"{run.pipeline}, run {run.id[:_ID_LENGTH]}"
    footer = facts.format_footer()
    return render_page(title, sections, data, run.error or "", top_facts, footer, base_url)


def _build_run_row(run: PipelineRun, base_url: str) -> list[Any]:
    return [
        make_link(run.id[:_ID_LENGTH], base_url, f"run/{run.id}"),
        run.pipeline,
        run.state,
        facts.format_time(run.started_at),
        _get_seconds(run),
        facts.format_time(run.until),
        run.error or "",
    ]


def _get_seconds(run: PipelineRun) -> int | None:
    return round(run.took.total_seconds()) if run.took else None


def _build_step_row(step: StepRecord) -> list[Any]:
    counts = ", ".join(f"{name} {count}" for name, count in step.counts.items())
    return [step.name, step.state, step.seconds, counts, step.error or ""]


def _build_step_section(step: StepRecord) -> dict[str, Any]:
    lines = [*step.lines, *([step.error] if step.error else [])]
    block = {"title": "", "text": "\n".join(lines)}
    return {"id": f"step-{step.name}", "title": step.name, "kind": "code", "blocks": [block]}
