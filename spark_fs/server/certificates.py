"""The certificate of a server, and whose certificates it asks callers for."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_fs.errors import SettingsError


@dataclass(frozen=True)
class TlsFiles:
    """Files in PEM.

    certificate: of the server, with those between it and its authority. key: of the certificate.
    client_authority: callers without a certificate of this authority are turned away; None: no
    caller is asked for one.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None

    def list_options(self) -> dict[str, Any]:
        """The options of uvicorn for them."""
        options: dict[str, Any] = {
            "ssl_certfile": str(self.certificate),
            "ssl_keyfile": str(self.key),
        }
        if self.client_authority:
            options["ssl_ca_certs"] = str(self.client_authority)
            options["ssl_cert_reqs"] = ssl.CERT_REQUIRED
        return options


def read_tls_files(
    certificate: Path | None, key: Path | None, client_authority: Path | None
) -> TlsFiles | None:
    """The files that a command line names; None where it names none.

    Args:
        certificate: of the server.
        key: of the certificate.
        client_authority: of the callers.

    Raises:
        SettingsError: one of the first two is missing, or a file cannot be used.
    """
    if certificate is None and key is None and client_authority is None:
        return None
    if certificate is None or key is None:
        raise SettingsError(
            "TLS takes both --tls-cert and --tls-key: name the server's certificate and its key."
        )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The certificate {certificate} and the key {key} cannot be used:"
            f" {error.strerror or error}. Name files in PEM, and the key of the certificate,"
            " without a passphrase."
        ) from None
    if client_authority is not None:
        try:
            context.load_verify_locations(client_authority)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"--tls-client-ca {client_authority} cannot be used: {error.strerror or error}."
                " Name a file in PEM with the certificates of the authority."
            ) from None
    return TlsFiles(certificate, key, client_authority)
