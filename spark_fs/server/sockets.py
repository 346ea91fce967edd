"""Listen on a port, or say why not."""

import ctypes
import errno
import socket
import struct
import sys
from contextlib import suppress

from spark_fs.errors import SettingsError

_BACKLOG = 2_048  # connections that wait to be accepted
_SO_ATTACH_FILTER = 26  # of Linux, for which Python has no names
_SO_DETACH_FILTER = 27
# A program of four steps for the kernel's packet filter: drop what asks for a connection (the flag
# SYN of a TCP header), and let the rest pass. Each is a code, two jumps and a number.
_DROP_SYN = (
    (0x30, 0, 0, 13),  # load the byte of the flags
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # then keep nothing of the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else all of it
)


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


def ignore_new_connections(listener: socket.socket) -> None:
    """Let no connection begin at a socket any more; those that have begun still come.

    A socket that is closed resets the connections which wait at it, and under load one comes
    between the last that was taken and the close. Who asks for one now asks again after a second,
    and is then refused. Elsewhere than on Linux this does nothing.

    Args:
        listener: the socket.
    """
    if sys.platform != "linux":
        return
    steps = b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN)
    buffer = ctypes.create_string_buffer(steps)
    program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(buffer))
    with suppress(OSError):  # a kernel without the filter closes as ever
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def admit_new_connections(listener: socket.socket) -> None:
    """Let connections begin again at a socket that another process may have made ignore them.

    Args:
        listener: the socket, as it was before it was given to that process.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):  # it ignores none, or is closed
        listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


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
