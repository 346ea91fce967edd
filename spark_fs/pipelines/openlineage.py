"""OpenLineage events of a run and its steps.

Which tables were read and written, how many rows, and how it ended. The events are those of
https://openlineage.io/docs/spec/object-model; a server that gives no answer costs a warning, never
the run.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, RunEvent, RunState
from openlineage.client.event_v2 import Run as LineageRun
from openlineage.client.facet_v2 import (
    error_message_run,
    output_statistics_output_dataset,
    parent_run,
)
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.pipelines.logs import LOGGER
from spark_fs.pipelines.step_functions import RunContext
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

_NAMESPACE = "spark_fs"
_PRODUCER = "https://pypi.org/project/spark_fs"
# The steps that write feature groups; the others read them.
_WRITING_STEPS = ("incremental", "maintenance")
_ROW_COUNTS = ("inserted", "updated", "written")


class LineageListener:
    """Sends the events to a server (an http or https URL), or adds them to a file.

    In a file, each event is a JSON object on a line.
    """

    def __init__(self, target: str) -> None:
        if urlsplit(target).scheme in ("http", "https"):
            retries = {"total": 1, "backoff_factor": 0.2}
            transport: Any = HttpTransport(HttpConfig(target, timeout=5.0, retry=retries))
        else:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            transport = FileTransport(FileConfig(target, append=True))
        self._client: OpenLineageClient | None = OpenLineageClient(transport=transport)

    def on_start(self, run: PipelineRun, context: RunContext) -> None:  # noqa: ARG002 # the protocol of listeners
        """A run began."""
        lineage_run = LineageRun(str(uuid.UUID(run.id)))
        self._send_event(RunState.START, run.started_at, lineage_run, run.pipeline)

    def on_progress(self, run: PipelineRun, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """Events are of steps and runs."""

    def on_step_end(self, run: PipelineRun, record: StepRecord, context: RunContext) -> None:
        """A step ended: both of its events are sent now, since its rows are known now."""
        if record.started_at is None:
            return
        parent = parent_run.ParentRunFacet(
            parent_run.Run(str(uuid.UUID(run.id))),
            parent_run.Job(_NAMESPACE, run.pipeline),
            producer=_PRODUCER,
        )
        step_id = str(uuid.uuid5(uuid.UUID(run.id), record.name))
        job = f"{run.pipeline}.{record.name}"
        inputs, outputs = _list_datasets(context, record)
        started = LineageRun(step_id, {"parent": parent})
        self._send_event(RunState.START, record.started_at, started, job, inputs, outputs)
        facets: dict[str, Any] = {"parent": parent, **_make_error_facet(record.error)}
        ended = LineageRun(step_id, facets)
        state = RunState.FAIL if record.state == "failed" else RunState.COMPLETE
        self._send_event(state, datetime.now(UTC), ended, job, inputs, outputs)

    def on_end(self, run: PipelineRun, context: RunContext | None) -> None:  # noqa: ARG002 # the protocol of listeners
        """The run ended."""
        state = RunState.FAIL if run.state == "failed" else RunState.COMPLETE
        lineage_run = LineageRun(str(uuid.UUID(run.id)), _make_error_facet(run.error))
        self._send_event(state, run.ended_at or run.started_at, lineage_run, run.pipeline)

    def _send_event(
        self,
        state: RunState,
        event_time: datetime,
        run: LineageRun,
        job: str,
        inputs: Sequence[InputDataset] = (),
        outputs: Sequence[OutputDataset] = (),
    ) -> None:
        event = RunEvent(
            eventType=state,
            eventTime=event_time.isoformat(),
            run=run,
            job=Job(_NAMESPACE, job),
            producer=_PRODUCER,
            inputs=list(inputs),
            outputs=list(outputs),
        )
        try:
            if self._client:
                self._client.emit(event)
        # Whatever a transport raises: lineage follows the run, and is no part of it.
        except Exception as error:
            LOGGER.warning(
                "The lineage of %s could not be sent, and that of the rest of this run is not: %s",
                job,
                error,
            )
            self._client = None


def _make_error_facet(error: str | None) -> dict[str, Any]:
    if error is None:
        return {}
    facet = error_message_run.ErrorMessageRunFacet(error, "PYTHON", producer=_PRODUCER)
    return {"errorMessage": facet}


def _list_datasets(
    context: RunContext, record: StepRecord
) -> tuple[list[InputDataset], list[OutputDataset]]:
    """What a step reads and what it writes."""
    tables = [_get_dataset_name(group) for group in context.groups]
    if record.name in _WRITING_STEPS:
        return _list_parent_tables(context), _make_outputs(tables, record)
    inputs = [InputDataset(*table) for table in tables]
    if record.name != "sync":
        return inputs, []
    store = context.fs._stores.settings.online_address
    online_tables = [
        (store, f"{group.name}_{group.version}") for group in context.groups if group.online_enabled
    ]
    return inputs, _make_outputs(online_tables, record)


def _list_parent_tables(context: RunContext) -> list[InputDataset]:
    """The tables of the groups that the pipeline's groups are made of, each once."""
    tables: dict[tuple[str, str], None] = {}
    for group in context.groups:
        for parent in group.get_parent_feature_groups():
            if isinstance(parent, FeatureGroup):
                tables[_get_dataset_name(parent)] = None
    return [InputDataset(*table) for table in tables]


def _make_outputs(tables: Sequence[tuple[str, str]], record: StepRecord) -> list[OutputDataset]:
    return [OutputDataset(*table, outputFacets=_make_row_count_facet(record)) for table in tables]


def _make_row_count_facet(record: StepRecord) -> dict[str, Any]:
    rows = sum(record.counts.get(name, 0) for name in _ROW_COUNTS)
    facet = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=rows, producer=_PRODUCER
    )
    return {"outputStatistics": facet}


def _get_dataset_name(group: FeatureGroup) -> tuple[str, str]:
    """The namespace and the name of a table, by the naming rules of OpenLineage."""
    parts = urlsplit(group.location)
    if not parts.scheme:
        return "file", group.location
    return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")
