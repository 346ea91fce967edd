"""Run one script of a family in a process of its own, and write what became of its statements.

    python tests/compat/run_script.py <family> <number of the script> <folder> <file for the outcomes>

The folder holds the family's files, and the store beside them.
"""

import importlib.abc
import importlib.machinery
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd

import spark_fs
import spark_fs.compat

from families import FAMILIES, Family
from made_data import MAKERS, read_made
from statements import GREAT_EXPECTATIONS, IMPORTS, Run, read_statements, write_outcomes


class _Stub(types.ModuleType):
    """A package that is not here: any name of it is a function that must not be called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the packages that are stubbed, where they are not installed."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A spec of what is stubbed; asked last, so that an installed package comes first."""
        if fullname.split(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        """An empty package."""
        return _Stub(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing runs."""


def replace_downloads() -> None:
    """Let the readers of pandas give generated files for addresses, and for the book's data folder."""
    for name in ("read_csv", "read_parquet"):
        setattr(pd, name, _read_generated(getattr(pd, name)))


def _read_generated(reader: Any) -> Any:
    def read(source: Any, *args: Any, **kwargs: Any) -> Any:
        name = "/".join(str(source).split("/")[-2:])
        if name in MAKERS:
            return read_made(name, reader, False, *args, **kwargs)
        return reader(source, *args, **kwargs)

    return read


def run_script(family: Family, number: int, folder: Path, outcomes: Path) -> None:
    """Run a script where it lies, with its folder on the path."""
    script = folder / family.folder / family.scripts[number]
    os.chdir(script.parent)
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ["SPARK_FS_CONFIG"] = str(folder / "settings.yaml")
    os.environ.update(family.environment)
    sys.path.insert(1, str(script.parent))
    sys.meta_path.append(StubFinder(family.stubs))
    imports = IMPORTS
    if "--install" in sys.argv:  # the way of code that cannot be changed
        imports = (GREAT_EXPECTATIONS,)
        spark_fs.compat.install()
    replace_downloads()
    before = family.before.get(family.scripts[number])
    if before:
        subprocess.run([sys.executable, "-c", before], check=True)
    run = Run(family.stand_ins, family.differs)
    run.run_all(read_statements(script, (*imports, *family.edits)), script.parent)
    check = family.checks.get(family.scripts[number])
    if check:
        exec(check, run.names)
    write_outcomes(outcomes, run.outcomes)


if __name__ == "__main__":
    wanted = {family.name: family for family in FAMILIES}[sys.argv[1]]
    run_script(wanted, int(sys.argv[2]), Path(sys.argv[3]).resolve(), Path(sys.argv[4]).resolve())
    print(f"spark_fs {spark_fs.__version__}")
