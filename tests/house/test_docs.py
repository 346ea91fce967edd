"""The documents say what is true."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.model import Model
from spark_fs.api.models import ModelRegistry
from spark_fs.api.monitored import MonitoredGroup, MonitoredView
from spark_fs.api.online import ServedGroup, ServedStore
from spark_fs.api.profiled import ProfiledGroup
from spark_fs.api.project import FeatureStore
from spark_fs.api.query import Query
from spark_fs.api.scoring import Scoring
from spark_fs.api.selection import Selection
from spark_fs.api.training_data import TrainingData
from spark_fs.api.transformations import Transformations
from spark_fs.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/training_data.md", "docs/online.md", "docs/statistics.md", "docs/feature_selection.md"])
def test_the_examples_run(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for number, example in enumerate(examples):
        place = tmp_path / f"example_{number}.py"  # where the source of a function is looked for
        place.write_text(example)
        exec(compile(example, place, "exec"), {"__name__": "__main__"})
    assert examples


def test_the_readme_names_every_setting() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert table == [each.name for each in fields(Settings)]


def test_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text().split("## The rooms")[1].split("A room imports")[0]
    rooms = {path.stem for path in (ROOT / "spark_fs").iterdir() if not path.name.startswith("_") and path.suffix in ("", ".py")}
    assert rooms - {"py"} == {name for name in rooms if re.search(rf"\b{name}\b", text)}


def test_the_changelog_names_what_users_call() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    groups = ServedGroup, ProfiledGroup, MonitoredGroup, FeatureGroup
    views = FeatureView, TrainingData, Scoring, MonitoredView
    kinds = (FeatureStore, ServedStore, Transformations, *groups, *views, Selection, Query, ModelRegistry, Model)
    called = [name for kind in kinds for name in vars(kind) if not name.startswith("_") and callable(getattr(kind, name))]
    properties = {name for kind in kinds for name, value in vars(kind).items() if isinstance(value, property)}
    unsaid = {name for name in called if not re.search(rf"\b{name}\b", text)} - properties
    assert unsaid <= {"check", "plan", "spec", "view_of"}
