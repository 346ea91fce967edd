"""The columns that travel through a join: under which names, of which types, and how far.

Every column of every group travels as ``n<node>_<column>``, so that groups which share names, or
one group joined twice, never meet; the plan's outputs give them their names at the end.
"""

from collections.abc import Iterable, Sequence

from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan, NodeColumn, PlanNode


def get_alias(node_column: NodeColumn) -> str:
    """The name under which a column travels."""
    return f"n{node_column.node}_{node_column.column}"


def get_node_alias(node: PlanNode, column: str) -> str:
    """The name under which a column of a node's rows travels.

    Those of windows stay apart from the features that come of them.
    """
    if node.windows:
        return f"n{node.index}__event_{column}"
    return get_alias(NodeColumn(node.index, column))


def get_aliases(node: PlanNode, columns: Iterable[str]) -> list[str]:
    """The names under which columns of a node's rows travel."""
    return [get_node_alias(node, column) for column in columns]


def get_time_alias(node: PlanNode) -> str:
    """The event time of a node in microseconds."""
    return f"n{node.index}__time"


def get_ingested_alias(node: PlanNode) -> str:
    """The instant of ingestion of a node's row."""
    return f"n{node.index}__ingested"


def get_known_alias(node: PlanNode) -> str:
    """The instant of ingestion of a node's row in microseconds."""
    return f"n{node.index}__known"


def get_tie_breaker_aliases(node: PlanNode) -> list[str]:
    """The columns that decide between rows of one key and time, in this order."""
    if not node.may_tie:
        return []
    return [get_ingested_alias(node), *get_aliases(node, node.tie_breakers)]


def list_travelling_columns(plan: JoinPlan, stage_count: int) -> tuple[NodeColumn, ...]:
    """What is needed of the joined rows after so many stages.

    That is what the result needs, and the keys and the event time of the stages to come.
    """
    later_stages = plan.join_stages[stage_count:]
    needed = set(plan.required_columns)
    for nodes in later_stages:
        for node in nodes:
            needed.update(node.left_keys)
    if later_stages and plan.spine.event_time:
        needed.add(NodeColumn(0, plan.spine.event_time))
    joined = {0}
    for nodes in plan.join_stages[:stage_count]:
        joined.update(node.index for node in nodes)
    travelling = [column for column in needed if column.node in joined]
    return tuple(sorted(travelling, key=lambda column: (column.node, column.column)))


def get_travelling_aliases(plan: JoinPlan, columns: Iterable[NodeColumn]) -> tuple[str, ...]:
    """The names under which these columns travel, and the split where the plan has splits."""
    aliases = [get_alias(column) for column in columns]
    if plan.splits:
        aliases.append(SPLIT_COLUMN)
    return tuple(aliases)


def get_types(plan: JoinPlan, aliases: Sequence[str]) -> dict[str, str]:
    """The feature types of columns that travel."""
    types = {SPLIT_COLUMN: "string"}
    for node in plan.nodes:
        types[get_ingested_alias(node)] = "timestamp"
        for column, type_ in node.group.types.items():
            types[get_node_alias(node, column)] = type_
        for column, type_ in node.result_types.items():
            types[get_alias(NodeColumn(node.index, column))] = type_
    return {alias: types[alias] for alias in aliases}
