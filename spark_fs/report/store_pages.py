"""The pages about a whole feature store: every group and view, and how they come of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_fs.errors import SparkFSError
from spark_fs.report import facts, lineage
from spark_fs.report.page import render_page

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec


def render_home_page(stores: ProjectStores, base_url: str) -> str:
    """Render the first page of the explorer, which is at ``base_url``: every group and view."""
    groups = [_build_group_row(stores, group, base_url) for group in stores.catalog.list_groups()]
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
    ]
    view_columns = ["view", "version", "labels", "groups", "description"]
    data = {
        "groups": {"columns": group_columns, "rows": groups},
        "views": {"columns": view_columns, "rows": views},
    }
    sections = [
        facts.build_section("groups", "Feature groups", "groups", none="No feature groups yet."),
        facts.build_section("views", "Feature views", "views", none="No feature views yet."),
    ]
    footer = facts.format_footer()
    return render_page("Feature store", sections, data, footer=footer, home=base_url)


def render_lineage_page(stores: ProjectStores, base_url: str) -> str:
    """Render how all groups, views, training datasets and models come of one another."""
    section = {
        "id": "lineage",
        "title": "From groups to models",
        "kind": "graph",
        "graph": lineage.build_store_graph(stores.catalog, base_url),
    }
    return render_page("Lineage", [section], {}, footer=facts.format_footer(), home=base_url)


def _build_group_row(stores: ProjectStores, group: GroupSpec, base_url: str) -> dict[str, Any]:
    newest = "external" if group.source else _format_newest_commit(stores, group)
    cells = [
        group.name,
        group.version,
        ", ".join(group.primary_key),
        group.event_time,
        len(group.types),
        "yes" if group.online_enabled else "",
        newest,
        group.description,
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
    ]
    return {"cells": cells, "href": f"{base_url}view/{view.name}/{view.version}"}


def _format_newest_commit(stores: ProjectStores, group: GroupSpec) -> str:
    """When the newest commit of a group was, or why there is none."""
    from spark_fs.tables.table_log import open_log

    try:
        commits = open_log(stores.find_table(group)).list_commits(1)
    except SparkFSError as error:  # of one group, and the page is about all
        return f"not to be read: {error}"
    return facts.format_time(commits[0].committed_at) if commits else "no rows yet"
