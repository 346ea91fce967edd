"""Find the group that keeps online what the windows of a view's query need."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from spark_fs.catalog.store import Catalog
from spark_fs.errors import OnlineStoreError
from spark_fs.online.live.byte_layout import TABLE_SUFFIX
from spark_fs.online.live.source import LiveSource
from spark_fs.online.store import OnlineStore, SyncState
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


_NEVER = datetime.min.replace(tzinfo=UTC)


def find_live_sources(
    catalog: Catalog, plan: JoinPlan, store: OnlineStore
) -> dict[int, LiveSource]:
    """The groups whose online table serves windows of a plan, by the number of its node.

    Args:
        catalog: Where groups are.
        plan: The plan of a view.
        store: Where they are online; it is asked where several serve a node.

    Returns:
        Of several groups that serve a node the one that was synced last, else the first by name and
        version: one that is new has nothing online yet, and one out of use what was true once.
    """
    nodes = [node for node in plan.nodes if node.windows]
    if not nodes:
        return {}
    groups = [group for group in catalog.list_groups() if is_live(group)]
    sources = {}
    for node in nodes:
        candidates = _list_sources(node, groups)
        if len(candidates) > 1:
            sources[node.index] = _choose_synced_last(candidates, store)
        elif candidates:
            sources[node.index] = candidates[0]
    return sources


def _list_sources(node: PlanNode, groups: Sequence[GroupSpec]) -> list[LiveSource]:
    sources = []
    for group in groups:
        stored = _bind_windows(group, node)
        if stored is not None:
            sources.append(LiveSource(group, stored))
    return sources


def _choose_synced_last(sources: Sequence[LiveSource], store: OnlineStore) -> LiveSource:
    states: dict[str, SyncState] = {}
    with suppress(OnlineStoreError):  # the look-up will tell it
        states = store.read_sync_states()

    def get_sync_time(source: LiveSource) -> datetime:
        state = states.get(f"{source.group.name}_{source.group.version}{TABLE_SUFFIX}")
        return state.synced_at if state else _NEVER

    return max(sources, key=get_sync_time)


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
