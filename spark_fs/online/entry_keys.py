"""The keys that an entry has: their names and types, and which columns of a vector they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from spark_fs.planning.plan import JoinPlan, NodeColumn, OutputColumn, PlanNode


@dataclass(frozen=True)
class EntryColumn:
    """A column of the vector that is a key which an entry may give.

    key: the entry's name for it. node: the group that it is of. is_stored: whether it is taken from
    the group's row where the entry leaves it out.
    """

    key: str
    node: PlanNode
    is_stored: bool


def list_key_types(plan: JoinPlan) -> dict[str, str]:
    """The names that entries use for keys, with their types.

    They are the spine's primary key and the left side of each join.
    """
    spine = plan.nodes[0]
    key_columns = [NodeColumn(0, key) for key in spine.group.primary_key]
    for node in plan.nodes:
        key_columns += node.left_keys
    return {
        key.column: plan.nodes[key.node].group.get_column_type(key.column) for key in key_columns
    }


def find_entry_columns(plan: JoinPlan, outputs: Sequence[OutputColumn]) -> dict[str, EntryColumn]:
    """The columns of the vector that an entry may give, by their names.

    They are keys of the spine, columns by which groups are joined to others, and those that a group
    which is not online is joined by.
    """
    left_keys = {key for node in plan.nodes for key in node.left_keys}
    entry_columns = {}
    for output in outputs:
        node = plan.nodes[output.source.node]
        column = output.source.column
        is_online = node.group.online_enabled and not node.windows
        if node.match == "spine" and column in node.group.primary_key:
            entry_columns[output.name] = EntryColumn(column, node, is_stored=False)
        elif output.source in left_keys:
            entry_columns[output.name] = EntryColumn(column, node, is_online)
        elif column in node.right_keys and not is_online and not node.windows:
            left_key = node.left_keys[node.right_keys.index(column)]
            entry_columns[output.name] = EntryColumn(left_key.column, node, is_stored=False)
    return entry_columns
