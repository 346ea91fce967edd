"""What each step does.

A step that compares reports differences and goes on to the end; one that cannot do its work raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import SettingsError, format_suggestions
from spark_fs.pipelines.declaration import Pipeline
from spark_fs.pipelines.log_steps import materialize_log, skew
from spark_fs.spec.freshness import Bounds, find_exceeded_bounds
from spark_fs.spec.pipeline_alert import Problem

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.flows.backfill import Builder
    from spark_fs.flows.jobs import Job

ViewDeclaration = Callable[[FeatureStore], object]
DEFAULT_RETENTION = timedelta(days=7)  # of old versions, in maintenance
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
    """What the steps of a run share.

    until: up to which instant the run builds. is_replay: whether ``until`` was given, so that rows
    are past their ttl as of then and not as of now. notify: is called with each line that a step
    reports. counts, lines, problems, ok: what the present step counted and reported, what of it is
    not as it should be, and whether all is. builders: the function that builds the rows of each
    group, None where its aggregation does. intervals: the length of one commit of each group.
    view_declarations: the functions that declare the feature views.
    """

    fs: FeatureStore
    pipeline: Pipeline
    until: datetime
    is_replay: bool
    notify: Callable[[str, Mapping[str, Any]], None] = lambda _line, _facts: None
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ok: bool = True

    def __post_init__(self) -> None:
        module = self.pipeline.module()
        self.builders: dict[FeatureGroup, Builder | None] = {}
        for declare, build in module.PIPELINE.items():
            group = declare(self.fs)
            _check_builder(self.pipeline, group, build)
            self.builders[group] = build
        self.view_declarations = _list_view_declarations(self.pipeline, module)
        paces = getattr(module, "EVERY", {})
        self.intervals = {}
        for group, declare in zip(self.builders, module.PIPELINE, strict=True):
            self.intervals[group] = paces.get(declare, self.pipeline.every)

    def begin_step(self, notify: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Forget what the step before counted and reported."""
        self.counts = Counter()
        self.lines = []
        self.problems = []
        self.ok = True
        self.notify = notify

    @property
    def groups(self) -> list[FeatureGroup]:
        """The pipeline's groups, in their order."""
        return list(self.builders)

    @property
    def now(self) -> datetime | None:
        """The instant by which rows are past their ttl; None is that of the call."""
        return self.until if self.is_replay else None

    def record_job(self, group: FeatureGroup, job: Job) -> None:
        """Count and report what a job did."""
        for name in _SUMMED_COUNTS:
            if name in job.summary:
                self.counts[name] += job.summary[name]
        self.report_line(str(job), group, job.summary)

    def report_line(
        self,
        line: str,
        group: FeatureGroup | FeatureView,
        facts: Mapping[str, Any],
        ok: bool = True,
    ) -> None:
        """Report a line about a group or a view.

        Args:
            line: what was done, in words.
            group: the group or the view.
            facts: the same, for machines.
            ok: whether the group is as it should be.
        """
        self.ok &= ok
        self.lines.append(line)
        name = f"{group.name}_{group.version}"
        if facts and not ok:  # a line without facts tells of single rows, which stay here
            kind = "group" if isinstance(group, FeatureGroup) else "view"
            path = f"{kind}/{group.name}/{group.version}"
            self.problems.append(Problem(name, line, facts, path))
        self.notify(line, {"group": name, **facts})


def _list_view_declarations(pipeline: Pipeline, module: Any) -> list[ViewDeclaration]:
    """The functions that declare feature views, of a module that has VIEWS."""
    declarations = getattr(module, "VIEWS", [])
    if not isinstance(declarations, list | tuple) or not all(map(callable, declarations)):
        raise SettingsError(
            f"VIEWS of {pipeline.groups} is {declarations!r}: give a list of functions that take"
            " the feature store and declare a feature view."
        )
    return list(declarations)


def _check_builder(pipeline: Pipeline, group: FeatureGroup, build: Builder | None) -> None:
    """Raise SettingsError where a group lacks what builds its rows, or has two that do."""
    if build is None and group.aggregation is None:
        raise SettingsError(
            f"PIPELINE of {pipeline.groups} has no function that builds the rows of feature group"
            f" {group.spec}, and it has no aggregation that does: give it one of the two."
        )
    if build is not None and group.aggregation is not None:
        raise SettingsError(
            f"PIPELINE of {pipeline.groups} has a function for feature group {group.spec}, which"
            " builds its rows by its aggregation: give None in the place of the function."
        )


def incremental(context: RunContext, _options: Mapping[str, Any]) -> None:
    """Bring each group from its watermark to ``until``, then declare the views.

    Views wait for the run in which every group has columns.
    A group without a watermark is backfilled from the pipeline's start.
    """
    for group, build in context.builders.items():
        if group.watermark is None:
            _backfill_group(context, group, build)
            continue
        every = context.intervals[group]
        lateness = context.pipeline.lateness
        for job in group.run_incremental(build, context.until, every, lateness):
            context.record_job(group, job)
    if all(group.schema for group in context.groups):
        for declare_view in context.view_declarations:
            declare_view(context.fs)


def _backfill_group(context: RunContext, group: FeatureGroup, build: Builder | None) -> None:
    pipeline = context.pipeline
    if pipeline.start is None:
        raise SettingsError(
            f"Feature group {group.spec} was never built, and pipeline {pipeline.name!r} has no"
            " start: give one, as in start: 2024-01-01, or run jobs/backfill.py first."
        )
    if pipeline.start < context.until:
        job = group.backfill(build, pipeline.start, context.until, pipeline.chunk)
        context.record_job(group, job)


def statistics(context: RunContext, _options: Mapping[str, Any]) -> None:
    """Make the statistics of groups whose newest rows have none.

    An insert leaves those of large, changed tables for later.
    """
    for group in context.groups:
        if group.statistics_config.enabled and not group.statistics_are_current:
            result = group.compute_statistics()
            context.counts["groups_profiled"] += 1
            size = len(result.feature_descriptive_statistics)
            line = (
                f"statistics {group.name}_{group.version}: {size} features at commit"
                f" {result.commit}"
            )
            context.report_line(line, group, {"commit": result.commit})


def validation(context: RunContext, options: Mapping[str, Any]) -> None:
    """Validate the rows of groups that have a suite.

    Those of the ``window`` that ends now, or all of them.
    """
    for group in context.groups:
        if not group.get_expectation_suite() or not group.commit_details(1):
            continue
        rows = _read_window(context, group, options.get("window"))
        report: Any = group.validate(rows, save_report=True)
        if report is None:  # the suite says that it is not run
            continue
        failed = [
            f"{result.type} ({result.failed:,} of {result.checked:,} rows)"
            for result in report.results
            if not result.success
        ]
        context.counts["expectations_failed"] += len(failed)
        outcome = "no complaint" if report.success else f"failed: {', '.join(failed)}"
        line = f"validation {group.name}_{group.version}: {outcome}"
        facts = {"success": report.success, "failed": failed}
        context.report_line(line, group, facts, report.success)


def _read_window(context: RunContext, group: FeatureGroup, window: timedelta | None) -> Any:
    """The rows of a group in the window that ends with the run; None stands for all of them."""
    time = group.event_time
    if not window or not time or group.schema[time] not in ("timestamp", "date"):
        return None
    start = context.until - window
    in_window = (group[time] >= start) & (group[time] < context.until)
    return group.select_all().filter(in_window).read()


def monitoring(context: RunContext, _options: Mapping[str, Any]) -> None:
    """Run the monitors that are due, of the groups and of the views that read them.

    Windows of views, which are of event time, end at the run's ``now``; those of groups, which are
    of when rows were written, at the call in a replay too.
    """
    watched: dict[str, tuple[FeatureGroup | FeatureView, datetime | None]] = {}
    for group in context.groups:
        watched[repr(group)] = (group, None)
        for view in group.get_generated_feature_views():
            watched[repr(view)] = (view, context.now)
    for owner, now in watched.values():
        for result in owner.run_due_monitors(now):
            context.counts["monitors_run"] += 1
            context.counts["features_shifted"] += len(result.shifted_feature_names)
            line = f"{owner.name}_{owner.version}: {result}"
            facts = {"monitor": result.monitor, "shifted": len(result.shifted_feature_names)}
            context.report_line(line, owner, facts, not result.shift_detected)


def sync(context: RunContext, options: Mapping[str, Any]) -> None:
    """Bring the online tables up to their groups."""
    for group in list_online_groups(context.groups):
        context.record_job(group, group.sync_online(context.now, options.get("full", False)))


def verify(context: RunContext, options: Mapping[str, Any]) -> None:
    """Compare the online tables with the offline latest."""
    for group in list_online_groups(context.groups):
        report = group.verify_online(context.now, options.get("limit", 20))
        differing = len(report.differences)
        context.counts["keys_differing"] += differing
        facts = {"ok": report.ok, "differing": differing}
        context.report_line(str(report), group, facts, report.ok)
        for difference in report.differences:
            context.report_line(f"  {difference}", group, {}, ok=False)


def freshness(context: RunContext, options: Mapping[str, Any]) -> None:
    """Compare how old what is served is with the bounds.

    Ages are counted to the run's ``now``, so that a replay is compared as it was then.
    """
    groups = list_online_groups(context.groups)
    for name in ("max", "max_lag"):
        _check_bounded_groups(f"freshness.{name}", options.get(name), groups)
    for group in groups:
        bounds = Bounds(
            _get_bound(options.get("max"), group), _get_bound(options.get("max_lag"), group)
        )
        found = group.get_freshness(context.now)
        exceeded = find_exceeded_bounds(found, bounds)
        context.counts["groups_measured"] += 1
        context.counts["groups_stale"] += bool(exceeded)
        line = "; ".join([str(found), *exceeded])
        seconds = {
            f"{name}_seconds": bound and bound.total_seconds()
            for name, bound in bounds._asdict().items()
        }
        context.report_line(line, group, {**found.to_json(), **seconds}, not exceeded)


def _get_bound(option: Any, group: FeatureGroup) -> timedelta | None:
    """The bound of a group, where there is one for every group or for this."""
    bound: timedelta | None = option
    if isinstance(option, Mapping):
        bound = option.get(group.name)
    return bound


def _check_bounded_groups(option: str, bounds: Any, groups: Sequence[FeatureGroup]) -> None:
    """Raise SettingsError where a bound is of no group that is online."""
    names = [group.name for group in groups]
    for name in bounds if isinstance(bounds, Mapping) else ():
        if name not in names:
            raise SettingsError(
                f"{option} names {name!r}, which is not a group of this pipeline with rows online"
                f"{format_suggestions(name, names)}"
            )


def maintenance(context: RunContext, options: Mapping[str, Any]) -> None:
    """Compact the tables and remove what only old versions need.

    One that a training dataset reads keeps its files.
    """
    hours = options.get("retention", DEFAULT_RETENTION) / timedelta(hours=1)
    for group in context.groups:
        for outcome in maintain_group(group, hours):
            if isinstance(outcome, SettingsError):
                context.report_line(str(outcome), group, {})
            else:
                context.record_job(group, outcome)


def maintain_group(
    group: FeatureGroup, retention_hours: float, force: bool = False
) -> Iterator[Job | SettingsError]:
    """Compact the table of a group, then remove what only old versions need, eagerly.

    Args:
        group: the group.
        retention_hours: how long old versions are kept.
        force: see ``FeatureGroup.vacuum``.

    Yields:
        What each of the two did; for the second the error that says why files are kept.
    """
    yield group.optimize()
    try:
        job = group.vacuum(retention_hours, force)
    except SettingsError as refusal:
        yield refusal
    else:
        yield job


def list_online_groups(groups: Sequence[FeatureGroup]) -> list[FeatureGroup]:
    """The groups that have rows and are served online."""
    return [group for group in groups if group.online_enabled and group.commit_details(1)]


STEPS: Mapping[str, Callable[[RunContext, Mapping[str, Any]], None]] = {
    "incremental": incremental,
    "statistics": statistics,
    "validation": validation,
    "monitoring": monitoring,
    "sync": sync,
    "verify": verify,
    "freshness": freshness,
    "materialize_log": materialize_log,
    "skew": skew,
    "maintenance": maintenance,
}
