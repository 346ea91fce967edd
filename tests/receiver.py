"""A receiver of webhooks on loopback, which answers as it is told and keeps what it got."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """codes: what it answers with, one request after the other, then 200. pauses: seconds that it waits before; drip: it answers a byte at a time."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.pause = 0.0
        self.drip = 0.0
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is: what its path holds is a secret."""
        return f"http://127.0.0.1:{self.port}/services/T0SECRET1/B0SECRET2"

    @property
    def told(self) -> list[tuple[str, str]]:
        """The event and the subject of each request."""
        return [(body["event"], body["subject"]) for body in self.bodies]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            receiver.bodies.append(json.loads(self.rfile.read(length)))
            receiver.headers.append(dict(self.headers))
            time.sleep(receiver.pause)
            code = receiver.codes.pop(0) if receiver.codes else 200
            if receiver.drip:
                for byte in b"HTTP/1.0 200 OK\r\nServer: slow\r\n\r\n":
                    self.wfile.write(bytes([byte]))
                    time.sleep(receiver.drip)
                return
            self.send_response(code)
            if code == 302:
                self.send_header("Location", receiver.url)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
