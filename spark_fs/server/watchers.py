"""Who is told of requests: logs, metrics and traces."""

from __future__ import annotations

from dataclasses import dataclass

from spark_fs.server.asgi import Message
from spark_fs.server.request_facts import RequestFacts


@dataclass(frozen=True)
class RequestEnd:
    """How a request ended. status: 0 where its caller was gone before the answer."""

    scope: Message
    facts: RequestFacts
    status: int
    seconds: float
    bytes_in: int
    bytes_out: int
    refusal: str


class RequestWatcher:
    """Is told of requests; this one takes no note of them."""

    def begin_request(self) -> None:
        """A request was let in, or is to be refused."""

    def end_request(self, end: RequestEnd) -> None:
        """It was answered, or its caller is gone."""
