"""Warn users at the line of theirs that called us, however many calls of ours lie between."""

import sys
import warnings
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_CALLERS = ("cli", "pipelines", "server")  # rooms that call the api as a user does
_OUTSIDE = tuple(f"{_PACKAGE / room}/" for room in _CALLERS)


def warn_user(message: str) -> None:
    """Warn, naming the innermost line that is not of the library."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_library_file(frame.f_code.co_filename):
        frame = frame.f_back
        level += 1
    warnings.warn(message, stacklevel=level)


def _is_library_file(name: str) -> bool:
    return name.startswith(f"{_PACKAGE}/") and not name.startswith(_OUTSIDE)
