"""The page about a feature group, made without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from spark_fs.base.times import format_age
from spark_fs.errors import OnlineStoreError, SettingsError, SetupError, SparkFSError
from spark_fs.planning.window_text import describe_aggregation
from spark_fs.report import facts, lineage, trends
from spark_fs.report.feature_usage import find_usages
from spark_fs.report.page import render_page
from spark_fs.report.page_links import make_link, make_version_links

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_statistics import Statistics
    from spark_fs.tables.commits import Commit

SHOWN_ROWS = 20
_NEEDS_SPARK = "No rows to show without Spark."
_TRENDS = ("rows_over_time", "nulls_over_time")
MAX_COMMITS = 50


def render_group_page(
    stores: ProjectStores, group: GroupSpec, base_url: str = "", commit: int | None = None
) -> str:
    """Render the page about a feature group.

    Args:
        stores: Where the group is kept.
        group: The group.
        base_url: Where the explorer is, of a page that is served; empty: of a file.
        commit: The newest commit that the statistics may be of; None: of any.

    Returns:
        The page, as HTML that needs nothing else.
    """
    from spark_fs.tables.statistics_files import get_statistics_folder
    from spark_fs.tables.table_log import open_log

    path = stores.find_table(group)
    commits: Sequence[Commit] = ()
    statistics = correlations = None
    if group.source is None:
        commits = open_log(path).list_commits(MAX_COMMITS)
        statistics, correlations = _load_statistics(path, commit)
    descriptions = {column.name: column.description for column in group.features}
    features = facts.build_feature_rows(
        group.types, statistics, correlations, _get_column_roles(group), descriptions
    )
    usages = find_usages(stores.catalog, group, base_url)
    history = trends.load_history(get_statistics_folder(path), len(features))
    _add_to_rows(features, "used_by", usages.by_feature)
    _add_to_rows(features, "over_time", history.list_by_feature())
    data = {
        "features": features,
        "readers": usages.readers,
        **facts.build_labels(),
        "rows_over_time": trends.build_row_trend(commits),
        "nulls_over_time": history.build_null_trend(),
        "history": [f"commit {number}" for number in history.commits],
        "heat": facts.build_heat_map(correlations),
        **facts.build_drift_data(stores.catalog.list_comparisons(group)),
        "commits": _build_commit_table(group, commits, path, base_url),
        "validations": facts.build_validation_table(stores.catalog.list_validations(group.ref)),
    }
    sample = _build_sample(group, path, commits)
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
        [
            *_list_facts(group, commits, statistics),
            *_list_online_facts(stores, group, path),
            *_list_version_facts(stores, group, base_url),
            *facts.format_tags(group.tags),
        ],
        facts.format_footer(),
        base_url,
    )


def _add_to_rows(features: Sequence[dict[str, Any]], field: str, values: Mapping[str, Any]) -> None:
    """Add a value to the row of each feature that has one."""
    for row in features:
        if row["name"] in values:
            row[field] = values[row["name"]]


def _load_statistics(path: str, commit: int | None) -> tuple[Statistics | None, Any]:
    """Load the newest statistics up to a commit, and the correlations made with them."""
    from spark_fs.flows.statistics import load_commit_statistics
    from spark_fs.tables import statistics_files

    folder = statistics_files.get_statistics_folder(path)
    statistics = load_commit_statistics(folder, commit, correlations=False)
    if statistics is None or statistics.commit is None:
        return statistics, None
    name = statistics_files.format_commit_name(statistics.commit)
    return statistics, statistics_files.read_correlations(folder, name)


def _build_sample(group: GroupSpec, path: str, commits: Sequence[Commit]) -> dict[str, Any]:
    """Make the data of a table of some rows, read without Spark, or say why there is none."""
    if not commits:
        return facts.build_sample_table(None, "No rows yet.")
    if group.may_have_duplicates:
        return facts.build_sample_table(None, _NEEDS_SPARK)
    try:
        return facts.build_sample_table(_read_sample(group, path), "No rows.")
    except SettingsError:
        return facts.build_sample_table(None, _NEEDS_SPARK)
    except SparkFSError as error:  # of a file of rows, and the page is about more
        return facts.build_sample_table(None, f"The rows cannot be read: {error}")


def _read_sample(group: GroupSpec, path: str) -> Any:
    """Read some rows as pandas; SettingsError where that needs Spark."""
    from spark_fs.base.pandas_frames import to_pandas
    from spark_fs.engine.engines import Engines
    from spark_fs.flows.head import read_first_rows
    from spark_fs.planning.bind import bind_query
    from spark_fs.spec.query import QuerySpec

    columns = tuple(group.types)[: facts.SHOWN_COLUMNS]
    plan = bind_query(QuerySpec(group.ref, columns), {group.ref: group})
    engines = Engines(_refuse_spark, "local")
    return to_pandas(read_first_rows(engines, plan, lambda _: path, SHOWN_ROWS))


def _build_commit_table(
    group: GroupSpec, commits: Sequence[Commit], path: str, base_url: str
) -> dict[str, Any]:
    """Make the data of a table of commits, of which those with statistics lead to them."""
    from spark_fs.tables import statistics_files

    folder = statistics_files.get_statistics_folder(path)
    described = set(statistics_files.list_commits(folder))
    table = facts.build_commit_table(commits)
    for row, commit in zip(table["rows"], commits, strict=True):
        if commit.version in described:
            address = f"group/{group.name}/{group.version}?commit={commit.version}#features"
            row["cells"][0] = make_link(commit.version, base_url, address)
    return table


def _refuse_spark() -> NoReturn:
    raise SetupError("A page is made without Spark.")


def _build_sections(
    commits: Sequence[Commit],
    statistics: Statistics | None,
    sample: dict[str, Any],
) -> list[dict[str, Any]]:
    return [
        facts.build_section(
            "features",
            "Features",
            "features",
            none="No schema yet: the first insert gives it.",
            lead=_describe_statistics(statistics, commits),
            search="Search features",
        ),
        {"id": "rows", "title": "Some rows", "kind": "table", **sample},
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
        return "No statistics are kept of it: make them with compute_statistics()."
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
    ]
    if group.aggregation:
        rows.insert(0, ("built of", describe_aggregation(group.aggregation)))
    if statistics:
        is_newest = not commits or statistics.commit == commits[0].version
        label = "rows" if is_newest else f"rows at commit {statistics.commit}"
        rows.append((label, f"{statistics.row_count:,}"))
        for column in statistics.feature_descriptive_statistics:
            if column.feature_name == group.event_time and column.max is not None:
                rows.append(("newest event time", str(column.max)[:19]))
    if commits:
        newest = commits[0].committed_at
        age = format_age(datetime.now(UTC) - newest)
        rows.append(("newest commit", f"{facts.format_time(newest)} ({age} ago)"))
    return rows


def _list_version_facts(
    stores: ProjectStores, group: GroupSpec, base_url: str
) -> list[tuple[str, Any]]:
    """List when the group was created, and its other versions."""
    created = facts.format_time(stores.catalog.get_creation_time(group.ref))
    versions = stores.catalog.list_group_versions(group.name)
    others = make_version_links("group", group.name, versions, group.version, base_url)
    return [("created", created), *([("other versions", others)] if others else [])]


def _list_online_facts(stores: ProjectStores, group: GroupSpec, path: str) -> list[tuple[str, Any]]:
    """List how old what is served is; why that is not known where the online store fails."""
    from spark_fs.flows.measure_freshness import measure_freshness
    from spark_fs.tables.table_log import open_log

    log = open_log(path)
    if not group.online_enabled:
        return [("online", "no")]
    if not log.exists():
        return [("online", "nothing yet: no rows were inserted")]
    try:
        found = measure_freshness(group, log, stores.online, None)
    except OnlineStoreError:
        return [("online", "not known: the online store does not answer")]
    if found.synced_at is None:
        return [("online", "nothing yet: sync_online() brings it online")]
    state: str = found.state
    if found.waiting_since:
        state += f": rows have waited for {format_age(found.sync_lag)}"
    synced = f"{facts.format_time(found.synced_at)} UTC, table version {found.version}"
    rows: list[tuple[str, Any]] = [
        ("online", state),
        ("synced", f"{synced} of {found.newest_version}"),
    ]
    if found.event_time and found.age is not None:
        newest = f"{facts.format_time(found.event_time)} UTC ({format_age(found.age)} ago)"
        rows.append(("newest event served", newest))
    return rows
