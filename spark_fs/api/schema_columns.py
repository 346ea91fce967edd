"""Columns with their types: a mapping of names, of which each name knows its column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spark_fs.api.feature import Feature


class ColumnName(str):
    """The name of a column, which has what is known of the column as attributes beside it.

    So ``for f in fg.schema`` serves who wants names, and who wants ``f.name`` and ``f.type`` as
    Hopsworks has them.
    """

    __slots__ = ("feature",)
    feature: Feature

    def __new__(cls, feature: Feature) -> ColumnName:
        """The name of a column."""
        name = super().__new__(cls, feature.name)
        name.feature = feature
        return name

    @property
    def partition(self) -> bool:  # type: ignore[override] # Hopsworks' columns have it, not str's
        """Whether the column is of the partition key."""
        return self.feature.partition

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") or attribute == "feature":
            raise AttributeError(attribute)
        return getattr(self.feature, attribute)

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


class SchemaColumns(dict[str, str]):
    """The type of each column by its name, in order; a number gives the Feature in that place."""

    def __init__(self, features: Sequence[Any]) -> None:
        super().__init__((feature.name, feature.type or "") for feature in features)
        self._features = list(features)

    def __iter__(self) -> Iterator[str]:
        return iter([ColumnName(feature) for feature in self._features])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | slice):
            return self._features[key]
        return super().__getitem__(key)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self.items()),)
