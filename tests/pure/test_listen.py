"""A server's port."""

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spark_fs.errors import SettingsError
from spark_fs.server.sockets import open_socket

SIXTH = Path("/proc/net/if_inet6")  # empty, or not there, on a machine without IPv6


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", *(["::1"] if SIXTH.exists() and SIXTH.read_text() else [])]
)
def test_who_is_told_of_a_port_may_come_at_once(host: str) -> None:
    server, url = open_socket(host, 0)
    with server:
        told = urlsplit(url)
        assert told.hostname == host
        assert told.port
        with socket.create_connection((told.hostname, told.port), timeout=5):
            pass


def test_a_port_that_is_taken_is_named() -> None:
    server, _ = open_socket("127.0.0.1", 0)
    port = server.getsockname()[1]
    with (
        server,
        pytest.raises(
            SettingsError,
            match=rf"^Port {port} of 127\.0\.0\.1 cannot be listened on: another program has it",
        ),
    ):
        open_socket("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("no.such.host.invalid", ".*(not known|resolution)"),
    ],
)
def test_a_host_that_is_not_this_one_is_told_with_the_reason(host: str, reason: str) -> None:
    with pytest.raises(
        SettingsError,
        match=(
            rf"^Port 8080 of {re.escape(host)} cannot be listened on: {reason}.*Choose others with"
            r" --host and --port"
        ),
    ):
        open_socket(host, 8080)
