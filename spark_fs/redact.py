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
_PLAIN_WORD = re.compile(
    r".{,5}|[a-z_]{,8}", re.DOTALL
)  # what sentences are made of: to take it out of them would tell it
# The names of options that hold a secret, as Spark, Hadoop and JDBC drivers have them; and those
# that only speak of one.
SENSITIVE_NAMES = r"passw|pwd|passphrase|secret|token|credential|(?:private|access|account|api)[._-]?key|(?:^|[._-])sas(?:[._-]|$)"
_SECRET_OPTION = re.compile(f"(?i){SENSITIVE_NAMES}")
_ABOUT_A_SECRET = re.compile(
    r"(?i)(enabled|provider|providers|file|path|class|regex|type|length|url|uri|endpoint|location)$"
)
_PAIR = re.compile(
    # name=value, in a URL or in options of Java
    rf"(?i)[\w.-]*(?:{SENSITIVE_NAMES})[\w.-]*\s*[=:]\s*(?:\"([^\"]*)\"|'([^']*)'|([^&;,\s)]+))"
)
_LOGIN = re.compile(
    r"(?://|(?<=thin:|:oci:))([^\s:/@]*)[:/](\S+)@"
)  # //user:password@, and Oracle's :user/password@


class _SecretPatterns:
    """How each spelling of each secret is found, the longest first; replaced as a whole, since threads read it."""

    by_spelling: Mapping[str, re.Pattern[str]] = {}


def register_secrets(*secrets: str) -> None:
    """Remember secrets, so that ``redacted`` knows them; but for those that are short or plain words."""
    added = {
        form
        for secret in secrets
        if not _PLAIN_WORD.fullmatch(secret)
        for form in _list_spellings(secret)
    } - _SecretPatterns.by_spelling.keys()
    if added:
        found = {**_SecretPatterns.by_spelling, **{form: _make_pattern(form) for form in added}}
        _SecretPatterns.by_spelling = dict(sorted(found.items(), key=lambda each: -len(each[0])))


def _make_pattern(spelling: str) -> re.Pattern[str]:
    """A secret that could be a word is not looked for within longer ones."""
    return re.compile(rf"(?<!\w){spelling}(?!\w)" if spelling.isalnum() else re.escape(spelling))


def redact_secrets(text: str) -> str:
    """The text with ``***`` in the place of every secret that was learned."""
    for secret, pattern in _SecretPatterns.by_spelling.items():
        if secret in text:
            text = pattern.sub(MASK, text)
    return text


def get_safe_cause(error: BaseException) -> BaseException | None:
    """The error as the cause of another; None where a traceback would tell a secret by it."""
    each: BaseException | None = error
    while each is not None:
        if redact_secrets(str(each)) != str(each):
            return None
        each = each.__cause__ or each.__context__
    return error


def is_secret_option(name: str) -> bool:
    """Whether an option of this name holds a secret."""
    return bool(_SECRET_OPTION.search(name)) and not _ABOUT_A_SECRET.search(name)


def find_secrets(name: str, value: str) -> Iterator[str]:
    """The secrets in the value of an option: all of it where its name says so, else the passwords of URLs and of ``name=value`` in it."""
    if is_secret_option(name):
        yield value
        return
    url = Url.from_text(value.removeprefix("jdbc:"))
    if url and url.password:
        yield url.password
    yield from (found[2] for found in _LOGIN.finditer(value))
    for found in _PAIR.finditer(value):
        yield next(filter(None, found.groups()[-3:]), "")


def _list_spellings(secret: str) -> Iterator[str]:
    """The secret as it is, and as URLs, Python, JSON and HTML write it."""
    yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield from (repr(secret)[1:-1], secret.replace("'", r"\'"), escape(secret))
    yield from (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
