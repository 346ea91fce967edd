"""What every command shares: the program, its options, its store, and how it prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from spark_fs.api.project import login
from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import NotFoundError
from spark_fs.urls import get_address, get_sqlite_file

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore

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
    """A console that prints strings as they are.

    Brackets, colons and control characters in them mean nothing.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """The string to print: every one, in a table too, passes here."""
        plain = {**options, "markup": False, "emoji": False}
        return super().render_str(escape_for_terminal(text), **plain)


console = _PlainConsole(highlight=False, width=None if sys.stdout.isatty() else 160)


ConfigOption = Annotated[Path | None, typer.Option("--config", help="A settings file, in YAML.")]


TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


VersionOption = Annotated[int | None, typer.Option("--version", help="The version. Default: 1.")]


def open_store(config: Path | None) -> FeatureStore:
    """The feature store that a settings file, or the environment, names.

    A command that looks makes nothing: NotFoundError where there is no store yet.
    """
    fs = login(config).get_feature_store()
    check_is_there(fs)
    return fs


def check_is_there(fs: FeatureStore) -> None:
    """NotFoundError where there is no store yet in the place that was looked at."""
    if not has_catalog(fs):
        raise NotFoundError(
            f"There is no feature store in {describe_store(fs)}. Go to the folder that has it, or"
            " name its settings by --config or SPARK_FS_CONFIG."
        )


def describe_store(fs: FeatureStore) -> str:
    """Where a store is: the folder of an embedded one, the address of a metadata database."""
    url = fs._stores.settings.catalog_url.get_secret_value()
    file = get_sqlite_file(url)
    if file is None:
        return get_address(url)
    return str(file.parent)


def has_catalog(fs: FeatureStore) -> bool:
    """Whether the store is there: an embedded one has its file; a server is asked later."""
    file = get_sqlite_file(fs._stores.settings.catalog_url.get_secret_value())
    return file is None or file.exists()


def make_progress_bar() -> Progress:
    """A bar of Spark's tasks, on a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]], if_empty: str) -> None:
    """Print rows under headings, or what there is to say where there are none."""
    if not rows:
        console.print(if_empty, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        # A long word goes on in the next line instead of ending in dots.
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
