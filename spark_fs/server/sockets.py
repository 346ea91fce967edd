"""Listen on a port, or say why not."""

import errno
import socket

from spark_fs.errors import SettingsError

_BACKLOG = 2_048  # connections that wait to be accepted


def open_socket(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket that takes connections already, and its URL.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 is any that is free.

    Raises:
        SettingsError: it cannot be listened on.
    """
    is_v6 = ":" in host
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        problem = f"Port {port} of {host} cannot be listened on"
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"{problem}: another program has it. Choose one with --port."
            ) from None
        raise SettingsError(
            f"{problem}: {error.strerror}. Choose others with --host and --port."
        ) from None
    # What a connection accepts it takes over: an answer of two writes is not held back until the
    # first is acknowledged, 40 ms later.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    address = f"[{host}]" if is_v6 else host
    return listener, f"http://{address}:{listener.getsockname()[1]}"
