"""Find the group that keeps online what the windows of a view's query need."""

from collections.abc import Sequence

from spark_fs.catalog.store import Catalog
from spark_fs.online.live.source import LiveSource
from spark_fs.planning.bind import bind_query
from spark_fs.planning.plan import JoinPlan, PlanNode
from spark_fs.planning.window_plan import BoundFeature, WindowPlan, bind_aggregation
from spark_fs.spec.feature_group import GroupSpec


def is_live(group: GroupSpec) -> bool:
    """Whether a sync of a group brings online what its windows need.

    Only windows that a spine can have do: those over one group, whose rows are on no grid.
    """
    aggregation = group.aggregation
    if aggregation is None or not group.online_enabled:
        return False
    return aggregation.every is None and not aggregation.source.joins


def find_live_sources(catalog: Catalog, plan: JoinPlan) -> dict[int, LiveSource]:
    """The groups whose online table serves windows of a plan, by the number of its node.

    Args:
        catalog: Where groups are.
        plan: The plan of a view.

    Returns:
        Of several groups that serve a node the first by name and version.
    """
    nodes = [node for node in plan.nodes if node.windows]
    if not nodes:
        return {}
    groups = [group for group in catalog.list_groups() if is_live(group)]
    sources = {}
    for node in nodes:
        source = _find_source(node, groups)
        if source is not None:
            sources[node.index] = source
    return sources


def _find_source(node: PlanNode, groups: Sequence[GroupSpec]) -> LiveSource | None:
    for group in groups:
        stored = _bind_windows(group, node)
        if stored is not None:
            return LiveSource(group, stored)
    return None


def _bind_windows(group: GroupSpec, node: PlanNode) -> WindowPlan | None:
    """The windows of a group, where those of a node are among them; None where they are not."""
    aggregation = group.aggregation
    wanted = node.windows
    assert aggregation
    assert wanted
    if aggregation.source.group != node.group.ref:
        return None
    source_plan = bind_query(aggregation.source, {node.group.ref: node.group})
    (source,) = source_plan.nodes
    is_same_source = source.as_of == node.as_of and repr(source.where) == repr(node.where)
    stored = bind_aggregation(aggregation, source_plan.schema)
    is_same_entity = stored.keys == wanted.keys and stored.known_at == wanted.known_at
    if not (is_same_source and is_same_entity):
        return None
    known = {_describe(feature) for feature in stored.features}
    if any(_describe(feature) not in known for feature in wanted.features):
        return None
    return stored


def _describe(feature: BoundFeature) -> tuple[object, ...]:
    """What a feature is, but for its name."""
    where = repr(feature.where)
    return (feature.function, feature.column, feature.over, where, feature.delay, feature.argument)
