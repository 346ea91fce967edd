"""Alerts of pipelines, as values: what went wrong, and what receivers know of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from spark_fs.spec.record_format import select_known_fields, with_format_version

RUN_SUBJECT = "run"  # what went wrong is no step's: groups could not be declared, a kill


@dataclass(frozen=True)
class Problem:
    """What a step found of one group or view.

    message: in words. values: the same for machines. path: of its page, within the explorer.
    """

    group: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True)
class OpenAlert:
    """What a receiver was told of and is not over.

    subject: a step, or ``run``. target: who was told, by a digest of the URL; ``host`` is where.
    state: "failed" or "differs". groups: those that the step named. since: of the run that found it
    first, in UTC. run_id: that run.
    """

    pipeline: str
    subject: str
    target: str
    host: str
    state: str
    groups: tuple[str, ...]
    since: datetime
    run_id: str

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        data = {**vars(self), "since": self.since.isoformat(), "groups": list(self.groups)}
        return with_format_version(type(self), data)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; UpgradeError where only a newer release can read it."""
        values = select_known_fields(cls, f"An alert of pipeline {data.get('pipeline')!r}", data)
        values["since"] = datetime.fromisoformat(values["since"])
        values["groups"] = tuple(values["groups"])
        return cls(**values)
