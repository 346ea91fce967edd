"""kill -9 in every job: of the driver, of a Python worker, of an executor. Run again, or not even that, each job ends in the same state."""

import os
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import JOBS, State, Way, busy_executors, cluster_workers, everyone, killed, python_workers, restored, same, state

from standalone import Cluster

KILLS = int(os.environ.get("SPARK_FS_KILLS", "20"))
TRIALS = max(1, KILLS // 10)
CASES = list(JOBS) if KILLS >= 10 else ["backfill", "run_pipeline"]
# Jobs of which no task runs Python.
WITHOUT_PYTHON = ("maintain",)


@dataclass(frozen=True)
class Undisturbed:
    """What each job found, what it left, and how long it took."""

    before: dict[str, Path]
    after: dict[str, State]
    seconds: dict[str, float]
    home: Path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Undisturbed:
    """The chain of jobs on this machine alone, with a copy of the store before each."""
    folder = tmp_path_factory.mktemp("kills")
    found = Undisturbed({}, {}, {}, folder / "store")
    found.home.mkdir()
    for job in JOBS:
        found.before[job] = folder / f"before_{job}"
        shutil.copytree(found.home, found.before[job])
        began = time.monotonic()
        done = Way(found.home).run(job)
        assert done.returncode == 0, f"{job}: {done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
        found.seconds[job], found.after[job] = time.monotonic() - began, state(found.home)
    return found


@pytest.mark.parametrize("trial", range(TRIALS))
@pytest.mark.parametrize("victim", ["driver", "python worker"])
@pytest.mark.parametrize("job", CASES)
def test_a_job_killed_anywhere_and_run_again(job: str, victim: str, trial: int, undisturbed: Undisturbed, tmp_path: Path) -> None:
    if victim == "python worker" and job in WITHOUT_PYTHON:
        victim = "driver"  # there is no other
    restored(undisturbed.before[job], undisturbed.home)
    draw, way = random.Random(f"{job} {victim} {trial}"), Way(undisturbed.home)
    seconds = undisturbed.seconds[job]
    after = draw.uniform(0.3, 0.95) * seconds if victim == "driver" else draw.uniform(0.0, 0.5) * seconds
    log = tmp_path / "log"
    run = way.start(job, log)
    killed(run, everyone if victim == "driver" else python_workers, after, draw)
    if run.wait():  # as a scheduler does
        again = way.run(job)
        assert again.returncode == 0, f"{again.stdout[-2_000:]}\n{again.stderr[-2_000:]}\nbefore that: {log.read_text()[-2_000:]}"
    same(state(undisturbed.home), undisturbed.after[job])


@pytest.mark.parametrize("victim", ["executor", "python worker"])
@pytest.mark.parametrize("job", CASES)
def test_a_job_on_a_cluster_goes_on_by_itself(job: str, victim: str, undisturbed: Undisturbed, cluster: Cluster, tmp_path: Path) -> None:
    if victim == "python worker" and job in WITHOUT_PYTHON:
        victim = "executor"
    victims = (busy_executors if victim == "executor" else cluster_workers)(cluster)
    draw, way = random.Random(f"{job} {victim}"), Way(undisturbed.home, cluster)
    log, hit = tmp_path / "log", False
    for attempt in range(3):  # until one was hit before the job's end
        restored(undisturbed.before[job], undisturbed.home)
        run = way.start(job, log)
        hit = killed(run, victims, draw.uniform(0.0, 0.4) * undisturbed.seconds[job] / (attempt + 1), draw)
        assert run.wait() == 0, log.read_text()[-4_000:]
        same(state(undisturbed.home), undisturbed.after[job])
        if hit:
            break
    assert hit, f"no {victim} was alive at the chosen moments"
