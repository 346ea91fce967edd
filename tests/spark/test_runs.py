"""Pipelines as they run: what is due, what is missed, what fails, and what is told of it."""

import importlib
import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from receiver import receiving

from spark_fs.api.feature_store import FeatureStore
from spark_fs.pipelines import Pipeline, Step, load, run
from spark_fs.pipelines.alert_rules import AlertRule
from spark_fs.pipelines.command import DIFFERS, FAILED, FINISHED, INVALID, LOCKED, RETRY, execute
from spark_fs.pipelines.lock import get_host_id
from spark_fs.pipelines.logs import LOGGER
from spark_fs.spec.pipeline_run import PipelineRun

from conftest import ROOT
from oracles import same_rows
from toy import groups

FILE = ROOT / "tests" / "toy" / "hourly.yaml"


@pytest.fixture(autouse=True)
def quiet_after() -> Any:
    yield
    LOGGER.handlers, LOGGER.propagate = [], True
    LOGGER.setLevel(logging.NOTSET)


def states(done: PipelineRun) -> dict[str, str]:
    return {step.name: step.state for step in done.steps}


@pytest.mark.slow
def test_a_run_builds_what_was_missed_and_does_what_is_due(fs: FeatureStore) -> None:
    pipeline = load(FILE)
    first = run(fs, pipeline, "2024-01-01T04:00")
    assert (first.state, set(states(first).values())) == ("finished", {"finished"})
    assert first.steps[0].counts["inserted"] == 4 * 500 + 500
    second = run(fs, pipeline, "2024-01-01T07:00")  # three hours were missed
    assert states(second) == dict.fromkeys(states(first), "finished") | {
        "maintenance": "skipped"
    }  # it is due every six hours
    assert second.steps[0].counts["inserted"] == 3 * 500
    assert [c.operation for c in groups.readings(fs).commit_details(4)] == ["upsert"] * 3 + [
        "VACUUM END"
    ]  # an hour each
    same_rows(
        groups.readings(fs).read("pandas"),
        groups.expected("2024-01-01T00:00", "2024-01-01T07:00"),
        ["meter", "read_at"],
    )
    third = run(fs, pipeline, "2024-01-01T07:00")
    assert third.steps[0].counts.get("inserted", 0) == 0
    assert [each.id for each in fs.get_runs("toy")] == [third.id, second.id, first.id]
    only = run(fs, pipeline, "2024-01-01T07:00", only=["maintenance"])
    assert states(only) == dict.fromkeys(states(first), "skipped") | {"maintenance": "finished"}


@pytest.mark.slow
def test_late_rows_are_taken_in(fs: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = load(FILE)
    for hour in (4, 5, 9):
        monkeypatch.setenv("TOY_ARRIVED", f"2024-01-01T0{hour}:00")
        run(fs, pipeline, f"2024-01-01T0{hour}:00", only=["incremental", "sync", "verify"])
        wanted = groups.expected(
            "2024-01-01T00:00", f"2024-01-01T0{hour}:00", f"2024-01-01T0{hour}:00"
        )
        if hour < 9:  # of the third run the first hours lie further back than its lateness
            same_rows(groups.readings(fs).read("pandas"), wanted, ["meter", "read_at"])
    assert all(found.ok for found in fs.verify_online(now="2024-01-01T09:00"))


@pytest.mark.slow
def test_a_difference_is_told_and_later_steps_are_done(fs: FeatureStore) -> None:
    pipeline = load(FILE)
    run(fs, pipeline, "2024-01-01T02:00", only=["incremental", "sync"])
    groups.meters(fs).insert(pd.DataFrame({"meter": [3], "zone": ["elsewhere"]}))
    found = run(fs, pipeline, "2024-01-01T02:00", only=["verify", "maintenance"])
    assert (found.state, states(found)["verify"], states(found)["maintenance"]) == (
        "differs",
        "differs",
        "finished",
    )
    assert any(
        "{'meter': 3}: zone is 'zone_3' online and 'elsewhere' offline" in line
        for line in found.steps[4].lines
    )


@pytest.mark.slow
def test_a_difference_is_told_to_a_webhook_once_and_so_is_its_end(fs: FeatureStore) -> None:
    with receiving() as receiver:
        rule = AlertRule(receiver.url, ("failed", "verify"))
        pipeline = replace(load(FILE), alerts=(rule,))
        run(fs, pipeline, "2024-01-01T02:00", only=["incremental", "sync", "verify"])
        assert receiver.bodies == []
        groups.meters(fs).insert(pd.DataFrame({"meter": [3, 4], "zone": ["elsewhere"] * 2}))
        for _ in range(2):
            found = run(fs, pipeline, "2024-01-01T02:00", only=["verify"])
        (body,) = receiver.bodies
        (problem,) = body["problems"]
        assert (problem["group"], problem["values"]) == ("meters_1", {"ok": False, "differing": 2})
        assert "elsewhere" not in str(body)  # rows stay here
        assert found.state == "differs"
        run(fs, pipeline, "2024-01-01T02:00", only=["sync", "verify"])
        assert receiver.told == [("problem", "verify"), ("recovered", "verify")]


@pytest.mark.slow
def test_a_failed_validation_is_told(fs: FeatureStore) -> None:
    pipeline = load(FILE)
    run(fs, pipeline, "2024-01-01T02:00", only=["incremental"])
    group = groups.readings(fs)
    group.save_expectation_suite(
        {
            "name": "strict",
            "expectations": [
                {
                    "type": "expect_column_values_to_be_between",
                    "kwargs": {"column": "v0", "max_value": 1},
                }
            ],
        }
    )
    found = run_without_declaring(fs, pipeline, "validation")
    assert found.state == "differs"
    assert (
        found.steps[2]
        .lines[0]
        .startswith("validation readings_1: failed: expect_column_values_to_be_between (")
    )


@pytest.mark.slow
def test_monitors_that_are_due_are_run_and_a_shift_is_told(fs: FeatureStore) -> None:
    pipeline = load(FILE)
    run(fs, pipeline, "2024-01-01T02:00", only=["incremental"])
    group = groups.readings(fs)
    schedule = {"start_date_time": 0, "cron_expression": "0 0 0 1 1 ?"}
    config = group.create_feature_monitoring("always", **schedule)
    config.compare_on("count", 1, "v0", specific_value=0).save()
    view = fs.create_feature_view("watched", group.select(["v0"]))
    view.create_scheduled_statistics("described", **schedule).save()
    steps = (*pipeline.steps, Step("monitoring"))
    found = run_without_declaring(fs, replace(pipeline, steps=steps), "monitoring")
    assert (found.state, found.steps[-1].counts) == (
        "differs",
        {"monitors_run": 2, "features_shifted": 1},
    )
    assert found.steps[-1].lines[0].startswith("readings_1: monitor always: shift of v0 count")
    assert found.steps[-1].lines[1] == "watched_1: monitor described: no shift in 1 feature"
    again = run_without_declaring(fs, replace(pipeline, steps=steps), "monitoring")
    assert (again.state, dict(again.steps[-1].counts)) == ("finished", {})


def run_without_declaring(fs: FeatureStore, pipeline: Pipeline, step: str) -> PipelineRun:
    """A run of a pipeline whose group was changed by hand since it was declared."""
    return run(fs, replace(pipeline, groups="held_groups"), "2024-01-01T02:00", only=[step])


@pytest.fixture(autouse=True)
def held_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "held_groups.py").write_text(
        "from toy.groups import build_meters, build_readings\n"
        "def readings(fs): return fs.get_feature_group('readings', 1)\n"
        "PIPELINE = {readings: build_readings}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("held_groups", None)
    importlib.invalidate_caches()


def module(tmp_path: Path, body: str) -> None:
    (tmp_path / "made_groups.py").write_text(
        "from toy.groups import meters\nfrom spark_fs.errors import *\nfrom toy import groups\n"
        + body
        + "\nPIPELINE = {meters: build}\n"
    )
    sys.modules.pop("made_groups", None)
    importlib.invalidate_caches()


def made(**more: Any) -> Pipeline:
    return Pipeline.of(
        {
            "name": "made",
            "groups": "made_groups",
            "start": "2024-01-01",
            "steps": ["incremental", "sync"],
            "pause": 0,
            **more,
        }
    )


def test_a_step_that_fails_ends_the_run_and_the_next_run_goes_on(
    fs: FeatureStore, tmp_path: Path
) -> None:
    module(
        tmp_path, "def build(spark, start, end): raise SchemaError('the source is not as it was')"
    )
    failed = run(fs, made(), "2024-01-02")
    assert (failed.state, failed.error) == ("failed", "SchemaError: the source is not as it was")
    assert states(failed) == {"incremental": "failed", "sync": "skipped"}
    module(tmp_path, "build = groups.build_meters")
    assert run(fs, made(), "2024-01-02").state == "finished"


def test_what_may_pass_is_tried_again(fs: FeatureStore, tmp_path: Path) -> None:
    module(
        tmp_path,
        "tries = []\ndef build(spark, start, end):\n    tries.append(1)\n    if len(tries) < 3:"
        " raise ConflictError('busy')\n    return groups.build_meters(spark, start, end)",
    )
    assert run(fs, made(retries=1), "2024-01-02").state == "failed"
    assert run(fs, made(retries=1), "2024-01-02").state == "finished"


def test_an_error_of_the_users_code_is_noted_and_raised(fs: FeatureStore, tmp_path: Path) -> None:
    module(tmp_path, "def build(spark, start, end): return 1 / 0")
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        run(fs, made(), "2024-01-02")
    assert [(each.state, each.error) for each in fs.get_runs("made")] == [
        ("failed", "division by zero")
    ]
    assert fs._stores.catalog.get_lock_holder("made") is None


def test_a_group_that_was_never_built_needs_a_start(fs: FeatureStore) -> None:
    pipeline = Pipeline.of({"name": "toy", "groups": "toy.groups", "steps": ["incremental"]})
    assert "was never built, and pipeline 'toy' has no start" in str(
        run(fs, pipeline, "2024-01-02").error
    )


# -- what is told


@pytest.mark.slow
def test_logs_metrics_and_lineage_tell_of_a_run(
    tmp_path: Path,
    fs: FeatureStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path))
    events: list[dict[str, Any]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = execute(
        FILE,
        "2024-01-01T02:00",
        log_format="json",
        metrics=tmp_path / "m" / "toy.prom",
        lineage=f"http://127.0.0.1:{server.server_port}",
    )
    server.shutdown()
    server.server_close()
    assert code == FINISHED
    (done,) = fs.get_runs()
    lines = [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")
    ]
    assert {line["run_id"] for line in lines} == {done.id}
    assert [line["event"] for line in lines if line["event"] != "progress"] == [
        "run_started",
        *["step_ended"] * 6,
        "run_ended",
    ]
    assert (
        next(
            line["rows"]
            for line in lines
            if line.get("step") == "incremental" and line["event"] == "step_ended"
        )["inserted"]
        == 1_500
    )
    metrics = (tmp_path / "m" / "toy.prom").read_text()
    assert 'spark_fs_pipeline_run_state{pipeline="toy",state="finished"} 1.0' in metrics
    assert (
        'spark_fs_pipeline_step_rows{kind="inserted",pipeline="toy",step="incremental"} 1500.0'
        in metrics
    )
    assert [(e["eventType"], e["job"]["name"]) for e in events][:3] == [
        ("START", "toy"),
        ("START", "toy.incremental"),
        ("COMPLETE", "toy.incremental"),
    ]
    assert (
        events[-1]["eventType"],
        events[-1]["job"]["name"],
        events[-1]["run"]["runId"].replace("-", ""),
    ) == ("COMPLETE", "toy", done.id)
    synced = next(
        e for e in events if e["job"]["name"] == "toy.sync" and e["eventType"] == "COMPLETE"
    )
    assert [each["name"] for each in synced["outputs"]] == ["readings_1", "meters_1"]
    assert synced["inputs"][0] == {
        "namespace": "file",
        "name": str(tmp_path / "warehouse" / "readings_1"),
        "facets": {},
        "inputFacets": {},
    }
    assert synced["run"]["facets"]["parent"]["run"]["runId"].replace("-", "") == done.id


@pytest.mark.slow
def test_a_lineage_server_that_is_gone_costs_a_warning(
    tmp_path: Path,
    fs: FeatureStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path))
    module(tmp_path, "build = groups.build_meters")
    (tmp_path / "made.yaml").write_text(
        "name: made\ngroups: made_groups\nstart: 2024-01-01\nsteps: [incremental]\n"
    )
    assert execute(tmp_path / "made.yaml", "2024-01-02", lineage="http://127.0.0.1:9") == FINISHED
    assert "The lineage of made could not be sent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("build = groups.build_meters", FINISHED, "Pipeline made finished"),
        ("def build(*_): raise SchemaError('no')", FAILED, "incremental failed: SchemaError: no"),
        (
            "def build(*_): raise OnlineStoreError('gone')",
            RETRY,
            "incremental failed: OnlineStoreError: gone",
        ),
        (
            "build = groups.build_meters\nimport no_such_module",
            INVALID,
            (
                "error: The module 'made_groups' of pipeline 'made' cannot be imported: No module"
                " named 'no_such_module'"
            ),
        ),
    ],
)
def test_the_exit_code_says_how_it_went(
    body: str,
    code: int,
    said: str,
    tmp_path: Path,
    fs: FeatureStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path))
    module(tmp_path, body)
    (tmp_path / "made.yaml").write_text(
        "name: made\ngroups: made_groups\nstart: 2024-01-01\nsteps: [incremental, sync, verify]\n"
    )
    assert execute(tmp_path / "made.yaml", "2024-01-02") == code
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_a_difference_and_a_lock_have_exit_codes(
    tmp_path: Path,
    fs: FeatureStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path))
    assert execute(FILE, "2024-01-01T01:00") == FINISHED
    groups.meters(fs).insert(pd.DataFrame({"meter": [3], "zone": ["elsewhere"]}))
    assert execute(FILE, "2024-01-01T01:00", only=["verify"]) == DIFFERS
    fs._stores.catalog.take_lock(
        PipelineRun("1" * 32, "toy", fs.get_runs()[0].until, fs.get_runs()[0].until),
        get_host_id(),
        os.getppid(),
    )
    beats = threading.Event()
    threading.Thread(
        target=lambda: [
            fs._stores.catalog.send_heartbeat("1" * 32) for _ in iter(lambda: beats.wait(0.3), True)
        ],
        daemon=True,
    ).start()
    assert execute(FILE, "2024-01-01T01:00") == LOCKED
    beats.set()


@pytest.mark.slow
def test_the_command_line_lists_and_shows_runs(tmp_path: Path, fs: FeatureStore) -> None:
    done = run(fs, load(FILE), "2024-01-01T01:00", only=["incremental"])
    spark_fs = [sys.executable, "-m", "spark_fs.cli"]
    env = {"SPARK_FS_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    listed = subprocess.run(
        [*spark_fs, "runs"], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert f"{done.id[:8]}  toy " in listed
    shown = subprocess.run(
        [*spark_fs, "runs", "--run", done.id[:8]],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"Run {done.id} of pipeline toy: finished" in shown
    assert "incremental: backfill readings_1: read 500, inserted 500" in shown
    absent = subprocess.run(
        [*spark_fs, "runs", "--run", "nope"], env=env, capture_output=True, text=True, check=False
    )
    assert (absent.returncode, absent.stderr) == (
        1,
        "error: Run 'nope' cannot be shown: it does not exist. List them with: spark-fs runs\n",
    )
