"""Tasks in threads of this process: their errors come as they are, what is stopped stops, and nothing is left."""

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from spark_fs.engine import local_progress
from spark_fs.engine.engines import EngineChoice, Engines
from spark_fs.engine.local_progress import ProgressBar
from spark_fs.engine.local_runner import LocalRows, LocalRunner
from spark_fs.engine.memory import MemoryWatch
from spark_fs.engine.runner import NUMBER, Runner
from spark_fs.engine.task_cache import forget_all, remember_last
from spark_fs.engine.threads import THREAD_NAME, map_in_threads, run_in_threads
from spark_fs.errors import MemoryLimitError, SparkFSError

Batches = Iterable[pa.RecordBatch]
TYPES = {NUMBER: "bigint"}


def list_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == THREAD_NAME]


def loop_forever() -> None:
    while True:
        time.sleep(0.01)


def refuse_spark() -> None:
    raise AssertionError("Spark was asked for.")


def double(batches: Batches) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.record_batch([pa.array([2 * n for n in batch.column(0).to_pylist()])], [NUMBER])


def numbers(rows: LocalRows) -> list[int]:
    return rows.collect().column(NUMBER).to_pylist()  # type: ignore[no-any-return] # Arrow's


@pytest.mark.parametrize("threads", [1, 3])
def test_parts_come_in_their_order_whoever_is_first(threads: int) -> None:
    runner = LocalRunner(threads)

    def wait(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            time.sleep(0.002 * (9 - batch.column(0)[0].as_py()))
            yield batch

    rows = runner.number_tasks(10)
    assert numbers(rows.map_batches(wait, TYPES)) == list(range(10))
    assert numbers(rows.map_batches(double, TYPES).union(rows)) == [
        *range(0, 20, 2),
        *range(10),
    ]
    assert numbers(rows.coalesce(3)) == list(range(10))
    assert numbers(runner.number_tasks(0)) == []
    assert list_threads() == []


def test_a_part_holds_the_rows_of_its_number() -> None:
    runner = LocalRunner(2)
    placed = runner.number_tasks(7, 3).map_batches(place, {**TYPES, "place": "int"})

    def count(batches: Batches) -> Iterator[pa.RecordBatch]:
        found = [n for batch in batches for n in batch.column(0).to_pylist()]
        yield pa.record_batch([pa.array([found], pa.list_(pa.int64()))], [NUMBER])

    counted = placed.repartition(4, "place").map_batches(count, {NUMBER: "array<bigint>"})
    assert counted.collect().column(NUMBER).to_pylist() == [[0, 3, 6], [1, 4], [2, 5], []]


def place(batches: Batches) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        places = pa.array([n % 3 for n in batch.column(0).to_pylist()], pa.int32())
        yield pa.record_batch([batch.column(0), places], [NUMBER, "place"])


def test_an_error_of_a_task_ends_the_others_and_arrives_as_itself() -> None:
    error = ZeroDivisionError("of a user's function")

    def fail() -> None:
        time.sleep(0.05)
        raise error

    started = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="of a user's function") as caught:
        run_in_threads([loop_forever, fail, loop_forever], 3, lambda _: None)
    assert caught.value is error
    assert time.monotonic() < started + 1
    assert list_threads() == []


def test_what_swallows_the_stop_once_is_stopped_again() -> None:
    def swallow() -> None:
        try:
            loop_forever()
        except BaseException:
            loop_forever()

    def look(_: int) -> None:
        raise SparkFSError("enough")

    with pytest.raises(SparkFSError, match="enough"):
        run_in_threads([swallow], 1, look)
    assert list_threads() == []


def test_threads_of_a_task_end_with_it() -> None:
    begun = threading.Semaphore(0)

    def swallow_twice(_: int) -> None:
        for _ in range(2):
            try:
                begun.release()
                loop_forever()
            except BaseException:  # what a library may do
                continue
        loop_forever()

    def look(_: int) -> None:
        if begun.acquire(timeout=5):
            raise SparkFSError("enough")

    nested = [lambda: map_in_threads(swallow_twice, range(3), 3) for _ in range(2)]
    with pytest.raises(SparkFSError, match="enough"):
        run_in_threads(nested, 2, look)
    assert list_threads() == []


FAILING_IN_THREADS = """
import random
import time

from spark_fs.engine.threads import map_in_threads, run_in_threads

def fail_at_times(number):
    time.sleep(random.random() / 500)
    if random.random() < 0.3:
        raise ArithmeticError

def start_threads():
    for _ in range(5):
        map_in_threads(fail_at_times, range(4), 2)

for _ in range(400):
    try:
        run_in_threads([start_threads] * 4, 2, lambda _: None)
    except ArithmeticError:
        pass
"""


def test_a_task_that_is_stopped_as_it_starts_threads_waits_for_none_for_ever() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", FAILING_IN_THREADS], capture_output=True, text=True, timeout=120
    )
    assert (finished.returncode, finished.stderr) == (0, "")


INTERRUPTED = """
import os, signal, sys, tempfile, threading, time
import numpy as np
from spark_fs.engine.local_progress import ProgressBar
from spark_fs.engine.local_runner import LocalRunner

def work(batches):
    for batch in batches:
        while True:
            np.sort(np.random.default_rng(1).random(200_000))
            yield batch

rows = LocalRunner(2).number_tasks(5).map_batches(work, {"number": "bigint"})
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
started = time.monotonic()
try:
    rows.collect()
except KeyboardInterrupt:
    seconds = time.monotonic() - started - 0.5
    assert seconds < 1, seconds
    assert [t.name for t in threading.enumerate()] == ["MainThread"], threading.enumerate()
    print("ended")
"""


def test_an_interrupt_ends_a_run_within_a_second_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.stdout, found.stderr) == ("ended\n", "")
    assert list(tmp_path.iterdir()) == []


# -- memory


def hoard(batches: Batches) -> Iterator[pa.RecordBatch]:
    """A gigabyte, 8 MB at a time."""
    kept = []
    for batch in batches:
        for _ in range(128):
            kept.append(np.ones(1 << 20))
            time.sleep(0.005)
        yield batch


def read_hoard(runner: Runner) -> int:
    return runner.number_tasks(1).map_batches(hoard, TYPES).collect().num_rows


def test_a_run_stops_before_it_takes_more_than_it_may() -> None:
    watch = MemoryWatch(200 << 20)
    with pytest.raises(
        MemoryLimitError, match=r"more than 200 MB of memory \(setting local_memory\): raise"
    ):
        read_hoard(LocalRunner(1, watch))
    assert list_threads() == []


def test_what_was_taken_in_the_end_counts_too() -> None:
    rows = LocalRunner(1, MemoryWatch(1 << 20)).number_tasks(1 << 20, 1)
    with pytest.raises(MemoryLimitError, match="more than 1 MB"):
        rows.map_batches(double, TYPES).collect()


class SparkInstead(Engines):
    """Where Spark is asked for, a local runner without a limit stands in."""

    def get_runner(self, engine: str) -> Runner:  # type: ignore[override] # of the two names
        return LocalRunner(1) if engine == "spark" else super().get_runner("local")


def test_spark_goes_on_where_nobody_asked_for_the_local_engine() -> None:
    engines = SparkInstead(refuse_spark, "auto", 200 << 20)  # type: ignore[arg-type] # never asked
    choice = EngineChoice("local", "it is small")
    with pytest.warns(UserWarning, match=r"local engine stopped .* 200 MB .*; Spark does it"):
        assert engines.run(choice, read_hoard) == 1
    with pytest.raises(MemoryLimitError, match="200 MB"):
        engines.with_request("local").run(choice, read_hoard)


# -- what tasks share


def test_what_several_tasks_need_is_computed_once_and_forgotten() -> None:
    computed = []

    @remember_last
    def compute(key: int) -> list[int]:
        computed.append(key)
        time.sleep(0.05)
        return [key]

    found = run_in_threads([lambda: compute(7)] * 4, 4, lambda _: None)
    assert computed == [7]
    assert found == [[7]] * 4
    for key in range(5):
        compute(key)
    compute(4)
    compute(7)  # five came after it
    assert computed == [7, 0, 1, 2, 3, 4, 7]

    def share(batches: Batches) -> Iterator[pa.RecordBatch]:
        compute(8)
        yield from batches

    LocalRunner(2).number_tasks(4).map_batches(share, TYPES).collect()
    LocalRunner(2).number_tasks(4).map_batches(share, TYPES).collect()
    assert computed[-2:] == [8, 8]
    forget_all()


def test_what_failed_to_compute_is_tried_again() -> None:
    attempts = []

    @remember_last
    def compute(key: str) -> str:
        attempts.append(key)
        if len(attempts) == 1:
            raise SparkFSError("not yet")
        return key

    with pytest.raises(SparkFSError, match="not yet"):
        compute("a")
    assert compute("a") == "a"


# -- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watch(bar: ProgressBar, monkeypatch: pytest.MonkeyPatch, screen: io.StringIO) -> str:
    """What a run of two rounds shows."""
    monkeypatch.setattr(sys, "stderr", screen)
    for known in (7, 3):
        for done in range(known):
            bar.update(done, known)
        bar.close()
    return screen.getvalue()


def test_a_run_that_takes_its_time_shows_how_far_it_is_where_somebody_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert watch(ProgressBar(), monkeypatch, Terminal()) == ""  # it is quick
    monkeypatch.setattr(local_progress, "_QUIET_SECONDS", 0)
    shown = watch(ProgressBar(), monkeypatch, Terminal())
    assert "local engine" in shown
    assert "6/7" in shown
    assert "2/3" in shown
    assert watch(ProgressBar(), monkeypatch, io.StringIO()) == ""
    assert watch(ProgressBar(is_wanted=False), monkeypatch, Terminal()) == ""
    assert not any("rich" in name.lower() for name in list_all_threads())


def list_all_threads() -> list[str]:
    return [type(thread).__module__ for thread in threading.enumerate()]
