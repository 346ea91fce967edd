"""A line of JSON for each request: who asked what, when, and what became of it.

It holds no key, no value of a row, no query string and no header but the request's id, so it may go
where logs go. It is written by a thread of its own: a full pipe holds up no request.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

from spark_fs.errors import SettingsError
from spark_fs.server.watchers import RequestEnd, RequestWatcher

_MAX_WAITING = 10_000  # lines that are not written yet
_MAX_PATH = 200  # characters; a longer one is cut


class AccessLog(RequestWatcher):
    """Writes the lines.

    Args:
        out: where to; None is stdout.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lines: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._dropped = 0
        Thread(target=self._write_lines, name="spark_fs-access-log", daemon=True).start()

    def end_request(self, end: RequestEnd) -> None:
        """Let a line be written, soon."""
        if self._lines.qsize() >= _MAX_WAITING:
            self._dropped += 1
            return
        # Not the end itself, which holds the headers of the request.
        self._lines.put(_list_facts(end, datetime.now(UTC), self._dropped))

    def _write_lines(self) -> None:
        while True:
            try:
                line = json.dumps(self._lines.get())
                self._out.write(line + "\n")
                self._out.flush()
            except (OSError, ValueError):  # the log has gone; the server has not
                self._dropped += 1


def open_log(place: str) -> TextIO:
    """A file of lines, made or gone on with, that only its owner reads; "-" is stdout."""
    if place == "-":
        return sys.stdout
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise SettingsError(
            f"--access-log {place} cannot be written: {error.strerror}. Name a file in a folder"
            " that is there, or - for stdout."
        ) from None
    return os.fdopen(descriptor, "a", encoding="utf-8")


def _list_facts(end: RequestEnd, now: datetime, dropped: int) -> dict[str, Any]:
    facts = end.facts
    scope = end.scope
    client = scope.get("client")
    content = {
        "time": now.isoformat(timespec="milliseconds"),
        "request_id": facts.request_id,
        "trace_id": facts.trace_id,
        "client": client[0] if client else "",
        "method": scope["method"],
        "path": scope["path"][:_MAX_PATH],
        "status": end.status,
        "refusal": end.refusal,
        "seconds": round(end.seconds, 6),
        "bytes_in": end.bytes_in,
        "bytes_out": end.bytes_out,
        "view": facts.view,
        "entries": facts.entries,
        "queue_seconds": round(facts.queue_seconds, 6),
        "lookup_seconds": round(facts.lookup_seconds, 6),
        "batch_requests": facts.batch_size,
        "dropped_lines": dropped,
    }
    told = {name: value for name, value in content.items() if value not in ("", 0)}
    return told | {"status": end.status}
