"""Names of the columns that a category each has.

They say the value, depend on it alone, and are valid names of features.
"""

import re
from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from typing import Any

MAX_NAME_LENGTH = 63  # letters of a feature's name
_PLAIN_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_DIGEST_LENGTH = 6  # of a digest
_LONG_DIGEST_LENGTH = 32  # where names would still be equal


def make_category_names(feature: str, categories: Sequence[Any]) -> list[str]:
    """A name for the column of each category: the feature and the value.

    Such as ``n_minus_1``, ``zone_harbour``, ``day_2024_01_31``. A string with other letters than
    ``a`` to ``z``, digits and single underscores is written with these, and is followed by a few
    digits of its digest, as is a name that would be too long. So a category has its name whatever
    other ones there are.
    """
    names: list[str] = []
    for category in categories:
        name = _make_category_name(feature, category, _DIGEST_LENGTH)
        if name in names:
            name = _make_category_name(feature, category, _LONG_DIGEST_LENGTH)
        names.append(name)
    return names


def make_legacy_category_names(feature: str, categories: Sequence[Any]) -> list[str]:
    """The names that training datasets of earlier versions have, whose states hold no names."""
    names: list[str] = []
    for category in categories:
        text = category.isoformat() if isinstance(category, date) else str(category)
        word = re.sub("[^0-9A-Za-z]+", "_", text).strip("_").lower()
        plain = f"{feature}_{word}"
        name = plain
        number = 2
        while name in names:
            name = f"{plain}_{number}"
            number += 1
        names.append(name)
    return names


def _make_category_name(feature: str, category: Any, digest_length: int) -> str:
    word, is_unique = _format_category(category)
    name = f"{feature}_{word}"
    if is_unique and len(name) <= MAX_NAME_LENGTH:
        return name
    digest = sha256(f"{feature}={category}".encode()).hexdigest()[:digest_length]
    return f"{name[: MAX_NAME_LENGTH - 1 - digest_length].rstrip('_')}_{digest}"


def _format_category(category: Any) -> tuple[str, bool]:
    """The category in letters of a name, and whether no other one of its type is written so."""
    if isinstance(category, date):
        return category.isoformat().replace("-", "_"), True
    text = str(category)
    if isinstance(category, bool):
        text = text.lower()
    word = re.sub(r"^-(?=[0-9])", "minus_", text)
    if not isinstance(category, str) or _PLAIN_NAME.fullmatch(text):
        return word, True
    word = _escape_letters(word, r"[^\x00-\x7f]")
    word = re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")
    return word or _escape_letters(text, r"(?s).").strip("_") or "empty", False


def _escape_letters(text: str, letters: str) -> str:
    """The text with some letters as their numbers in Unicode, apart from one another."""
    return re.sub(letters, lambda match: f"_u{ord(match[0]):04x}_", text).replace("__", "_")
