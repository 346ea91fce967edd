"""A day of hourly runs, unattended: late rows, kills, readers beside them. At its end nothing is lost, and disk and memory are flat.

SPARK_FS_HOURS: how many hours (24).
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_store import FeatureStore

from conftest import ONLINE, ROOT, first_quick, online_store
from oracles import same_rows
from toy import groups

HOURS = int(os.environ.get("SPARK_FS_HOURS", "24"))
FIRST = pd.Timestamp("2024-01-01", tz="UTC")


class Runner:
    """A process that runs the pipeline for each hour it is told of; it may be killed, and another takes its place."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self.env, self.log, self.started = env, log, 0
        self.process: subprocess.Popen[str] | None = None

    def begin(self) -> "subprocess.Popen[str]":
        if self.process is None or self.process.poll() is not None:
            command = [
                sys.executable,
                str(Path(__file__).with_name("hours.py")),
                str(ROOT / "tests" / "toy" / "hourly.yaml"),
            ]
            with self.log.open("a") as log:
                self.process = subprocess.Popen(
                    command,
                    env=self.env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
            self.started += 1
            assert self._said() == "ready"
        return self.process

    def hour(self, until: str) -> list[str]:
        """An hour, to its end."""
        self.tell(until)
        return self._said().split()

    def tell(self, until: str) -> None:
        stdin = self.begin().stdin
        assert stdin
        stdin.write(f"{until}\n")
        stdin.flush()

    def kill(self) -> None:
        assert self.process
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def _said(self) -> str:
        """The next line of the runner's own; Delta prints others."""
        assert self.process
        assert self.process.stdout
        while line := self.process.stdout.readline():
            if line.split()[:1] and line.split()[0] in ("ready", "finished", "failed", "differs"):
                return line.strip()
        return ""


def stored(home: Path) -> tuple[int, int]:
    """The bytes of the rows' files, and of all else in a store: logs, statistics, metadata; MariaDB's aside."""
    rows = rest = 0
    for file in home.rglob("*"):
        if file.is_file():
            held = file.stat().st_size
            rows, rest = (
                (rows + held, rest)
                if file.suffix == ".parquet" and "_delta_log" not in file.parts
                else (rows, rest + held)
            )
    return rows, rest


@pytest.mark.parametrize("kind", first_quick(ONLINE[:0:-1] or ONLINE, 1, ci=1))  # the servers
def test_a_day_of_hourly_runs(kind: str, tmp_path: Path, spark: SparkSession) -> None:
    with online_store(kind, tmp_path) as fs:
        url = fs._stores.settings.online_url.get_secret_value()
        env = {
            **os.environ,
            "SPARK_FS_HOME": str(tmp_path),
            "SPARK_FS_ONLINE_URL": url,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        }
        runner, draw = Runner(env, tmp_path.with_name("runner.log")), random.Random(4)
        assert runner.hour((FIRST + timedelta(hours=1)).isoformat())[:1] == ["finished"], (
            runner.log.read_text()[-3_000:]
        )
        over, reads, wrong = threading.Event(), [0] * 4, []
        fs.create_feature_view(
            "served", fs.get_feature_group("readings", 1).select(["v0", "v1", "v2", "v3", "v4"])
        )

        def read(number: int) -> None:
            """A row is never torn: its features follow from one number; and never older than one that was read before."""
            own = fs.get_feature_view("served", 1)
            own.init_serving()
            mine = random.Random(number)
            while not over.is_set():
                try:
                    (vector,) = own.get_feature_vectors(
                        [{"meter": mine.randrange(groups.METERS // 10) * 10 + 1}]
                    )  # one whose first row is not late
                except Exception as error:
                    wrong.append(repr(error))
                    return
                if not torn(vector):
                    reads[number] += 1
                else:
                    wrong.append(vector)
                    return
                time.sleep(0.01)

        readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
        for reader in readers:
            reader.start()
        sizes, memory, killed = [], [], 0
        try:
            for hour in range(2, HOURS + 1):
                until = (FIRST + timedelta(hours=hour)).isoformat()
                if draw.random() < 0.25:  # killed somewhere in the hour
                    runner.tell(until)
                    time.sleep(draw.uniform(0.2, 8.0))
                    runner.kill()
                    killed += 1
                if (
                    draw.random() < 0.15
                ):  # the machine was off: this hour is caught up with by the next
                    continue
                state, python, jvm = runner.hour(until)
                assert state == "finished", fs.get_runs("toy", 1)
                sizes.append(stored(tmp_path))
                memory.append((int(python), int(jvm), runner.started))
            last = (FIRST + timedelta(hours=HOURS)).isoformat()
            assert runner.hour(last)[0] == "finished"
        finally:
            over.set()
            for reader in readers:
                reader.join()
            runner.kill()
        assert not wrong, wrong[:3]
        assert min(reads) > 0
        assert killed or HOURS < 8
        readings = fs.get_feature_group("readings", 1)
        missed = lost(readings.read("pandas"), last)
        assert not missed, f"{missed} rows that came at most four hours late are not there"
        assert all(found.ok for found in fs.verify_online(now=last))
        assert {run.state for run in fs.get_runs("toy", 1)} == {"finished"}
        kept, least = rows_alone(fs, tmp_path, until=last)
        print(
            f"{HOURS} hours, {killed} kills, {sum(reads):,} vectors read; store (rows, rest)"
            f" {sizes[0]} to {sizes[-1]} bytes; the rows alone {kept}, built at once {least}"
        )
        print(f"Python, JVM (kB) and process, hour by hour: {memory}")
        assert kept < 1.1 * least
        flat(sizes, memory)


def torn(vector: list[float]) -> bool:
    """Whether the features are not those of one reading: each is (number x (i + 2)) modulo 1,009, over eight."""
    number = round(vector[1] * 8) * pow(3, -1, 1_009) % 1_009
    return vector != [number * (i + 2) % 1_009 / 8 for i in range(5)]


def lost(found: pd.DataFrame, until: str) -> int:
    """How many rows are not there: each run takes in what came late within its lateness; longer ago nothing was later than four hours."""
    wanted = groups.expected(FIRST.isoformat()[:19], until[:19], until[:19])
    settled = wanted[wanted["read_at"] < pd.Timestamp(until) - groups.LATEST]
    there = found[found["read_at"] < pd.Timestamp(until) - groups.LATEST]
    same_rows(there, settled, ["meter", "read_at"])
    return len(wanted) - len(found)


def rows_alone(fs: FeatureStore, home: Path, until: str) -> tuple[int, int]:
    """The bytes of the rows' files without their history: of this store, and of one that is built at once."""
    once = spark_fs.login({"home": home.with_name("at_once")}).get_feature_store()
    for declare, build in groups.PIPELINE.items():
        declare(once).backfill(build, FIRST.to_pydatetime(), pd.Timestamp(until).to_pydatetime())
        for store in (fs, once):
            declare(store).optimize()
            declare(store).vacuum(0, force=True)
    return stored(home)[0], stored(home.with_name("at_once"))[0]


def flat(sizes: list[tuple[int, int]], memory: list[tuple[int, int, int]]) -> None:
    """What runs leave beside rows is the same for each hour, and memory does not grow, once the first hours are over."""
    if len(sizes) < 10:
        return
    half = len(sizes) // 2
    assert sum(sizes[-1]) < 3 * max(
        sum(sizes[half]), 1
    )  # twice the rows, and some of history that maintenance has not reached yet
    (_, first), (_, middle), (_, last) = sizes[0], sizes[half], sizes[-1]
    assert last - middle < 1.5 * (middle - first)
    by_process: dict[int, list[tuple[int, int]]] = {}
    for python, jvm, process in memory:
        by_process.setdefault(process, []).append((python, jvm))
    longest = max(by_process.values(), key=len)
    if len(longest) >= 6:
        settled, end = longest[len(longest) // 2], longest[-1]
        assert end[0] < 1.25 * settled[0]  # Python's peak
        assert end[1] < 1.35 * settled[1]  # the JVM's resident memory
