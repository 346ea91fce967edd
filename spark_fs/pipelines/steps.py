"""What each step does. A step that compares says "differs" and goes on to the end; one that cannot do its work raises."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import SettingsError
from spark_fs.pipelines.declaration import Pipeline

if TYPE_CHECKING:
    from spark_fs.flows.jobs import Job

DEFAULT_RETENTION = timedelta(
    days=7
)  # what maintenance keeps of old versions unless it is told otherwise
_SUMMED_COUNTS = (
    "read",
    "inserted",
    "updated",
    "unchanged",
    "set_aside",
    "written",
    "deleted",
    "skipped",
    "expired",
    "files_added",
    "files_removed",
)


@dataclass
class RunContext:
    """One run's work: the store, the groups with their builders, up to when, and what is told on the way.

    replayed: whether ``until`` was given, so that rows are past their ttl as of then and not as of
    now.
    """

    fs: FeatureStore
    pipeline: Pipeline
    until: datetime
    is_replay: bool
    notify: Callable[[str, Mapping[str, Any]], None] = lambda _line, _facts: None
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    ok: bool = True

    def __post_init__(self) -> None:
        module = self.pipeline.module()
        self.builders = {declare(self.fs): build for declare, build in module.PIPELINE.items()}
        paces = getattr(module, "EVERY", {})
        self.intervals = {
            group: paces.get(declare, self.pipeline.every)
            for group, declare in zip(self.builders, module.PIPELINE, strict=True)
        }

    @property
    def groups(self) -> list[FeatureGroup]:
        """The pipeline's groups, in their order."""
        return list(self.builders)

    @property
    def now(self) -> datetime | None:
        """The instant by which rows are past their ttl; None: that of the call."""
        return self.until if self.is_replay else None

    def record_job(self, group: FeatureGroup, job: "Job") -> None:
        """Count and tell what a job did."""
        self.counts.update(
            {name: job.summary[name] for name in _SUMMED_COUNTS if name in job.summary}
        )
        self.report_line(str(job), group, job.summary)

    def report_line(
        self, line: str, group: FeatureGroup, facts: Mapping[str, Any], ok: bool = True
    ) -> None:
        """Tell a line about a group."""
        self.ok &= ok
        self.lines.append(line)
        self.notify(line, {"group": f"{group.name}_{group.version}", **facts})


def incremental(context: RunContext, _options: Mapping[str, Any]) -> None:
    """Bring each group from its watermark to ``until``; one without a watermark is backfilled from the pipeline's start."""
    pipeline = context.pipeline
    for group, build in context.builders.items():
        if group.watermark is None:
            if pipeline.start is None:
                raise SettingsError(
                    f"Feature group {group.spec} was never built, and pipeline {pipeline.name!r}"
                    " has no start: give one, as in start: 2024-01-01, or run jobs/backfill.py"
                    " first."
                )
            if pipeline.start < context.until:
                context.record_job(
                    group, group.backfill(build, pipeline.start, context.until, pipeline.chunk)
                )
        else:
            for job in group.run_incremental(
                build, context.until, context.intervals[group], pipeline.lateness
            ):
                context.record_job(group, job)


def statistics(context: RunContext, _options: Mapping[str, Any]) -> None:
    """Make the statistics of groups whose newest rows have none: an insert leaves those of large, changed tables for later."""
    for group in context.groups:
        if group.statistics_config.enabled and not group.statistics_are_current:
            found = group.compute_statistics()
            context.counts["groups_profiled"] += 1
            said = f"{len(found.feature_descriptive_statistics)} features at commit {found.commit}"
            context.report_line(
                f"statistics {group.name}_{group.version}: {said}", group, {"commit": found.commit}
            )


def validation(context: RunContext, options: Mapping[str, Any]) -> None:
    """Validate the rows of groups that have a suite: those of the ``window`` that ends now, or all of them."""
    for group in context.groups:
        if not group.get_expectation_suite() or not group.commit_details(1):
            continue
        window, time = options.get("window"), group.event_time
        rows = None
        if window and time and group.schema[time] in ("timestamp", "date"):
            rows = (
                group.select_all()
                .filter((group[time] >= context.until - window) & (group[time] < context.until))
                .read()
            )
        report = group.validate(rows)
        failed = [
            f"{each.type} ({each.failed:,} of {each.checked:,} rows)"
            for each in report.results
            if not each.success
        ]
        context.counts["expectations_failed"] += len(failed)
        said = "no complaint" if report.success else f"failed: {', '.join(failed)}"
        context.report_line(
            f"validation {group.name}_{group.version}: {said}",
            group,
            {"success": report.success},
            report.success,
        )


def sync(context: RunContext, options: Mapping[str, Any]) -> None:
    """Bring the online tables up to their groups."""
    for group in _list_online_groups(context.groups):
        context.record_job(group, group.sync_online(context.now, options.get("full", False)))


def verify(context: RunContext, options: Mapping[str, Any]) -> None:
    """Compare the online tables with the offline latest."""
    for group in _list_online_groups(context.groups):
        found = group.verify_online(context.now, options.get("limit", 20))
        differing = len(found.differences)
        context.counts["keys_differing"] += differing
        context.report_line(str(found), group, {"ok": found.ok, "differing": differing}, found.ok)
        for each in found.differences:
            context.report_line(f"  {each}", group, {}, ok=False)


def maintenance(context: RunContext, options: Mapping[str, Any]) -> None:
    """Compact the tables and remove what only old versions need; one that a training dataset reads keeps its files."""
    hours = options.get("retention", DEFAULT_RETENTION) / timedelta(hours=1)
    for group in context.groups:
        context.record_job(group, group.optimize())
        try:
            context.record_job(group, group.vacuum(hours))
        except SettingsError as kept:
            context.report_line(str(kept), group, {})


def _list_online_groups(groups: Sequence[FeatureGroup]) -> list[FeatureGroup]:
    return [group for group in groups if group.online_enabled and group.commit_details(1)]


STEPS: Mapping[str, Callable[[RunContext, Mapping[str, Any]], None]] = {
    each.__name__: each for each in (incremental, statistics, validation, sync, verify, maintenance)
}
