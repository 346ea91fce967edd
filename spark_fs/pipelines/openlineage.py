"""OpenLineage events of a run and its steps: which tables were read and written, how many rows, and how it ended.

The events are those of https://openlineage.io/docs/spec/object-model; a server that gives no answer
costs a warning, never the run.
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
from spark_fs.pipelines.steps import RunContext
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

_NAMESPACE = "spark_fs"
_PRODUCER = "https://pypi.org/project/spark_fs"
_WRITING_STEPS = (
    "incremental",
    "maintenance",
)  # the steps that write feature groups; the others read them
_ROW_COUNTS = ("inserted", "updated", "written")


class LineageListener:
    """Sends the events to a server (an http or https URL) or adds them to a file, a JSON object a line."""

    def __init__(self, target: str) -> None:
        if urlsplit(target).scheme in ("http", "https"):
            transport: Any = HttpTransport(
                HttpConfig(target, timeout=5.0, retry={"total": 1, "backoff_factor": 0.2})
            )
        else:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            transport = FileTransport(FileConfig(target, append=True))
        self._client: OpenLineageClient | None = OpenLineageClient(transport=transport)

    def on_start(self, run: PipelineRun, context: RunContext) -> None:  # noqa: ARG002 # as every listener is told
        """A run began."""
        self._send_event(
            RunState.START, run.started_at, LineageRun(str(uuid.UUID(run.id))), run.pipeline
        )

    def on_progress(self, run: PipelineRun, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """Events tell of steps and runs."""

    def on_step_end(self, run: PipelineRun, record: StepRecord, context: RunContext) -> None:
        """A step ended: both of its events are sent now, since its rows are known now."""
        if record.started_at is None:
            return
        parent = parent_run.ParentRunFacet(
            parent_run.Run(str(uuid.UUID(run.id))),
            parent_run.Job(_NAMESPACE, run.pipeline),
            producer=_PRODUCER,
        )
        own = str(uuid.uuid5(uuid.UUID(run.id), record.name))
        name = f"{run.pipeline}.{record.name}"
        read, written = _list_datasets(context, record)
        self._send_event(
            RunState.START,
            record.started_at,
            LineageRun(own, {"parent": parent}),
            name,
            read,
            written,
        )
        facets: dict[str, Any] = {"parent": parent, **_make_error_facet(record.error)}
        state = RunState.FAIL if record.state == "failed" else RunState.COMPLETE
        self._send_event(state, datetime.now(UTC), LineageRun(own, facets), name, read, written)

    def on_end(self, run: PipelineRun, context: RunContext | None) -> None:  # noqa: ARG002 # as every listener is told
        """The run ended."""
        state = RunState.FAIL if run.state == "failed" else RunState.COMPLETE
        own = LineageRun(str(uuid.UUID(run.id)), _make_error_facet(run.error))
        self._send_event(state, run.ended_at or run.started_at, own, run.pipeline)

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
        except (
            Exception
        ) as error:  # whatever a transport raises: lineage is told of the run, and is no part of it
            LOGGER.warning(
                "The lineage of %s could not be told, and that of the rest of this run is not: %s",
                job,
                error,
            )
            self._client = None


def _make_error_facet(error: str | None) -> dict[str, Any]:
    return (
        {}
        if error is None
        else {
            "errorMessage": error_message_run.ErrorMessageRunFacet(
                error, "PYTHON", producer=_PRODUCER
            )
        }
    )


def _list_datasets(
    context: RunContext, record: StepRecord
) -> tuple[list[InputDataset], list[OutputDataset]]:
    tables = [_get_dataset_name(group) for group in context.groups]
    if record.name in _WRITING_STEPS:
        every = [each for group in context.groups for each in group.get_parent_feature_groups()]
        parents = dict.fromkeys(
            _get_dataset_name(each) for each in every if isinstance(each, FeatureGroup)
        )
        return [InputDataset(*each) for each in parents], [
            OutputDataset(*each, outputFacets=_make_row_count_facet(record)) for each in tables
        ]
    read = [InputDataset(*each) for each in tables]
    if record.name != "sync":
        return read, []
    store = context.fs._stores.settings.online_address
    return read, [
        OutputDataset(store, f"{g.name}_{g.version}", outputFacets=_make_row_count_facet(record))
        for g in context.groups
        if g.online_enabled
    ]


def _make_row_count_facet(record: StepRecord) -> dict[str, Any]:
    rows = sum(record.counts.get(name, 0) for name in _ROW_COUNTS)
    return {
        "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=rows, producer=_PRODUCER
        )
    }


def _get_dataset_name(group: FeatureGroup) -> tuple[str, str]:
    """The namespace and the name of a table, by the naming rules of OpenLineage."""
    parts = urlsplit(group.location)
    return (
        (f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/"))
        if parts.scheme
        else ("file", group.location)
    )
