"""The events of an aggregation: rows of its source, as of one moment for as long as a run lasts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeAlias

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.times import Interval
from spark_fs.engine.engines import EngineChoice, Engines
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.execution import to_arrow_relation
from spark_fs.engine.join.strategy import choose_strategy
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import UNBOUNDED, Scan, ScanFile, TimeBounds
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.engine.spark_runner import SparkRunner, get_frame
from spark_fs.engine.windows.reach import ChangedEvents, find_needed_bounds
from spark_fs.engine.windows.relation import EventSource, aggregate_events
from spark_fs.engine.windows.rows import compute_event_rows, to_bounds
from spark_fs.engine.windows.rows_here import aggregate_here
from spark_fs.engine.windows.tile_columns import make_tile_schema, make_tile_types
from spark_fs.engine.windows.tile_rows import make_tiles, merge_tiles
from spark_fs.engine.windows.tile_spans import Stretch
from spark_fs.engine.windows.tiles_here import make_tiles_here
from spark_fs.errors import SettingsError
from spark_fs.flows import read
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.planning.bind import bind_query
from spark_fs.planning.plan import JoinPlan
from spark_fs.planning.time_conditions import build_time_condition
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import make_conjunction
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.computed_rows import BatchTask, ComputedRows, TableReader
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.table import GroupTable, open_table

TILED_BYTES = 512 << 20  # bytes of events whose tiles this process gathers
LOCAL_BYTES = 32 << 20  # bytes of files that this process reads at once
LOCAL_ROWS = 1_000_000  # and their rows
# Up to so many one thread is as fast as several, and the JVM takes the rows from it.
SINGLE_THREAD_ROWS = 100_000
Rows: TypeAlias = pa.Table | ComputedRows  # that are here, or that workers compute
SourceReader = Callable[[JoinPlan], Sequence[NodeSource]]


@dataclass(frozen=True)
class AggregationSource:
    """The events of an aggregation, and the versions of the groups that they are read at.

    groups: every group that the source reads. windows: what is computed of the events. versions:
    of each group that has versions.
    """

    stores: ProjectStores
    aggregation: AggregationSpec
    groups: Mapping[GroupRef, GroupSpec]
    windows: WindowPlan
    versions: Mapping[GroupRef, int]

    @classmethod
    def open(cls, stores: ProjectStores, aggregation: AggregationSpec) -> "AggregationSource":
        """The source as it is now.

        Args:
            stores: Where its groups are.
            aggregation: What is computed of it.

        Raises:
            SettingsError: It has no rows yet.
        """
        groups = stores.catalog.get_groups(aggregation.list_groups())
        plan = bind_query(aggregation.source, groups)
        windows = bind_aggregation(aggregation, plan.schema)
        versions = read.get_current_versions(plan, stores.find_table)
        if versions.get(plan.spine.ref) == NO_TABLE:
            raise SettingsError(
                f"Feature group {plan.spine} has no rows yet, and window features are made of them:"
                " insert its first rows."
            )
        return cls(stores, aggregation, groups, windows, versions)

    @cached_property
    def table(self) -> GroupTable | None:
        """The table of the one group that it is; None where it is anything else.

        Only such a source can tell what changed in it.
        """
        query = self.aggregation.source
        group = self.groups[query.group]
        if query.joins or query.as_of is not None or group.source is not None:
            return None
        return open_table(group, self.stores.find_table(group), lambda: self.stores.spark)

    @cached_property
    def tracked_id(self) -> str | None:
        """Under which id it is noted what was taken in of it; None where it cannot tell changes.

        A table that was made anew is another source.
        """
        if self.table is None:
            return None
        return f"spark_fs.source.{self.table.table_id}"

    @property
    def version(self) -> int:
        """The version of the one group that it is."""
        return self.versions[self.aggregation.source.group]

    @contextmanager
    def compute_rows(
        self, interval: Interval, changed: ChangedEvents | None = None
    ) -> Iterator[Rows]:
        """The rows of the aggregation: here and now where its events are few, else lazily.

        Where memory allows it threads of this process then read, aggregate and write them.

        Args:
            interval: Of the instants of the rows.
            changed: Events whose rows alone are wanted; None: every row is.

        Yields:
            The columns of the plan's ``row_schema``, to be read before the context ends.
        """
        plan = self.windows
        needed = find_needed_bounds(to_bounds(interval), plan.longest_reach)
        row_limit = LOCAL_ROWS if changed is not None else SINGLE_THREAD_ROWS
        events = self._read_plan_columns(needed, row_limit)
        if isinstance(events, pa.Table):
            if changed is not None:
                events = changed.select_needed(events, plan.known_at)
            rows = compute_event_rows(events, plan, interval)
            yield rows if changed is None else changed.select_reached(rows, plan.row_instant)
            return
        if changed is not None:
            events = replace(events, relation=_keep_needed(events.relation, changed, plan))
        with SparkRunner(self.stores.spark).open_shared_folder() as folder:
            relation = aggregate_events(events, plan, interval, folder)
            if changed is not None:
                relation = _keep_reached(relation, changed, plan)
            rows = ComputedRows(
                get_frame(relation.source), relation.read_tables, plan.row_schema, True
            )
            if changed is None and events.scan is not None:
                engines = self.stores.engines
                choice = engines.choose(None, events.byte_count)
                collect = _RowCollector(engines, choice, events.scan, relation, plan, interval)
                rows = replace(rows, collect_by=collect)
            yield rows

    def read_events(self, bounds: TimeBounds) -> pa.Table | None:
        """All events known between these instants, and perhaps others; None: they are too many."""
        events = self._read_plan_columns(bounds)
        return events if isinstance(events, pa.Table) else None

    def read_history(self) -> pa.Table | EventSource:
        """All events, here where they are few, else lazily."""
        return self._read_plan_columns(UNBOUNDED)

    def make_tiles(self, stretch: Stretch) -> pa.Table | None:
        """The tiles of some days, or of all time before one, eagerly; None: they are too many."""
        plan = self.windows
        events = self._read_plan_columns(stretch)
        make = partial(make_tiles, plan=plan, stretch=stretch)
        if isinstance(events, pa.Table):
            return make(events)
        if events.byte_count > TILED_BYTES:
            return None
        schema = make_tile_schema(plan)

        types = make_tile_types(plan)

        def collect(runner: Runner) -> pa.Table:
            if events.scan is not None and runner.name == "local":
                table = _collect_scan(runner, events.scan, plan)
                return make_tiles_here(table, runner, plan, stretch).select(types).collect()
            relation = events.relation.map_tables(make, schema)
            with relation.source.runner.translate_errors():
                tiles = relation.select(types).collect()
            return merge_tiles(tiles.cast(schema), plan)

        engines = self.stores.engines
        choice = EngineChoice("spark", "the events are in no files that are read here")
        if events.scan is not None:
            choice = engines.choose(None, events.byte_count)
        return engines.run(choice, collect).cast(schema)

    def _read_plan_columns(
        self, bounds: TimeBounds, row_limit: int = LOCAL_ROWS
    ) -> pa.Table | EventSource:
        names = [name for name, _ in self.windows.types]
        return self.read_rows(names, bounds, self._list_sources, row_limit)

    def read_rows(
        self,
        names: Sequence[str],
        bounds: TimeBounds,
        list_sources: SourceReader,
        row_limit: int = LOCAL_ROWS,
    ) -> pa.Table | EventSource:
        """Rows of the source, here where they are few, else lazily.

        Args:
            names: Their columns.
            bounds: Between which instants they become known; others may come too.
            list_sources: Gives where the rows of each of the plan's groups are.
            row_limit: How many rows are few.
        """
        plan = self._bind_rows(bounds).select_outputs(names)
        sources = list_sources(plan)
        choice = choose_strategy(plan, sources)
        scan_plan = choice.scan_plans[0]
        if scan_plan.scan is not None and scan_plan.is_plain and len(plan.nodes) == 1:
            scan = _rename_columns(scan_plan.scan, plan)
            if is_small(scan.files, row_limit):
                return pa.concat_tables([scan.schema.empty_table(), *parquet.iter_tables(scan)])
            runner = SparkRunner(self.stores.spark)
            return EventSource.from_scan(runner, scan, scan_plan.bytes)
        runner = SparkRunner(self.stores.spark)
        relation, project = to_arrow_relation(runner, plan, sources, choice)
        byte_count = 0
        for each, each_source in zip(choice.scan_plans, sources, strict=True):
            known_bytes = each.bytes
            if known_bytes is None:
                known_bytes = each_source.estimate_frame_bytes()
            byte_count += known_bytes
        schema = arrow_types.to_arrow_schema(plan.schema)
        return EventSource(relation.map_tables(project, schema), byte_count)

    def _list_sources(self, plan: JoinPlan) -> Sequence[NodeSource]:
        locate = self.stores.find_table
        return read.list_sources(lambda: self.stores.spark, plan, locate, self.versions, {})

    def _bind_rows(self, bounds: TimeBounds) -> JoinPlan:
        """The source's plan, narrowed to these instants where its leftmost group has them.

        So the files of that group are chosen by them, and what is joined to it is less.
        """
        query = self.aggregation.source
        plan = bind_query(query, self.groups)
        name, type_ = self.windows.known_at
        output = next(output for output in plan.outputs if output.name == name)
        if output.source.node:
            return plan
        condition = build_time_condition(query.group, output.source.column, type_, *bounds)
        if condition is None:
            return plan
        where = make_conjunction(query.where, condition)
        return bind_query(replace(query, where=where), self.groups)


def _rename_columns(scan: Scan, plan: JoinPlan) -> Scan:
    """The scan of a plan's one group, whose columns have the names that the plan gives them."""
    columns = tuple((output.name, output.source.column) for output in plan.outputs)
    return replace(scan, columns=columns)


@dataclass(frozen=True)
class _RowCollector:
    """Runs a task over the rows of an aggregation, by the engine that was chosen.

    scan: of the events. by_spark: the rows*, as Spark's workers have them. plan: the aggregation.
    interval: which rows are wanted.
    """

    engines: Engines
    choice: EngineChoice
    scan: Scan
    by_spark: ArrowRelation
    plan: WindowPlan
    interval: Interval

    def __call__(
        self, make_task: Callable[[TableReader], BatchTask], types: Mapping[str, str]
    ) -> pa.Table:
        """What a task makes of the rows, eagerly."""

        def collect(runner: Runner) -> pa.Table:
            rows = self.by_spark if runner.name == "spark" else self._aggregate_here(runner)
            return rows.source.map_batches(make_task(rows.read_tables), types).collect()

        return self.engines.run(self.choice, collect)

    def _aggregate_here(self, runner: Runner) -> ArrowRelation:
        events = _collect_scan(runner, self.scan, self.plan)
        return aggregate_here(events, runner, self.plan, self.interval)


def _collect_scan(runner: Runner, scan: Scan, plan: WindowPlan) -> pa.Table:
    """The events of a scan, in this process."""
    return ArrowRelation.from_scan(runner, scan).select(dict(plan.types)).collect()


def is_small(files: Iterable[ScanFile | DataFile], row_limit: int = LOCAL_ROWS) -> bool:
    """Whether this process reads these files at once."""
    byte_count = 0
    row_count = 0
    for file in files:
        byte_count += file.bytes
        row_count += file.row_count or 0
    return byte_count <= LOCAL_BYTES and row_count <= row_limit


def _keep_needed(
    relation: ArrowRelation, changed: ChangedEvents, plan: WindowPlan
) -> ArrowRelation:
    """The events* that count in a row that changed ones reach."""
    keep = partial(changed.select_needed, known_at=plan.known_at)
    return relation.map_tables(keep, relation.schema)


def _keep_reached(
    relation: ArrowRelation, changed: ChangedEvents, plan: WindowPlan
) -> ArrowRelation:
    """The rows* that changed events reach."""
    keep = partial(changed.select_reached, at=plan.row_instant)
    return relation.map_tables(keep, relation.schema)
