"""What something is made of, or what is made of it, as lineage gives it."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


class Links(list[T]):
    """A list of groups, views or models; Hopsworks' names for its parts are there too.

    All of them are of this store and can be opened, so none is deleted, inaccessible or faulty.
    """

    @property
    def accessible(self) -> list[T]:
        """All of them."""
        return list(self)

    @property
    def deleted(self) -> list[Any]:
        """None: what something else needs is not deleted without force."""
        return []

    @property
    def inaccessible(self) -> list[Any]:
        """None: a store has one set of permissions."""
        return []

    @property
    def faulty(self) -> list[Any]:
        """None."""
        return []
