"""The inputs of a join that tasks run: each node's rows, and what they are told of a stage."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join import columns
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.duplicates import build_relation_without_duplicates
from spark_fs.engine.join.stages import JoinStage, MatchRule, StageRule, TypedColumn, WindowRule
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan.pruning import NodeSource, TableScanPlan
from spark_fs.planning.plan import JoinPlan, NodeColumn, PlanNode
from spark_fs.planning.window_plan import WindowPlan

BUCKET_BYTES = 64 << 20  # bytes of all sides in one bucket
_ONE_TASK_BYTES = 4 << 20  # bytes whose duplicates one task drops
_MAX_BUCKETS = 1 << 15


@dataclass(frozen=True)
class JoinInputs:
    """A plan, where the rows of its nodes come from, and how they are read.

    folder: one that every task sees, kept until the result was read.
    """

    runner: Runner
    plan: JoinPlan
    sources: Sequence[NodeSource]
    scan_plans: Sequence[TableScanPlan]
    folder: str | None

    def build_relation(self, node: PlanNode) -> ArrowRelation:
        """The rows of a node*, from its files where tasks read them.

        What is in the memory of this process Spark takes as its own frame.
        """
        scan_plan = self.scan_plans[node.index]
        scan = scan_plan.scan
        if scan and scan_plan.drops_duplicates:
            buckets = 1
            if (scan_plan.bytes or 0) > _ONE_TASK_BYTES:
                buckets = choose_bucket_count(self.runner, scan_plan.bytes or 0)
            return build_relation_without_duplicates(
                self.runner, scan, node.group, buckets, self.folder
            )
        if scan and not (scan.is_held and self.runner.name == "spark"):
            return ArrowRelation.from_scan(self.runner, scan)
        from spark_fs.engine.join.spark_inputs import build_frame_relation

        frame = self.sources[node.index].read_frame()
        return build_frame_relation(self.plan, node, frame)

    def count_buckets(self) -> int:
        """How many buckets of keys a shuffle has: of bounded size, and enough for every core."""
        total_bytes = 0
        for source, scan_plan in zip(self.sources, self.scan_plans, strict=True):
            if scan_plan.bytes is None:
                total_bytes += source.estimate_frame_bytes()
            else:
                total_bytes += scan_plan.bytes
        return choose_bucket_count(self.runner, total_bytes)

    def get_schema(self, stage_number: int) -> pa.Schema:
        """The columns of the joined rows after a stage; the first is 1, 0 is the spine."""
        return arrow_types.to_arrow_schema(get_travelling_types(self.plan, stage_number))


def choose_bucket_count(runner: Runner, total_bytes: int) -> int:
    """How many buckets rows of so many bytes are shuffled to.

    Args:
        runner: Whose cores the buckets are for.
        total_bytes: Of all sides.
    """
    cores = runner.parallelism
    rounds = max(2, ceil_divide(total_bytes, BUCKET_BYTES * cores))
    return min(rounds * cores, _MAX_BUCKETS)


def get_travelling_types(plan: JoinPlan, stage_number: int) -> dict[str, str]:
    """The columns of the joined rows after a stage, with their feature types."""
    travelling = columns.list_travelling_columns(plan, stage_number)
    return columns.get_types(plan, columns.get_travelling_aliases(plan, travelling))


def build_stage(plan: JoinPlan, nodes: tuple[PlanNode, ...], stage_number: int) -> JoinStage:
    """What workers are told of a stage of a plan; the first is 1."""
    travelling = columns.list_travelling_columns(plan, stage_number)
    joined_now = {node.index for node in nodes}
    left_columns = [column for column in travelling if column.node not in joined_now]
    keys = []
    for key in nodes[0].left_keys:
        left = plan.nodes[key.node]
        keys.append(_get_typed_column(left, key.column))
    rules: list[StageRule] = []
    for node in nodes:
        right_columns = [column for column in travelling if column.node == node.index]
        rules.append(_build_rule(plan, node, right_columns))
    return JoinStage(
        tuple(keys),
        _get_event_time(plan.nodes[0]),
        tuple(rules),
        columns.get_travelling_aliases(plan, left_columns),
    )


def _build_rule(plan: JoinPlan, node: PlanNode, right_columns: Sequence[NodeColumn]) -> StageRule:
    if node.windows:
        return _build_window_rule(plan, node, node.windows)
    return _build_match_rule(plan, node, right_columns)


def _build_window_rule(plan: JoinPlan, node: PlanNode, windows: WindowPlan) -> WindowRule:
    """With the features alone that anything in the plan reads."""
    needed = plan.narrow_windows(node, windows)
    aliases = [columns.get_alias(NodeColumn(node.index, name)) for name in needed.schema]
    return WindowRule(
        node.index,
        tuple(_get_typed_column(node, key) for key in node.right_keys),
        _get_typed_column(node, needed.known_at[0]),
        needed,
        tuple(columns.get_aliases(node, dict(needed.types))),
        tuple(aliases),
    )


def _build_match_rule(
    plan: JoinPlan, node: PlanNode, right_columns: Sequence[NodeColumn]
) -> MatchRule:
    known_from = (columns.get_ingested_alias(node), "timestamp") if plan.as_known else None
    return MatchRule(
        node.index,
        tuple(_get_typed_column(node, key) for key in node.right_keys),
        _get_event_time(node),
        tuple(columns.get_tie_breaker_aliases(node)),
        known_from,
        node.group.ttl_micros,
        node.join_type == "inner",
        tuple(map(columns.get_alias, right_columns)),
    )


def _get_event_time(node: PlanNode) -> TypedColumn | None:
    event_time = node.event_time
    return _get_typed_column(node, event_time) if event_time else None


def _get_typed_column(node: PlanNode, column: str) -> TypedColumn:
    return columns.get_node_alias(node, column), node.group.get_column_type(column)
