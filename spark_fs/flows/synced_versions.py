"""Which version of each group of a view is online now, asked without Spark."""

from __future__ import annotations

from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.view_columns import plan_query
from spark_fs.online.table_layout import build_online_table
from spark_fs.spec.feature_view import ViewSpec


def find_synced_versions(stores: ProjectStores, view: ViewSpec) -> dict[str, int]:
    """The Delta version that each group of a view was brought online at last.

    Args:
        stores: Those of the view.
        view: The view.

    Returns:
        The versions by the names ``<group>_<version>`` of the groups that are online.
    """
    versions = {}
    for node in plan_query(stores.catalog, view.query).nodes:
        group = node.group
        if not group.online_enabled:
            continue
        table = build_online_table(group, stores.online.capabilities)
        state = stores.online.read_sync_state(table)
        if state is not None:
            versions[f"{group.name}_{group.version}"] = state.version
    return versions
