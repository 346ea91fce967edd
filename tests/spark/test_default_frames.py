"""The frame that a read gives where none is asked for: as the caller works, not as the package had to."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, pandas as pd, spark_fs
fs = spark_fs.login({"home": sys.argv[1], "engine": sys.argv[2]}).get_feature_store()
group = fs.get_or_create_feature_group("g", version=1, primary_key=["k"], event_time="at")
print(type(group.insert(pd.DataFrame({"k": [1], "at": [pd.Timestamp("2024-01-01")], "v": [1.0]}))).__name__)
from pyspark.sql import SparkSession
assert SparkSession.getActiveSession() is not None
print(type(group.read()).__module__.split(".")[0], type(group.select_all().read()).__module__.split(".")[0])
print(type(group.read("spark")).__module__.split(".")[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "frames"), [("auto", "pandas"), ("spark", "pyspark")])
def test_a_session_that_a_write_started_is_not_the_callers(
    engine: str, frames: str, tmp_path: Path
) -> None:
    """As in Hopsworks' Python engine, a notebook that inserts and then reads gets a pandas frame."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), engine]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n")[1:3] == [f"{frames} {frames}", "pyspark"]


THREADS = """
import sys, pandas as pd, spark_fs
from concurrent.futures import ThreadPoolExecutor
from spark_fs.tables.delta.session import get_session
session = get_session({})  # the caller's
group = spark_fs.login({"home": sys.argv[1]}).get_feature_store().create_feature_group("g", primary_key=["k"])
with ThreadPoolExecutor(1) as pool:  # in which no session is active yet
    pool.submit(group.insert, pd.DataFrame({"k": [1], "v": [1.0]})).result()
print(type(group.read()).__module__.split(".")[0])
"""


@pytest.mark.slow
def test_a_write_in_another_thread_leaves_the_callers_session_the_callers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", THREADS, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["pyspark"]
