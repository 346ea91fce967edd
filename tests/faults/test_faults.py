"""What survives a kill, and many writers: ``make faults``. Slow, so not part of the quick suite."""

import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs

from oracles import same_rows

PIPELINE = str(Path(__file__).with_name("pipeline.py"))
TRIALS = int(os.environ.get("SPARK_FS_KILLS", "20"))
COMMITS = 50 if TRIALS >= 10 else 15


def start(*arguments: str, within: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A process of its own, with a JVM of its own, in a group that can be killed whole."""
    command = [*within, sys.executable, PIPELINE, *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def table(home: Path) -> pd.DataFrame:
    found: pd.DataFrame = (
        spark_fs.login({"home": home})
        .get_feature_store()
        .get_feature_group("hours", 1)
        .read("pandas")
    )
    return found


@pytest.fixture(scope="module")
def clean(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> tuple[pd.DataFrame, float]:
    """The table of a run that nothing disturbed, and how long the run took."""
    home = tmp_path_factory.mktemp("clean")
    began = time.monotonic()
    run = start("backfill", str(home))
    run.communicate()
    assert run.returncode == 0
    return table(home), time.monotonic() - began


def test_a_killed_backfill_ends_in_the_table_of_a_clean_run(
    clean: tuple[pd.DataFrame, float], tmp_path: Path, spark: SparkSession
) -> None:
    wanted, seconds = clean
    assert len(wanted) == 50 * 24 * 6
    draw = random.Random(1)
    home, resumed = tmp_path, 0
    for trial in range(TRIALS):
        place = home / str(trial)
        run = start("backfill", str(place))
        assert run.stdout
        done = sum(
            "inserted" in run.stdout.readline() for _ in range(draw.randint(0, 6))
        )  # so many chunks in, whatever the machine's speed
        time.sleep(draw.uniform(0.0, 1.0) * seconds / (12 if done else 1))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        done += run.communicate()[0].count("inserted")
        again = start("backfill", str(place))
        repeated = again.communicate()[0].count("inserted")
        assert again.returncode == 0
        resumed += 0 < done < 6 and repeated <= 7 - done
        same_rows(table(place), wanted, ["k", "t"])
    assert resumed  # some were killed in the middle, and did not start anew


def test_window_features_killed_between_their_commits_are_the_same_in_the_end(
    tmp_path: Path, spark: SparkSession
) -> None:
    home = tmp_path / "home"
    begin = start("windows", str(home), "begin")
    begin.communicate()
    assert begin.returncode == 0
    for death in ("deleted", "inserted"):
        place = tmp_path / death
        shutil.copytree(home, place)
        run = start("windows", str(place), death)
        run.communicate()
        assert run.returncode == 9
        again = start("windows", str(place))
        printed = again.communicate()[0]
        assert again.returncode == 0
        assert int(printed) == (
            2 if death == "deleted" else 1
        )  # what was committed is not done again
        fs = spark_fs.login({"home": place}).get_feature_store()
        windows = fs.get_feature_group("windows", 1)
        whole = fs.create_feature_group("whole", aggregation=windows.aggregation)
        whole.backfill("2024-01-01", "2024-01-03")
        same_rows(windows.read("pandas"), whole.read("pandas"), ["k", "t"])
        assert windows.run_incremental("2024-01-03") == []


def test_two_writers_lose_nothing(tmp_path: Path, spark: SparkSession) -> None:
    group = (
        spark_fs.login({"home": tmp_path})
        .get_feature_store()
        .create_feature_group("shared", primary_key=["k"], event_time="t")
    )
    runs = [start("write", str(tmp_path), worker, str(COMMITS)) for worker in ("1", "2")]
    printed = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    summaries = [ast.literal_eval(line) for each in printed for line in each.splitlines()]
    rows = group.read("pandas")
    assert rows.groupby("k").size().to_dict() == {0: COMMITS, 1: COMMITS, 2: COMMITS}
    assert set(rows[rows.k == 0]["v"]) <= {1, 2}
    assert not rows.duplicated(["k", "t"]).any()
    assert sum(s["inserted"] for s in summaries) == 3 * COMMITS
    assert sum(s["updated"] for s in summaries) == COMMITS
    assert sum(c.inserted for c in group.commit_details(10_000)) == 3 * COMMITS


def test_a_full_disk_refuses_a_batch_whole(tmp_path: Path, spark: SparkSession) -> None:
    mounted = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
    run = start(
        "fill",
        str(tmp_path),
        within=("unshare", "--map-root-user", "--mount", "sh", "-c", mounted, str(tmp_path)),
    )
    refused, state, summary, *_, cleared = run.communicate()[
        0
    ].splitlines()  # Delta prints a line of its own
    assert run.returncode == 0
    assert refused.startswith(
        "Nothing was inserted into feature group 'small' version 1: reading or writing the frame"
        " failed: "
    )
    assert "No space left on device" in refused
    assert state == "1000 1"  # the rows and the one commit are those of before
    assert ast.literal_eval(summary)["updated"] == 1_000
    assert cleared == "True vacuum small_1: files removed 5 1 True"
