"""The commands that show what is in a feature store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spark_fs.api.project import login
from spark_fs.cli.shared import (
    TIME_FORMAT,
    ConfigOption,
    VersionOption,
    app,
    console,
    describe_store,
    has_catalog,
    open_store,
    print_table,
)
from spark_fs.errors import NotFoundError

if TYPE_CHECKING:
    from spark_fs.api.feature_group import FeatureGroup
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.feature_view import FeatureView


_WRONG_PLACE = " If that is the wrong place, name the settings by --config or SPARK_FS_CONFIG."


@app.command()
def groups(config: ConfigOption = None) -> None:
    """List the feature groups."""
    fs = login(config).get_feature_store()
    rows = []
    for group in fs.get_feature_groups() if has_catalog(fs) else ():
        primary_key = ", ".join(group.primary_key)
        online = "yes" if group.online_enabled else "-"
        rows.append(
            (
                group.name,
                group.version,
                primary_key,
                group.event_time or "-",
                len(group.schema),
                online,
            )
        )
    headings = ("group", "version", "primary key", "event time", "columns", "online")
    print_table(headings, rows, _describe_empty_store(fs, "feature groups"))


@app.command()
def views(config: ConfigOption = None) -> None:
    """List the feature views."""
    fs = login(config).get_feature_store()
    rows = []
    for view in fs.get_feature_views() if has_catalog(fs) else ():
        labels = ", ".join(view.labels) or "-"
        datasets = len(view.get_training_datasets())
        rows.append((view.name, view.version, labels, len(view.schema), datasets))
    headings = ("view", "version", "labels", "features", "training datasets")
    print_table(headings, rows, _describe_empty_store(fs, "feature views"))


def _describe_empty_store(fs: FeatureStore, kind: str) -> str:
    """What to print where a store has none of a kind, or is not there yet."""
    text = f"No {kind} yet in {describe_store(fs)}."
    if not has_catalog(fs):
        text += _WRONG_PLACE
    return text


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A feature group or a feature view.")],
    version: VersionOption = None,
    commits: Annotated[
        int, typer.Option("--commits", min=1, help="How many of the last commits to list.")
    ] = 5,
    config: ConfigOption = None,
) -> None:
    """Show one group or view: schema, last commits.

    Of a group: its columns and its last commits. Of a view: its labels, its features and its
    training datasets.
    """
    fs = open_store(config)
    kinds = _find_kinds(fs, name)
    if "group" in kinds:
        _show_group(fs.get_feature_group(name, version), commits)
    if "view" in kinds:
        _show_view(fs.get_feature_view(name, version))


def _find_kinds(fs: FeatureStore, name: str) -> set[str]:
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


def _show_group(group: FeatureGroup, limit: int) -> None:
    _print_title("Feature group", group.name, group.version, group.description)
    console.print(f"stored in {group.location}\n", soft_wrap=True)
    roles = dict.fromkeys(group.partition_key, "partition key")
    roles |= dict.fromkeys(group.primary_key, "primary key")
    roles[str(group.event_time)] = "event time"
    if group.aggregation:
        console.print(f"{group.aggregation!r}\n", soft_wrap=True)
    columns = []
    for name, type_ in group.schema.items():
        columns.append((name, type_, roles.get(name, "")))
    print_table(("column", "type", "role"), columns, "No schema yet: the first insert gives it.")
    console.print()
    rows = []
    for commit in group.commit_details(limit):
        at = f"{commit.committed_at:{TIME_FORMAT}}"
        counts = (commit.inserted, commit.updated, commit.deleted)
        rows.append((commit.version, at, commit.operation, *counts))
    headings = ("commit", "at (UTC)", "operation", "inserted", "updated", "deleted")
    print_table(headings, rows, "No commits yet.")


def _show_view(view: FeatureView) -> None:
    _print_title("Feature view", view.name, view.version, view.description)
    labels = ", ".join(view.labels) or "none"
    console.print(f"labels: {labels}\n")
    print_table(("feature", "type"), list(view.schema.items()), "No features.")
    console.print()
    rows = []
    for dataset in view.get_training_datasets():
        at = f"{dataset.created_at:{TIME_FORMAT}}"
        splits = ", ".join(f"{name} {interval}" for name, interval in dataset.splits.items())
        rows.append((dataset.version, at, splits or "all", dataset.files or "in memory"))
    headings = ("training dataset", "at (UTC)", "splits", "files")
    print_table(headings, rows, "No training datasets yet.")


def _print_title(kind: str, name: str, version: int, description: str) -> None:
    title = f"{kind} {name}, version {version}"
    if description:
        title += f": {description}"
    console.print(title)


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="A feature group or a feature view.")],
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
    validation, drift, lineage.
    """
    fs = open_store(config)
    if "group" in _find_kinds(fs, name):
        file = fs.get_feature_group(name, version).report(out)
    else:
        file = fs.get_feature_view(name, version).report(training_dataset, out)
    megabytes = file.stat().st_size / 1e6
    console.print(f"{file} ({megabytes:.1f} MB)", soft_wrap=True)
