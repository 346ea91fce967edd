"""The command that begins a project: a pipeline, its settings, a test and a notebook, which run as they are."""

from __future__ import annotations

import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from spark_fs.cli.store import console
from spark_fs.errors import AlreadyExistsError, SettingsError
from spark_fs.spec.names import check_name

_PACKAGE_FOLDER, _TEMPLATE_SUFFIX = "package", ".jinja"


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    name: Annotated[
        str, typer.Argument(help="The project's name, which is also its package: lower snake case.")
    ],
) -> None:
    """Begin a project in a new folder.

    It has a pipeline with its settings, features, a test and a notebook. They use generated sample
    orders: replace source.py with your own.
    """
    check_name("Project", name)
    if name in sys.stdlib_module_names or name in (
        "spark_fs",
        "pyspark",
        "delta",
        "tests",
        "notebooks",
        "conf",
    ):
        raise SettingsError(
            f"A project cannot be called {name!r}: a package of that name is there already. Choose"
            " another name."
        )
    target = Path(name)
    if target.exists():
        raise AlreadyExistsError(
            f"{target.absolute()} is there already, and nothing was written. Choose another name,"
            " or remove it first."
        )
    _write_files(files("spark_fs.cli") / "project", target, name)
    console.print(f"Project {name} is in {target}/. Next:\n", soft_wrap=True)
    steps = [f"cd {target}", "export SPARK_FS_CONFIG=conf/settings.yaml"]
    steps += [
        "spark-fs run conf/pipelines/daily.yaml --until 2024-01-08",
        "spark-fs runs",
        "spark-fs show shop_orders",
    ]
    console.print("\n".join(f"    {step}" for step in steps))


def _write_files(source: Traversable, target: Path, name: str) -> None:
    from jinja2 import Template

    target.mkdir()
    for each in source.iterdir():
        own = each.name.removesuffix(_TEMPLATE_SUFFIX)
        own = {"gitignore": ".gitignore", _PACKAGE_FOLDER: name}.get(own, own)
        if each.is_dir():
            _write_files(each, target / own, name)
        elif each.name.endswith(_TEMPLATE_SUFFIX):
            text = Template(each.read_text(encoding="utf-8"), keep_trailing_newline=True).render(
                name=name
            )
            (target / own).write_text(text, encoding="utf-8")
