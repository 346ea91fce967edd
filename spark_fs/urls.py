"""URLs of databases as people write them, with any character in a password, and their addresses, which show none."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

_LOCATION = r"(?P<host>\[[^\]]*\]|[^:/?#@]*)(?::(?P<port>\d+))?(?:/(?P<database>[^?#@]*))?(?:\?(?P<options>{}))?"
_OPTIONS = r"[a-z_]+=[^&]*(?:&[a-z_]+=[^&]*)*"
_STANDARD = re.compile(
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^/?#]*))?@)" + _LOCATION.format(_OPTIONS), re.DOTALL
)
_BARE = re.compile(_LOCATION.format("[^@]*"), re.DOTALL)
# Somebody wrote the password as it is: it ends at the last @ that leaves a place behind it.
_RAW = re.compile(
    r"(?P<user>[^:/?#]*)(?::(?P<password>.*))?@" + _LOCATION.format("[^@]*"), re.DOTALL
)
_FORMS = (_STANDARD, _BARE, _RAW, re.compile(_LOCATION.format(_OPTIONS), re.DOTALL))
_NOT_A_URL = "(what is not a URL)"
_FILE_SCHEMES = ("sqlite", "file")


@dataclass(frozen=True)
class Url:
    """The parts of ``scheme://user:password@host:port/database?options``; user, password and database are decoded."""

    scheme: str
    user: str = ""
    password: str = ""
    host: str = ""
    port: int | None = None
    database: str = ""
    options: str = ""

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The parts of a URL; None for what is not one."""
        scheme, separator, rest = text.partition("://")
        if not separator or not re.fullmatch(r"[a-zA-Z][\w.+-]*", scheme):
            return None
        if scheme.partition("+")[0].lower() in _FILE_SCHEMES:
            path, _, options = rest.partition("?")
            return cls(scheme, database=path, options=options)
        found = next(filter(None, (form.fullmatch(rest) for form in _FORMS)), None)
        if found is None:
            return None
        given = found.groupdict(default="")
        return cls(
            scheme,
            unquote(given.get("user", "")),
            unquote(given.get("password", "")),
            given["host"].strip("[]").lower(),
            int(given["port"]) if given["port"] else None,
            unquote(given["database"].strip("/")),
            given["options"],
        )

    @property
    def is_file(self) -> bool:
        """Whether it names a file, and no server."""
        return self.scheme.partition("+")[0].lower() in _FILE_SCHEMES

    @property
    def address(self) -> str:
        """The URL without user, password and options."""
        if self.is_file:
            return f"{self.scheme}://{self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{f':{self.port}' if self.port else ''}/{self.database}"


def get_address(text: str) -> str:
    """Where a URL leads, without user, password and options."""
    found = Url.from_text(text)
    return found.address if found else _NOT_A_URL


def get_sqlite_file(text: str) -> Path | None:
    """The file of a SQLite URL; None where it names a server, or a database in memory."""
    url = Url.from_text(text)
    if url is None or not url.scheme.startswith("sqlite"):
        return None
    path = url.database.removeprefix("/")
    return Path(path) if path and path != ":memory:" else None


def format_masked_url(text: str) -> str:
    """A URL with ``***`` in the place of its password, and without options."""
    found = Url.from_text(text)
    if found is None:
        return _NOT_A_URL
    login = (
        f"{found.user}{':***' if found.password else ''}@" if found.user or found.password else ""
    )
    return found.address.replace("://", f"://{login}", 1)
