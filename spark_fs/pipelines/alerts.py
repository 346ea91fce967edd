"""Tell receivers of what goes wrong in a run, once until it is over, and that it is over.

What a receiver was told is kept in the metadata database, so runs that go on failing send nothing
more. A receiver that does not answer costs a warning and a count, never the run, and is told by the
next run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from spark_fs.base.json_values import to_json
from spark_fs.catalog.alert_states import AlertCatalog
from spark_fs.pipelines.alert_rules import FAILED, AlertRule, AlertTarget, get_kind
from spark_fs.pipelines.logs import LOGGER
from spark_fs.pipelines.webhook import DeliveryError, send_json
from spark_fs.redact import redact_secrets
from spark_fs.spec.pipeline_alert import RUN_SUBJECT, OpenAlert, Problem
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

PAYLOAD_FORMAT = 1
_MAX_TEXT = 3_000  # characters of what people read
_MAX_ERROR = 10_000
_MAX_PROBLEMS = 50
# What Slack would take for a link or a call of everybody.
_SLACK_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Outcome(NamedTuple):
    """What became of a step, or of a run: ``subject`` "run".

    error: what it failed with. problems: what it found of groups and views.
    """

    subject: str
    state: str
    error: str | None = None
    problems: tuple[Problem, ...] = ()


class AlertSender:
    """Who is told of one run. Raises SettingsError where a receiver cannot be told from its URL."""

    def __init__(self, catalog: AlertCatalog, rules: Sequence[AlertRule]) -> None:
        self._catalog = catalog
        self._receivers = [_Receiver(rule, rule.find_target()) for rule in rules]

    def report_step(
        self, run: PipelineRun, step: StepRecord, problems: Sequence[Problem]
    ) -> dict[str, int]:
        """Tell of a step that ended.

        Args:
            run: whose step it is.
            step: what it did; one that was skipped tells nothing.
            problems: what it found of groups and views.

        Returns:
            How many alerts were sent and how many were not, where there are any.
        """
        if step.state == "skipped":
            return {}
        return self._tell(run, Outcome(step.name, step.state, step.error, tuple(problems)))

    def report_run(self, run: PipelineRun, error: str | None, urgent: bool = False) -> None:
        """Tell of a run that ended early, or of one that did not.

        Args:
            run: the run.
            error: why it ended early; None where it did its steps.
            urgent: whether the process is about to be ended, so that nothing is tried again.
        """
        state = "finished" if error is None else FAILED
        self._tell(run, Outcome(RUN_SUBJECT, state, error), urgent)

    def _tell(self, run: PipelineRun, outcome: Outcome, urgent: bool = False) -> dict[str, int]:
        """Tell each receiver, and count; whatever goes wrong, the run goes on."""
        counts: Counter[str] = Counter()
        for receiver in self._receivers:
            try:
                is_sent = self._tell_receiver(receiver, run, outcome, urgent)
            except Exception as failure:  # alerts follow the run, and are no part of it
                is_sent = False
                reason = redact_secrets(str(failure)) or type(failure).__name__
                subject = outcome.subject
                LOGGER.warning("The alert of %s of %s failed: %s", subject, run.pipeline, reason)
            if is_sent is not None:
                counts["alerts_sent" if is_sent else "alerts_failed"] += 1
        return dict(counts)

    def _tell_receiver(
        self, receiver: _Receiver, run: PipelineRun, outcome: Outcome, urgent: bool
    ) -> bool | None:
        """Whether the receiver was reached; None where there was nothing to tell it."""
        before = self._find_open_alert(run.pipeline, outcome.subject, receiver.target.id)
        after = _make_alert(receiver.target, run, outcome, before)
        event = receiver.choose_event(before, after)
        if event is not None:
            payload = make_payload(event, after, run, outcome, receiver.rule)
            if not receiver.send(payload, urgent):
                return False
        if before is not None and outcome.state == "finished":
            self._catalog.drop_alert(before)
        elif event is not None or (before is not None and before != after):
            self._catalog.save_alert(after)
        return None if event is None else True

    def _find_open_alert(self, pipeline: str, subject: str, target: str) -> OpenAlert | None:
        for alert in self._catalog.list_alerts(pipeline):
            if (alert.subject, alert.target) == (subject, target):
                return alert
        return None


def _make_alert(
    target: AlertTarget, run: PipelineRun, outcome: Outcome, before: OpenAlert | None
) -> OpenAlert:
    """What a receiver is to know of an outcome; it began where it began before."""
    return OpenAlert(
        pipeline=run.pipeline,
        subject=outcome.subject,
        target=target.id,
        host=target.host,
        state=outcome.state,
        groups=tuple(sorted({problem.group for problem in outcome.problems})),
        since=before.since if before else run.started_at,
        run_id=before.run_id if before else run.id,
    )


class _Receiver:
    """A receiver, and whether it answered in this run."""

    def __init__(self, rule: AlertRule, target: AlertTarget) -> None:
        self.rule = rule
        self.target = target
        self._answers = True

    def choose_event(self, before: OpenAlert | None, after: OpenAlert) -> str | None:
        """What the receiver is to be told: "problem", "recovered" or, where it knows, nothing."""
        if after.state == "finished":
            return None if before is None else "recovered"
        if not self.rule.is_about(after.subject, after.state):
            return None
        if before is None or before.state != after.state:
            return "problem"
        return None if set(after.groups) <= set(before.groups) else "problem"

    def send(self, payload: Mapping[str, Any], urgent: bool) -> bool:
        """Send it, and log whether it arrived; one that did not answer is tried once from then."""
        retries = self.rule.retries if self._answers and not urgent else 0
        body = json.dumps(payload, default=str).encode()
        target = self.target
        what = f"{payload['event']} of {payload['subject']}"
        facts = {"event": "alert", "to": target.host, "subject": payload["subject"]}
        try:
            send_json(target.url, body, target.headers, self.rule.timeout, retries)
        except DeliveryError as error:
            self._answers = False
            message = f"alert ({what}) did not reach {target.host}: {error}"
            LOGGER.warning("%s", message, extra={"facts": {**facts, "sent": False}})
            return False
        message = f"alert ({what}) sent to {target.host}"
        LOGGER.info("%s", message, extra={"facts": {**facts, "sent": True}})
        return True


def make_payload(
    event: str, alert: OpenAlert, run: PipelineRun, outcome: Outcome, rule: AlertRule
) -> dict[str, Any]:
    """What is sent, as JSON without secrets. docs/monitoring.md has its fields.

    Args:
        event: "problem" or "recovered".
        alert: what it is about.
        run: the run that found it.
        outcome: what the run found.
        rule: which holds the URL of the explorer.
    """
    base_url = rule.explorer.rstrip("/")
    error = outcome.error
    problems = outcome.problems
    listed = [_describe_problem(problem, base_url) for problem in problems[:_MAX_PROBLEMS]]
    payload = {
        "format": PAYLOAD_FORMAT,
        "text": _cut_text(_write_text(event, alert, outcome), _MAX_TEXT),
        "event": event,
        "kind": get_kind(alert.subject, alert.state),
        "pipeline": alert.pipeline,
        "subject": alert.subject,
        "state": alert.state,
        "error": error and _cut_text(error, _MAX_ERROR),
        "problems": listed,
        "problem_count": len(problems),
        "since": alert.since.isoformat(),
        "sent_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": {
            "id": run.id,
            "started_at": run.started_at.isoformat(),
            "until": run.until.isoformat(),
            "command": f"spark-fs runs --run {run.id[:8]}",
        },
        "link": next((found["link"] for found in listed if found["link"]), base_url or None),
    }
    redacted: dict[str, Any] = _redact(to_json(payload))
    return redacted


def _describe_problem(problem: Problem, base_url: str) -> dict[str, Any]:
    link = f"{base_url}/{problem.path}" if base_url and problem.path else None
    return {
        "group": problem.group,
        "message": problem.message,
        "values": dict(problem.values),
        "link": link,
    }


def _write_text(event: str, alert: OpenAlert, outcome: Outcome) -> str:
    """What people read: a line, and one for each group."""
    what = "the run" if alert.subject == RUN_SUBJECT else alert.subject
    if event == "recovered":
        began = f"{alert.since:%Y-%m-%d %H:%M} UTC"
        return f"spark_fs {alert.pipeline}: {what} recovered; what was told began {began}"
    verb = "failed" if alert.state == FAILED else "found something"
    lines = [f"spark_fs {alert.pipeline}: {what} {verb}"]
    if outcome.error:
        lines.append(outcome.error)
    else:
        lines += [problem.message for problem in outcome.problems]
    return "\n".join(lines).translate(_SLACK_ESCAPES)


def _cut_text(text: str, max_length: int) -> str:
    return text if len(text) <= max_length else f"{text[: max_length - 4]} ..."


def _redact(value: Any) -> Any:
    """A value of JSON without secrets."""
    if isinstance(value, str):
        return redact_secrets(value)
    if isinstance(value, Mapping):
        return {name: _redact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redact(item) for item in value]
    return value


def send_test_alerts(pipeline: str, rules: Sequence[AlertRule]) -> list[tuple[str, bool]]:
    """Send a test to each receiver of a pipeline, eagerly.

    Args:
        pipeline: its name.
        rules: its receivers.

    Returns:
        Where each receiver is, and whether it answered.
    """
    now = datetime.now(UTC)
    run = PipelineRun("0" * 32, pipeline, now, now)
    outcomes = []
    for rule in rules:
        receiver = _Receiver(rule, rule.find_target())
        target = receiver.target
        alert = OpenAlert(pipeline, "test", target.id, target.host, "finished", (), now, run.id)
        payload = make_payload("test", alert, run, Outcome("test", "finished"), rule)
        payload |= {"kind": "test", "text": f"spark_fs {pipeline}: this is a test of its alerts"}
        outcomes.append((target.host, receiver.send(payload, urgent=True)))
    return outcomes
