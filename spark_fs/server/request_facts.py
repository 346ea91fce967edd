"""What is known of a request while it is answered, for headers, logs, metrics and traces."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from spark_fs.server.asgi import Message, find_header

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_STATE_KEY = "spark_fs"  # in the scope of a request


@dataclass
class RequestFacts:
    """What is known of a request; there is no value of a row in it, nor a secret.

    request_id: the caller's own, or made here. trace_parent: of W3C; empty where none came. view:
    empty until it is known. queue_seconds: until a look-up began that answers it. batch_size: the
    requests that were answered by the same look-up. lookup_ended: by ``time.perf_counter``.
    """

    request_id: str
    trace_parent: str = ""
    view: str = ""
    entries: int = 0
    queue_seconds: float = 0.0
    lookup_seconds: float = 0.0
    batch_size: int = 0
    lookup_ended: float = 0.0

    @property
    def trace_id(self) -> str:
        """The id of the caller's trace; empty where there is none."""
        return self.trace_parent[3:35]


def read_request_facts(scope: Message) -> RequestFacts:
    """The facts that a request's headers tell; an id that cannot be a header is made anew."""
    request_id = find_header(scope, b"x-request-id") or b""
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = os.urandom(16).hex().encode()
    trace_parent = find_header(scope, b"traceparent") or b""
    if not _TRACE_PARENT.fullmatch(trace_parent):
        trace_parent = b""
    facts = RequestFacts(request_id.decode(), trace_parent.decode())
    scope[_STATE_KEY] = facts
    return facts


def get_request_facts(scope: Message) -> RequestFacts:
    """The facts of a request that was let in."""
    facts = scope.get(_STATE_KEY)
    return facts if isinstance(facts, RequestFacts) else read_request_facts(scope)
