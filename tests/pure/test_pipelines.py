"""Pipelines as they are declared, when their steps are due, and the lock that keeps their runs apart."""

import random
import re
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import spark_fs
from spark_fs.catalog.store import Catalog
from spark_fs.errors import LockedError, NotFoundError, SettingsError
from spark_fs.pipelines import Pipeline, Step, load, run
from spark_fs.pipelines.lock import get_host_id, pipeline_lock
from spark_fs.pipelines.step_functions import STEPS, RunContext
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

from conftest import ROOT, at

LEAST: dict[str, Any] = {"name": "daily", "groups": "flights.groups", "steps": ["sync"]}


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "daily.yaml"
    file.write_text(
        "name: daily\ngroups: flights.groups\nevery: 1h\nlateness: 30m\nstart: 2024-01-01\nsteps:\n"
        "  - sync\n  - verify: {every: 6h, limit: 3}\n"
    )
    found = load(file)
    assert found == Pipeline(
        "daily",
        "flights.groups",
        (Step("sync"), Step("verify", timedelta(hours=6), {"limit": 3})),
        timedelta(hours=1),
        timedelta(minutes=30),
        start=at("01-01 00:00"),
    )


@pytest.mark.parametrize(
    "file", sorted((ROOT / "conf" / "pipelines").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_pipelines_of_this_project_are_valid(file: Path) -> None:
    assert load(file).module().PIPELINE
    assert load(file).name == file.stem


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {**LEAST, "evry": "1d"},
            r"Field 'evry' of a pipeline does not exist; did you mean 'every'\?",
        ),
        ({"name": "daily"}, "A pipeline needs groups, steps: it has name."),
        ({**LEAST, "steps": ["snyc"]}, r"Step 'snyc' does not exist; did you mean 'sync'\?"),
        (
            {**LEAST, "steps": [{"sync": {"fulll": True}}]},
            r"Step 'sync' has no option 'fulll'; did you mean 'full'\?",
        ),
        ({**LEAST, "steps": [{"sync": {"full": 1}}]}, "sync.full is 1: give true or false."),
        (
            {**LEAST, "steps": [{"verify": {"limit": True}}]},
            "verify.limit is True: give an integer.",
        ),
        ({**LEAST, "steps": [["sync"]]}, r"\['sync'\] is not a step: write its name"),
        ({**LEAST, "steps": [{"sync": 3}]}, "Step 'sync' has 3 for options: write a mapping"),
        (
            {**LEAST, "steps": []},
            r"steps is \[\]: list one step or more, of incremental, statistics,",
        ),
        ({**LEAST, "every": "1w"}, "'1w' is not a length of time: give minutes, hours or days"),
        ({**LEAST, "every": "0d"}, "every is 0: give the length of one commit"),
        ({**LEAST, "every": 5}, "every is 5: give a length of time"),
        ({**LEAST, "start": "soon"}, "'soon' is not a time"),
        ({**LEAST, "retries": -1}, "retries is -1: give a number from 0 up."),
        ({**LEAST, "retries": True}, "retries is True: give a number from 0 up."),
        ({**LEAST, "name": "Daily run"}, "Pipeline 'Daily run' is not a valid name"),
        ({**LEAST, "groups": 3}, "groups is 3: name a module"),
    ],
)
def test_what_is_not_valid_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(spark_fs.errors.SparkFSError, match=message):
        Pipeline.of(given)


def test_a_file_that_is_wrong_is_named_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "daily.yaml"
    with pytest.raises(
        SettingsError, match=r"Pipeline file .*daily.yaml cannot be read: No such file"
    ):
        load(file)
    file.write_text("name: [")
    with pytest.raises(SettingsError, match=r"Pipeline file .*daily.yaml is not YAML"):
        load(file)
    file.write_text("name: daily\n")
    with pytest.raises(
        SettingsError, match=r"Pipeline file .*daily.yaml: A pipeline needs groups, steps"
    ):
        load(file)


def test_a_module_that_is_not_there_or_declares_nothing_is_named() -> None:
    with pytest.raises(
        SettingsError,
        match=r"The module 'no_such.groups' of pipeline 'daily' cannot be imported: .* PYTHONPATH",
    ):
        Pipeline.of({**LEAST, "groups": "no_such.groups"}).module()
    with pytest.raises(SettingsError, match="The module 'json' has no PIPELINE"):
        Pipeline.of({**LEAST, "groups": "json"}).module()


@pytest.mark.parametrize(
    ("every", "delay", "now", "until"),
    [
        ("1d", "0m", at("01-31 00:00"), at("01-31 00:00")),
        ("1d", "0m", at("01-31 23:59"), at("01-31 00:00")),
        ("1d", "30m", at("01-31 00:29"), at("01-30 00:00")),
        ("1h", "30m", at("01-31 05:30"), at("01-31 05:00")),
        ("7d", "0m", datetime(1970, 1, 15, 12, tzinfo=UTC), datetime(1970, 1, 15, tzinfo=UTC)),
    ],
)
def test_a_run_ends_with_the_last_interval_that_is_complete(
    every: str, delay: str, now: datetime, until: datetime
) -> None:
    assert Pipeline.of({**LEAST, "every": every, "delay": delay}).until(now) == until


def test_the_future_cannot_be_built(tmp_path: Path) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    with pytest.raises(SettingsError, match=r"until=2999-01-01T00:00:00\+00:00 lies in the future"):
        run(fs, Pipeline.of(LEAST), "2999-01-01")
    with pytest.raises(SettingsError, match="Pipeline 'daily' has no step 'verify': it has sync"):
        run(fs, Pipeline.of(LEAST), "2024-01-01", only=["verify"])
    assert fs.get_runs() == []


# -- what is kept of runs


def a_run(number: int = 1, **more: Any) -> PipelineRun:
    return PipelineRun(
        f"{number:032x}", "daily", at("01-02 00:00"), at(f"01-02 0{number}:00"), **more
    )


def test_runs_come_back_as_they_were(tmp_path: Path) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    step = StepRecord(
        "sync", "finished", at("01-02 01:00"), 1.5, {"written": 3}, ("sync cards_1: written 3",)
    )
    first = a_run(
        1,
        ended_at=at("01-02 01:01"),
        state="failed",
        steps=(step, StepRecord("verify", "failed", error="gone")),
        error="gone",
    )
    second = a_run(2)
    for each in (second, first):
        fs._stores.catalog.save_run(each)
    assert fs.get_runs() == [second, first]
    assert fs.get_runs("daily", limit=1) == [second]
    assert fs.get_runs("hourly") == []
    assert fs.get_run(first.id) == first
    with pytest.raises(NotFoundError, match="Run '0000' cannot be shown: 2 runs begin with it"):
        fs.get_run("0000")
    with pytest.raises(NotFoundError, match="Run 'f' cannot be shown: it does not exist"):
        fs.get_run("f")
    with pytest.raises(NotFoundError, match="Run '' cannot be shown"):
        fs.get_run("")


def test_when_each_step_was_done_last_is_found_among_many_runs(catalog: Catalog) -> None:
    draw = random.Random(4)
    names, runs = ["incremental", "sync", "verify", "maintenance"], []
    for number in range(250):
        states = {
            "incremental": "finished",
            "sync": draw.choice(["finished", "differs", "failed", "skipped"]),
            "verify": "skipped",
            "maintenance": "skipped",
        }
        if number == 3:  # long ago, and not among the newest hundred
            states["verify"] = "differs"
        until = at("01-01 00:00") + timedelta(
            hours=draw.randrange(1_000), microseconds=draw.randrange(2)
        )
        runs.append(
            PipelineRun(
                f"{number:032x}",
                "daily",
                until,
                at("03-01 00:00"),
                steps=tuple(StepRecord(name, state) for name, state in states.items()),
            )
        )
        catalog.save_run(runs[-1])
    catalog.save_run(
        PipelineRun(
            "f" * 32,
            "hourly",
            at("12-01 00:00"),
            at("12-01 00:00"),
            steps=(StepRecord("maintenance", "finished"),),
        )
    )
    done = {
        name: [
            run.until
            for run in runs
            for step in run.steps
            if step.name == name and step.state in ("finished", "differs")
        ]
        for name in names
    }
    assert catalog.find_last_done("daily", names) == {
        name: max(untils) for name, untils in done.items() if untils
    }
    assert catalog.find_last_done("daily", ["sync"]) == {"sync": max(done["sync"])}


# -- where the module is looked for


def _project(folder: Path, name: str, said: str) -> None:
    (folder / f"{name}.py").write_text(f"PIPELINE = {{None: {said!r}}}\n")


@pytest.mark.parametrize("given", ["", "path: ../..", "path: [nowhere, ../..]"])
def test_a_module_is_looked_for_beside_the_file_and_where_its_path_says(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", before := list(sys.path))
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (folder := tmp_path / "conf" / "pipelines").mkdir(parents=True)
    _project(tmp_path if given else folder, name, "ours")
    (folder / "daily.yaml").write_text(f"name: daily\ngroups: {name}\nsteps: [sync]\n{given}\n")
    assert load(folder / "daily.yaml").module().PIPELINE == {None: "ours"}
    assert sys.path[: len(before)] == before  # all else comes first


def test_the_working_folder_is_not_looked_in_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.chdir(tmp_path)
    _project(tmp_path, "only_here", "theirs")
    (file := tmp_path / "conf" / "daily.yaml").parent.mkdir()
    _project(file.parent, "colorsys", "theirs")  # a module of Python that nothing has imported yet
    file.write_text("name: daily\ngroups: only_here\nsteps: [sync]\n")
    with pytest.raises(
        SettingsError,
        match=r"'only_here' of pipeline 'daily' cannot be imported: .*as in path: \.\./\.\.",
    ):
        load("conf/daily.yaml").module()
    file.write_text("name: daily\ngroups: colorsys\nsteps: [sync]\n")
    with pytest.raises(SettingsError, match="'colorsys' has no PIPELINE"):
        load(file).module()


@pytest.mark.parametrize("given", [3, {"a": 1}, ["a", 2], None])
def test_a_path_is_of_texts(given: object) -> None:
    with pytest.raises(
        SettingsError,
        match=(
            r"path is .*: name a folder as seen from the pipeline file, such as \.\./\.\., or a"
            r" list of them"
        ),
    ):
        Pipeline.of({**LEAST, "path": given})


# -- the lock


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(f"sqlite:///{tmp_path}/catalog.db")


def test_a_second_run_is_refused_while_the_first_lives(catalog: Catalog) -> None:
    refused = pytest.raises(
        LockedError,
        match=r"Pipeline 'daily' is running already: run 0+1, process \d+ on .*Nothing was done",
    )
    with (
        pipeline_lock(catalog, a_run(1), heartbeat=0.05),
        refused,
        pipeline_lock(catalog, a_run(2), lease=2.0),
    ):
        pass
    with pipeline_lock(catalog, a_run(2)):  # and may begin when it has ended
        pass


def test_another_pipeline_may_run(catalog: Catalog) -> None:
    with (
        pipeline_lock(catalog, a_run(1)),
        pipeline_lock(
            catalog, PipelineRun("2" * 32, "hourly", at("01-02 00:00"), at("01-02 00:00"))
        ),
    ):
        pass


KILLED = """
import sys, os
from spark_fs.catalog.store import Catalog
from spark_fs.pipelines.lock import pipeline_lock
from spark_fs.spec.pipeline_run import PipelineRun
from datetime import UTC, datetime
catalog = Catalog(sys.argv[1])
run = PipelineRun("0" * 31 + "1", "daily", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 2, 1, tzinfo=UTC))
with pipeline_lock(catalog, run):
    catalog.save_run(run)
    os.kill(os.getpid(), 9)
"""


def test_the_lock_of_a_killed_process_is_taken_at_once_and_its_run_noted_as_killed(
    tmp_path: Path, catalog: Catalog
) -> None:
    subprocess.run([sys.executable, "-c", KILLED, f"sqlite:///{tmp_path}/catalog.db"], check=False)
    assert catalog.get_lock_holder("daily")
    began = time.monotonic()
    with pipeline_lock(catalog, a_run(2)):
        assert time.monotonic() - began < 5  # not a lease
        assert catalog.get_run("0" * 31 + "1").state == "killed"


NO_PROCESS = 2**22 + 1  # above the greatest number of a process
ELSEWHERE = {  # places in which a number stands for another process than here, or cannot be known to stand for the same
    "another host": "elsewhere",
    "this host, of an earlier release": socket.gethostname(),
    "another namespace of this host": re.sub(r"\d+$", "7", get_host_id()),
    "another boot of this host": get_host_id().replace(" boot ", " boot 0"),
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_run_elsewhere_is_judged_by_its_beats(where: str, catalog: Catalog) -> None:
    catalog.take_lock(a_run(1), ELSEWHERE[where], NO_PROCESS)
    over = threading.Event()
    beating = threading.Thread(
        target=lambda: [
            catalog.send_heartbeat(a_run(1).id) for _ in iter(lambda: over.wait(0.2), True)
        ]
    )
    beating.start()
    with (
        pytest.raises(
            LockedError,
            match=rf"process {NO_PROCESS} on {ELSEWHERE[where].partition(' ')[0]}\. Nothing",
        ),
        pipeline_lock(catalog, a_run(2), lease=2.0),
    ):
        pass
    over.set()
    beating.join()
    with pipeline_lock(catalog, a_run(2), lease=0.5):  # it beats no more
        assert catalog.get_lock_holder("daily").run_id == a_run(2).id  # type: ignore[union-attr] # it is held


def test_a_run_in_another_namespace_of_processes_is_somewhere_else() -> None:
    command = [
        sys.executable,
        "-c",
        "from spark_fs.pipelines.lock import get_host_id; print(get_host_id())",
    ]
    here = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert here == get_host_id()
    there = subprocess.run(
        ["unshare", "-Urpf", "--mount-proc", *command], capture_output=True, text=True, check=False
    )
    if there.returncode == 0:  # where this machine lets a user make one
        assert there.stdout.strip() not in ("", here)


def test_a_run_learns_that_its_lock_was_taken(catalog: Catalog) -> None:
    with pipeline_lock(catalog, a_run(1), heartbeat=0.05) as lost:
        catalog.drop_lock(a_run(1).id)
        assert lost.wait(5)


@pytest.mark.slow
def test_of_ten_that_begin_at_once_one_runs(catalog: Catalog) -> None:
    catalog.take_lock(a_run(1), "elsewhere", 1)  # a dead one, which all of them find
    together, said = threading.Barrier(10), []

    def begin(number: int) -> None:
        together.wait()
        try:
            with pipeline_lock(
                catalog,
                PipelineRun(f"{number + 16:032x}", "daily", at("01-02 00:00"), at("01-02 00:00")),
                lease=1.0,
            ):
                said.append("ran")
                time.sleep(4)
        except LockedError:
            said.append("refused")

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["ran", *["refused"] * 9]


def test_the_job_says_its_exit_codes() -> None:
    said = subprocess.run(
        [sys.executable, ROOT / "jobs" / "run_pipeline.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert " 75  a database or another writer was in the way" in said
    wrong = subprocess.run(
        [sys.executable, ROOT / "jobs" / "run_pipeline.py", "absent.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (wrong.returncode, wrong.stdout) == (
        2,
        (
            "error: Pipeline file absent.yaml cannot be read: No such file or directory. Give"
            " the path of a file that is there.\n"
        ),
    )


def test_views_of_the_module_are_declared_by_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = spark_fs.login({"home": tmp_path / "store"}).get_feature_store()
    text = (
        "def clicks(fs):\n"
        "    return fs.get_or_create_feature_group('clicks', version=1, primary_key=['k'])\n"
        "declared = []\n"
        "PIPELINE = {clicks: lambda spark, start, end: None}\n"
        "VIEWS = [declared.append]\n"
    )
    (tmp_path / "groups_with_views.py").write_text(text)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    steps = (Step("incremental"),)
    pipeline = Pipeline("p", "groups_with_views", steps, start=start, path=(str(tmp_path),))
    context = RunContext(fs, pipeline, datetime(2024, 1, 1, tzinfo=UTC), is_replay=True)
    STEPS["incremental"](context, {})
    assert pipeline.module().declared == []  # clicks has no columns yet
    context.builders.clear()  # nothing to build: only the views are looked at
    STEPS["incremental"](context, {})
    assert pipeline.module().declared == [fs]
    pipeline.module().VIEWS = "fraud"
    with pytest.raises(SettingsError, match="VIEWS of groups_with_views is 'fraud'"):
        RunContext(fs, pipeline, datetime(2024, 1, 1, tzinfo=UTC), is_replay=True)
