"""Transformation functions and where they are attached, as values.

A built-in function is kept by its name, a user's by its source.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from spark_fs.errors import SettingsError
from spark_fs.spec.record_format import check_format, select_known_fields, with_format_version

Mode = Literal["builtin", "python", "pandas"]


@dataclass(frozen=True)
class FunctionSpec:
    """A function of one or more features.

    arguments: its parameters, which are the names of its features where it is not told others.
    returns: the feature type of each output; empty for a built-in one. drop: the arguments that do
    not stay beside the outputs. source: the code of a user's function; names: what the global names
    in it stand for: ``{"module": "math"}``, ``{"module": "math", "name": "log"}`` or ``{"value":
    3.6}``.
    """

    name: str
    version: int = 1
    mode: Mode = "builtin"
    arguments: tuple[str, ...] = ("feature",)
    returns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    source: str = ""
    names: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name!r}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return with_format_version(type(self), asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The function that ``to_json`` wrote.

        Raises UpgradeError where only a newer release can read it.
        """
        subject = f"Transformation {data.get('name')!r} version {data.get('version')}"
        values = select_known_fields(cls, subject, data)
        for name in ("arguments", "returns", "drop"):
            values[name] = tuple(data[name])
        return cls(**values)


@dataclass(frozen=True)
class TransformationSpec:
    """A function attached to features.

    outputs: the names of its outputs, where the caller chose them.
    """

    function: FunctionSpec
    features: tuple[str, ...]
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        arguments = self.function.arguments
        if len(self.features) != len(arguments):
            raise SettingsError(
                f"Transformation {self.function} takes {len(arguments)} features"
                f" ({', '.join(arguments)}), not {len(self.features)}"
                f" ({', '.join(self.features)}): name one for each."
            )

    def __str__(self) -> str:
        return f"{self.function.name}({', '.join(self.features)})"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "function": self.function.to_json(),
            "features": list(self.features),
            "outputs": list(self.outputs),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        check_format("A transformation", data)
        return cls(
            FunctionSpec.from_json(data["function"]),
            tuple(data["features"]),
            tuple(data["outputs"]),
        )
