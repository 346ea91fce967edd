"""Listen on a port, or say that it is taken."""

from socket import socket
from typing import Any

from spark_fs.errors import SettingsError


def bound(config: Any, host: str, port: int) -> socket:
    """The socket of a server's configuration, listening; SettingsError where another program has the port."""
    try:
        found: socket = config.bind_socket()
    except SystemExit:  # uvicorn's way to say that it cannot
        raise SettingsError(f"Port {port} of {host} cannot be listened on: another program has it. Choose one with --port.") from None
    found.listen()  # who is told of it may come at once
    return found
