"""What an online store can do, and how it holds the columns of a feature group.

Each store's folder has a table of its column types, one row for each feature type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spark_fs.base import types
from spark_fs.base.types import Codec
from spark_fs.errors import SchemaError


def _keep_value(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class ColumnStorage:
    """How one online store holds a type.

    column_type: as the store names it. encode, decode: the two directions of its values, which are
    never null.

    The rest matters to a store whose rows are bounded. byte_width: bytes of a value of fixed
    length. long_type: for a type that is declared with its length, the column type of longer
    values. unit_bytes: bytes of one unit of that length, at most. off_page: whether a long value
    lies outside of its row.
    """

    column_type: str
    encode: Codec = _keep_value
    decode: Codec = _keep_value
    byte_width: int = 8
    long_type: str | None = None
    unit_bytes: int = 1
    off_page: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What a store can do.

    name: the store's, for errors. find_storage: how it holds a feature type. max_identifier:
    characters of its longest table name. max_columns: columns of one table, and of one result, at
    most. row_bytes: of a row as it is declared. page_bytes: of a row, long values aside, which lie
    elsewhere. key_bytes: of a key. declares_lengths: whether strings and bytes are declared with
    their length. None: no bound.
    """

    name: str
    find_storage: Callable[[str], ColumnStorage]
    max_identifier: int
    max_columns: int
    row_bytes: int | None = None
    page_bytes: int | None = None
    key_bytes: int | None = None
    declares_lengths: bool = False


@dataclass(frozen=True)
class OnlineColumn:
    """One typed column: its feature type, how the store holds it, and its declared length.

    A column of a declared length does not grow. is_key: whether it is of the primary key.
    """

    name: str
    type: str
    storage: ColumnStorage
    declared_length: int | None = None
    is_key: bool = False

    @property
    def variable_length(self) -> bool:
        """Whether it is as long as its longest value, and grows."""
        return self.storage.long_type is not None

    def sql_type(self, length: int | None) -> str:
        """The column type, with its length where that varies (None: the long type)."""
        if self.storage.long_type is None:
            return self.storage.column_type
        if length is None:
            return self.storage.long_type
        return f"{self.storage.column_type}({length})"


def get_type_row(
    spark_type: str, storage_by_type: Mapping[str, ColumnStorage], store_name: str
) -> ColumnStorage:
    """The row of a type in a store's table of column types; SchemaError where it has none."""
    storage = storage_by_type.get(types.get_base_type(spark_type))
    if storage is None:
        raise SchemaError(
            f"Type {spark_type} cannot be served online from {store_name}: use one of"
            f" {', '.join(storage_by_type)}, or leave the column out of the online group."
        )
    return storage
