"""The notebooks run in order and alone, each of their cells twice, and are committed with what they print and draw."""

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OF_LIBRARIES = (  # that run notebooks
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
)


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One store for all of them, and not the reader's."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SPARK_FS_NOTEBOOKS", str(tmp_path_factory.mktemp("notebooks")))
    yield
    patch.undo()


@pytest.mark.filterwarnings(*OF_LIBRARIES)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_says_what_is_committed_and_each_cell_says_it_again(path: Path) -> None:
    committed = nbformat.read(path, as_version=4)
    ran = run_cells(repeat_cells(committed))
    for cell, (first, second) in zip(list_code(committed), pair_cells(ran), strict=True):
        assert list_kinds(cell) == list_kinds(first) == list_kinds(second), cell.source
        if "writes" not in cell.metadata.get("tags", ()):
            assert read_text(second) == read_text(first), cell.source
            continue
        written = re.findall(r"(?:inserted|updated|deleted|written) (\d+)", read_text(second))
        assert set(written) <= {"0"}, f"{cell.source}\n{read_text(second)}"


@pytest.mark.filterwarnings(*OF_LIBRARIES)
def test_the_last_of_a_chain_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fifth runs the fourth, which builds what the first would have built."""
    monkeypatch.setenv("SPARK_FS_NOTEBOOKS", str(tmp_path))
    committed = nbformat.read(NOTEBOOKS[4], as_version=4)
    alone = run_cells(list_code(committed))
    assert '"run", "4_training.ipynb"' in alone[1].source
    for cell, now in zip(list_code(committed)[2:], alone[2:], strict=True):
        assert list_kinds(cell) == list_kinds(now), cell.source


def test_those_that_go_on_from_the_first_build_what_it_builds() -> None:
    prepare = []
    for path in NOTEBOOKS[1:4]:
        prepare.append(list_code(nbformat.read(path, as_version=4))[1].source)
    assert len(set(prepare)) == 1
    assert "groups.PIPELINE" in prepare[0]


def list_code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def repeat_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Each cell of code, and once more what it is."""
    repeated = []
    for cell in list_code(notebook):
        again = deepcopy(cell)
        again.id = f"{cell.id}-again"
        repeated += [cell, again]
    return repeated


def pair_cells(
    cells: list[nbformat.NotebookNode],
) -> Iterator[tuple[nbformat.NotebookNode, nbformat.NotebookNode]]:
    return zip(cells[::2], cells[1::2], strict=True)


def run_cells(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Copies of the cells with what they give, run in a new kernel in the folder of the notebooks."""
    notebook = nbformat.v4.new_notebook(cells=deepcopy(cells))
    folder = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=folder).execute()
    return list(notebook.cells)


def list_outputs(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """What a cell gave, but for what Spark says while it starts."""
    return [output for output in cell.outputs if output.get("name") != "stderr"]


def list_kinds(cell: nbformat.NotebookNode) -> set[str]:
    return {kind for output in list_outputs(cell) for kind in output.get("data", {"text": ""})}


def read_text(cell: nbformat.NotebookNode) -> str:
    """What a cell gave, as text."""
    parts = []
    for output in list_outputs(cell):
        parts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "".join(parts)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_with_its_outputs_and_says_what_a_reader_learns(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert "**What you learn:**" in notebook.cells[0].source
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    said = "".join(str(output) for cell in code for output in cell.outputs)
    assert "Traceback" not in said
    told = re.sub(r"'image/png': '[^']*'", "", said)
    assert not re.search(r"(?<![\w:/.<*])/[A-Za-z_][\w.-]*/[\w.-]", told), "the path of one machine"
    if path.stem[0] in "234":
        assert "image/png" in said
