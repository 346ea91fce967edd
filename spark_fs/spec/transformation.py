"""Transformation functions and where they are attached, as values.

A built-in function is kept by its name, a user's by its source.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Self

from spark_fs.errors import SettingsError
from spark_fs.spec.record_format import FORMAT_KEY, check_format, select_known_fields

Mode = Literal["builtin", "python", "pandas", "default"]
# what the first release computes by their names
_FIRST_BUILTINS = frozenset(
    {
        "min_max_scaler",
        "standard_scaler",
        "robust_scaler",
        "log_transform",
        "equal_width_binner",
        "quantile_binner",
        "label_encoder",
        "one_hot_encoder",
    }
)


@dataclass(frozen=True)
class FunctionSpec:
    """A function of one or more features.

    arguments: its parameters, which are the names of its features where it is not told others.
    returns: the feature type of each output; empty for a built-in one. drop: the arguments that do
    not stay beside the outputs. source: the code of a user's function; names: what the global names
    in it stand for: ``{"module": "math"}``, ``{"module": "math", "name": "log"}`` or ``{"value":
    3.6}``. statistics: the arguments of which it is told what the train split says.
    takes_context: whether it is told what is set of it.
    """

    FORMAT: ClassVar[int] = 2  # of what the first release would run otherwise, or not know

    name: str
    version: int = 1
    mode: Mode = "builtin"
    arguments: tuple[str, ...] = ("feature",)
    returns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    source: str = ""
    names: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    statistics: tuple[str, ...] = ()
    takes_context: bool = False

    def __str__(self) -> str:
        return f"{self.name!r}"

    @property
    def is_builtin(self) -> bool:
        """Whether it is a built-in one."""
        return self.mode == "builtin"

    @property
    def takes_series(self) -> bool:
        """Whether it is a user's that takes columns."""
        return self.mode in ("pandas", "default")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        data = asdict(self)
        if not self.statistics and not self.takes_context:
            # the first release reads no other fields than its own
            del data["statistics"]
            del data["takes_context"]
        is_new_builtin = self.is_builtin and self.name not in _FIRST_BUILTINS
        if is_new_builtin or self.mode == "default" or self.statistics or self.takes_context:
            data[FORMAT_KEY] = self.FORMAT
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The function that ``to_json`` wrote.

        Raises UpgradeError where only a newer release can read it.
        """
        subject = f"Transformation {data.get('name')!r} version {data.get('version')}"
        values = select_known_fields(cls, subject, data)
        for name in ("arguments", "returns", "drop"):
            values[name] = tuple(data[name])
        values["statistics"] = tuple(data.get("statistics", ()))
        return cls(**values)


@dataclass(frozen=True)
class TransformationSpec:
    """A function attached to features.

    outputs: the names of its outputs, where the caller chose them. chained: those of its features
    that earlier transformations give. context: what is set of it, by name.
    """

    FORMAT: ClassVar[int] = 2  # of one that is chained or set; the first release reads the others

    function: FunctionSpec
    features: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    chained: tuple[str, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

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
        data: dict[str, Any] = {
            "function": self.function.to_json(),
            "features": list(self.features),
            "outputs": list(self.outputs),
        }
        if self.chained or self.context:
            data["chained"] = list(self.chained)
            data["context"] = dict(self.context)
            data[FORMAT_KEY] = self.FORMAT
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        check_format("A transformation", data, cls.FORMAT)
        return cls(
            FunctionSpec.from_json(data["function"]),
            tuple(data["features"]),
            tuple(data["outputs"]),
            tuple(data.get("chained", ())),
            data.get("context", {}),
        )
