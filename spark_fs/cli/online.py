"""The commands that bring feature groups online, and compare what is there."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from spark_fs.base.times import format_age, parse_duration
from spark_fs.cli.completion import complete_group
from spark_fs.cli.shared import (
    ConfigOption,
    JsonOption,
    VersionOption,
    app,
    console,
    make_progress_bar,
    open_store,
    print_json,
    print_table,
)
from spark_fs.pipelines.command import DIFFERS
from spark_fs.pipelines.step_functions import list_online_groups
from spark_fs.spec.freshness import Bounds, find_exceeded_bounds

if TYPE_CHECKING:
    from spark_fs.api.feature_group import FeatureGroup
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.spec.freshness import Freshness

GroupArgument = Annotated[
    str | None,
    typer.Argument(
        help="A feature group; without it, every online group.", autocompletion=complete_group
    ),
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
        typer.Option("--full", help="Load the whole table again, next to the one that is served."),
    ] = False,
    now: NowOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring the online tables up to their groups.

    Example: spark-fs sync weather
    """
    fs = open_store(config)
    due = _list_due_groups(fs, name, version)
    with make_progress_bar() as bar:
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
    """Compare what is online with what is offline.

    The rows of the online tables with the latest rows of the groups. Exit code 4 where a key
    differs, after its differences; 1 where they could not be compared. Example: spark-fs verify
    weather --synced
    """
    fs = open_store(config)
    differ = False
    for group in _list_due_groups(fs, name, version):
        comparison = group.verify_online(now, limit, synced)
        differ |= not comparison.ok
        console.print(str(comparison), soft_wrap=True)
        for difference in comparison.differences:
            console.print(f"  {difference}", soft_wrap=True)
    if differ:
        raise typer.Exit(DIFFERS)


@app.command()
def freshness(
    name: GroupArgument = None,
    version: VersionOption = None,
    max_age: Annotated[
        str | None, typer.Option("--max", help="How old the newest event may be, such as 2h.")
    ] = None,
    max_lag: Annotated[
        str | None,
        typer.Option("--max-lag", help="For how long rows may wait for a sync, such as 30m."),
    ] = None,
    now: Annotated[
        str | None, typer.Option("--now", help="Time (UTC) that ages are counted to. Default: now.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show how old what is served is.

    It needs no Spark. Exit code 4 where a group is older than --max or --max-lag allow. Example:
    spark-fs freshness --max 2h
    """
    bounds = Bounds(_parse_bound(max_age), _parse_bound(max_lag))
    groups = _list_due_groups(open_store(config), name, version, silent=as_json)
    measured = [group.get_freshness(now) for group in groups]
    stale = [found for found in measured if find_exceeded_bounds(found, bounds)]
    if as_json:
        print_json([found.to_json() for found in measured])
    elif measured:
        _print_freshness(measured)
        for found in stale:
            for bound in find_exceeded_bounds(found, bounds):
                console.print(f"{found.group}: {bound}", soft_wrap=True)
    if stale:
        raise typer.Exit(DIFFERS)


def _parse_bound(text: str | None) -> timedelta | None:
    return None if text is None else parse_duration(text)


def _print_freshness(measured: list[Freshness]) -> None:
    headings = ("group", "newest event (UTC)", "age", "written (UTC)", "synced (UTC)", "waiting")
    rows = []
    for found in measured:
        age = None if found.age is None else format_age(found.age)
        lag = format_age(found.sync_lag) if found.waiting_since else None
        times = (found.event_time, age, found.ingested_at, found.synced_at, lag)
        rows.append((found.group, *times))
    print_table(headings, rows, "", as_json=False)


def _list_due_groups(
    fs: FeatureStore, name: str | None, version: int | None, silent: bool = False
) -> list[FeatureGroup]:
    """The group of a name, or every one that is served online."""
    if name:
        return [fs.get_feature_group(name, version)]
    online = list_online_groups(fs.get_feature_groups())
    if not online and not silent:
        console.print("No feature group with rows is online_enabled.")
    return online
