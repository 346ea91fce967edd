"""The commands that bring feature groups online, and compare what is there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from spark_fs.cli.shared import (
    ConfigOption,
    VersionOption,
    app,
    console,
    make_progress_bar,
    open_store,
)
from spark_fs.pipelines.command import DIFFERS
from spark_fs.pipelines.step_functions import list_online_groups

if TYPE_CHECKING:
    from spark_fs.api.feature_group import FeatureGroup
    from spark_fs.api.feature_store import FeatureStore

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
    """Compare the online tables with the offline latest.

    Exit code 4 where a key differs, after its differences; 1 where they could not be compared.
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


def _list_due_groups(fs: FeatureStore, name: str | None, version: int | None) -> list[FeatureGroup]:
    """The group of a name, or every one that is served online."""
    if name:
        return [fs.get_feature_group(name, version)]
    online = list_online_groups(fs.get_feature_groups())
    if not online:
        console.print("No feature group with rows is online_enabled.")
    return online
