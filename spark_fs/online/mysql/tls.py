"""TLS to MySQL and MariaDB: asked for before a password is sent, or not asked for at all.

The driver's C extension logs in without TLS at a server that offers none, unless the host's name is
to be checked (tried with 9.7: a certificate that is to be checked does not keep it from that). So
where the name is not, the server's greeting is read before the driver connects, which says whether
TLS is on offer; and what the driver then speaks is looked at before anything is asked.
"""

import socket
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

from spark_fs.errors import OnlineRefusedError

_OFFERS_TLS = 0x0800  # CLIENT_SSL of the greeting's capabilities
_OFFERS_TLS_OFFSET = 4 + 8 + 1  # behind the version: the connection's number, the salt, and a zero
_ERROR_PACKET = 0xFF
_CHECK_OPTIONS = ("ssl_verify_cert", "ssl_verify_identity")
_TLS_ERROR_WORDS = ("certificate", "match", "SSL is required", "Hostname")


def build_tls_options(url_options: Mapping[str, Any]) -> dict[str, Any]:
    """The driver's options of TLS, of those of the URL; none where the URL speaks of none.

    The certificate and the host name in it are checked unless the URL says not to, where there is
    an authority to check it by: that of ``ssl_ca``, or the system's where a check is asked for
    without one.
    """
    options = {name: value for name, value in url_options.items() if name.startswith("ssl_")}
    if not options:
        return {}
    if "ssl_ca" not in options and any(options.get(name) for name in _CHECK_OPTIONS):
        system_authorities = ssl.get_default_verify_paths().cafile
        if system_authorities:
            options["ssl_ca"] = system_authorities
    if "ssl_ca" in options:
        options.setdefault("ssl_verify_cert", True)
        options.setdefault("ssl_verify_identity", options["ssl_verify_cert"])
    verify_identity = options.setdefault("ssl_verify_identity", False)
    # The name alone is no check.
    options["ssl_verify_cert"] = bool(options.get("ssl_verify_cert") or verify_identity)
    return {"ssl_disabled": False, **options}


def check_tls_offered(
    host: str, port: int, timeout: float, address: str, tls_options: Mapping[str, Any]
) -> None:
    """Check that the server offers TLS, where it is asked for and the driver does not see to it.

    Args:
        host: The host of the server.
        port: Its port.
        timeout: Seconds to wait for its greeting.
        address: The online store, for the error.
        tls_options: The driver's options of TLS; none where it is not asked for.

    Raises:
        OnlineRefusedError: The server offers none.
    """
    if not tls_options or tls_options["ssl_verify_identity"]:
        return
    # What keeps it from being asked keeps the driver from connecting, which says so.
    with suppress(OSError, IndexError, ValueError):
        greeting = _read_greeting(host, port, timeout)
        if not _has_tls_on_offer(greeting):
            raise OnlineRefusedError(
                _format_no_tls(address, "no user and no password was sent to it")
            )


def _read_greeting(host: str, port: int, timeout: float) -> bytes:
    with (
        socket.create_connection((host, port), timeout=timeout) as client,
        client.makefile("rb") as stream,
    ):
        size = int.from_bytes(stream.read(4)[:3], "little")
        return stream.read(size)


def check_tls_used(connection: Any, address: str, tls_options: Mapping[str, Any]) -> None:
    """Check that a connection speaks TLS, where it is asked for.

    It speaks none where somebody between took the offer off the greeting: OnlineRefusedError.
    """
    if not tls_options or tls_options["ssl_verify_identity"]:
        return
    with closing(connection.cursor()) as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        if not cursor.fetchall()[0][1]:
            connection.close()
            raise OnlineRefusedError(
                _format_no_tls(address, "the log-in was made without it, and nothing was read")
            )


def _format_no_tls(address: str, consequence: str) -> str:
    return (
        f"The online store {address} offers no TLS, which online_url asks for: {consequence}. Turn"
        " TLS on in the server, or take the ssl_ options out of online_url."
    )


def _has_tls_on_offer(greeting: bytes) -> bool:
    """Whether a server's greeting offers TLS.

    Its capabilities follow its version, the connection's number and eight bytes of salt. It may be
    an error instead, such as too many connections: the driver will be told too.
    """
    if greeting[0] == _ERROR_PACKET:
        return True
    start = greeting.index(b"\0") + 1 + _OFFERS_TLS_OFFSET
    capabilities = int.from_bytes(greeting[start : start + 2], "little")
    return bool(capabilities & _OFFERS_TLS)


def is_tls_error(message: str) -> bool:
    """Whether the driver's text tells of a certificate, a host name or a lack of TLS.

    Such a failure is the same the next time.
    """
    return any(word in message for word in _TLS_ERROR_WORDS)
