"""Who may ask a server: by which names it is asked, and the token that callers bring."""

from __future__ import annotations

import base64
import binascii
import hashlib
import socket
from collections.abc import Collection, Iterable
from ipaddress import ip_address
from pathlib import Path

from spark_fs.errors import SettingsError

ANY_NAME = "*"
_MIN_TOKEN_LENGTH = 16  # characters: nobody tries out as many
_HOW_TO_MAKE_ONE = "make one by: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


# -- names


def get_host_names(host: str, allowed: Iterable[str] = ()) -> frozenset[str] | None:
    """The names that a server on an address answers to, besides addresses.

    A page from elsewhere can let a name of its own stand for this machine, and then read what a
    browser here may read; it cannot do so with an address, nor with a name that is not its own.

    Args:
        host: the address that the server listens on.
        allowed: further names; ``*`` allows any.

    Returns:
        The names; None where any is allowed.
    """
    names = {_parse_host_name(name) for name in allowed}
    if ANY_NAME in names:
        return None
    names.add("localhost")
    if not is_loopback(host):
        names |= {host.lower(), socket.gethostname().lower()}
    return frozenset(names - {""})


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    A name other than localhost counts as one that is not.
    """
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_allowed_host(header: bytes, names: Collection[str]) -> bool:
    """Whether a Host header names an address, or one of the names."""
    name = _parse_host_name(header.decode("latin-1"))
    return name in names or _is_address(name)


def _parse_host_name(text: str) -> str:
    """A name without the port behind it."""
    text = text.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") < 2 else text


# -- tokens


def read_token(setting: str, file: Path | None) -> str:
    """The token that callers must bring.

    Args:
        setting: the setting ``token``.
        file: a file that wins over it.

    Returns:
        The token; empty where there is neither.

    Raises:
        SettingsError: the file cannot be read, or the token is short or of other characters.
    """
    if file is None and not setting:
        return ""
    token = setting
    source = "SPARK_FS_TOKEN, or the setting token,"
    if file is not None:
        token = _read_token_file(file)
        source = f"Token file {file}"
    if len(token) < _MIN_TOKEN_LENGTH or not all(map(_is_token_character, token)):
        raise SettingsError(
            f"{source} is not a token of {_MIN_TOKEN_LENGTH} ASCII characters or more without"
            f" spaces: {_HOW_TO_MAKE_ONE}."
        )
    return token


def _read_token_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"Token file {file} cannot be read: {reason}. Name a file that holds the token alone."
        ) from None


def _is_token_character(letter: str) -> bool:
    return letter.isascii() and letter.isprintable() and letter != " "


def hash_token(token: bytes) -> bytes:
    """Tokens are compared by their digests, which all are of one length."""
    return hashlib.sha256(token).digest()


def parse_token(header: bytes) -> bytes:
    """The token of an Authorization header: a bearer's, or the password of any user."""
    scheme, _, rest = header.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def check_exposed(host: str, token: str, insecure: bool, asks_certificates: bool = False) -> None:
    """Refuse to listen to other machines without asking for a token or a certificate.

    Args:
        host: the address to listen on.
        token: what callers must bring; empty: nothing.
        insecure: whether that is wanted all the same.
        asks_certificates: whether callers must have a certificate.

    Raises:
        SettingsError: the address is reached from elsewhere, and nobody is asked for either.
    """
    if not token and not insecure and not asks_certificates and not is_loopback(host):
        raise SettingsError(
            f"--host {host} lets other machines in, and nobody would be asked for a token. Set"
            f" SPARK_FS_TOKEN or --token-file ({_HOW_TO_MAKE_ONE}), listen on 127.0.0.1, or say"
            " --insecure where whoever reaches it may read all that it hands out."
        )
