"""kill -9 in every job: of the driver, of a Python worker, of an executor. Run again, or not even that, each job ends in the same state."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import spark_fs
from jobs import (
    JOBS,
    State,
    Way,
    busy_executors,
    cluster_workers,
    everyone,
    killed,
    living,
    python_workers,
    restored,
    same,
    state,
)

from conftest import ROOT, first_quick
from standalone import Cluster

KILLS = int(os.environ.get("SPARK_FS_KILLS", "20"))
TRIALS = max(1, KILLS // 10)
# Which jobs have tasks in Python workers, and which have tasks at all: what is small is looked at by the driver.
IN_PYTHON = ("sync_online", "training", "select_features", "run_pipeline")
ON_EXECUTORS = tuple(job for job in JOBS if job != "monitor")
ALONE = [*((job, "driver") for job in JOBS), *((job, "python worker") for job in IN_PYTHON)]
ON_A_CLUSTER = [
    *((job, "executor") for job in ON_EXECUTORS),
    *((job, "python worker") for job in IN_PYTHON),
]
if KILLS < 10:
    ALONE, ON_A_CLUSTER = (
        [
            ("backfill", "driver"),
            ("run_pipeline", "driver"),
            ("training", "python worker"),
        ],
        [("run_pipeline", "executor")],
    )
NEEDED = {
    "incremental",
    *(job for job, _ in (*ALONE, *ON_A_CLUSTER)),
}  # without incremental, run_pipeline had a day of hours to build
CHAIN = [job for job in JOBS if job in NEEDED]


@dataclass(frozen=True)
class Undisturbed:
    """What each job found, what it left, and how long it took."""

    before: dict[str, Path]
    after: dict[str, State]
    seconds: dict[str, float]
    home: Path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Undisturbed:
    """The chain of the jobs that are to be killed, on this machine alone, with a copy of the store before each."""
    folder = tmp_path_factory.mktemp("kills")
    found = Undisturbed({}, {}, {}, folder / "store")
    found.home.mkdir()
    for job in CHAIN:
        found.before[job] = folder / f"before_{job}"
        shutil.copytree(found.home, found.before[job])
        began = time.monotonic()
        done = Way(found.home).run(job)
        assert done.returncode == 0, f"{job}: {done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
        found.seconds[job], found.after[job] = time.monotonic() - began, state(found.home)
    return found


@pytest.mark.parametrize("trial", range(TRIALS))
@pytest.mark.parametrize(("job", "victim"), ALONE)
def test_a_job_killed_anywhere_and_run_again(
    job: str, victim: str, trial: int, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    draw, way = random.Random(f"{job} {victim} {trial}"), Way(undisturbed.home)
    log, hit = tmp_path / "log", False
    for attempt in range(4):  # until one was hit before the job's end
        restored(undisturbed.before[job], undisturbed.home)
        after = (
            (draw.uniform(0.2, 0.95) if victim == "driver" else draw.uniform(0.0, 0.5))
            * undisturbed.seconds[job]
            / (attempt + 1)
        )
        run = way.start(job, log)
        hit = killed(run, everyone if victim == "driver" else python_workers, after, draw)
        if run.wait():  # as a scheduler does
            again = way.run(job)
            assert again.returncode == 0, (
                f"{again.stdout[-2_000:]}\n{again.stderr[-2_000:]}\nbefore that:"
                f" {log.read_text()[-2_000:]}"
            )
        same(state(undisturbed.home), undisturbed.after[job])
        if hit:
            break
    assert hit, f"no {victim} was alive at the chosen moments"


def test_a_run_that_is_told_to_end_says_so_and_gives_up_its_lock(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    restored(undisturbed.before["run_pipeline"], undisturbed.home)
    way = Way(undisturbed.home)
    command = [sys.executable, "-m", "spark_fs.cli", "run", *JOBS["run_pipeline"][1:]]
    with (
        (tmp_path / "said").open("w") as said
    ):  # not a pipe: a JVM that is still starting may hold its end for longer than the run lives
        run = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | way.settings,
            stdout=said,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    while "Pipeline toy up to" not in (tmp_path / "said").read_text():
        assert run.poll() is None
        time.sleep(0.05)
    time.sleep(4)
    run.terminate()  # as systemd does, and Kubernetes
    code = run.wait(timeout=120)
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)  # as they do with what is left of it
    assert code == 128 + signal.SIGTERM
    fs = spark_fs.login({"home": undisturbed.home}).get_feature_store()
    ended = fs.get_runs("toy")[0]
    assert (ended.state, ended.error) == ("failed", "The process was told to end.")
    assert fs._stores.catalog.get_lock_holder("toy") is None
    assert way.run("run_pipeline").returncode == 0
    same(state(undisturbed.home), undisturbed.after["run_pipeline"])


@pytest.mark.parametrize("after", first_quick([0.0, 1.0, 0.5, 2.0], 2, ci=2))
def test_a_run_that_is_told_to_end_while_its_jvm_starts_leaves_no_process(
    after: float, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "spark_fs.cli", "run", *JOBS["run_pipeline"][1:]]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | Way(tmp_path).settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: len(living(run.pid)) > 1)  # the JVM beside it
        time.sleep(after)
        run.terminate()
        assert run.wait(timeout=60) in (-signal.SIGTERM, 128 + signal.SIGTERM)
        until(lambda: not living(run.pid))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    assert (
        spark_fs.login({"home": tmp_path})
        .get_feature_store()
        ._stores.catalog.get_lock_holder("toy")
        is None
    )


def until(there: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("job", "victim"), ON_A_CLUSTER)
def test_a_job_on_a_cluster_goes_on_by_itself(
    job: str, victim: str, undisturbed: Undisturbed, cluster: Cluster, tmp_path: Path
) -> None:
    victims = (busy_executors if victim == "executor" else cluster_workers)(cluster)
    draw, way = random.Random(f"{job} {victim}"), Way(undisturbed.home, cluster)
    log, hit = tmp_path / "log", False
    for attempt in range(3):  # until one was hit before the job's end
        restored(undisturbed.before[job], undisturbed.home)
        run = way.start(job, log)
        hit = killed(
            run, victims, draw.uniform(0.0, 0.4) * undisturbed.seconds[job] / (attempt + 1), draw
        )
        assert run.wait() == 0, log.read_text()[-4_000:]
        same(state(undisturbed.home), undisturbed.after[job])
        if hit:
            break
    assert hit, f"no {victim} was alive at the chosen moments"
