"""What every command shares: the program, its options, its store, and how it prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import spark_fs
from spark_fs.api.project import login
from spark_fs.base.json_values import to_json
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
    context_settings={"help_option_names": ["-h", "--help"]},
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


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"spark_fs {spark_fs.__version__}")
        raise typer.Exit


@app.callback()
def choose_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


console = _PlainConsole(highlight=False, width=None if sys.stdout.isatty() else 160)


ConfigOption = Annotated[Path | None, typer.Option("--config", help="A settings file, in YAML.")]


TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


JsonOption = Annotated[
    bool, typer.Option("--json", help="Print a list of JSON objects, for programs.")
]


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


def print_json(records: Sequence[Mapping[str, Any]]) -> None:
    """Print objects for programs: one JSON list, an object in a line, times in ISO 8601."""
    lines = [json.dumps(to_json(record), ensure_ascii=False) for record in records]
    text = ",\n ".join(lines)
    typer.echo(f"[{text}]")


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Any]],
    if_empty: str,
    as_json: bool = False,
) -> None:
    """Print rows under headings, or what there is to say where there are none.

    Args:
        headings: What each column is.
        rows: Their values.
        if_empty: What is printed where there are no rows.
        as_json: Whether each row is printed as a JSON object, whose names are the headings.
    """
    if as_json:
        names = [heading.replace(" (UTC)", "").replace(" ", "_") for heading in headings]
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    if not rows:
        console.print(if_empty, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        # A long word goes on in the next line instead of ending in dots.
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(_format_cell, row))
    console.print(table)


def _format_cell(value: Any) -> str:
    """A value in a table: a dash stands for what there is none of."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "-"
    if isinstance(value, datetime):
        return f"{value:{TIME_FORMAT}}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value)
