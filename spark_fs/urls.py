"""URLs of databases as people write them, with any character in a password.

And their addresses, which show no password.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

_LOCATION = (
    r"(?P<host>\[[^\]]*\]|[^:/?#@]*)(?::(?P<port>\d+))?"
    r"(?:/(?P<database>[^?#@]*))?(?:\?(?P<options>{}))?"
)
_LOCATION_WITH_OPTIONS = _LOCATION.format(r"[a-z_]+=[^&]*(?:&[a-z_]+=[^&]*)*")
_LOCATION_WITHOUT_AT = _LOCATION.format("[^@]*")
_STANDARD_LOGIN = r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^/?#]*))?@)"
# Somebody wrote the password as it is: it ends at the last @ that leaves a location behind it.
_RAW_LOGIN = r"(?P<user>[^:/?#]*)(?::(?P<password>.*))?@"
# The first of these that a URL has is its form.
_FORMS = (
    re.compile(_STANDARD_LOGIN + _LOCATION_WITH_OPTIONS, re.DOTALL),
    re.compile(_LOCATION_WITHOUT_AT, re.DOTALL),
    re.compile(_RAW_LOGIN + _LOCATION_WITHOUT_AT, re.DOTALL),
    re.compile(_LOCATION_WITH_OPTIONS, re.DOTALL),
)
_NOT_A_URL = "(what is not a URL)"
_FILE_SCHEMES = ("sqlite", "file")


@dataclass(frozen=True)
class Url:
    """The parts of ``scheme://user:password@host:port/database?options``.

    User, password and database are decoded.
    """

    scheme: str
    user: str = ""
    password: str = ""
    host: str = ""
    port: int | None = None
    database: str = ""
    options: str = ""

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The parts of a URL; None for any other string."""
        scheme, separator, rest = text.partition("://")
        if not separator or not re.fullmatch(r"[a-zA-Z][\w.+-]*", scheme):
            return None
        if scheme.partition("+")[0].lower() in _FILE_SCHEMES:
            path, _, options = rest.partition("?")
            return cls(scheme, database=path, options=options)
        matches = (form.fullmatch(rest) for form in _FORMS)
        match = next(filter(None, matches), None)
        if match is None:
            return None
        parts = match.groupdict(default="")
        port = parts["port"]
        return cls(
            scheme=scheme,
            user=unquote(parts.get("user", "")),
            password=unquote(parts.get("password", "")),
            host=parts["host"].strip("[]").lower(),
            port=int(port) if port else None,
            database=unquote(parts["database"].strip("/")),
            options=parts["options"],
        )

    @property
    def is_file(self) -> bool:
        """Whether it names a file, and no server."""
        return self.scheme.partition("+")[0].lower() in _FILE_SCHEMES

    @property
    def backend(self) -> str:
        """The kind of database, whatever driver leads to it."""
        return self.scheme.partition("+")[0]

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database, as the URL writes it; None where it is another."""
        if self.backend != "sqlite":
            return None
        return Path(self.database.removeprefix("/"))

    @property
    def address(self) -> str:
        """The URL without user, password and options."""
        if self.is_file:
            return f"{self.scheme}://{self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{host}{port}/{self.database}"


def get_address(text: str) -> str:
    """Where a URL leads, without user, password and options."""
    url = Url.from_text(text)
    return url.address if url else _NOT_A_URL


def get_sqlite_file(text: str) -> Path | None:
    """The file of a SQLite URL; None where it names a server, or a database in memory."""
    url = Url.from_text(text)
    if url is None or url.database in ("", "/", "/:memory:"):
        return None
    return url.sqlite_file


def format_masked_url(text: str) -> str:
    """A URL with ``***`` in the place of its password, and without options."""
    url = Url.from_text(text)
    if url is None:
        return _NOT_A_URL
    if not url.user and not url.password:
        return url.address
    password = ":***" if url.password else ""
    return url.address.replace("://", f"://{url.user}{password}@", 1)
