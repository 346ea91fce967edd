"""The commands that run pipelines and show what their runs did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spark_fs.api.project import login
from spark_fs.base.times import parse_duration
from spark_fs.cli.shared import (
    TIME_FORMAT,
    ConfigOption,
    JsonOption,
    app,
    console,
    open_store,
    print_json,
    print_table,
)
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.pipelines.declaration import Pipeline
    from spark_fs.spec.pipeline_run import PipelineRun


_RUN_HEADINGS = (
    "run",
    "pipeline",
    "started (UTC)",
    "built up to (UTC)",
    "state",
    "took",
    "what went wrong",
)


@app.command()
def runs(
    pipeline: Annotated[
        str | None, typer.Argument(help="A pipeline; without it, every one.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many of the last runs to list.")
    ] = 20,
    run_id: Annotated[
        str | None,
        typer.Option("--run", help="Show one run, step by step: its id, or how that begins."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the runs of pipelines, newest first.

    Example: spark-fs runs flights --limit 3
    """
    fs = open_store(config)
    if run_id is not None:
        _show_run(fs.get_run(run_id), as_json)
        return
    rows = []
    for run in fs.get_runs(pipeline, limit):
        outcome = (run.state, _format_duration(run), _describe_failure(run))
        rows.append((run.id[:8], run.pipeline, run.started_at, run.until, *outcome))
    print_table(_RUN_HEADINGS, rows, "No runs yet.", as_json)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="The pipeline, as a YAML file.")],
    until: Annotated[
        str | None, typer.Option("--until", help="The end of what is built (UTC, excluded).")
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option("--step", help="This step alone, due or not; may be given several times."),
    ] = None,
    log_format: Annotated[str, typer.Option("--log-format", help="text or json.")] = "text",
    metrics: Annotated[
        Path | None,
        typer.Option("--metrics", help="Write metrics to this file, in Prometheus' text form."),
    ] = None,
    lineage: Annotated[
        str | None,
        typer.Option("--lineage", help="Tell OpenLineage: the URL of a server, or a file."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run what is due of a pipeline.

    It starts a Spark session in this process. On a cluster submit jobs/run_pipeline.py of the
    repository by spark-submit, which does the same. Modules are looked for on PYTHONPATH, then in
    the pipeline file's folder and those that its path names. Exit codes: 0 done; 1 a step failed; 2
    the file or a setting is wrong; 3 another run goes on; 4 a verification, a validation or a
    monitor found something; 75 a retry may help. Example: spark-fs run conf/pipelines/flights.yaml
    """
    from spark_fs.pipelines.command import execute

    if log_format not in ("text", "json"):
        raise SettingsError(f"--log-format is {log_format!r}: give text or json.")
    raise typer.Exit(execute(file, until, step or (), log_format, metrics, lineage, config))


@app.command()
def backfill(
    file: Annotated[Path, typer.Argument(help="The pipeline, as a YAML file.")],
    start: Annotated[
        str | None,
        typer.Option("--start", help="The first instant (UTC). Default: the pipeline's start."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--end", help="The end (UTC, excluded). Default: the last whole interval."),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A feature group; repeatable. Default: all.")
    ] = None,
    chunk: Annotated[
        str | None,
        typer.Option("--chunk", help="How long one commit is, as 31d. Default: the pipeline's."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Build again what an earlier backfill finished.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Build groups of a pipeline over the past.

    Rows of start <= event time < end are built again by the functions of today, and replace those
    that are there. One that was killed goes on behind its last chunk. Example: spark-fs backfill
    conf/pipelines/flights.yaml --start 2013-01-01 --end 2013-02-01 --group weather
    """
    from spark_fs.pipelines.backfill_groups import backfill_groups
    from spark_fs.pipelines.declaration import load

    pipeline = load(file)
    interval = (start or pipeline.start, end or pipeline.until(datetime.now(UTC)))
    length = parse_duration(chunk) if chunk else pipeline.chunk
    fs = login(config).get_feature_store()
    for job in backfill_groups(fs, pipeline, interval, group or (), length, restart):
        console.print(str(job), soft_wrap=True)


_ALERT_HEADINGS = ("pipeline", "what", "state", "since (UTC)", "groups", "told")


@app.command()
def alerts(
    file: Annotated[
        Path | None, typer.Argument(help="A pipeline file; without it, every pipeline.")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test to each receiver that the file names.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List open alerts, or send a test.

    An alert is open while what its receivers were told of is not over. Exit code 1 where a test did
    not arrive. Example: spark-fs alerts conf/pipelines/flights.yaml --test
    """
    from spark_fs.pipelines.declaration import load

    pipeline = None if file is None else load(file)
    if test:
        _test_alerts(pipeline)
        return
    catalog = open_store(config)._stores.catalog
    rows = []
    for alert in catalog.list_alerts(None if pipeline is None else pipeline.name):
        told = (alert.since, alert.groups, alert.host)
        rows.append((alert.pipeline, alert.subject, alert.state, *told))
    print_table(_ALERT_HEADINGS, rows, "Nothing that was told of is open.", as_json)


def _test_alerts(pipeline: Pipeline | None) -> None:
    from spark_fs.pipelines.alerts import send_test_alerts

    if pipeline is None or not pipeline.alerts:
        raise SettingsError("--test needs a pipeline file that has alerts.")
    outcomes = send_test_alerts(pipeline.name, pipeline.alerts)
    for host, answered in outcomes:
        console.print(f"{host}: {'arrived' if answered else 'did not arrive'}", soft_wrap=True)
    if not all(answered for _, answered in outcomes):
        raise typer.Exit(1)


def _show_run(run: PipelineRun, as_json: bool) -> None:
    if as_json:
        print_json([step.to_json() for step in run.steps])
        return
    title = f"Run {run.id} of pipeline {run.pipeline}: {run.state}"
    if run.error:
        title += f": {run.error}"
    console.print(title)
    times = f"started {run.started_at:{TIME_FORMAT}}"
    if run.ended_at:
        times += f", ended {run.ended_at:{TIME_FORMAT}}"
    console.print(f"{times}, built up to {run.until:{TIME_FORMAT}} (UTC)\n")
    rows = []
    for step in run.steps:
        counts = _format_counts(step.counts)
        rows.append((step.name, step.state, f"{step.seconds:.1f} s", counts or "-"))
    print_table(("step", "state", "took", "counted"), rows, "It has done no step yet.")
    for step in run.steps:
        for line in step.lines:
            console.print(f"{step.name}: {line}", soft_wrap=True)
        if step.error:
            console.print(f"{step.name}: {step.error}", soft_wrap=True)


def _format_counts(counts: Mapping[str, int]) -> str:
    """What a step counted, without zeros."""
    parts = []
    for kind, count in counts.items():
        if count:
            label = kind.replace("_", " ")
            parts.append(f"{label} {count:,}")
    return ", ".join(parts)


def _format_duration(run: PipelineRun) -> str:
    return f"{run.took.total_seconds():.0f} s" if run.took else "-"


def _describe_failure(run: PipelineRun) -> str:
    """The first step that failed or found a difference, and why; a dash where none did."""
    step = next((step for step in run.steps if step.state in ("failed", "differs")), None)
    if step is None:
        return run.error or "-"
    first_line = step.lines[0] if step.lines else ""
    return f"{step.name}: {run.error or first_line}"
