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
    listener = _listen(host, port, is_shared=False)
    return listener, _format_url(host, listener)


def open_sockets(host: str, port: int, count: int) -> tuple[list[socket.socket], str]:
    """Sockets for one port, among which connections are dealt out, and their URL.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 is any that is free.
        count: how many.

    Raises:
        SettingsError: it cannot be listened on.
    """
    # Sockets that share a port share it with any other program of this user that does, too.
    with _listen(host, port, is_shared=False) as probe:
        port = probe.getsockname()[1]
    listeners = [open_shared_socket(host, port) for _ in range(count)]
    return listeners, _format_url(host, listeners[0])


def open_shared_socket(host: str, port: int) -> socket.socket:
    """One more socket among which the connections to a port are dealt out.

    Args:
        host: the address to listen on.
        port: the port, of which there may be such sockets already.

    Raises:
        SettingsError: it cannot be listened on.
    """
    return _listen(host, port, is_shared=True)


def _listen(host: str, port: int, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, reuse_port=is_shared
        )
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
    return listener


def _format_url(host: str, listener: socket.socket) -> str:
    address = f"[{host}]" if ":" in host else host
    return f"http://{address}:{listener.getsockname()[1]}"
