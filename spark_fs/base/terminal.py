"""Text that is safe to print on a terminal.

What a name or an error holds can neither colour it, nor move its cursor, nor end its line unseen.
"""

import re

# Control characters but the tab and the end of a line, marks that turn the direction of writing,
# and halves of surrogate pairs.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape_for_terminal(text: object) -> str:
    r"""The text, with such characters as Python writes them: ``\x1b``, ``\u202e``."""
    return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], str(text))
