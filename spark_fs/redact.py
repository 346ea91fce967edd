"""Secrets that this process was told, and the one function that takes them out of what it says.

Addresses are made without passwords in the first place (``spark_fs.urls``); this is the net below,
for what other libraries quote.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from urllib.parse import quote, quote_plus

from spark_fs.urls import Url

MASK = "***"
# What sentences are made of: to take it out of them would tell it.
_PLAIN_WORD = re.compile(r".{,5}|[a-z_]{,8}", re.DOTALL)
# The names of options that hold a secret, as Spark, Hadoop and JDBC drivers have them.
SENSITIVE_NAMES = (
    r"passw|pwd|passphrase|secret|token|credential|(?:private|access|account|api)[._-]?key"
    r"|(?:^|[._-])sas(?:[._-]|$)"
)
_SECRET_OPTION = re.compile(f"(?i){SENSITIVE_NAMES}")
# The names of options that are about a secret and do not hold it.
_ABOUT_A_SECRET = re.compile(
    r"(?i)(enabled|provider|providers|file|path|class|regex|type|length|url|uri|endpoint|location)$"
)
_PAIR = re.compile(
    # name=value, in a URL or in options of Java
    rf"(?i)[\w.-]*(?:{SENSITIVE_NAMES})[\w.-]*\s*[=:]\s*(?:\"([^\"]*)\"|'([^']*)'|([^&;,\s)]+))"
)
# //user:password@, and Oracle's :user/password@
_LOGIN = re.compile(r"(?://|(?<=thin:|:oci:))([^\s:/@]*)[:/](\S+)@")


class _SecretPatterns:
    """How each spelling of each secret is found, the longest first.

    The mapping is replaced as a whole, since threads read it.
    """

    by_spelling: Mapping[str, re.Pattern[str]] = {}


def register_secrets(*secrets: str) -> None:
    """Remember secrets, so that ``redact_secrets`` removes them.

    Those that are short or plain words are not remembered.
    """
    spellings: set[str] = set()
    for secret in secrets:
        if not _PLAIN_WORD.fullmatch(secret):
            spellings.update(_list_spellings(secret))
    added = spellings - _SecretPatterns.by_spelling.keys()
    if added:
        patterns = dict(_SecretPatterns.by_spelling)
        for spelling in added:
            patterns[spelling] = _make_pattern(spelling)
        longest_first = sorted(patterns.items(), key=lambda item: -len(item[0]))
        _SecretPatterns.by_spelling = dict(longest_first)


def _make_pattern(spelling: str) -> re.Pattern[str]:
    """A secret that could be a word is not looked for within longer ones."""
    return re.compile(rf"(?<!\w){spelling}(?!\w)" if spelling.isalnum() else re.escape(spelling))


def redact_secrets(text: str) -> str:
    """The text with ``***`` in the place of every secret that was registered."""
    for secret, pattern in _SecretPatterns.by_spelling.items():
        if secret in text:
            text = pattern.sub(MASK, text)
    return text


def get_safe_cause(error: BaseException) -> BaseException | None:
    """The error as the cause of another; None where a traceback would tell a secret by it."""
    link: BaseException | None = error
    while link is not None:
        if redact_secrets(str(link)) != str(link):
            return None
        link = link.__cause__ or link.__context__
    return error


def is_secret_option(name: str) -> bool:
    """Whether an option of this name holds a secret."""
    return bool(_SECRET_OPTION.search(name)) and not _ABOUT_A_SECRET.search(name)


def find_secrets(name: str, value: str) -> Iterator[str]:
    """The secrets in the value of an option.

    All of it where the name says so, else the passwords of URLs and of ``name=value`` in it.
    """
    if is_secret_option(name):
        yield value
        return
    url = Url.from_text(value.removeprefix("jdbc:"))
    if url and url.password:
        yield url.password
    for login in _LOGIN.finditer(value):
        yield login[2]
    for pair in _PAIR.finditer(value):
        yield next(filter(None, pair.groups()[-3:]), "")


def _list_spellings(secret: str) -> Iterator[str]:
    """The secret as it is, and as URLs, Python, JSON and HTML write it."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield repr(secret)[1:-1]
    yield secret.replace("'", r"\'")
    yield escape(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
