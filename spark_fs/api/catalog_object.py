"""What the catalog keeps under a name and version: it is described and tagged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar

from spark_fs.api.tags import check_tag, remove_tag
from spark_fs.base.arguments import validate_arguments
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec

Spec = TypeVar("Spec", GroupSpec, ViewSpec)


@validate_arguments
class CatalogObject(ABC, Generic[Spec]):
    """Something under a name and version that can be described and tagged."""

    _spec: Spec

    @abstractmethod
    def _load_spec(self) -> Spec:
        """Load the definition as the catalog has it now."""

    @abstractmethod
    def _update_spec(self, change: Callable[[Spec], Spec]) -> Self:
        """Change the definition as the catalog has it now, not as this object remembers it."""

    @property
    def name(self) -> str:
        """The name."""
        return self._spec.name

    @property
    def version(self) -> int:
        """The version, from 1 up."""
        return self._spec.version

    @property
    def description(self) -> str:
        """What it is for."""
        return self._spec.description

    @description.setter
    def description(self, description: str) -> None:
        self.update_description(description)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, version={self.version})"

    def update_description(self, description: str) -> Self:
        """Replace the description, eagerly; returns the object."""
        return self._update_spec(lambda spec: replace(spec, description=description))

    def add_tag(self, name: str, value: Any) -> None:
        """Set a tag, eagerly.

        Args:
            name: Its name, in lower snake case.
            value: Any value that JSON can hold.

        Raises:
            InvalidNameError: The name is not in lower snake case.
            SettingsError: JSON cannot hold the value.
        """
        check_tag(name, value)
        self._update_spec(lambda spec: replace(spec, tags={**spec.tags, name: value}))

    def get_tag(self, name: str) -> Any:
        """Return the value of a tag; None where it is absent."""
        return self.get_tags().get(name)

    def get_tags(self) -> dict[str, Any]:
        """Return the value of each tag."""
        return dict(self._load_spec().tags)

    def delete_tag(self, name: str) -> None:
        """Remove a tag, eagerly; NotFoundError, with the nearest names, where it is absent."""
        self._update_spec(lambda spec: replace(spec, tags=remove_tag(spec.tags, name)))
