"""Choose how a plan is run, from what the tables' logs say.

There are three strategies, and they give the same rows: ``columnar``, the shuffle of Arrow tables;
``broadcast``, the same without a shuffle, where each task reads the right sides itself; and
``sql``, plain Spark SQL, the reference. A choice costs no Spark action.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from spark_fs.engine.join import sampling
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.inputs import JoinInputs, build_stage
from spark_fs.engine.join.shuffle import get_key_kind
from spark_fs.engine.runner import EngineName
from spark_fs.engine.scan.pruning import NodeSource, TableScanPlan, plan_scans
from spark_fs.errors import QueryError, SettingsError
from spark_fs.planning.plan import JoinPlan, PlanNode

BROADCAST_BYTES = 32 << 20  # bytes of right sides that each task reads itself


@dataclass(frozen=True)
class StageFacts:
    """What decides how a stage is run.

    only_spark: why only Spark can compare the keys; None: workers can. only_workers: why only they
    can compute it; None: Spark SQL can. reads_files: whether each task can read every joined group.
    bytes: about how much the joined groups hold; None: not known.
    """

    nodes: tuple[PlanNode, ...]
    only_spark: str | None
    only_workers: str | None
    reads_files: bool
    bytes: int | None

    @classmethod
    def from_plan(
        cls, plan: JoinPlan, nodes: tuple[PlanNode, ...], scan_plans: Sequence[TableScanPlan]
    ) -> "StageFacts":
        """The facts about the stage that joins these nodes."""
        stage_scans = [scan_plans[node.index] for node in nodes]
        reads_files = all(scan_plan.is_plain for scan_plan in stage_scans)
        sizes = [scan_plan.bytes for scan_plan in stage_scans if scan_plan.bytes is not None]
        total_bytes = None
        if len(sizes) == len(stage_scans):
            total_bytes = sum(sizes)
        only_spark = _why_only_spark(plan, nodes)
        return cls(nodes, only_spark, _why_only_workers(nodes), reads_files, total_bytes)


class JoinStrategy(ABC):
    """A way to run a stage of a join.

    name: by which users ask for it. description: what explain() says of it.
    """

    name: ClassVar[str]
    description: ClassVar[str]

    @abstractmethod
    def explain_refusal(self, facts: StageFacts) -> str | None:
        """Why it cannot run the stage, and what to do; None: it can."""

    @abstractmethod
    def explain_choice(self, facts: StageFacts) -> str | None:
        """Why it suits the stage best; None: a later one of the table does."""


class ArrowStrategy(JoinStrategy):
    """A strategy whose tasks join Arrow tables."""

    def explain_refusal(self, facts: StageFacts) -> str | None:
        """Why it cannot run the stage, and what to do; None: it can."""
        if facts.only_spark is None:
            return None
        return (
            f"strategy {self.name!r} cannot run this query: {facts.only_spark}. Leave strategy out,"
            " or use 'sql'."
        )

    @abstractmethod
    def join_stage(
        self, left: ArrowRelation, inputs: JoinInputs, nodes: tuple[PlanNode, ...], number: int
    ) -> ArrowRelation:
        """What is joined so far, joined* with these nodes; the first stage is number 1."""


class Broadcast(ArrowStrategy):
    """Every task reads the joined groups itself."""

    name = "broadcast"
    description = "broadcast: every task reads the joined groups itself, and nothing is shuffled"

    def explain_refusal(self, facts: StageFacts) -> str | None:
        """Why it cannot run the stage, and what to do; None: it can."""
        refusal = super().explain_refusal(facts)
        if refusal is None and not facts.reads_files:
            return (
                "strategy 'broadcast' needs right sides that lie in files of their own: leave"
                " strategy out, or use 'columnar'."
            )
        return refusal

    def explain_choice(self, facts: StageFacts) -> str | None:
        """It suits joined groups that are small."""
        if facts.only_spark or not facts.reads_files:
            return None
        if facts.bytes is None or facts.bytes > BROADCAST_BYTES:
            return None
        return f"the joined rows are few, {_format_megabytes(facts.bytes)}"

    def join_stage(
        self, left: ArrowRelation, inputs: JoinInputs, nodes: tuple[PlanNode, ...], number: int
    ) -> ArrowRelation:
        """What is joined so far, joined* with these nodes, without a shuffle."""
        stage = build_stage(inputs.plan, nodes, number)
        scans = {}
        for node in nodes:
            scan = inputs.scan_plans[node.index].scan
            if scan:
                scans[node.index] = scan
        return left.broadcast_join(stage, scans, inputs.get_schema(number))


class Columnar(ArrowStrategy):
    """The rows of every side are packed into buckets of keys, which Spark moves."""

    name = "columnar"
    description = (
        "columnar: the rows of every side are packed into buckets of keys, and a task has one"
        " bucket of all sides"
    )

    def explain_choice(self, facts: StageFacts) -> str | None:
        """It suits whatever workers can compare."""
        if facts.only_spark:
            return None
        if not facts.reads_files:
            return "not every task can read all of the joined groups itself"
        return f"the joined rows are many, {_format_megabytes(facts.bytes)}"

    def join_stage(
        self, left: ArrowRelation, inputs: JoinInputs, nodes: tuple[PlanNode, ...], number: int
    ) -> ArrowRelation:
        """What is joined so far, joined* with these nodes by one shuffle."""
        stage = build_stage(inputs.plan, nodes, number)
        rights = {node.index: inputs.build_relation(node) for node in nodes}
        joins_spine_keys = all(key.node == 0 for key in nodes[0].left_keys)
        skewed_keys, semi_join = sampling.detect_skew(
            stage, inputs.scan_plans, inputs.count_buckets(), joins_spine_keys
        )
        return left.shuffle_join(
            stage, rights, skewed_keys, inputs.get_schema(number), inputs.folder, semi_join
        )


class SparkSql(JoinStrategy):
    """One union and one window of Spark SQL; where a stage needs it, it runs the whole plan."""

    name = "sql"
    description = "sql: one union and one window of Spark SQL"

    def explain_refusal(self, facts: StageFacts) -> str | None:
        """Why it cannot run the stage, and what to do; None: it can."""
        if facts.only_workers is None:
            return None
        return (
            f"strategy 'sql' cannot run this query: {facts.only_workers}. Leave strategy out, or"
            " use 'columnar'."
        )

    def explain_choice(self, facts: StageFacts) -> str | None:
        """It suits keys that only Spark can compare."""
        return facts.only_spark


# In the order in which they are looked at.
STRATEGIES: dict[str, JoinStrategy] = {
    strategy.name: strategy for strategy in (Broadcast(), Columnar(), SparkSql())
}


@dataclass(frozen=True)
class StagePlan:
    """One stage over the groups that share a key, how it is run, and why so.

    only_spark: why only Spark can compare the keys; None: tasks can. may_share: whether tasks of
    one process can share the joined groups, if nobody asked for another strategy.
    """

    nodes: tuple[PlanNode, ...]
    strategy: JoinStrategy
    reason: str
    only_spark: str | None = None
    may_share: bool = False

    def adapt_to(self, engine: EngineName) -> "StagePlan":
        """As it is run by an engine."""
        if engine == "local" and self.may_share:
            reason = "the tasks of the local engine share what one of them reads"
            return StagePlan(self.nodes, STRATEGIES["broadcast"], reason)
        return self


@dataclass(frozen=True)
class ExecutionPlan:
    """How a plan is run."""

    scan_plans: tuple[TableScanPlan, ...]
    stages: tuple[StagePlan, ...]

    @property
    def uses_sql(self) -> bool:
        """Whether plain Spark SQL runs the whole of it, since a stage needs it."""
        return any(isinstance(stage.strategy, SparkSql) for stage in self.stages)

    def adapt_to(self, engine: EngineName) -> "ExecutionPlan":
        """As it is run by an engine."""
        stages = tuple(stage.adapt_to(engine) for stage in self.stages)
        return replace(self, stages=stages)

    def join_stages(self, inputs: JoinInputs) -> ArrowRelation:
        """The joined rows* as they travel, before the conditions on the whole."""
        relation = inputs.build_relation(inputs.plan.nodes[0])
        for number, stage in enumerate(self.stages, 1):
            assert isinstance(stage.strategy, ArrowStrategy)
            relation = stage.strategy.join_stage(relation, inputs, stage.nodes, number)
        return relation


def choose_strategy(
    plan: JoinPlan, sources: Sequence[NodeSource], requested: str | None = None
) -> ExecutionPlan:
    """The strategy of each stage of a plan.

    Args:
        plan: A bound query.
        sources: Where the rows of each of its nodes come from.
        requested: The strategy that was asked for; None: the best one.

    Raises:
        SettingsError: The strategy that was asked for is unknown or cannot run the plan.
    """
    if requested is not None and requested not in STRATEGIES:
        raise SettingsError(
            f"strategy {requested!r} is not known: use {', '.join(map(repr, STRATEGIES))}, or leave"
            " it out."
        )
    scan_plans = plan_scans(plan, sources)
    all_facts = [StageFacts.from_plan(plan, nodes, scan_plans) for nodes in plan.join_stages]
    _check_windows(all_facts)
    stages = [_choose_for_stage(facts, requested) for facts in all_facts]
    return ExecutionPlan(scan_plans, tuple(stages))


def _check_windows(stages: Sequence[StageFacts]) -> None:
    """QueryError where workers alone compute a part of the query and Spark alone another."""
    only_workers = [facts.only_workers for facts in stages if facts.only_workers]
    only_spark = [facts.only_spark for facts in stages if facts.only_spark]
    if only_workers and only_spark:
        raise QueryError(
            f"Nothing runs this query as a whole: {only_workers[0]}, and {only_spark[0]}. Join on"
            " keys of one simple type, or make a feature group of the aggregation and join that."
        )


def _why_only_workers(nodes: tuple[PlanNode, ...]) -> str | None:
    """Why Spark SQL cannot run a stage; None: it can."""
    for node in nodes:
        if node.windows:
            return f"the windows of {node.group} at the spine's instants are computed by workers"
    return None


def _choose_for_stage(facts: StageFacts, requested: str | None) -> StagePlan:
    if requested is not None:
        strategy = STRATEGIES[requested]
        refusal = strategy.explain_refusal(facts)
        if refusal is not None:
            raise SettingsError(refusal)
        asked = facts.only_spark or "it was asked for"
        return StagePlan(facts.nodes, strategy, asked, facts.only_spark)
    for strategy in STRATEGIES.values():
        reason = strategy.explain_choice(facts)
        if reason is not None:
            may_share = _may_share(facts, strategy)
            return StagePlan(facts.nodes, strategy, reason, facts.only_spark, may_share)
    raise AssertionError("Spark SQL runs what no other strategy does.")


def _may_share(facts: StageFacts, strategy: JoinStrategy) -> bool:
    """Whether tasks can share the joined groups: windows are computed faster bucket by bucket."""
    return isinstance(strategy, Columnar) and facts.reads_files and facts.only_workers is None


def _format_megabytes(size: int | None) -> str:
    if size is None:
        return "of unknown size"
    if size < 1 << 20:
        return "less than 1 MB"
    return f"about {size >> 20:,} MB"


def _why_only_spark(plan: JoinPlan, nodes: tuple[PlanNode, ...]) -> str | None:
    """Why workers cannot compare the keys of a stage; None: they can."""
    for node in nodes:
        for left_key, right_key in zip(node.left_keys, node.right_keys, strict=True):
            left_type = plan.nodes[left_key.node].group.get_column_type(left_key.column)
            right_type = node.group.get_column_type(right_key)
            left_kind = get_key_kind(left_type)
            if left_kind is None or left_kind != get_key_kind(right_type):
                return (
                    f"key {right_key!r} of {node.group} is {right_type} and is compared with"
                    f" {left_type}, which only Spark does"
                )
    return None
