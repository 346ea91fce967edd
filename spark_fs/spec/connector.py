"""A source of rows by a name of its own, without the secrets that lead there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from spark_fs.spec.names import check_name
from spark_fs.spec.record_format import select_known_fields, with_format_version


@dataclass(frozen=True)
class ConnectorSpec:
    """Where external groups may have their rows.

    kind: "JDBC", "SQL", "S3" or "HOPSFS", a folder. arguments: what the kind needs, as JSON can
    hold it.
    """

    name: str
    kind: str
    description: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("Storage connector", self.name)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        data = {
            "name": self.name,
            "kind": self.kind,
            "description": self.description,
            "arguments": dict(self.arguments),
        }
        return with_format_version(type(self), data)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave; UpgradeError where a newer release wrote it."""
        subject = f"Storage connector {data['name']!r}"
        return cls(**select_known_fields(cls, subject, data))
