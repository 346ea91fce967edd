"""Who is told of what goes wrong, as a pipeline file declares it.

The URL and the headers may name variables of the environment, as in ``${SPARK_FS_ALERT_URL}``; they
are looked up when a run begins, so that a file can be read, and kept in git, without a secret.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from spark_fs.errors import SettingsError, format_suggestions
from spark_fs.redact import register_secrets

FAILED = "failed"  # any step, or the run itself
DRIFT = "drift"  # what users call what the step monitoring finds
_STEP_BY_KIND = {DRIFT: "monitoring"}
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_HTTP_URL_OR_NONE = re.compile(r"https?://[^\s/]|$")
_UNFIT_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f]")
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_FIELDS = ("webhook", "on", "headers", "timeout", "retries", "explorer", "insecure")
_MAX_SECONDS = 60
_MAX_RETRIES = 10


@dataclass(frozen=True)
class AlertTarget:
    """A receiver of alerts, whose variables are filled in.

    id: a digest of what tells it from others, by which is kept what it was told. host: where it is,
    to be shown.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    id: str

    @property
    def host(self) -> str:
        """The scheme and the host of the URL: its path is often the secret."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"


@dataclass(frozen=True)
class AlertRule:
    """One receiver, and what it is told of.

    webhook: its URL. on: "failed" (a step or the run fails), and steps, of which it is told that
    they fail or find something; "drift" is the step ``monitoring``. headers: sent beside. timeout:
    seconds for one attempt. retries: after the first attempt. explorer: the URL of ``spark-fs ui``,
    for links. insecure: whether the URL may be http where its host is another machine.
    """

    webhook: str = field(repr=False)
    on: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 5.0
    retries: int = 2
    explorer: str = ""
    insecure: bool = False

    @classmethod
    def of(cls, item: Any, steps: Sequence[str]) -> Self:
        """From ``{webhook: ..., on: [...]}``; SettingsError for anything else.

        Args:
            item: as the file holds it.
            steps: the steps that there are.
        """
        if not isinstance(item, Mapping):
            raise SettingsError(
                f"alerts holds a {type(item).__name__} (it is not shown, since it may hold a"
                " secret): write a mapping, as in {webhook: '${SPARK_FS_ALERT_URL}'}."
            )
        # YAML reads the plain word on as true.
        values = {"on" if name is True else name: value for name, value in item.items()}
        for name in values:
            if name not in _FIELDS:
                suggestions = format_suggestions(str(name), _FIELDS)
                raise SettingsError(f"Field {name!r} of alerts does not exist{suggestions}")
        if not isinstance(values.get("webhook"), str):
            raise SettingsError("alerts needs a webhook: give the URL that alerts are sent to.")
        kinds = [FAILED, DRIFT, *steps]
        values["on"] = _parse_kinds(values.get("on", kinds), kinds)
        _check_values(values)
        rule = cls(**values)
        if not _VARIABLE.search(rule.webhook):
            _check_url(rule.webhook, rule.insecure)
        return rule

    def is_about(self, subject: str, state: str) -> bool:
        """Whether it is told of a step (or the run) in a state."""
        if state == FAILED and FAILED in self.on:
            return True
        return any(_STEP_BY_KIND.get(kind, kind) == subject for kind in self.on)

    def find_target(self) -> AlertTarget:
        """The receiver, with the variables that the environment has.

        Raises SettingsError for a variable that is not set, and for a URL that is not one.
        """
        url = _fill_in("webhook", self.webhook)
        _check_url(url, self.insecure)
        headers = {name: _fill_in(f"header {name}", text) for name, text in self.headers.items()}
        parts = urlsplit(url)
        register_secrets(url, parts.path.strip("/"), parts.query, *headers.values())
        return AlertTarget(url, headers, self._make_id(url))

    def _make_id(self, url: str) -> str:
        """A digest of the URL and, where there are any, of the headers as the file has them.

        Two receivers may have one URL, and a new value of a variable makes no other receiver.
        """
        named = f"{url} {sorted(self.headers.items())}" if self.headers else url
        return hashlib.sha256(named.encode()).hexdigest()[:32]


def get_kind(subject: str, state: str) -> str:
    """What an alert is of, as ``on`` names it."""
    if state == FAILED:
        return FAILED
    kinds = {step: kind for kind, step in _STEP_BY_KIND.items()}
    return kinds.get(subject, subject)


def _parse_kinds(value: Any, known: Sequence[str]) -> tuple[str, ...]:
    kinds = [value] if isinstance(value, str) else value
    if not isinstance(kinds, list) or not kinds:
        raise SettingsError(f"alerts.on is {value!r}: give a list, as in [failed, verify].")
    for kind in kinds:
        if kind not in known:
            raise SettingsError(
                f"alerts.on has {kind!r}, which is neither failed, drift nor a step"
                f"{format_suggestions(str(kind), known)}"
            )
    return tuple(kinds)


def _check_values(values: Mapping[str, Any]) -> None:
    headers = values.get("headers", {})
    is_text = isinstance(headers, Mapping) and all(
        isinstance(text, str) for item in headers.items() for text in item
    )
    if not is_text:
        raise SettingsError(
            "alerts.headers must be a mapping of names to strings (they are not shown, since they"
            " may hold a secret), as in {Authorization: 'Bearer ${TOKEN}'}."
        )
    for name, low, high in (("timeout", 0.1, _MAX_SECONDS), ("retries", 0, _MAX_RETRIES)):
        value = values.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int | type(low)):
            raise SettingsError(f"alerts.{name} is {value!r}: give a number.")
        if not low <= value <= high:
            raise SettingsError(f"alerts.{name} is {value!r}: give one from {low} to {high}.")
    if not isinstance(values.get("insecure", False), bool):
        raise SettingsError(f"alerts.insecure is {values['insecure']!r}: give true or false.")
    explorer = values.get("explorer", "")
    if not isinstance(explorer, str) or not _HTTP_URL_OR_NONE.match(explorer):
        raise SettingsError(f"alerts.explorer is {explorer!r}: give the URL of spark-fs ui.")


def _fill_in(what: str, text: str) -> str:
    """The text with variables of the environment; SettingsError where one is not set."""
    for name in _VARIABLE.findall(text):
        if not os.environ.get(name):
            raise SettingsError(
                f"The {what} of alerts names the variable {name}, which is not set: set it where"
                " the pipeline runs, or leave the alert out of the file."
            )
        register_secrets(os.environ[name])
    return _VARIABLE.sub(lambda match: os.environ[match[1]], text)


def _check_url(url: str, insecure: bool) -> None:
    """Raise SettingsError, which does not show the URL, where alerts cannot be sent to it."""
    reason = None
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts = urlsplit("")
        has_host = False
    if _UNFIT_IN_URLS.search(url):
        reason = "has a space or a control character in it"
    elif parts.scheme not in ("http", "https") or not has_host:
        reason = "does not begin with https:// and a host"
    elif parts.username is not None or parts.password is not None:
        reason = "has a user or a password in it, which belong into headers"
    elif parts.scheme == "http" and parts.hostname not in _LOOPBACK_HOSTS and not insecure:
        reason = "is http to another machine, which all between can read; say insecure: true"
    if reason:
        raise SettingsError(
            f"The webhook of alerts (it is not shown, since it may hold a secret) {reason}."
        )
