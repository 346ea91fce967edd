"""Every job of spark-submit on the toy system, the state that it leaves, and processes to kill under it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import spark_fs

from conftest import ROOT
from standalone import Alone, Cluster, Place, run

# In this order each finds what it needs: the jobs of jobs/, and training data as files.
JOBS: Mapping[str, list[str]] = {
    "backfill": [
        "jobs/backfill.py",
        "--pipeline",
        "toy",
        "--start",
        "2024-01-01",
        "--end",
        "2024-01-05",
        "--chunk",
        "1d",
    ],
    "incremental": ["jobs/incremental.py", "--pipeline", "toy", "--until", "2024-01-06"],
    "sync_online": ["jobs/sync_online.py"],
    "training": ["tests/toy/train.py"],
    "select_features": ["jobs/select_features.py", "--view", "toy", "--k", "3", "--name", "chosen"],
    "monitor": [
        "jobs/monitor.py",
        "--group",
        "readings",
        "--now",
        "2024-01-06",
        "--current",
        "1d",
        "--reference",
        "3d",
        "--threshold",
        "psi=100",
    ],
    "maintain": ["jobs/maintain.py", "--retention-hours", "0", "--force"],
    "run_pipeline": [
        "jobs/run_pipeline.py",
        "tests/toy/hourly.yaml",
        "--until",
        "2024-01-06T06:00",
    ],
}
State = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """Where jobs run: how a job is started, and how it runs to its end."""

    home: Path
    place: Place = field(default_factory=Alone)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "SPARK_FS_HOME": str(self.home),
            "SPARK_FS_ENGINE": "spark",  # whose workers and executors are killed
            "PYTHONPATH": str(ROOT / "tests"),
        }

    def run(self, job: str) -> subprocess.CompletedProcess[str]:
        """A job to its end."""
        return run(self.place, JOBS[job], self.settings)

    def start(self, job: str, log: Path) -> subprocess.Popen[bytes]:
        """A job in a process group of its own."""
        command, env = self.place.command(*JOBS[job]), self.place.environment(self.settings)
        with log.open("wb") as out:
            return subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True
            )


def state(home: Path) -> State:
    """What a store holds, as plain values; of views and datasets that a killed job began, only what is whole."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    found: State = {}
    for group in fs.get_feature_groups():
        identity = [*group.primary_key, *([group.event_time] if group.event_time else [])]
        found[group.name] = group.read("pandas").sort_values(identity, ignore_index=True)
        found[f"{group.name} watermark"] = group.watermark
    found["online"] = online(home)
    for view in {
        view.name: view for view in fs.get_feature_views()
    }.values():  # the newest version of each
        found[f"{view.name} features"] = list(view.schema)
        whole = [each for each in view.get_training_datasets() if each.state == "finished"]
        if whole and view.name == "toy":
            found["training"] = list(view.get_train_test_split(whole[-1].version))
    if "readings" in found:
        history = fs.get_feature_group("readings", 1).get_drift_history()
        found["drift"] = history[-1].features if history else None
    runs = fs.get_runs()
    found["run"] = runs and (runs[0].state, runs[0].until)
    return found


def online(home: Path) -> dict[str, list[Any]]:
    """The rows of each online table."""
    path = home / "online.db"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as connection:
        names = [
            n
            for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not n.startswith("_")
        ]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}")) for name in names}


def same(found: State, wanted: State) -> None:
    """Assert that two states are equal."""
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found[name], value, obj=name)
        elif name == "training":
            for one, another in zip(found[name], value, strict=True):
                pd.testing.assert_frame_equal(one, another, obj=name)
        elif name == "online":
            assert found[name] == value, name
        else:
            assert found[name] == value, name


def restored(snapshot: Path, home: Path) -> None:
    """Put a store back as it was."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(snapshot, home)


# -- who is killed


def everyone(_run: subprocess.Popen[bytes]) -> list[int]:
    """The driver: its JVM and its Python, which are one process group."""
    return []


def python_workers(run: subprocess.Popen[bytes]) -> list[int]:
    """The processes that Python tasks run in, under a local driver: children of its daemon."""
    daemons = [pid for pid in _descendants(run.pid) if b"pyspark.daemon" in _command(pid)]
    return [pid for pid in daemons if _parent(pid) in daemons]


def cluster_workers(cluster: Cluster) -> Callable[[subprocess.Popen[bytes]], list[int]]:
    """The processes that Python tasks run in, under the executors."""

    def found(_run: subprocess.Popen[bytes]) -> list[int]:
        daemons = [
            pid
            for worker in cluster.facts["pids"]
            for pid in _descendants(worker)
            if b"pyspark.daemon" in _command(pid)
        ]
        return [pid for pid in daemons if _parent(pid) in daemons]

    return found


def busy_executors(cluster: Cluster) -> Callable[[subprocess.Popen[bytes]], list[int]]:
    """The JVMs of executors that have tasks at this moment, as the driver's page tells."""

    def found(_run: subprocess.Popen[bytes]) -> list[int]:
        with suppress(OSError, ValueError, KeyError):
            (app,) = _asked(f"{cluster.facts['page']}/json/")["activeapps"]
            for port in range(4040, 4050):
                with suppress(OSError, ValueError):
                    executors = _asked(
                        f"http://127.0.0.1:{port}/api/v1/applications/{app['id']}/executors"
                    )
                    busy = [
                        each["id"]
                        for each in executors
                        if each["activeTasks"] and each["id"] != "driver"
                    ]
                    return [pid for number in busy for pid in _executor(cluster, app["id"], number)]
        return []

    return found


def _executor(cluster: Cluster, app: str, number: str) -> list[int]:
    pids = [pid for worker in cluster.facts["pids"] for pid in _descendants(worker)]
    marks = [f"--executor-id\0{number}\0".encode(), app.encode(), b"CoarseGrainedExecutorBackend"]
    return [pid for pid in pids if all(mark in _command(pid) for mark in marks)]


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return json.load(answer)


def killed(
    run: subprocess.Popen[bytes],
    victims: Callable[[subprocess.Popen[bytes]], list[int]],
    after: float,
    draw: Any,
) -> bool:
    """Wait, then kill the driver, or the first victim there is from then on; whether one was killed before the job ended."""
    time.sleep(after)
    if victims is everyone:
        if run.poll() is not None:
            return False
        os.killpg(run.pid, signal.SIGKILL)
        return True
    while run.poll() is None:
        if found := victims(run):
            with suppress(ProcessLookupError):
                os.kill(draw.choice(found), signal.SIGKILL)
                return True
        time.sleep(0.02)
    return False


def living(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    stats = {int(each.name): _stat(int(each.name)) for each in Path("/proc").glob("[0-9]*")}
    return [pid for pid, (state, _, of) in stats.items() if of == group and state != "Z"]


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*"):
        children.setdefault(_parent(int(each.name)), []).append(int(each.name))
    found, due = [], [pid]
    while due:
        more = children.get(due.pop(), [])
        found += more
        due += more
    return found


def _parent(pid: int) -> int:
    return _stat(pid)[1]


def _stat(pid: int) -> tuple[str, int, int]:
    """The state of a process, its parent and its group."""
    try:
        state, parent, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
        return state, int(parent), int(group)
    except (OSError, ValueError):
        return "", -1, -1


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
