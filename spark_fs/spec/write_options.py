"""What a caller may ask of one insert."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args

from spark_fs.errors import SettingsError, format_suggestions
from spark_fs.spec.names import normalize_name

Operation = Literal["upsert", "insert"]
_ARGUMENTS = ("operation", "overwrite")  # those of insert itself


@dataclass(frozen=True)
class WriteOptions:
    """The ``write_options`` of an insert.

    operation: "upsert" or "insert". keep: which of several rows of one identity in the batch is the
    row, "first" or "last" by ``order_by``; the others are set aside. order_by: a column of the
    frame; a pandas frame or an Arrow table may go by its own order. batch_id: the same id writes
    once, however often it comes. overwrite: whether the rows take the place of all that are there.
    """

    operation: Operation = "upsert"
    keep: Literal["first", "last"] | None = None
    order_by: str | None = None
    batch_id: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.operation not in get_args(Operation):
            raise SettingsError(
                f"operation {self.operation!r} is not known: use 'upsert' or 'insert'."
            )
        if self.keep not in (None, "first", "last"):
            raise SettingsError(
                f"write_options keep {self.keep!r} is not known: use 'first' or 'last'."
            )
        if self.order_by is not None and self.keep is None:
            raise SettingsError(
                f"write_options order_by {self.order_by!r} needs keep='first' or keep='last'"
                " beside it."
            )
        if self.order_by is not None and isinstance(self.order_by, str):
            object.__setattr__(self, "order_by", normalize_name(self.order_by))
        if self.batch_id is not None and not (isinstance(self.batch_id, str) and self.batch_id):
            raise SettingsError(
                f"write_options batch_id {self.batch_id!r} must be a string that is not empty."
            )

    @classmethod
    def from_argument(
        cls, operation: Any, options: Mapping[str, Any] | None, overwrite: bool = False
    ) -> Self:
        """The options of a call.

        Args:
            operation: "upsert" or "insert".
            options: what the caller gives as ``write_options``.
            overwrite: whether the rows take the place of all that are there.

        Raises:
            SettingsError: an option is unknown or not valid.
        """
        known = [field.name for field in fields(cls) if field.name not in _ARGUMENTS]
        for name in options or {}:
            if name not in known:
                raise SettingsError(
                    f"write_options {name!r} does not exist{format_suggestions(str(name), known)}"
                )
        return cls(operation, **(options or {}), overwrite=overwrite)
