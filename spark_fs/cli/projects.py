"""The command that begins a project, which runs as it is."""

from __future__ import annotations

import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from spark_fs.cli.shared import app, console
from spark_fs.errors import AlreadyExistsError, SettingsError
from spark_fs.spec.names import check_name

_PACKAGE_FOLDER = "package"  # of the template: it gets the name of the project
_TEMPLATE_SUFFIX = ".jinja"
_TAKEN_NAMES = {"spark_fs", "pyspark", "delta", "tests", "notebooks", "conf"}


@app.command()
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
    if name in sys.stdlib_module_names or name in _TAKEN_NAMES:
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
    target.mkdir()
    for entry in source.iterdir():
        own_name = entry.name.removesuffix(_TEMPLATE_SUFFIX)
        if own_name == "gitignore":
            own_name = ".gitignore"
        elif own_name == _PACKAGE_FOLDER:
            own_name = name
        if entry.is_dir():
            _write_files(entry, target / own_name, name)
        elif entry.name.endswith(_TEMPLATE_SUFFIX):
            _write_template(entry, target / own_name, name)


def _write_template(template: Traversable, target: Path, name: str) -> None:
    from jinja2 import Template

    source = template.read_text(encoding="utf-8")
    text = Template(source, keep_trailing_newline=True).render(name=name)
    target.write_text(text, encoding="utf-8")
