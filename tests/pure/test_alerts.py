"""Alerts of pipelines, sent to a real receiver on loopback: what is sent, when, and what becomes of it where nobody answers."""

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receiver import Receiver, receiving
from releases.unpack import unpack

import spark_fs
from spark_fs import cli
from spark_fs.catalog.store import Catalog
from spark_fs.errors import OnlineStoreError, SettingsError
from spark_fs.pipelines import Pipeline, run, webhook
from spark_fs.pipelines.alerts import AlertSender
from spark_fs.pipelines.logs import LOGGER
from spark_fs.pipelines.step_functions import STEPS, RunContext
from spark_fs.redact import redact_secrets
from spark_fs.spec.pipeline_alert import Problem
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

from conftest import ROOT, at

LEAST: dict[str, Any] = {"name": "daily", "groups": "flights.groups", "steps": ["sync", "verify"]}
CARDS = Problem(
    "cards_1",
    "verify cards_1: 3 keys differ",
    {"ok": False, "differing": 3, "share": float("nan"), "at": at("01-02 00:00")},
    "group/cards/1",
)
USERS = Problem("users_1", "verify users_1: 1 keys differ", {"ok": False}, "group/users/1")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(webhook, "_FIRST_PAUSE", 0.01)
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(f"sqlite:///{tmp_path}/catalog.db")


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is logged by the pipelines' logger."""
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level(logging.INFO, LOGGER.name)
    return caplog


def alerting(url: str, **more: Any) -> Pipeline:
    return Pipeline.of({**LEAST, "alerts": [{"webhook": url, **more}]})


def report(
    catalog: Catalog, pipeline: Pipeline, state: str, *problems: Problem, **more: Any
) -> dict[str, int]:
    """What a run of the pipeline tells of its step verify."""
    found = PipelineRun("ab" * 16, "daily", at("01-02 00:00"), at("01-02 01:00"))
    step = StepRecord("verify", state, **more)
    return AlertSender(catalog, pipeline.alerts).report_step(found, step, problems)


# -- what is declared


@pytest.mark.parametrize(
    ("alerts", "message"),
    [
        ({"webhook": "https://a.example/x"}, "alerts must be a list of mappings"),
        (["https://a.example/S3cret"], "alerts holds a str"),
        ([{"on": ["failed"]}], "alerts needs a webhook"),
        ([{"webhook": "https://a/x", "onn": []}], "Field 'onn' of alerts does not exist; did you"),
        (
            [{"webhook": "https://a/x", "on": ["verfy"]}],
            r"alerts.on has 'verfy', which is neither failed, drift nor a step; did you mean",
        ),
        ([{"webhook": "https://a/x", "on": []}], r"alerts.on is \[\]: give a list"),
        ([{"webhook": "ftp://a/x"}], "does not begin with https:// and a host"),
        ([{"webhook": "file:///etc/passwd"}], "does not begin with https:// and a host"),
        ([{"webhook": "https://"}], "does not begin with https:// and a host"),
        ([{"webhook": "https://[a/x"}], "does not begin with https:// and a host"),
        ([{"webhook": "https://u:S3cret@a/x"}], "has a user or a password in it"),
        ([{"webhook": "https://a/x\r\nHost: b"}], "has a space or a control character"),
        ([{"webhook": "http://a.example/x"}], "is http to another machine"),
        ([{"webhook": "https://a/x", "headers": ["S3cret"]}], "alerts.headers must be a mapping"),
        ([{"webhook": "https://a/x", "timeout": 0}], "alerts.timeout is 0: give one from 0.1 to"),
        ([{"webhook": "https://a/x", "retries": True}], "alerts.retries is True: give a number"),
        ([{"webhook": "https://a/x", "retries": 1.5}], r"alerts.retries is 1\.5: give a number"),
        ([{"webhook": "https://a/x", "explorer": "a"}], "alerts.explorer is 'a': give the URL"),
        ([{"webhook": "https://a/x", "insecure": 1}], "alerts.insecure is 1: give true or false"),
    ],
)
def test_what_is_not_valid_is_named_and_no_secret_shown(alerts: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        Pipeline.of({**LEAST, "alerts": alerts})
    assert "S3cret" not in str(caught.value)


def test_a_file_may_say_on_as_yaml_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "daily.yaml"
    file.write_text(
        "name: daily\ngroups: a.b\nsteps: [sync]\nalerts: [{webhook: '${HOOK}', on: [failed,"
        " drift]}]\n"
    )
    (rule,) = spark_fs.pipelines.load(file).alerts
    assert rule.on == ("failed", "drift")
    assert rule.is_about("monitoring", "differs")
    assert rule.is_about("sync", "failed")
    assert not rule.is_about("verify", "differs")


def test_a_url_may_be_a_variable_which_is_looked_up_by_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = alerting("${HOOK}")
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    with pytest.raises(SettingsError, match="webhook of alerts names the variable HOOK, which is"):
        run(fs, pipeline, "2024-01-01")
    assert fs.get_runs() == []
    monkeypatch.setenv("HOOK", "https://hooks.example:8443/services/T0S3cret")
    target = pipeline.alerts[0].find_target()
    assert target.host == "https://hooks.example:8443"
    assert "S3cret" not in f"{pipeline!r} {target!r} {target.id}"


# -- what is sent


def test_what_is_sent(catalog: Catalog, receiver: Receiver) -> None:
    pipeline = alerting(
        receiver.url,
        headers={"Authorization": "Bearer b0SECRET3"},
        explorer="https://features.example/",
    )
    assert report(catalog, pipeline, "differs", CARDS, USERS) == {"alerts_sent": 1}
    (body,) = receiver.bodies
    assert datetime.fromisoformat(body.pop("sent_at")) > datetime.now(UTC) - timedelta(minutes=1)
    assert body == {
        "format": 1,
        "text": (
            "spark_fs daily: verify found something\nverify cards_1: 3 keys differ\n"
            "verify users_1: 1 keys differ"
        ),
        "event": "problem",
        "kind": "verify",
        "pipeline": "daily",
        "subject": "verify",
        "state": "differs",
        "error": None,
        "problems": [
            {
                "group": "cards_1",
                "message": "verify cards_1: 3 keys differ",
                "values": {
                    "ok": False,
                    "differing": 3,
                    "share": "NaN",
                    "at": "2024-01-02T00:00:00+00:00",
                },
                "link": "https://features.example/group/cards/1",
            },
            {
                "group": "users_1",
                "message": "verify users_1: 1 keys differ",
                "values": {"ok": False},
                "link": "https://features.example/group/users/1",
            },
        ],
        "problem_count": 2,
        "since": "2024-01-02T01:00:00+00:00",
        "run": {
            "id": "ab" * 16,
            "started_at": "2024-01-02T01:00:00+00:00",
            "until": "2024-01-02T00:00:00+00:00",
            "command": "spark-fs runs --run abababab",
        },
        "link": "https://features.example/group/cards/1",
    }
    assert receiver.headers[0]["Authorization"] == "Bearer b0SECRET3"
    assert receiver.headers[0]["Content-Type"] == "application/json"


def test_secrets_are_taken_out_and_slack_is_given_no_commands(
    catalog: Catalog, receiver: Receiver
) -> None:
    pipeline = alerting(receiver.url, headers={"X-Key": "b0SECRET3"})
    error = f"SparkFSError: <!channel> {receiver.url} answered to b0SECRET3 & others"
    report(catalog, pipeline, "failed", error=error)
    (body,) = receiver.bodies
    assert "SECRET" not in json.dumps(body)
    assert "&lt;!channel&gt;" in body["text"]
    assert body["kind"] == "failed"


def test_an_error_is_cut_and_problems_are_counted(catalog: Catalog, receiver: Receiver) -> None:
    report(catalog, alerting(receiver.url), "failed", *[CARDS] * 80, error="x" * 200_000)
    (body,) = receiver.bodies
    assert len(body["text"]) == 3_000
    assert len(body["error"]) == 10_000
    assert (len(body["problems"]), body["problem_count"]) == (50, 80)


# -- when


def test_a_failure_is_told_once_and_so_is_its_end(catalog: Catalog, receiver: Receiver) -> None:
    pipeline = alerting(receiver.url)
    counts = [
        report(catalog, pipeline, state, *problems)
        for state, problems in (
            ("finished", []),
            ("differs", [CARDS]),
            ("differs", [CARDS]),  # known
            ("skipped", []),  # says nothing of it
            ("differs", [CARDS, USERS]),  # one more
            ("differs", [CARDS]),  # one less
            ("differs", [USERS]),  # back again
            ("failed", []),  # it is worse
            ("failed", []),
            ("finished", []),
            ("finished", []),
        )
    ]
    sent = {"alerts_sent": 1}
    assert counts == [{}, sent, {}, {}, sent, {}, sent, sent, {}, sent, {}]
    assert [body["event"] for body in receiver.bodies] == ["problem"] * 4 + ["recovered"]
    assert receiver.bodies[-1]["text"] == (
        "spark_fs daily: verify recovered; what was told began 2024-01-02 01:00 UTC"
    )
    assert catalog.list_alerts() == []


def test_each_receiver_is_told_of_what_it_asked_for(catalog: Catalog, receiver: Receiver) -> None:
    with receiving() as other:
        pipeline = Pipeline.of(
            {
                **LEAST,
                "alerts": [
                    {"webhook": receiver.url, "on": ["failed"]},
                    {"webhook": other.url, "on": "verify"},
                ],
            }
        )
        report(catalog, pipeline, "differs", CARDS)
        assert (receiver.told, other.told) == ([], [("problem", "verify")])
        report(catalog, pipeline, "failed", error="away")
        report(catalog, pipeline, "finished")
    assert receiver.told == [("problem", "verify"), ("recovered", "verify")]
    assert other.told == [("problem", "verify"), ("problem", "verify"), ("recovered", "verify")]


def test_two_receivers_may_have_one_url(
    catalog: Catalog, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = [{"Authorization": text} for text in ("Key ${TEAM_A}", "Key ${TEAM_B}")]
    alerts = [{"webhook": receiver.url, "headers": each} for each in headers]
    pipeline = Pipeline.of({**LEAST, "alerts": alerts})
    monkeypatch.setenv("TEAM_A", "a0SECRET1")
    monkeypatch.setenv("TEAM_B", "b0SECRET2")
    assert report(catalog, pipeline, "differs", CARDS) == {"alerts_sent": 2}
    keys = [each["Authorization"] for each in receiver.headers]
    assert keys == ["Key a0SECRET1", "Key b0SECRET2"]
    monkeypatch.setenv("TEAM_A", "a0SECRET3")  # a new key makes no other receiver
    assert report(catalog, pipeline, "differs", CARDS) == {}
    assert redact_secrets("a0SECRET3 alone") == "*** alone"
    assert report(catalog, pipeline, "finished") == {"alerts_sent": 2}
    assert catalog.list_alerts() == []


def test_open_alerts_are_kept_without_the_url(catalog: Catalog, receiver: Receiver) -> None:
    report(catalog, alerting(receiver.url), "differs", CARDS)
    (alert,) = catalog.list_alerts("daily")
    assert (alert.subject, alert.state, alert.groups) == ("verify", "differs", ("cards_1",))
    assert alert.host == f"http://127.0.0.1:{receiver.port}"
    assert "SECRET" not in json.dumps(alert.to_json())
    assert catalog.list_alerts("hourly") == []


# -- a receiver that does not take it


@pytest.mark.parametrize("codes", [[500], [503, 429]])
def test_it_is_tried_again(catalog: Catalog, receiver: Receiver, codes: list[int]) -> None:
    receiver.codes = [*codes]
    assert report(catalog, alerting(receiver.url), "differs", CARDS) == {"alerts_sent": 1}
    assert len(receiver.bodies) == len(codes) + 1


@pytest.mark.parametrize("code", [400, 404, 302])
def test_what_will_not_pass_is_not_tried_again(
    catalog: Catalog, receiver: Receiver, code: int, heard: pytest.LogCaptureFixture
) -> None:
    receiver.codes = [code] * 9
    assert report(catalog, alerting(receiver.url), "differs", CARDS) == {"alerts_failed": 1}
    assert len(receiver.bodies) == 1
    assert f"did not reach http://127.0.0.1:{receiver.port}: it answered with code {code}" in (
        heard.text
    )
    assert "SECRET" not in heard.text


def test_what_did_not_arrive_is_told_by_the_next_run(catalog: Catalog, receiver: Receiver) -> None:
    pipeline = alerting(receiver.url)
    receiver.codes = [500] * 3
    assert report(catalog, pipeline, "differs", CARDS) == {"alerts_failed": 1}
    assert catalog.list_alerts() == []
    assert report(catalog, pipeline, "differs", CARDS) == {"alerts_sent": 1}
    receiver.codes = [500] * 3
    assert report(catalog, pipeline, "finished") == {"alerts_failed": 1}
    assert report(catalog, pipeline, "finished") == {"alerts_sent": 1}
    assert receiver.told[-1] == ("recovered", "verify")


@pytest.mark.parametrize(("pause", "drip"), [(0.4, 0.0), (0.0, 0.05)], ids=["slow", "drip by drip"])
def test_a_receiver_that_is_slow_is_given_up(
    catalog: Catalog,
    receiver: Receiver,
    heard: pytest.LogCaptureFixture,
    pause: float,
    drip: float,
) -> None:
    receiver.pause = pause
    receiver.drip = drip
    pipeline = alerting(receiver.url, timeout=0.2, retries=1)
    assert report(catalog, pipeline, "differs", CARDS) == {"alerts_failed": 1}
    assert len(receiver.bodies) == 2
    assert "no answer within 0.2 s" in heard.text or "timed out" in heard.text


def test_a_receiver_that_is_not_there_is_tried_in_full_once_in_a_run(
    catalog: Catalog, heard: pytest.LogCaptureFixture
) -> None:
    with receiving() as gone:
        pipeline = alerting(gone.url, retries=1)
    found = PipelineRun("ab" * 16, "daily", at("01-02 00:00"), at("01-02 01:00"))
    sender = AlertSender(catalog, pipeline.alerts)
    for name in ("sync", "verify"):
        assert sender.report_step(found, StepRecord(name, "failed"), ()) == {"alerts_failed": 1}
    assert heard.text.count("Connection refused") == 2
    assert "SECRET" not in heard.text


def test_nothing_that_goes_wrong_ends_the_run(
    receiver: Receiver, tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    (tmp_path / "catalog.db").write_bytes(b"no database" * 1_000)
    assert report(catalog, alerting(receiver.url), "differs", CARDS) == {"alerts_failed": 1}
    assert "The alert of verify of daily failed: " in heard.text


# -- whole runs, over a store that a release left: they need no Spark


@pytest.fixture
def fs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> spark_fs.FeatureStore:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path / "home")
    (tmp_path / "kept_cards.py").write_text(
        "import os\n"
        "def cards(fs):\n"
        "    if os.environ.get('AWAY'): raise ValueError('the source is away')\n"
        "    return fs.get_feature_group('cards', 1)\n"
        "PIPELINE = {cards: print}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("kept_cards", None)
    return spark_fs.login({"home": tmp_path / "home"}).get_feature_store()


def watching(url: str, **bounds: Any) -> Pipeline:
    step = {"freshness": bounds}
    alerts = [{"webhook": url, "on": ["failed", "freshness"]}]
    declared = {"name": "watch", "groups": "kept_cards", "steps": [step], "alerts": alerts}
    return Pipeline.of(declared)


def test_a_freshness_bound_that_is_exceeded_is_told(
    fs: spark_fs.FeatureStore, receiver: Receiver
) -> None:
    until = "2024-01-21T05:00"  # the newest card is of midnight
    stale = run(fs, watching(receiver.url, max="4h"), until)
    assert (stale.state, stale.steps[0].state) == ("differs", "differs")
    assert stale.steps[0].counts == {"groups_measured": 1, "groups_stale": 1, "alerts_sent": 1}
    assert fs.get_run(stale.id) == stale
    (body,) = receiver.bodies
    (problem,) = body["problems"]
    assert problem["message"] == (
        "freshness cards_1: age of the newest event 5.0 h; all commits are online; 5.0 h old, and"
        " at most 4h is allowed"
    )
    values = problem["values"]
    assert (values["age_seconds"], values["max_age_seconds"]) == (18_000, 14_400)
    assert (body["kind"], body["run"]["id"]) == ("freshness", stale.id)
    assert run(fs, watching(receiver.url, max="4h"), until).steps[0].state == "differs"
    assert len(receiver.bodies) == 1
    fresh = run(fs, watching(receiver.url, max={"cards": "6h"}), until)
    assert (fresh.state, fresh.steps[0].counts["alerts_sent"]) == ("finished", 1)
    assert receiver.told == [("problem", "freshness"), ("recovered", "freshness")]


def test_what_an_attempt_found_is_not_what_the_next_one_finds(
    fs: spark_fs.FeatureStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def find(context: RunContext, _options: Any) -> None:
        attempts.append(context)
        if len(attempts) == 1:
            context.report_line("3 keys differ", context.groups[0], {"differing": 3}, ok=False)
            raise OnlineStoreError("the database is restarted")

    monkeypatch.setitem(STEPS, "freshness", find)  # type: ignore[arg-type] # it is a dict
    done = run(fs, replace(watching(receiver.url), retries=1, pause=0.0), "2024-01-21T05:00")
    assert (len(attempts), done.state, receiver.bodies) == (2, "finished", [])


def test_a_bound_of_no_group_is_named(fs: spark_fs.FeatureStore, receiver: Receiver) -> None:
    failed = run(fs, watching(receiver.url, max={"crads": "6h"}), "2024-01-21T05:00")
    assert (
        "freshness.max names 'crads', which is not a group of this pipeline with rows online; "
        in (str(failed.error))
    )
    assert receiver.bodies[0]["error"] == failed.error


def test_a_run_that_could_not_begin_is_told_and_so_is_the_next_one(
    fs: spark_fs.FeatureStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWAY", "1")
    pipeline = watching(receiver.url)
    for _ in range(2):
        with pytest.raises(ValueError, match="the source is away"):
            run(fs, pipeline, "2024-01-21T05:00")
    assert receiver.told == [("problem", "run")]
    assert receiver.bodies[0]["error"] == "the source is away"
    monkeypatch.delenv("AWAY")
    run(fs, pipeline, "2024-01-21T05:00")
    assert receiver.told == [("problem", "run"), ("recovered", "run")]


def test_a_run_that_was_killed_is_told_by_the_next_one(
    fs: spark_fs.FeatureStore, receiver: Receiver
) -> None:
    killed = PipelineRun(
        "cd" * 16,
        "watch",
        at("01-21 00:00"),
        at("01-21 00:00"),
        at("01-21 01:00"),
        "killed",
        error="The process ended without a word.",
    )
    fs._stores.catalog.save_run(killed)
    for _ in range(2):
        run(fs, watching(receiver.url), "2024-01-21T05:00")
    assert receiver.told == [("problem", "run"), ("recovered", "run")]
    assert receiver.bodies[0]["run"]["id"] == killed.id
    assert receiver.bodies[0]["error"] == ("The run was killed. The process ended without a word.")


def test_a_pipeline_without_alerts_tells_nobody(fs: spark_fs.FeatureStore) -> None:
    pipeline = replace(watching("https://a.example/x", max="4h"), alerts=())
    done = run(fs, pipeline, "2024-01-21T05:00")
    assert (done.state, "alerts_sent" in done.steps[0].counts) == ("differs", False)


# -- the command


def test_the_command_lists_what_is_open_and_sends_a_test(
    fs: spark_fs.FeatureStore,
    receiver: Receiver,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path / "home"))
    run(fs, watching(receiver.url, max="4h"), "2024-01-21T05:00")
    file = tmp_path / "watch.yaml"
    file.write_text(
        f"name: watch\ngroups: kept_cards\nsteps: [sync]\nalerts: [{{webhook: '{receiver.url}'}}]\n"
    )

    def call(code: int | str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["spark-fs", "alerts", *arguments])
        with pytest.raises(SystemExit, match=f"{code}"):
            cli.main()
        return capsys.readouterr().out

    (record,) = json.loads(call(0, "--json"))
    assert (record["pipeline"], record["what"], record["groups"]) == (
        "watch",
        "freshness",
        ["cards_1"],
    )
    assert f"127.0.0.1:{receiver.port}: arrived" in call(0, str(file), "--test")
    assert receiver.told[-1] == ("test", "test")
    receiver.codes = [404]
    assert "did not arrive" in call(1, str(file), "--test")
    call("--test needs a pipeline file that has alerts", "--test")
