"""The pages about a whole feature store: every group and view, and how they come of one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from spark_fs.errors import SparkFSError
from spark_fs.report import facts, lineage
from spark_fs.report.page import render_page
from spark_fs.report.page_links import make_group_link, make_link

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.online.store import OnlineStore, SyncState
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.freshness import OnlineState
    from spark_fs.tables.table_log import TableLog

_PARALLEL_READS = 16  # of the logs of tables, which an object store answers one by one


def render_home_page(stores: ProjectStores, base_url: str) -> str:
    """Render the first page of the explorer, which is at ``base_url``: every group and view."""
    definitions = stores.catalog.list_groups()
    groups = _build_group_rows(stores, definitions, base_url)
    views = [_build_view_row(view, base_url) for view in stores.catalog.list_views()]
    group_columns = [
        "group",
        "version",
        "primary key",
        "event time",
        "columns",
        "online",
        "newest commit (UTC)",
        "description",
        "tags",
    ]
    view_columns = ["view", "version", "labels", "groups", "description", "tags"]
    data = {
        "groups": {"columns": group_columns, "rows": groups},
        "views": {"columns": view_columns, "rows": views},
    }
    sections = [
        facts.build_section("groups", "Feature groups", "groups", none="No feature groups yet."),
        facts.build_section("views", "Feature views", "views", none="No feature views yet."),
    ]
    top_facts = [
        ("feature groups", f"{len(groups):,}"),
        ("columns", f"{sum(len(group.features) for group in definitions):,}"),
        ("feature views", f"{len(views):,}"),
    ]
    footer = facts.format_footer()
    return render_page(
        "Feature store", sections, data, facts=top_facts, footer=footer, home=base_url
    )


def render_features_page(stores: ProjectStores, base_url: str) -> str:
    """Render every column of every group."""
    rows = []
    for group in stores.catalog.list_groups():
        group_link = make_group_link(group.ref, base_url)
        for feature in group.features:
            path = f"group/{group.name}/{group.version}#features={feature.name}"
            link = make_link(feature.name, base_url, path)
            rows.append([link, feature.type, group_link, feature.description])
    none = "No features yet: the first insert into a feature group gives them."
    section = facts.build_section("features-listed", "Columns of all groups", "listed", none=none)
    data = {"listed": facts.build_table(["feature", "type", "group", "description"], rows)}
    return render_page("Features", [section], data, footer=facts.format_footer(), home=base_url)


def render_lineage_page(stores: ProjectStores, base_url: str) -> str:
    """Render how all groups, views, training datasets and models come of one another."""
    section = {
        "id": "lineage",
        "title": "From groups to models",
        "kind": "graph",
        "graph": lineage.build_store_graph(stores.catalog, base_url),
    }
    return render_page("Lineage", [section], {}, footer=facts.format_footer(), home=base_url)


def _build_group_rows(
    stores: ProjectStores, groups: Sequence[GroupSpec], base_url: str
) -> list[dict[str, Any]]:
    """Make a row for each group; the logs of their tables are read beside one another."""
    sync_states = _read_sync_states(stores, groups)
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        looks = pool.map(partial(_look_at_table, stores, sync_states), groups)
        return [
            _build_group_row(group, look, base_url)
            for group, look in zip(groups, looks, strict=True)
        ]


def _build_group_row(group: GroupSpec, look: _Look, base_url: str) -> dict[str, Any]:
    cells = [
        group.name,
        group.version,
        ", ".join(group.primary_key),
        group.event_time,
        len(group.types),
        look.online,
        look.newest_commit,
        group.description,
        _format_tags(group.tags),
    ]
    return {"cells": cells, "href": f"{base_url}group/{group.name}/{group.version}"}


def _build_view_row(view: ViewSpec, base_url: str) -> dict[str, Any]:
    group_names = sorted({ref.name for ref in view.query.iter_groups()})
    cells = [
        view.name,
        view.version,
        ", ".join(view.labels),
        ", ".join(group_names),
        view.description,
        _format_tags(view.tags),
    ]
    return {"cells": cells, "href": f"{base_url}view/{view.name}/{view.version}"}


def _format_tags(tags: Mapping[str, Any]) -> str:
    named = (f"{name.removeprefix('tag ')}: {text}" for name, text in facts.format_tags(tags))
    return "; ".join(named)


# -- tables


class _Look(NamedTuple):
    """What is seen of a group's table: its newest commit, and whether all of it is online."""

    newest_commit: str
    online: str


def _read_sync_states(
    stores: ProjectStores, groups: Sequence[GroupSpec]
) -> Mapping[str, SyncState] | None:
    """The last sync of each online table; None where the online store does not answer."""
    online_groups = [group for group in groups if group.online_enabled and group.features]
    if not online_groups:
        return {}
    try:
        return stores.online.read_sync_states()
    except SparkFSError:
        return {} if _is_not_made_yet(stores.online, online_groups[0]) else None


def _is_not_made_yet(store: OnlineStore, group: GroupSpec) -> bool:
    """Whether an online store that cannot be read is one whose file the first sync will make."""
    from spark_fs.online.table_layout import build_online_table

    try:
        return store.read_sync_state(build_online_table(group, store.capabilities)) is None
    except SparkFSError:
        return False


def _look_at_table(
    stores: ProjectStores, sync_states: Mapping[str, SyncState] | None, group: GroupSpec
) -> _Look:
    from spark_fs.tables.table_log import open_log

    if group.source:
        return _Look("external", "")
    try:
        log = open_log(stores.get_table_path(group))
        commits = log.list_commits(1)
        if not commits:
            stores.find_table(group)  # NotFoundError where it is lost
        online = _format_online_state(stores, sync_states, group, log)
    except SparkFSError as error:  # of one group, and the page is about all
        return _Look(f"not to be read: {error}", "not known" if group.online_enabled else "")
    newest = facts.format_time(commits[0].committed_at) if commits else "no rows yet"
    return _Look(newest, online)


def _format_online_state(
    stores: ProjectStores,
    sync_states: Mapping[str, SyncState] | None,
    group: GroupSpec,
    log: TableLog,
) -> OnlineState | Literal["", "not known"]:
    from spark_fs.flows.measure_freshness import is_behind
    from spark_fs.online.table_layout import build_online_table

    if not group.online_enabled:
        return ""
    if sync_states is None:
        return "not known"
    if not group.features:
        return "nothing yet"
    last_sync = sync_states.get(build_online_table(group, stores.online.capabilities).name)
    if last_sync is None:
        return "nothing yet"
    return "behind" if is_behind(log, last_sync) else "up to date"
