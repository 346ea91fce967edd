"""A notebook or script as statements, run one after another; what becomes of each is told."""

import ast
import json
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# The change that a user makes: another import. Great Expectations 1.x has not the two classes of 0.18; ours take them.
GREAT_EXPECTATIONS = (
    r"from great_expectations.core import ExpectationSuite, ExpectationConfiguration",
    "from spark_fs.expectation_suite import ExpectationSuite, ExpectationConfiguration",
)
IMPORTS = (
    (r"^(\s*)import hopsworks\b(?! as)", r"\1import spark_fs as hopsworks"),
    (r"^(\s*)import hsfs\b(?! as)", r"\1import spark_fs as hsfs"),
    (r"^(\s*)import hsml\b(?! as)", r"\1import spark_fs as hsml"),
    (r"^(\s*)from (?:hopsworks\.)?(?:hsfs|hsml)\.([\w.]+) import", r"\1from spark_fs.\2 import"),
    (r"^(\s*)from hopsworks import", r"\1from spark_fs import"),
    GREAT_EXPECTATIONS,
)

# What a statement may need that is not here, by the statement's text.
NEEDS = (
    ("a plot", r"\bsns?\.|seaborn|plt\.|pyplot|\bfig\b|_fig\b|plot|\bdfi\.|\bst\.\w+\("),
    ("the network", r"requests\.|get_pm25|urlopen|get_city_coordinates|geopy"),
    ("Great Expectations 0.18", r"ge\.from_pandas|ge\.core\."),
)


FAILURE = "a failure"  # the reason of what a failed statement owes


@dataclass(frozen=True)
class Statement:
    """A statement of a cell, and whether it is the cell's last, which a notebook shows."""

    cell: int
    text: str
    shown: bool = False
    file: str | None = None  # the file that %%writefile writes


@dataclass(frozen=True)
class Outcome:
    """What became of a statement: "ok", "refused", "needs", "follows" or "failed"."""

    cell: int
    text: str
    status: str
    reason: str = ""
    error: str = ""


def change_text(text: str, edits: Sequence[tuple[str, str]]) -> str:
    """The text with another import, where that is among the edits, and what else is changed."""
    for pattern, replacement in edits:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def read_statements(path: Path, edits: Sequence[tuple[str, str]]) -> list[Statement]:
    """The statements of a script or notebook; what is meant for the shell or for IPython is left out."""
    statements: list[Statement] = []
    for number, cell in _read_cells(path):
        statements.extend(_split_cell(number, change_text(cell, edits)))
    return statements


def _read_cells(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text()
    if path.suffix != ".ipynb":
        yield 0, text
        return
    for number, cell in enumerate(json.loads(text).get("cells", [])):
        if cell["cell_type"] == "code":
            yield number, "".join(cell["source"])


def _split_cell(number: int, text: str) -> list[Statement]:
    written = re.match(r"\s*%%writefile (\S+)\n", text)
    if written:
        return [Statement(number, text[written.end() :], file=written.group(1))]
    lines = [line for line in text.splitlines() if not re.match(r"\s*[!%]", line)]
    text = "\n".join(lines)
    body = ast.parse(text).body
    parts = [ast.get_source_segment(text, node, padded=True) or "" for node in body]
    for index, node in enumerate(body):
        decorators = getattr(node, "decorator_list", [])
        if decorators:  # which the segment of a definition leaves out
            first = decorators[0].lineno - 1
            parts[index] = "\n".join(lines[first : node.end_lineno])
    last = len(parts) - 1
    return [Statement(number, part, shown=index == last) for index, part in enumerate(parts)]


class Run:
    """A script that is run in one namespace; names that a failed statement owes are remembered."""

    def __init__(self, stand_ins: Sequence[tuple[str, str]], differs: Mapping[str, str]) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.owed: dict[str, str] = {}  # by name, why it is not there
        self.stand_ins = stand_ins
        self.differs = differs
        self.outcomes: list[Outcome] = []

    def run_all(self, statements: Sequence[Statement], folder: Path) -> list[Outcome]:
        """What became of each."""
        for statement in statements:
            self.outcomes.append(self._run_one(statement, folder))
        return self.outcomes

    def _run_one(self, statement: Statement, folder: Path) -> Outcome:
        if statement.file:
            (folder / statement.file).write_text(statement.text)
            return Outcome(statement.cell, statement.text, "ok")
        try:
            self._execute(statement)
        except (Exception, SystemExit) as error:
            return self._explain(statement, error)
        for name in _list_bound(statement.text):
            self.owed.pop(name, None)
        return Outcome(statement.cell, statement.text, "ok")

    def _execute(self, statement: Statement) -> None:
        tree = ast.parse(statement.text)
        if statement.shown and isinstance(tree.body[0], ast.Expr):
            value = eval(compile(ast.Expression(tree.body[0].value), "<cell>", "eval"), self.names)
            repr(value)  # as a notebook shows it
            return
        exec(compile(tree, "<cell>", "exec"), self.names)

    def _explain(self, statement: Statement, error: BaseException) -> Outcome:
        status, reason = self._classify(statement, error)
        for name in _list_bound(statement.text):
            self.owed[name] = reason or FAILURE
        if status != "failed":
            for pattern, code in self.stand_ins:
                if re.search(pattern, statement.text):
                    exec(code, self.names)
                    for name in _list_bound(code):
                        self.owed.pop(name, None)
        text = f"{type(error).__name__}: {error}"
        if status == "failed":
            text += "\n" + "".join(traceback.format_exception(error)[-6:])
        return Outcome(statement.cell, statement.text, status, reason, text)

    def _classify(self, statement: Statement, error: BaseException) -> tuple[str, str]:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("spark_fs"):
            return "needs", f"the package {(error.name or '').split('.')[0]}"
        owed = [self.owed[name] for name in _list_used(statement.text) if name in self.owed]
        if isinstance(error, NameError) and error.name in self.owed:
            owed.append(self.owed[error.name])
        if owed:
            return "follows", owed[0]
        for pattern, reason in self.differs.items():
            if re.search(pattern, f"{statement.text}\n{type(error).__name__}: {error}"):
                return "needs", reason
        if type(error).__name__ == "NotOfferedError":
            return "refused", "a cloud"
        if isinstance(error, NameError) or type(error).__module__.startswith("spark_fs"):
            return "failed", ""
        for reason, pattern in NEEDS:
            if re.search(pattern, statement.text):
                return "needs", reason
        return "failed", ""


def _list_bound(text: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif isinstance(node, ast.alias):
            names.append((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
    return names


def _list_used(text: str) -> list[str]:
    nodes = ast.walk(ast.parse(text))
    return [
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    ]


def write_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    """The outcomes as JSON."""
    path.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))


def read_outcomes(path: Path) -> list[Outcome]:
    """The outcomes of a file."""
    return [Outcome(**record) for record in json.loads(path.read_text())]
