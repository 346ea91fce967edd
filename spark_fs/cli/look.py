"""The commands that show what is in a feature store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spark_fs.api.project import login
from spark_fs.cli.completion import GroupOrViewArgument
from spark_fs.cli.shared import (
    ConfigOption,
    JsonOption,
    VersionOption,
    app,
    console,
    describe_store,
    has_catalog,
    open_store,
    print_json,
    print_table,
)
from spark_fs.errors import NotFoundError

if TYPE_CHECKING:
    from spark_fs.api.feature_group import FeatureGroup
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.feature_view import FeatureView


_WRONG_PLACE = " If that is the wrong place, name the settings by --config or SPARK_FS_CONFIG."


@app.command()
def groups(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the feature groups.

    Example: spark-fs groups --json
    """
    fs = login(config).get_feature_store()
    rows = []
    for group in fs.get_feature_groups() if has_catalog(fs) else ():
        identity = (group.primary_key, group.event_time)
        rows.append((group.name, group.version, *identity, len(group.schema), group.online_enabled))
    headings = ("group", "version", "primary key", "event time", "columns", "online")
    print_table(headings, rows, _describe_empty_store(fs, "feature groups"), as_json)


@app.command()
def views(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the feature views.

    Example: spark-fs views
    """
    fs = login(config).get_feature_store()
    rows = []
    for view in fs.get_feature_views() if has_catalog(fs) else ():
        datasets = len(view.get_training_datasets())
        rows.append((view.name, view.version, view.labels, len(view.schema), datasets))
    headings = ("view", "version", "labels", "features", "training datasets")
    print_table(headings, rows, _describe_empty_store(fs, "feature views"), as_json)


@app.command()
def search(
    text: Annotated[list[str], typer.Argument(help="Words, each of which must fit.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to list at most.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find groups, views, features and models.

    By name, description and tag, with typos. Example: spark-fs search wether delay
    """
    from spark_fs.flows.search import search_store

    fs = open_store(config)
    rows = []
    for found in search_store(fs._stores.catalog, " ".join(text), limit):
        rows.append((found.kind, found.name, found.version, found.where, found.text))
    words = " ".join(text)
    headings = ("what", "name", "version", "group", "description")
    print_table(headings, rows, f"Nothing fits {words!r} in {describe_store(fs)}.", as_json)


def _describe_empty_store(fs: FeatureStore, kind: str) -> str:
    """What to print where a store has none of a kind, or is not there yet."""
    text = f"No {kind} yet in {describe_store(fs)}."
    if not has_catalog(fs):
        text += _WRONG_PLACE
    return text


@app.command()
def show(
    name: GroupOrViewArgument,
    version: VersionOption = None,
    commits: Annotated[
        int, typer.Option("--commits", min=1, help="How many of the last commits to list.")
    ] = 5,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one group or view: schema, last commits.

    Of a group: its columns and its last commits. Of a view: its labels, its features and its
    training datasets. Example: spark-fs show flight_delays --commits 10
    """
    fs = open_store(config)
    kinds = find_kinds(fs, name)
    records = []
    if "group" in kinds:
        group = fs.get_feature_group(name, version)
        records.append(_describe_group(group, commits))
        if not as_json:
            _show_group(group, records[-1])
    if "view" in kinds:
        view = fs.get_feature_view(name, version)
        records.append(_describe_view(view))
        if not as_json:
            _show_view(records[-1])
    if as_json:
        print_json(records)


def _describe_group(group: FeatureGroup, limit: int) -> dict[str, Any]:
    """What there is to show of a group, for people and for programs."""
    roles = dict.fromkeys(group.partition_key, "partition key")
    roles |= dict.fromkeys(group.primary_key, "primary key")
    roles[str(group.event_time)] = "event time"
    columns = []
    for name, type_ in group.spec.types.items():
        columns.append({"column": name, "type": type_, "role": roles.get(name, "")})
    commits = []
    for commit in group.commit_details(limit=limit):
        counts = {name: getattr(commit, name) for name in ("inserted", "updated", "deleted")}
        made = {"commit": commit.version, "at": commit.committed_at, "operation": commit.operation}
        commits.append(made | counts)
    return {
        "kind": "feature group",
        "name": group.name,
        "version": group.version,
        "description": group.description,
        "location": group.location,
        "columns": columns,
        "commits": commits,
    }


def _describe_view(view: FeatureView) -> dict[str, Any]:
    """The same of a view."""
    features = [{"feature": name, "type": type_} for name, type_ in view.schema.items()]
    datasets = []
    for dataset in view.get_training_datasets():
        splits = [f"{name} {interval}" for name, interval in dataset.splits.items()]
        files = dataset.files.location if dataset.files else None
        made = {"training_dataset": dataset.version, "at": dataset.created_at}
        datasets.append(made | {"splits": splits, "files": files})
    return {
        "kind": "feature view",
        "name": view.name,
        "version": view.version,
        "description": view.description,
        "labels": list(view.labels),
        "features": features,
        "training_datasets": datasets,
    }


def find_kinds(fs: FeatureStore, name: str) -> set[str]:
    """Whether it is the name of a group, a view, or both.

    NotFoundError with the nearest names where it is neither.
    """
    groups = {group.name for group in fs.get_feature_groups()}
    views = {view.name for view in fs.get_feature_views()}
    kinds = set()
    if name in groups:
        kinds.add("group")
    if name in views:
        kinds.add("view")
    if not kinds:
        advice = "List them with: spark-fs groups; spark-fs views"
        names = sorted(groups) + sorted(views)
        raise NotFoundError.for_name("Feature group or view", name, names, advice)
    return kinds


def _show_group(group: FeatureGroup, record: Mapping[str, Any]) -> None:
    _print_title("Feature group", record)
    console.print(f"stored in {record['location']}\n", soft_wrap=True)
    if group.aggregation:
        console.print(f"{group.aggregation!r}\n", soft_wrap=True)
    columns = [(*column.values(),) for column in record["columns"]]
    if_empty = "No schema yet: the first insert gives it."
    print_table(("column", "type", "role"), columns, if_empty)
    console.print()
    commits = [(*commit.values(),) for commit in record["commits"]]
    headings = ("commit", "at (UTC)", "operation", "inserted", "updated", "deleted")
    print_table(headings, commits, "No commits yet.")


def _show_view(record: Mapping[str, Any]) -> None:
    _print_title("Feature view", record)
    labels = ", ".join(record["labels"]) or "none"
    console.print(f"labels: {labels}\n")
    features = [(*feature.values(),) for feature in record["features"]]
    print_table(("feature", "type"), features, "No features.")
    console.print()
    rows = []
    for dataset in record["training_datasets"]:
        version, at, splits, files = dataset.values()
        rows.append((version, at, ", ".join(splits) or "all", files or "in memory"))
    headings = ("training dataset", "at (UTC)", "splits", "files")
    print_table(headings, rows, "No training datasets yet.")


def _print_title(kind: str, record: Mapping[str, Any]) -> None:
    title = f"{kind} {record['name']}, version {record['version']}"
    if record["description"]:
        title += f": {record['description']}"
    console.print(title)


@app.command()
def report(
    name: GroupOrViewArgument,
    version: VersionOption = None,
    training_dataset: Annotated[
        int | None,
        typer.Option(
            "--training-dataset", help="Training dataset version of a view. Default: the newest."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file to write; without it, <name>_<version>.html."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write a page about a group or a view.

    One HTML file that needs nothing else: schema, statistics, histograms, correlations, commits,
    validation, drift, lineage. Example: spark-fs report flight_delays --out delays.html
    """
    fs = open_store(config)
    if "group" in find_kinds(fs, name):
        file = fs.get_feature_group(name, version).report(out)
    else:
        file = fs.get_feature_view(name, version).report(training_dataset, out)
    megabytes = file.stat().st_size / 1e6
    console.print(f"{file} ({megabytes:.1f} MB)", soft_wrap=True)
