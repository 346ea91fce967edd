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
_CHECK_OPTIONS = ("ssl_verify_cert", "ssl_verify_identity")
_TLS_ERROR_WORDS = ("certificate", "match", "SSL is required", "Hostname")


def build_tls_options(url_options: Mapping[str, Any]) -> dict[str, Any]:
    """The driver's options of TLS, of those of the URL; none where the URL speaks of none.

    The certificate and the host name in it are checked unless the URL says not to, where there is
    an authority to check it by: that of ``ssl_ca``, or the system's where a check is asked for
    without one.
    """
    found = {name: value for name, value in url_options.items() if name.startswith("ssl_")}
    if not found:
        return {}
    asked = [name for name in _CHECK_OPTIONS if found.get(name)]
    if asked and "ssl_ca" not in found and (system := ssl.get_default_verify_paths().cafile):
        found["ssl_ca"] = system
    if "ssl_ca" in found:
        found.setdefault("ssl_verify_cert", True)
        found.setdefault("ssl_verify_identity", found["ssl_verify_cert"])
    found.setdefault("ssl_verify_identity", False)
    found["ssl_verify_cert"] = bool(
        found.get("ssl_verify_cert") or found["ssl_verify_identity"]
    )  # the name alone is no check
    return {"ssl_disabled": False, **found}


def check_tls_offered(
    host: str, port: int, timeout: float, address: str, tls_options: Mapping[str, Any]
) -> None:
    """OnlineRefusedError where TLS is asked for, the driver does not see to it, and the server offers none."""
    if not tls_options or tls_options["ssl_verify_identity"]:
        return
    with suppress(
        OSError, IndexError, ValueError
    ):  # what keeps it from being asked keeps the driver from connecting, which says so
        with (
            socket.create_connection((host, port), timeout=timeout) as client,
            client.makefile("rb") as said,
        ):
            greeting = said.read(int.from_bytes(said.read(4)[:3], "little"))
        if not _has_tls_on_offer(greeting):
            raise OnlineRefusedError(
                _format_no_tls(address, "no user and no password was sent to it")
            )


def check_tls_used(connection: Any, address: str, tls_options: Mapping[str, Any]) -> None:
    """OnlineRefusedError where TLS is asked for and a connection speaks none, as where somebody between took it off the greeting."""
    if not tls_options or tls_options["ssl_verify_identity"]:
        return
    with closing(connection.cursor()) as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        if not cursor.fetchall()[0][1]:
            connection.close()
            raise OnlineRefusedError(_format_no_tls(address, "nothing was asked of it"))


def _format_no_tls(address: str, consequence: str) -> str:
    return (
        f"The online store {address} offers no TLS, which online_url asks for: {consequence}. Turn"
        " TLS on in the server, or take the ssl_ options out of online_url."
    )


def _has_tls_on_offer(greeting: bytes) -> bool:
    """Whether a server's greeting offers TLS: its capabilities follow its version, the connection's number and eight bytes of salt."""
    if (
        greeting[0] == 0xFF
    ):  # an error instead, such as too many connections: the driver will be told too
        return True
    at = greeting.index(b"\0") + 1 + 4 + 8 + 1
    return bool(int.from_bytes(greeting[at : at + 2], "little") & _OFFERS_TLS)


def is_tls_error(message: str) -> bool:
    """Whether the driver's text tells of a certificate, a host name or a lack of TLS that will be the same the next time."""
    return any(word in message for word in _TLS_ERROR_WORDS)
