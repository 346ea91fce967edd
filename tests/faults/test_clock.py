"""Clocks that jump, to and fro by days, while a store is written: order follows commits, not clocks."""

import os
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from clocked import JUMPS
from pyspark.sql import SparkSession

import spark_fs

from conftest import ROOT
from oracles import same_rows
from toy import groups


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that lets a process's clock jump."""
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run(
        [
            "cc",
            "-shared",
            "-fPIC",
            "-O2",
            "-o",
            library,
            Path(__file__).with_name("clock.c"),
            "-ldl",
        ],
        check=True,
    )
    return library


def test_a_clock_that_jumps_changes_nothing(
    preloaded: Path, tmp_path: Path, spark: SparkSession
) -> None:
    clock = tmp_path / "jump"
    clock.write_bytes(bytes(8))
    env = {
        **os.environ,
        "LD_PRELOAD": str(preloaded),
        "CLOCK_FILE": str(clock),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }
    home = tmp_path / "store"
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("clocked.py"), home],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    said = [int(line) for line in done.stdout.splitlines() if line.isdigit()]
    assert min(later - earlier for earlier, later in pairwise(said)) < -86_400  # it did jump
    fs = spark_fs.login({"home": home}).get_feature_store()
    readings, again = groups.readings(fs), fs.get_feature_group("again", 1)
    same_rows(
        readings.read("pandas"),
        groups.expected("2024-01-01T00:00", f"2024-01-01T{len(JUMPS):02d}:00"),
        ["meter", "read_at"],
    )
    for group in (readings, again):
        commits = group.commit_details(100)[::-1]
        assert [commit.version for commit in commits] == list(range(len(commits)))
        assert all(
            earlier.committed_at < later.committed_at for earlier, later in pairwise(commits)
        )
        for commit in commits[:: len(commits) // 3]:  # an instant still names one version
            as_of = group.as_of(commit.committed_at + timedelta(microseconds=1))
            assert len(as_of.read("pandas")) == len(group.as_of(commit.version).read("pandas"))
    assert again.read("pandas")["n"].tolist() == [
        len(JUMPS) - 1
    ]  # the one ingested last, whatever the clock said
    assert all(found.ok for found in fs.verify_online())
    watermark: pd.Timestamp = readings.watermark
    assert watermark == pd.Timestamp(f"2024-01-01T{len(JUMPS):02d}:00", tz="UTC")
