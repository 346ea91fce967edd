"""The command that begins a project, which runs as it is."""

from __future__ import annotations

import keyword
import shlex
import sys
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spark_fs.api.project import login
from spark_fs.cli.shared import ConfigOption, app, console
from spark_fs.errors import AlreadyExistsError, SettingsError
from spark_fs.spec.names import check_name

if TYPE_CHECKING:
    from spark_fs.flows.look_at_source import SourceLook
    from spark_fs.flows.propose_pipeline import PipelineProposal

_PACKAGE_FOLDER = "package"  # of the template: it gets the name of the project
_TEMPLATE_SUFFIX = ".jinja"
_SHARED_FILES = (
    "gitignore.jinja",
    "pyproject.toml.jinja",
    "settings.yaml.jinja",
)  # of both templates
_TAKEN_NAMES = {"spark_fs", "pyspark", "delta", "tests", "notebooks", "conf"}


@app.command()
def init(
    name: Annotated[
        str, typer.Argument(help="The project's name, which is also its package: lower snake case.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help=(
                "Your events: a file (CSV with a line of names, Parquet, JSON by lines), a folder"
                " of Parquet files, such a URL as s3a://bucket/orders/, table:NAME of Spark's"
                " catalog, or a jdbc: address."
            ),
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Its column that names the entity, such as a shop; repeatable."),
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Its column with the instant of the event.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Its column that is to be predicted, if any.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option("--table", help="The table of a jdbc: source; SOURCE_USER, SOURCE_PASSWORD."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Begin a project in a new folder.

    Of your own events, or of sample orders without --source. It looks at your file and writes a
    pipeline for it: how it is read, window features of each entity, and a view to serve. Example:
    spark-fs init shop --source orders.csv --key shop --time ordered_at
    """
    target = _check_target(name)
    if source is None:
        if key or time or label or table:
            raise SettingsError(
                "--key, --time, --label and --table describe a source: give --source too."
            )
        _write_files(files("spark_fs.cli") / "project", target, {"name": name})
        _print_next_steps(name, ["show shop_orders"], "2024-01-08")
        return
    if not key or not time:
        raise SettingsError(
            "A source needs --key, its column that names the entity, and --time, its column with"
            " the instant of the event: give both."
        )
    proposal = _propose(_look_at_source(source, table, config), key, time, label)
    _write_own_project(target, proposal)
    _print_proposal(proposal)
    serving = f"vector {proposal.serving_view} {_format_example(proposal)}"
    steps = [f"head {proposal.features}", serving]
    _print_next_steps(name, steps, f"{proposal.until:%Y-%m-%d}")


def _check_target(name: str) -> Path:
    """The folder of a new project; nothing may be there."""
    check_name("Project", name)
    if name in sys.stdlib_module_names or name in _TAKEN_NAMES:
        raise SettingsError(
            f"A project cannot be called {name!r}: a package of that name is there already. Choose"
            " another name."
        )
    if keyword.iskeyword(name):
        raise SettingsError(
            f"A project cannot be called {name!r}, which is a word of Python: choose another name."
        )
    target = Path(name)
    if target.exists():
        raise AlreadyExistsError(
            f"{target.absolute()} is there already, and nothing was written. Choose another name,"
            " or remove it first."
        )
    return target


def _look_at_source(source: str, table: str | None, config: Path | None) -> SourceLook:
    """A local file is read without Spark; anything else with the settings' session."""
    from spark_fs.flows.look_at_source import look_at_file
    from spark_fs.flows.look_at_spark_source import look_at_spark_source, needs_spark

    if not needs_spark(source):
        return look_at_file(Path(source))
    return look_at_spark_source(login(config).get_feature_store()._stores.spark, source, table)


def _propose(look: SourceLook, keys: list[str], time: str, label: str | None) -> PipelineProposal:
    from spark_fs.flows.propose_pipeline import propose_pipeline

    return propose_pipeline(look, keys, time, label)


def _write_own_project(target: Path, proposal: PipelineProposal) -> None:
    from spark_fs.cli.own_source import describe_project

    values = describe_project(target.name, proposal)
    _write_files(files("spark_fs.cli") / "own_project", target, values)
    sample = files("spark_fs.cli") / "project"
    _write_files(sample, target, values, only=_SHARED_FILES)


def _print_proposal(proposal: PipelineProposal) -> None:
    """Say what was found, so that a wrong guess is seen."""
    look = proposal.look
    seen = f"{look.rows.num_rows:,} rows"
    if not look.is_whole:
        seen = f"The first {seen}; more follow"
    console.print(f"{look.path}: {seen}, {proposal.start:%Y-%m-%d} to {proposal.until:%Y-%m-%d}")
    for column, name in look.names.items():
        renamed = f", from {column!r}" if column != name else ""
        console.print(f"    {name}: {look.types[column]}{renamed}", soft_wrap=True)
    console.print(f"An event is known by {proposal.row_id}.", soft_wrap=True)
    if proposal.repeated:
        console.print(
            f"{proposal.repeated:,} rows equal another one in every column: such rows count once,"
            " since nothing tells them apart.",
            soft_wrap=True,
        )
    counted = ", ".join(proposal.numbers) or "their number alone"
    lengths = " and ".join(proposal.windows)
    console.print(f"Windows of {lengths} over {counted}: {proposal.features}\n", soft_wrap=True)


def _print_next_steps(name: str, looks: list[str], until: str) -> None:
    console.print(f"Project {name} is in {name}/. Next:\n", soft_wrap=True)
    steps = [
        f"cd {name}",
        "export SPARK_FS_CONFIG=conf/settings.yaml",
        f"spark-fs run conf/pipelines/daily.yaml --until {until}",
        "spark-fs runs",
        *(f"spark-fs {look}" for look in looks),
    ]
    console.print("\n".join(f"    {step}" for step in steps), soft_wrap=True)


def _format_example(proposal: PipelineProposal) -> str:
    """The keys of one entity, as a shell takes them."""
    pairs = [f"{name}={value}" for name, value in proposal.example.items()]
    return " ".join(map(shlex.quote, pairs))


def _write_files(
    source: Traversable,
    target: Path,
    values: Mapping[str, Any],
    only: tuple[str, ...] | None = None,
) -> None:
    """Write the files of a template.

    Args:
        source: The template's folder.
        target: Where they are written.
        values: What templates are filled with; ``name`` is the project's.
        only: The names of the files that are written; None: all.
    """
    for entry in source.iterdir():
        own_name = entry.name.removesuffix(_TEMPLATE_SUFFIX)
        if own_name == "gitignore":
            own_name = ".gitignore"
        elif own_name == _PACKAGE_FOLDER:
            own_name = values["name"]
        if entry.is_dir():
            _write_files(entry, target / own_name, values, only)
        elif (only is None or entry.name in only) and entry.name.endswith(_TEMPLATE_SUFFIX):
            _write_template(entry, target / own_name, values)


def _write_template(template: Traversable, target: Path, values: Mapping[str, Any]) -> None:
    from jinja2 import Template

    source = template.read_text(encoding="utf-8")
    text = Template(source, keep_trailing_newline=True).render(values)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
