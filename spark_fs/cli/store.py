"""The commands that look at a feature store, bring it online and serve it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from spark_fs.api.project import login
from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import NotFoundError
from spark_fs.pipelines.command import DIFFERS
from spark_fs.urls import get_address, get_sqlite_file

if TYPE_CHECKING:
    from spark_fs.api.feature_group import FeatureGroup
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.feature_view import FeatureView

app = typer.Typer(
    help=(
        "Look at a feature store, bring it online, run pipelines and begin projects.\n\nThe store"
        " is the one that SPARK_FS_CONFIG or the SPARK_FS_* variables name, else the embedded one"
        " under ./.spark_fs."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,  # they may hold passwords
)


class _PlainConsole(Console):
    """A console on which texts are what they are: brackets, colons and control characters in them mean nothing."""

    def render_str(self, text: str, **options: Any) -> Text:
        """The text to print: every one that is printed, in a table too, passes here."""
        return super().render_str(
            escape_for_terminal(text), **{**options, "markup": False, "emoji": False}
        )


console = _PlainConsole(highlight=False, width=None if sys.stdout.isatty() else 160)
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A settings file, in YAML.")]
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
VersionOption = Annotated[int | None, typer.Option("--version", help="The version. Default: 1.")]


def open_store(config: Path | None) -> FeatureStore:
    """The feature store that a settings file, or the environment, names.

    A command that looks makes nothing: NotFoundError where there is no store yet.
    """
    fs = login(config).get_feature_store()
    if not _has_catalog(fs):
        raise NotFoundError(
            f"There is no feature store in {describe_store(fs)}. Go to the folder that has it, or"
            " name its settings by --config or SPARK_FS_CONFIG."
        )
    return fs


def describe_store(fs: FeatureStore) -> str:
    """Where a store is: the folder of an embedded one, the address of a metadata database."""
    settings = fs._stores.settings
    file = get_sqlite_file(settings.catalog_url.get_secret_value())
    return (
        get_address(settings.catalog_url.get_secret_value()) if file is None else str(file.parent)
    )


def _has_catalog(fs: FeatureStore) -> bool:
    file = get_sqlite_file(fs._stores.settings.catalog_url.get_secret_value())
    return file is None or file.exists()


def _list_in_store(config: Path | None, kind: str) -> tuple[FeatureStore | None, str]:
    """The store, or None where there is none yet; and what to print where it has none of a kind."""
    fs = login(config).get_feature_store()
    empty = f"No {kind} yet in {describe_store(fs)}."
    if not _has_catalog(fs):
        empty += " If that is the wrong place, name the settings by --config or SPARK_FS_CONFIG."
    return (fs if _has_catalog(fs) else None), empty


@app.command()
def groups(config: ConfigOption = None) -> None:
    """List the feature groups."""
    fs, empty = _list_in_store(config, "feature groups")
    rows = [
        [
            g.name,
            g.version,
            ", ".join(g.primary_key),
            g.event_time or "-",
            len(g.schema),
            "yes" if g.online_enabled else "-",
        ]
        for g in (fs.get_feature_groups() if fs else ())
    ]
    print_table(
        ["group", "version", "primary key", "event time", "columns", "online"],
        rows,
        empty,
    )


@app.command()
def views(config: ConfigOption = None) -> None:
    """List the feature views."""
    fs, empty = _list_in_store(config, "feature views")
    rows = [
        [
            v.name,
            v.version,
            ", ".join(v.labels) or "-",
            len(v.schema),
            len(v.get_training_datasets()),
        ]
        for v in (fs.get_feature_views() if fs else ())
    ]
    print_table(
        ["view", "version", "labels", "features", "training datasets"],
        rows,
        empty,
    )


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
    """Whether it is the name of a group, a view, or both; NotFoundError with the nearest names where it is none."""
    known = {
        "group": {each.name for each in fs.get_feature_groups()},
        "view": {each.name for each in fs.get_feature_views()},
    }
    found = {kind for kind, names in known.items() if name in names}
    if not found:
        every = sorted(known["group"]) + sorted(known["view"])
        raise NotFoundError.for_name(
            "Feature group or view", name, every, "List them with: spark-fs groups; spark-fs views"
        )
    return found


def _show_group(group: FeatureGroup, limit: int) -> None:
    console.print(
        f"Feature group {group.name}, version {group.version}"
        + (f": {group.description}" if group.description else "")
    )
    console.print(f"stored in {group.location}\n", soft_wrap=True)
    roles = dict.fromkeys(group.partition_key, "partition key") | dict.fromkeys(
        group.primary_key, "primary key"
    )
    roles[str(group.event_time)] = "event time"
    columns = [[name, type_, roles.get(name, "")] for name, type_ in group.schema.items()]
    print_table(["column", "type", "role"], columns, "No schema yet: the first insert gives it.")
    console.print()
    rows = [
        [
            c.version,
            f"{c.committed_at:{TIME_FORMAT}}",
            c.operation,
            c.inserted,
            c.updated,
            c.deleted,
        ]
        for c in group.commit_details(limit)
    ]
    print_table(
        ["commit", "at (UTC)", "operation", "inserted", "updated", "deleted"],
        rows,
        "No commits yet.",
    )


def _show_view(view: FeatureView) -> None:
    console.print(
        f"Feature view {view.name}, version {view.version}"
        + (f": {view.description}" if view.description else "")
    )
    console.print(f"labels: {', '.join(view.labels) or 'none'}\n")
    print_table(["feature", "type"], list(view.schema.items()), "No features.")
    console.print()
    rows = [
        [
            d.version,
            f"{d.created_at:{TIME_FORMAT}}",
            ", ".join(f"{k} {i}" for k, i in d.splits.items()) or "all",
            d.files or "in memory",
        ]
        for d in view.get_training_datasets()
    ]
    print_table(
        ["training dataset", "at (UTC)", "splits", "files"], rows, "No training datasets yet."
    )


GroupArgument = Annotated[
    str | None, typer.Argument(help="A feature group; without it, every online group.")
]
NowOption = Annotated[
    str | None,
    typer.Option(
        "--now",
        help="Time (UTC) used to decide which rows have expired. Default: now.",
    ),
]


@app.command()
def sync(
    name: GroupArgument = None,
    version: VersionOption = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Load the whole table anew, beside the one that is served."),
    ] = False,
    now: NowOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring the online tables up to their feature groups."""
    fs = open_store(config)
    due = _list_online_groups(fs, name, version)
    with _make_progress_bar() as bar:
        for group in due:
            task = bar.add_task(f"{group.name}, version {group.version}", total=None)
            job = group.sync_online(now, full, partial(_show_progress, bar, task))
            bar.remove_task(task)
            console.print(str(job), soft_wrap=True)


def _show_progress(bar: Progress, task: TaskID, done: int, known: int) -> None:
    """Show how many tasks of Spark's are done."""
    bar.update(task, completed=done, total=known)


@app.command()
def verify(
    name: GroupArgument = None,
    version: VersionOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many differing keys to report at most.")
    ] = 20,
    synced: Annotated[
        bool,
        typer.Option(
            "--synced", help="Compare with the version that was synced last, not with the newest."
        ),
    ] = False,
    now: NowOption = None,
    config: ConfigOption = None,
) -> None:
    """Compare the online tables with the offline latest.

    Exit code 4 where a key differs, after its differences; 1 where they could not be compared.
    """
    fs = open_store(config)
    differ = False
    for group in _list_online_groups(fs, name, version):
        found = group.verify_online(now, limit, synced)
        differ |= not found.ok
        console.print(str(found), soft_wrap=True)
        for difference in found.differences:
            console.print(f"  {difference}", soft_wrap=True)
    if differ:
        raise typer.Exit(DIFFERS)


TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="A file with the token, in the place of SPARK_FS_TOKEN."),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        help=(
            "Answer to this name too, besides addresses, localhost and the machine's own; * is any."
        ),
    ),
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", help="Let other machines in though nobody is asked for a token."),
]


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8_080,
    view: Annotated[
        list[str] | None,
        typer.Option(
            "--view",
            help=(
                "Serve this one, and no other that is not named: name, name:version or"
                " name:version:dataset."
            ),
        ),
    ] = None,
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", min=1, help="The largest request, in bytes.")
    ] = 1_000_000,
    max_entries: Annotated[
        int, typer.Option("--max-entries", min=1, help="The most entries of a request.")
    ] = 1_000,
    max_open: Annotated[
        int,
        typer.Option(
            "--max-open", min=1, help="The most requests at once; one more is told to come again."
        ),
    ] = 256,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.001, help="Seconds within which an answer must be found."),
    ] = 30.0,
    token_file: TokenFileOption = None,
    allow_host: AllowHostOption = None,
    insecure: InsecureOption = False,
    config: ConfigOption = None,
) -> None:
    """Serve feature vectors over HTTP, without Spark.

    POST /v1/feature-vectors, GET /health, /metrics and /docs. With a token (SPARK_FS_TOKEN, or
    --token-file) callers must bring it, but for /health; without one it listens on loopback alone.
    It needs the extra: pip install 'spark_fs[serve]'.
    """
    from spark_fs.server.guard import Limits
    from spark_fs.server.vector_server import serve_vectors

    fs = open_store(config)
    token, names = _resolve_access(fs, host, token_file, allow_host, insecure)
    serve_vectors(
        fs,
        host,
        port,
        view or [],
        max_entries,
        token,
        names,
        Limits(max_bytes, max_open, answer_seconds=timeout),
    )


def _resolve_access(
    fs: FeatureStore,
    host: str,
    token_file: Path | None,
    allowed_hosts: list[str] | None,
    insecure: bool,
) -> tuple[str, frozenset[str] | None]:
    """The token that callers must bring, and the names that a server answers to; SettingsError where strangers would be let in."""
    from spark_fs.server.guard import check_exposed, get_host_names, read_token

    token = read_token(fs._stores.settings.token.get_secret_value(), token_file)
    check_exposed(host, token, insecure)
    return token, get_host_names(host, allowed_hosts or ())


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
        written = fs.get_feature_group(name, version).report(out)
    else:
        written = fs.get_feature_view(name, version).report(training_dataset, out)
    console.print(f"{written} ({written.stat().st_size / 1e6:.1f} MB)", soft_wrap=True)


@app.command()
def ui(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.")] = 8_090,
    token_file: TokenFileOption = None,
    allow_host: AllowHostOption = None,
    insecure: InsecureOption = False,
    config: ConfigOption = None,
) -> None:
    """Explore the store in a browser, read-only, without Spark.

    With a token (SPARK_FS_TOKEN, or --token-file) the browser asks for it: any user, and the token
    as password; without one it listens on loopback alone. It needs the extra: pip install
    'spark_fs[serve]'.
    """
    from spark_fs.server.explorer import serve_explorer

    fs = open_store(config)
    token, names = _resolve_access(fs, host, token_file, allow_host, insecure)
    serve_explorer(fs, host, port, token, names)


def _list_online_groups(
    fs: FeatureStore, name: str | None, version: int | None
) -> list[FeatureGroup]:
    found = [fs.get_feature_group(name, version)] if name else fs.get_feature_groups()
    due = [group for group in found if name or (group.online_enabled and group.commit_details(1))]
    if not due:
        console.print("No feature group with rows is online_enabled.")
    return due


def _make_progress_bar() -> Progress:
    """A bar of Spark's tasks, on a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Bring the metadata database up to this release.

    One on a server is changed by this command alone, since processes of earlier releases cannot
    open it afterwards; one in SQLite is brought up when it is opened. A backup before it is the way
    back.
    """
    from spark_fs.catalog.database import upgrade_database

    where, before, after = upgrade_database(
        login(config)._stores.settings.catalog_url.get_secret_value()
    )
    became = (
        f"is of version {after} already"
        if before == after
        else f"was of version {before or 'none'}, and is of {after} now"
    )
    console.print(f"The metadata database at {where} {became}.", soft_wrap=True, markup=False)


@app.command()
def jars() -> None:
    """Print the jars for spark-submit --jars.

    The first time they are resolved from Maven Central into a cache.
    """
    from spark_fs.tables.delta.jars import resolve_jars

    typer.echo(",".join(map(str, resolve_jars())))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]], if_empty: str) -> None:
    """Print rows under headings, or what there is to say where there are none."""
    if not rows:
        console.print(if_empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(
            heading, overflow="fold"
        )  # a long word goes on in the next line instead of ending in dots
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
