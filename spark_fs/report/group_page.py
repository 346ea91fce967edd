"""The page about a feature group, made without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from spark_fs.errors import OnlineStoreError, SettingsError, SetupError
from spark_fs.planning.window_text import describe_aggregation
from spark_fs.report import facts, lineage, trends
from spark_fs.report.feature_usage import find_usages
from spark_fs.report.page import render_page

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_statistics import Statistics
    from spark_fs.tables.commits import Commit

SHOWN_ROWS = 20
_TRENDS = ("rows_over_time", "nulls_over_time")
MAX_COMMITS = 50


def render_group_page(stores: ProjectStores, group: GroupSpec, base_url: str = "") -> str:
    """Render the page about a feature group.

    Args:
        stores: Where the group is kept.
        group: The group.
        base_url: Where the explorer is, of a page that is served; empty: of a file.

    Returns:
        The page, as HTML that needs nothing else.
    """
    from spark_fs.tables.statistics_files import get_statistics_folder
    from spark_fs.tables.table_log import open_log

    path = stores.find_table(group)
    commits: Sequence[Commit] = ()
    statistics = correlations = sample = None
    if group.source is None:
        commits = open_log(path).list_commits(MAX_COMMITS)
        statistics, correlations = _load_statistics(path)
    descriptions = {column.name: column.description for column in group.features}
    features = facts.build_feature_rows(
        group.types, statistics, correlations, _get_column_roles(group), descriptions
    )
    if commits and not group.may_have_duplicates:
        sample = _read_sample(group, path)
    usages = find_usages(stores.catalog, group, base_url)
    for row in features:
        row["used_by"] = usages.get(row["name"], [])
    data = {
        "features": features,
        "figures": facts.list_figures(),
        "rows_over_time": trends.build_row_trend(commits),
        "nulls_over_time": trends.build_null_trend(get_statistics_folder(path)),
        "heat": facts.build_heat_map(correlations),
        **facts.build_drift_data(stores.catalog.list_comparisons(group)),
        "commits": facts.build_commit_table(commits),
        "validations": facts.build_validation_table(stores.catalog.list_validations(group.ref)),
    }
    sections = _build_sections(commits, statistics, sample)
    if group.aggregation:
        data["windows"] = facts.build_window_table(group.aggregation, group.types)
        sections.insert(0, facts.build_section("windows", "Window features", "windows"))
    graph = lineage.build_group_graph(stores.catalog, group, base_url)
    sections.append({"id": "lineage", "title": "Lineage", "kind": "graph", "graph": graph})
    sections.append(_build_code_section(group))
    return render_page(
        f"{group.name}, version {group.version}",
        sections,
        data,
        group.description,
        _list_facts(group, commits, statistics) + _list_online_facts(stores, group, path),
        facts.format_footer(),
        base_url,
    )


def _load_statistics(path: str) -> tuple[Statistics | None, Any]:
    """Load the newest statistics and the correlations that were made with them."""
    from spark_fs.flows.statistics import load_commit_statistics
    from spark_fs.tables import statistics_files

    folder = statistics_files.get_statistics_folder(path)
    statistics = load_commit_statistics(folder, None, correlations=False)
    if statistics is None or statistics.commit is None:
        return statistics, None
    name = statistics_files.format_commit_name(statistics.commit)
    return statistics, statistics_files.read_correlations(folder, name)


def _read_sample(group: GroupSpec, path: str) -> Any:
    """Read some rows as pandas where that needs no Spark; None where it does."""
    from spark_fs.base.pandas_frames import to_pandas
    from spark_fs.engine.engines import Engines
    from spark_fs.flows.head import read_first_rows
    from spark_fs.planning.bind import bind_query
    from spark_fs.spec.query import QuerySpec

    plan = bind_query(QuerySpec(group.ref, tuple(group.types)), {group.ref: group})
    engines = Engines(_refuse_spark, "local")
    try:
        return to_pandas(read_first_rows(engines, plan, lambda _: path, SHOWN_ROWS))
    except SettingsError:
        return None


def _refuse_spark() -> NoReturn:
    raise SetupError("A page is made without Spark.")


def _build_sections(
    commits: Sequence[Commit],
    statistics: Statistics | None,
    sample: Any,
) -> list[dict[str, Any]]:
    return [
        facts.build_section(
            "features",
            "Features",
            "features",
            none="No schema yet: the first insert gives it.",
            lead=_describe_statistics(statistics, commits),
            search="Search features (press /)",
        ),
        {"id": "rows", "title": "Some rows", "kind": "table", **facts.build_sample_table(sample)},
        {
            "id": "correlations",
            "title": "Correlations",
            "kind": "heat",
            "data": "heat",
            "lead": (
                f"Of the {facts.MAX_HEAT_MAP_FEATURES} features that correlate most: Pearson's"
                " correlation, Cramer's V, or the correlation ratio."
            ),
        },
        {"id": "history", "title": "Over time", "kind": "trends", "data": _TRENDS},
        facts.build_section("commits", "Commits", "commits", none="No commits yet."),
        facts.build_section(
            "validation", "Validation", "validations", none="No batch was validated yet."
        ),
        facts.build_drift_section(),
    ]


def _build_code_section(group: GroupSpec) -> dict[str, Any]:
    """Show how to read the group, and how to join it."""
    opening = (
        "import spark_fs\n\n"
        "fs = spark_fs.login().get_feature_store()\n"
        f'{group.name} = fs.get_feature_group("{group.name}", version={group.version})\n'
    )
    join = f"query = labels.select_all().join({group.name}.select_features())"
    blocks = [
        {"title": "Read", "text": f'{opening}rows = {group.name}.read("pandas")'},
        {"title": "Join, point-in-time", "text": f"{opening}{join}"},
    ]
    return {"id": "code", "title": "Use it", "kind": "code", "blocks": blocks}


def _get_column_roles(group: GroupSpec) -> dict[str, str]:
    roles = dict.fromkeys(group.partition_key, "partition key")
    roles.update(dict.fromkeys(group.primary_key, "primary key"))
    if group.event_time:
        roles[group.event_time] = "event time"
    return roles


def _describe_statistics(statistics: Statistics | None, commits: Sequence[Commit]) -> str:
    if statistics is None:
        return "No statistics are kept: make them with compute_statistics()."
    behind = ""
    if commits and statistics.commit != commits[0].version:
        behind = f"; the newest commit is {commits[0].version}"
    time = facts.format_time(statistics.computed_at)
    return (
        f"Statistics of commit {statistics.commit}, made {time} UTC{behind}. Open a feature for its"
        " histogram."
    )


def _list_facts(
    group: GroupSpec, commits: Sequence[Commit], statistics: Statistics | None
) -> list[tuple[str, Any]]:
    """List what stands at the top of the page: names and values."""
    rows: list[tuple[str, Any]] = [
        ("primary key", ", ".join(group.primary_key)),
        ("event time", group.event_time or "none"),
        ("columns", f"{len(group.types):,}"),
        ("online", "yes" if group.online_enabled else "no"),
    ]
    if group.aggregation:
        rows.insert(0, ("built of", describe_aggregation(group.aggregation)))
    if statistics:
        rows.append(("rows", f"{statistics.row_count:,}"))
        for column in statistics.feature_descriptive_statistics:
            if column.feature_name == group.event_time and column.max is not None:
                rows.append(("newest event time", str(column.max)[:19]))
    if commits:
        newest = commits[0].committed_at
        hours = (datetime.now(UTC) - newest).total_seconds() / 3600
        age = f"{facts.format_time(newest)} ({hours:.1f} hours ago)"
        rows.append(("newest commit", age))
    return rows + [(f"tag {name}", str(value)) for name, value in group.tags.items()]


def _list_online_facts(stores: ProjectStores, group: GroupSpec, path: str) -> list[tuple[str, Any]]:
    """List how old what is served is; why that is not known where the online store fails."""
    from spark_fs.base.times import format_age
    from spark_fs.flows.measure_freshness import measure_freshness
    from spark_fs.tables.table_log import open_log

    log = open_log(path)
    if not group.online_enabled or not log.exists():
        return []
    try:
        found = measure_freshness(group, log, stores.online, None)
    except OnlineStoreError:
        return [("served", "not known: the online store does not answer")]
    if found.synced_at is None:
        return [("served", "nothing yet: sync_online() brings it online")]
    synced = f"{facts.format_time(found.synced_at)} UTC, version {found.version}"
    if found.waiting_since:
        synced += f" of {found.newest_version}; rows have waited for {format_age(found.sync_lag)}"
    rows: list[tuple[str, Any]] = [("synced", synced)]
    if found.event_time and found.age is not None:
        newest = f"{facts.format_time(found.event_time)} UTC ({format_age(found.age)} ago)"
        rows.append(("newest event served", newest))
    return rows
