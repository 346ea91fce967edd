"""What a run leaves for Prometheus: a file in its text form, for the textfile collector of its node exporter."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from spark_fs.pipelines.steps import RunContext
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

_STATES = ("finished", "differs", "failed")


class MetricsListener:
    """Writes the file anew when a run ends; it appears whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_start(self, run: PipelineRun, context: RunContext) -> None:
        """Nothing is written yet."""

    def on_progress(self, run: PipelineRun, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """Nothing is written yet."""

    def on_step_end(self, run: PipelineRun, record: StepRecord, context: RunContext) -> None:
        """Nothing is written yet."""

    def on_end(self, run: PipelineRun, context: RunContext | None) -> None:
        """Write what the run did."""
        registry = CollectorRegistry()

        def make_gauge(name: str, help_: str, *labels: str) -> Gauge:
            return Gauge(
                f"spark_fs_pipeline_{name}", help_, ("pipeline", *labels), registry=registry
            )

        state = make_gauge("run_state", "1 for the state in which the last run ended", "state")
        for each in _STATES:
            state.labels(run.pipeline, each).set(each == run.state)
        ended = make_gauge("run_ended_timestamp_seconds", "When the last run ended").labels(
            run.pipeline
        )
        ended.set((run.ended_at or run.started_at).timestamp())
        make_gauge(
            "run_until_timestamp_seconds", "Up to which event time the last run built"
        ).labels(run.pipeline).set(run.until.timestamp())
        seconds = make_gauge("step_seconds", "How long a step of the last run took", "step")
        rows = make_gauge(
            "step_rows",
            "What a step of the last run counted, in rows, keys or files",
            "step",
            "kind",
        )
        for step in run.steps:
            seconds.labels(run.pipeline, step.name).set(step.seconds)
            for kind, count in step.counts.items():
                rows.labels(run.pipeline, step.name, kind).set(count)
        lag = make_gauge(
            "watermark_lag_seconds",
            "How far a feature group's watermark is behind the clock",
            "group",
        )
        for group in context.groups if context else ():
            if (watermark := group.watermark) is not None:
                lag.labels(run.pipeline, f"{group.name}_{group.version}").set(
                    (datetime.now(UTC) - watermark).total_seconds()
                )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(self.path), registry)
