"""What a run leaves for Prometheus: a file for the textfile collector of its node exporter."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.errors import SparkFSError
from spark_fs.pipelines.logs import LOGGER
from spark_fs.pipelines.step_functions import RunContext, list_online_groups
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

_STATES = ("finished", "differs", "failed")
# Of each online group, as instants: Prometheus tells how long ago they were by its own clock.
_ONLINE_GAUGES = {
    "online_event_timestamp_seconds": "The greatest event time that is online",
    "online_ingested_timestamp_seconds": "When the newest rows that are online were written",
    "online_synced_timestamp_seconds": "When the last sync ended",
    "online_waiting_timestamp_seconds": "Since when rows wait for a sync; absent where none do",
}


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
        gauges = _Gauges()
        _set_run_gauges(gauges, run)
        _set_step_gauges(gauges, run)
        groups = context.groups if context else ()
        _set_lag_gauges(gauges, run, groups)
        _set_online_gauges(gauges, run, groups)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(self.path), gauges.registry)


class _Gauges:
    """The gauges of one file."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def make(self, name: str, help_: str, *labels: str) -> Gauge:
        """A new gauge of the registry."""
        all_labels = ("pipeline", *labels)
        return Gauge(f"spark_fs_pipeline_{name}", help_, all_labels, registry=self.registry)


def _set_run_gauges(gauges: _Gauges, run: PipelineRun) -> None:
    state = gauges.make("run_state", "1 for the state in which the last run ended", "state")
    for name in _STATES:
        state.labels(run.pipeline, name).set(name == run.state)
    ended = gauges.make("run_ended_timestamp_seconds", "When the last run ended")
    ended.labels(run.pipeline).set((run.ended_at or run.started_at).timestamp())
    until = gauges.make("run_until_timestamp_seconds", "Up to which event time the last run built")
    until.labels(run.pipeline).set(run.until.timestamp())


def _set_step_gauges(gauges: _Gauges, run: PipelineRun) -> None:
    seconds = gauges.make("step_seconds", "How long a step of the last run took", "step")
    rows_help = "What a step of the last run counted, in rows, keys or files"
    rows = gauges.make("step_rows", rows_help, "step", "kind")
    for step in run.steps:
        seconds.labels(run.pipeline, step.name).set(step.seconds)
        for kind, count in step.counts.items():
            rows.labels(run.pipeline, step.name, kind).set(count)


def _set_lag_gauges(gauges: _Gauges, run: PipelineRun, groups: Sequence[FeatureGroup]) -> None:
    lag_help = "How far a feature group's watermark is behind the clock"
    lag = gauges.make("watermark_lag_seconds", lag_help, "group")
    for group in groups:
        watermark = group.watermark
        if watermark is not None:
            behind = datetime.now(UTC) - watermark
            name = f"{group.name}_{group.version}"
            lag.labels(run.pipeline, name).set(behind.total_seconds())


def _set_online_gauges(gauges: _Gauges, run: PipelineRun, groups: Sequence[FeatureGroup]) -> None:
    """Set what is known of each online group; a store that does not answer is logged."""
    made = {name: gauges.make(name, help_, "group") for name, help_ in _ONLINE_GAUGES.items()}
    try:
        for group in list_online_groups(groups):
            found = group.get_freshness()
            times = (found.event_time, found.ingested_at, found.synced_at, found.waiting_since)
            for gauge, time in zip(made.values(), times, strict=True):
                if time is not None:
                    gauge.labels(run.pipeline, found.group).set(time.timestamp())
    except SparkFSError as error:
        LOGGER.warning("The metrics of run %s lack what is online: %s", run.id, error)
