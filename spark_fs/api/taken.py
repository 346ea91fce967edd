"""Arguments that are taken for the sake of code that was written for Hopsworks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_fs.base.user_warnings import warn_user


def warn_of_arguments(method: str, arguments: Mapping[str, Any], reason: str) -> None:
    """Warn of arguments that mean nothing here, where a caller gave them.

    Args:
        method: The method that takes them, for the warning.
        arguments: The arguments by name; None, False and empty values were not given.
        reason: A sentence without its stop that says why they mean nothing, and what does.
    """
    given = [name for name, value in arguments.items() if is_given(value)]
    if given:
        warn_user(f"{method}({', '.join(f'{name}=' for name in given)}) changes nothing: {reason}.")


def is_given(value: Any) -> bool:
    """Whether a value is another than None, False, and what is empty."""
    if value is None or value is False:
        return False
    return not (isinstance(value, str | bytes | list | tuple | set | Mapping) and len(value) == 0)
