"""A project that ``spark-fs init`` began: its pipeline, its test and its notebook run as they are."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.pipelines import load, run

from oracles import same_rows

HOUR = pd.Timedelta(hours=1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects")
    done = init(folder, "my_shop")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Project my_shop is in my_shop/. Next:\n")
    return folder / "my_shop"


def init(folder: Path, name: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "spark_fs.cli", "init", name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My Shop", "Project 'My Shop' is not a valid name"),
        ("json", "A project cannot be called 'json': a package of that name is there already"),
        ("../up", "Project '../up' is not a valid name"),
        ("taken", "is there already, and nothing was written"),
    ],
)
def test_a_name_that_will_not_do_makes_nothing(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    done = init(tmp_path, name)
    assert done.returncode == (1 if name == "taken" else 2)
    assert said in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
    assert not list((tmp_path / "taken").iterdir())


@pytest.mark.slow
def test_its_pipeline_builds_what_its_features_say(
    project: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project)
    monkeypatch.setenv("SPARK_FS_CONFIG", "conf/settings.yaml")
    fs = spark_fs.login().get_feature_store()
    pipeline = load("conf/pipelines/daily.yaml")
    assert [run(fs, pipeline, until).state for until in ("2024-01-08", "2024-01-09")] == [
        "finished"
    ] * 2
    from my_shop import groups, source  # noqa: PLC0415 # it was just made

    end = groups.shop_orders(fs).watermark
    assert end is not None
    orders = source.orders(spark, end.replace(day=1), end).toPandas()
    orders["ordered_at"] = orders["ordered_at"].dt.tz_localize("UTC").dt.floor("h") + HOUR
    amounts = orders.groupby(["shop", "ordered_at"])["amount"]
    wanted = pd.DataFrame(
        {"orders": amounts.size(), "revenue": amounts.apply(math.fsum), "largest": amounts.max()}
    ).reset_index()
    wanted = wanted[wanted["ordered_at"] < end]
    same_rows(groups.shop_orders(fs).read("pandas"), wanted, ["shop", "ordered_at"])
    assert len(groups.orders(fs).read("pandas")) == 8 * 24 * 60
    shutil.rmtree(project / ".spark_fs")


@pytest.mark.long
@pytest.mark.slow
def test_its_own_test_and_its_notebook_run(project: Path) -> None:
    env = {**os.environ, "SPARK_FS_CONFIG": "conf/settings.yaml", "PYTHONPATH": str(project)}
    run_ = [
        sys.executable,
        "-m",
        "spark_fs.cli",
        "run",
        "conf/pipelines/daily.yaml",
        "--until",
        "2024-01-08",
    ]
    for command in (run_, [sys.executable, "-m", "pytest", "-q"]):
        done = subprocess.run(
            command, cwd=project, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    notebook = nbformat.read(project / "notebooks" / "explore.ipynb", as_version=4)
    old = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(project)
    try:
        NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": str(project / "notebooks")}}
        ).execute()
    finally:
        os.environ.pop("PYTHONPATH") if old is None else os.environ.update(PYTHONPATH=old)
    vector = notebook.cells[-1].outputs[-1]["data"]["text/plain"]
    assert vector.startswith("[")
    assert len(vector.split(",")) == 3
