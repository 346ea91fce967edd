"""Tags as Hopsworks' code makes them."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Tag"]


@dataclass(frozen=True)
class Tag:
    """A value by a name, for the argument ``tags`` of what is created."""

    name: str
    value: Any
