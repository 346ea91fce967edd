"""What a reader asks of replicas."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadRules:
    """When a replica answers, and what does where none may.

    max_age: seconds; a sync that ended longer ago is in every answer. None: of any age.
    falls_back: whether the primary answers where no replica may or can; else that is an error.
    """

    max_age: float | None = None
    falls_back: bool = True
