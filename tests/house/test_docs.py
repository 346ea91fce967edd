"""The documents say what is true."""

import ast
import asyncio
import re
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.batch_scoring import BatchScoringMixin
from spark_fs.api.built_group import BuiltGroup
from spark_fs.api.external_creation import ExternalGroupCreation
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_vectors import FeatureVectorsMixin
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.group import Group
from spark_fs.api.group_creation import GroupCreation
from spark_fs.api.group_definition import GroupDefinition
from spark_fs.api.group_store import GroupStore
from spark_fs.api.inference_helpers import InferenceHelpersMixin
from spark_fs.api.model import Model
from spark_fs.api.model_registry import ModelRegistry
from spark_fs.api.query import Query
from spark_fs.api.selection import Selection
from spark_fs.api.table_group import TableGroup
from spark_fs.api.taken import Refused
from spark_fs.api.training_data import TrainingDataMixin
from spark_fs.api.training_datasets import TrainingDatasetsMixin
from spark_fs.api.training_files import TrainingFilesMixin
from spark_fs.api.training_splits import TrainingSplitsMixin
from spark_fs.api.training_upkeep import TrainingUpkeepMixin
from spark_fs.api.vector_transforms import VectorTransformsMixin
from spark_fs.api.view_contents import ViewContentsMixin
from spark_fs.api.view_serving import ServingMixin
from spark_fs.api.written_group import WrittenGroup
from spark_fs.cli import app
from spark_fs.pipelines import Pipeline
from spark_fs.pipelines.metrics import MetricsListener
from spark_fs.server.freshness_metrics import FreshnessCollector
from spark_fs.server.online_server_metrics import OnlineServerCollector
from spark_fs.server.serving_metrics import ServingMetrics
from spark_fs.server.vector_server import build_vector_app
from spark_fs.settings import Settings
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

from documents import (
    COMMANDS_ALONE,
    DOCS,
    DOCUMENTS,
    ROOT,
    WALKS,
    list_blocks,
    list_code,
    list_commands,
)
from serving import put, served, store

CLIENT = DOCS / "client.md"  # which asks a server
IN_ONE_GO = ("coming_from", "windows")  # pages whose blocks go on from those before
WALKED = {page for walk in WALKS.values() for page in walk} - {
    *COMMANDS_ALONE
}  # by test_pasted_pages.py


@pytest.mark.slow
@pytest.mark.parametrize(
    "document",
    [d for d in DOCUMENTS if list_code(d, "python") and d not in (CLIENT, *WALKED)],
    ids=lambda d: str(d.relative_to(ROOT)),
)
def test_the_examples_run(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"__name__": "__main__"}
    for number, example in enumerate(list_code(document, "python")):
        place = tmp_path / f"example_{number}.py"  # where the source of a function is looked for
        place.write_text(example)
        known = names if document.stem in IN_ONE_GO else {**names}
        exec(compile(example, place, "exec"), known)


def test_the_examples_of_the_client_ask_a_server(tmp_path: Path) -> None:
    fs = store(tmp_path)
    types = {"id": "bigint", "delay": "double"}
    rows = [{"id": 1, "delay": 3.5}, {"id": 2, "delay": -1.0}]
    group = put(fs, "flights", types, rows, ["id"])
    fs.create_feature_view("late_arrivals", group.select(["delay"]))
    of_one_event_loop = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with served(build_vector_app(fs)) as port:
        first, second = list_code(CLIENT, "python")
        names: dict[str, Any] = {}
        exec(to_server(first, port), names)
        assert names["view"].name == "late_arrivals"
        awaited = compile(to_server(second, port), "client.md", "exec", of_one_event_loop)
        asyncio.run(eval(awaited, names))
        assert isinstance(names["client"], spark_fs.AsyncClient)


def to_server(example: str, port: int) -> str:
    """An example that asks a server on another port."""
    assert "127.0.0.1:8080" in example
    return example.replace("127.0.0.1:8080", f"127.0.0.1:{port}")


def test_every_block_is_of_a_language_that_is_looked_at() -> None:
    found = {
        language
        for document in DOCUMENTS
        for language in re.findall(r"^ *```(\w+)", document.read_text(), re.MULTILINE)
    }
    assert found <= {
        "python",
        "yaml",
        "console",
        "text",
        "sql",
    }  # console: of the generated page; text: the code of others


@pytest.mark.parametrize(
    "document", [d for d in DOCUMENTS if list_code(d, "yaml")], ids=lambda d: d.stem
)
def test_every_yaml_block_is_a_pipeline(document: Path) -> None:
    for block in list_code(document, "yaml"):
        assert Pipeline.of(yaml.safe_load(block)).steps


WIDEST = 89  # letters that the column of a page shows without scrolling
PRINTED = DOCS / "tutorials" / "flights.md"  # whose output is as the program prints it


def test_code_is_as_wide_as_its_column() -> None:
    pages = [page for page in DOCUMENTS if page != PRINTED]
    lines = [
        line for page in pages for block in list_blocks(page) for line in block.text.splitlines()
    ]
    assert not [line for line in lines if len(line) > WIDEST]


def test_every_command_of_the_documents_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    own = {
        name: {o for p in command.params for o in p.opts}
        for name, command in typer.main.get_command(app).commands.items()
    }  # type: ignore[attr-defined] # a group
    seen = 0
    for document in DOCUMENTS:
        for line in list_commands(document):
            words = line.split()
            if words[0] == "make":
                assert words[1] in targets, line
            elif words[0] == "spark-fs":
                assert words[1] in own, line
                assert {w.split("=")[0] for w in words if w.startswith("--")} <= own[words[1]], line
            elif words[0] == "spark-submit" and (
                job := next((w for w in words if w.startswith("jobs/") and w.endswith(".py")), None)
            ):
                text = (ROOT / job).read_text()
                assert {w for w in words[words.index(job) :] if w.startswith("--")} <= set(
                    re.findall(r"--[a-z-]+", text)
                ), line
            seen += 1
    assert seen > 40


def test_the_page_of_the_command_line_is_the_one_of_today(tmp_path: Path) -> None:
    page = tmp_path / "cli.md"
    command = [
        sys.executable,
        "-m",
        "typer",
        "spark_fs.cli",
        "utils",
        "docs",
        "--name",
        "spark-fs",
        "--title",
        "Command line",
        "--output",
        str(page),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert page.read_text() == (ROOT / "docs" / "reference" / "cli.md").read_text(), (
        "make docs writes it anew"
    )


def test_errors_stand_under_their_exact_text() -> None:
    """Each heading of the page is what a message of the source begins with, or says, its values filled in."""
    said = [*texts(ROOT / "Makefile")]
    for file in (ROOT / "spark_fs").rglob("*.py"):
        said += texts(file)
    headings = re.findall(r"^### (.*)", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    unsaid = headings
    for pattern in said:
        told = re.compile(pattern)
        unsaid = [
            heading
            for heading in unsaid
            if not (told.search(heading) or heading in pattern.replace("\\", ""))
        ]
    assert not unsaid
    assert len(headings) > 12


def texts(file: Path) -> list[str]:
    """The texts of a file as patterns, a value in them being anything; the beginnings of long ones too."""
    if file.suffix != ".py":
        return []
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [
                re.escape(each.value) if isinstance(each, ast.Constant) else ".+"
                for each in node.values
            ]
            whole = "".join(parts)
            found += [f"^{whole}"] if len(re.sub(r"\.\+", "", whole)) > 15 else []
            found += [
                f"^{''.join(parts[:n])}$"
                for n in range(2, len(parts))
                if len("".join(parts[:n])) > 25
            ]
            first = whole.split(re.escape(". "))[0]
            found += [f"^{first}$"] if len(first.replace(".+", "")) > 15 else []
            found += [
                re.escape(each.value.strip())
                for each in node.values
                if isinstance(each, ast.Constant) and len(each.value.strip()) > 15
            ]
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 15
        ):
            found.append(re.escape(node.value))
    return found


def test_the_page_of_settings_names_every_one() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    table = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert table == [each.name for each in fields(Settings)]


def test_the_page_of_metrics_names_every_one(tmp_path: Path) -> None:
    page = (DOCS / "reference" / "metrics.md").read_text()
    named = re.findall(r"^\| `(spark_fs_\w+)` \|", page, re.MULTILINE)
    stores = spark_fs.login({"home": tmp_path}).get_feature_store()._stores
    collectors = (FreshnessCollector(stores), OnlineServerCollector(stores))
    kept = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in ServingMetrics(collectors).registry.collect()
    }
    now = datetime.now(UTC)
    run = PipelineRun("1", "hourly", now, now, now, "finished", (StepRecord("sync", "finished"),))
    file = tmp_path / "metrics.prom"
    MetricsListener(file).on_end(run, None)
    written = set(re.findall(r"^# TYPE (\w+) ", file.read_text(), re.MULTILINE))
    assert sorted(named) == sorted(kept | written)


def test_architecture_names_every_room() -> None:
    text = (
        (ROOT / "ARCHITECTURE.md").read_text().split("## The rooms")[1].split("A room imports")[0]
    )
    rooms = {
        path.stem
        for path in (ROOT / "spark_fs").iterdir()
        if not path.name.startswith("_") and path.suffix in ("", ".py")
    }
    assert rooms - {"py"} == {name for name in rooms if re.search(rf"\b{name}\b", text)}


def test_the_walks_that_are_drawn_name_files_and_count_their_changes_of_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    walks = re.findall(r"^- .+ \((\d+) changes of room\): (.+)$", text, re.MULTILINE)
    at_most = (30, 20, 12, 10)
    for (count, walk), bar in zip(walks, at_most, strict=True):
        rooms = []
        for visit in walk.split(" > "):
            room, names = re.fullmatch(r"`(\w+)` ([\w/, ]+)", visit).groups()  # type: ignore[union-attr]
            missing = [
                name
                for name in names.split(", ")
                if not (ROOT / "spark_fs" / room / f"{name}.py").is_file()
            ]
            assert not missing, f"{room}: {missing}"
            rooms.append(room)
        changes = sum(one != other for one, other in pairwise(rooms))
        assert changes == len(rooms) - 1 == int(count), walk
        assert changes <= bar, walk


def test_the_changelog_names_what_users_call() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    groups = Group, GroupDefinition, TableGroup, BuiltGroup, WrittenGroup, FeatureGroup
    views = (
        FeatureView,
        TrainingDataMixin,
        TrainingFilesMixin,
        TrainingDatasetsMixin,
        TrainingSplitsMixin,
        TrainingUpkeepMixin,
        BatchScoringMixin,
        FeatureVectorsMixin,
        InferenceHelpersMixin,
        ServingMixin,
        VectorTransformsMixin,
        ViewContentsMixin,
    )
    kinds = (
        FeatureStore,
        GroupStore,
        GroupCreation,
        ExternalGroupCreation,
        *groups,
        *views,
        Selection,
        Query,
        ModelRegistry,
        Model,
    )
    called = [
        name
        for kind in kinds
        for name in vars(kind)
        if not name.startswith("_")
        and callable(getattr(kind, name))
        and not isinstance(getattr(kind, name), Refused)
    ]
    properties = {
        name for kind in kinds for name, value in vars(kind).items() if isinstance(value, property)
    }
    unsaid = {name for name in called if not re.search(rf"\b{name}\b", text)} - properties
    assert unsaid <= {"check", "plan", "spec", "view_of", "get_source"}


def list_missing_tests(cell: str) -> list[tuple[str, str]]:
    """Those that a cell names and that are not there: a file below tests/, and after a colon functions of it."""
    missing = []
    for file, names in re.findall(r"`([\w/]+\.py)`(?:: ((?:`test_\w+`(?:, )?)+))?", cell):
        text = (ROOT / ("" if file.startswith("benchmarks/") else "tests") / file).read_text()
        functions = re.findall(r"`(\w+)`", names)
        missing += [(file, name) for name in functions if f"def {name}(" not in text]
    return missing


def test_the_tests_that_the_table_of_faults_names_are_there() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    rows = re.findall(r"^\| [A-E]\d+\b.*\|$", text, re.MULTILINE)
    assert len(rows) >= 53
    serving = text.split("### Serving, fault by fault")[1].split("\n## ")[0]
    of_serving = [line for line in serving.splitlines() if line.startswith("| ")][1:]
    assert len(of_serving) == 9
    for row in rows + of_serving:
        cell = row.split(" | ")[-1]
        assert not list_missing_tests(cell)
        assert ".py`" in cell or ".md" in cell, row


def test_who_is_trusted_with_what_is_said() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    doors = [
        "metadata database",
        "warehouse",
        "online",
        "models",
        "serve",
        "ui",
        "pipeline",
        "notebook",
        "report",
    ]
    assert not [door for door in doors if door not in text.lower()]
    assert "runs code" in text or "run code" in text
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text()
    assert "security.md" in (ROOT / "mkdocs.yml").read_text()
