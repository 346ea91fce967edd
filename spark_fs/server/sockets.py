"""Listen on a port, or say why not."""

import errno
import socket

from spark_fs.errors import SettingsError


def open_socket(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket that takes connections already, and its URL; port 0 is any that is free. SettingsError where it cannot be."""
    try:
        found = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        what = f"Port {port} of {host} cannot be listened on"
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"{what}: another program has it. Choose one with --port."
            ) from None
        raise SettingsError(
            f"{what}: {error.strerror}. Choose others with --host and --port."
        ) from None
    # What a connection accepts it takes over: an answer of two writes is not held back until the
    # first is acknowledged, 40 ms later.
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found, f"http://{f'[{host}]' if ':' in host else host}:{found.getsockname()[1]}"
