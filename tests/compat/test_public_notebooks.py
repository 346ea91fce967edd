"""Public code written for Hopsworks runs by changing the import: its own notebooks, statement by statement.

What a notebook may need and not find here is named in ``families.py`` and ``statements.py``: a cloud, a plot, a package,
the network. Anything else that fails is a failure. `make compat` prints the table of docs/coming_from.md.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from checkouts import KEPT, copy_family
from families import FAMILIES, Family
from statements import FAILURE, Outcome, read_outcomes

HERE = Path(__file__).parent
ROWS: dict[str, str] = {}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_statements_run_but_for_what_is_not_here(family: Family, tmp_path: Path) -> None:
    copy_family(family, tmp_path)
    outcomes: list[Outcome] = []
    for number in range(len(family.scripts)):
        outcomes += run_script(family, number, tmp_path)
    ROWS[family.name] = describe_row(family, outcomes)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    report = "\n\n".join(f"{outcome.text.strip()}\n--> {outcome.error}" for outcome in failed)
    assert not failed, f"{len(failed)} of {len(outcomes)} statements failed:\n{report}"


def test_code_that_names_hopsworks_runs_as_it_stands(tmp_path: Path) -> None:
    """After spark_fs.compat.install(), which puts its packages' names in the place of ours."""
    family = next(family for family in FAMILIES if family.name == "iris_deployment")
    copy_family(family, tmp_path)
    outcomes = run_script(family, 0, tmp_path, "--install")
    assert not [outcome for outcome in outcomes if outcome.status == "failed"]
    assert sum(outcome.status == "ok" for outcome in outcomes) > 50


def run_script(family: Family, number: int, folder: Path, *options: str) -> list[Outcome]:
    """What became of a script's statements, in a process of its own as each notebook has one."""
    outcomes = folder / f"outcomes_{number}.json"
    command = [
        sys.executable,
        str(HERE / "run_script.py"),
        family.name,
        str(number),
        str(folder),
        str(outcomes),
        *options,
    ]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    run = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=900, check=False
    )
    assert run.returncode == 0, f"{family.scripts[number]} stopped:\n{run.stderr[-3000:]}"
    return read_outcomes(outcomes)


def describe_row(family: Family, outcomes: list[Outcome]) -> str:
    """The family's row of the table in docs/coming_from.md."""
    counts = Counter(outcome.status for outcome in outcomes)
    needed = Counter(outcome.reason for outcome in outcomes if outcome.reason)
    failures = counts["failed"] + needed.pop(FAILURE, 0)
    needs = ", ".join(f"{reason} ({count})" for reason, count in needed.most_common())
    cells = [family.name, len(family.scripts), len(outcomes), counts["ok"], needs, failures]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


@pytest.fixture(autouse=True, scope="module")
def print_table(request: pytest.FixtureRequest):
    yield
    table = [
        "| family | notebooks | statements | run | need what is not here | fail |",
        "|---|---|---|---|---|---|",
    ]
    table += [ROWS[family.name] for family in FAMILIES if family.name in ROWS]
    KEPT.mkdir(exist_ok=True)
    (KEPT / "table.md").write_text("\n".join(table) + "\n")
