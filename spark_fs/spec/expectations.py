"""Expectation suites and validation reports, as plain values.

Great Expectations is needed only to run them.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Literal, Self, get_args

from spark_fs.base.arithmetic import is_nan
from spark_fs.errors import SettingsError, format_suggestions
from spark_fs.spec.record_format import select_known_fields, with_format_version

# How JSON holds what it has no word for: marked, so that it comes back as it was.
_TYPE_TAGS: Mapping[str, Callable[[str], Any]] = {
    "$timestamp": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$decimal": Decimal,
    "$binary": bytes.fromhex,
    "$float": float,
}
Policy = Literal["STRICT", "ALWAYS", "QUARANTINE"]


def to_tagged_json(value: Any) -> Any:
    """A value of a suite or report as JSON.

    Times, decimals, bytes, NaN and infinities are tagged; what else JSON lacks is a string.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "tolist"):
        return to_tagged_json(_to_python_values(value))
    if isinstance(value, Mapping):
        return {str(name): to_tagged_json(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_tagged_json(element) for element in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, date | Decimal | bytes):
        return _to_tagged_scalar(value)
    if hasattr(value, "dict"):  # a condition of Great Expectations
        return to_tagged_json(value.dict())
    return str(value)


def _to_python_values(value: Any) -> Any:
    """The values of a NumPy array or scalar; Python has no time of its nanoseconds."""
    dtype = getattr(value, "dtype", None)
    if getattr(dtype, "kind", "") == "M":
        value = value.astype("datetime64[us]")
    return value.tolist()


def _to_tagged_scalar(value: date | Decimal | bytes) -> dict[str, str] | None:
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, bytes):
        return {"$binary": value.hex()}
    if is_nan(value):  # NaT
        return None
    tag = "$timestamp" if isinstance(value, datetime) else "$date"
    return {tag: value.isoformat()}


def from_tagged_json(value: Any) -> Any:
    """The value that ``to_tagged_json`` wrote."""
    if isinstance(value, list):
        return [from_tagged_json(element) for element in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        ((tag, text),) = value.items()
        if tag in _TYPE_TAGS:
            return _TYPE_TAGS[tag](text)
    return {name: from_tagged_json(entry) for name, entry in value.items()}


def parse_suite(suite: Any) -> dict[str, Any]:
    """A suite as JSON, with its name and its expectations.

    Args:
        suite: an ExpectationSuite of Great Expectations, or a mapping with a name and a list of
            expectations, each a mapping with its ``type`` and ``kwargs``.

    Raises:
        SettingsError: it is anything else.
    """
    data = suite.to_json_dict() if hasattr(suite, "to_json_dict") else suite
    listed = data.get("expectations") if isinstance(data, Mapping) else None
    if not isinstance(listed, list) or not listed:
        raise SettingsError(
            f"{suite!r} is not an expectation suite: give a great_expectations ExpectationSuite"
            " with expectations in it, or a dict such as {'name': 'payments', 'expectations':"
            " [{'type': 'expect_column_values_to_not_be_null', 'kwargs': {'column':"
            " 'amount'}}]}."
        )
    expectations = [_parse_expectation(expectation) for expectation in listed]
    return {"name": str(data.get("name") or "suite"), "expectations": expectations}


def _parse_expectation(data: Any) -> dict[str, Any]:
    kind = None
    if isinstance(data, Mapping):
        kind = data.get("type", data.get("expectation_type"))
    if not isinstance(kind, str):
        raise SettingsError(f"{data!r} is not an expectation: give its 'type' and 'kwargs'.")
    arguments = to_tagged_json(data.get("kwargs") or {})
    return {"type": kind, "kwargs": from_tagged_json(arguments)}


@dataclass(frozen=True)
class ValidationOptions:
    """The ``validation_options`` of an insert.

    run_validation: whether the group's suite is run at all. policy: "STRICT" refuses the whole
    batch when an expectation fails, "ALWAYS" writes it all the same, "QUARANTINE" sets the rows
    that fail aside and writes the others.
    """

    run_validation: bool = True
    policy: Policy = "STRICT"

    def __post_init__(self) -> None:
        if self.policy not in get_args(Policy):
            raise SettingsError(
                f"validation_options policy {self.policy!r} is not known: use"
                f" {', '.join(map(repr, get_args(Policy)))}."
            )

    @classmethod
    def from_argument(cls, options: Mapping[str, Any] | None) -> Self:
        """The options of a call; SettingsError for one that is unknown or not valid."""
        known = ("run_validation", "policy")
        for name in options or {}:
            if name not in known:
                raise SettingsError(
                    f"validation_options {name!r} does not"
                    f" exist{format_suggestions(str(name), known)}"
                )
        return cls(**(options or {}))


@dataclass(frozen=True)
class ExpectationResult:
    """How one expectation fared.

    success: whether it held. checked, failed: how many rows, and how many of them failed it.
    examples: up to five of their values.
    """

    type: str
    kwargs: Mapping[str, Any]
    success: bool
    checked: int = 0
    failed: int = 0
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ValidationReport:
    """What the expectations found in one batch, and what became of it.

    ingestion: "inserted", "refused" or "none" (only validated). set_aside: rows that went to
    quarantine.
    """

    suite: str
    success: bool
    results: tuple[ExpectationResult, ...]
    rows: int
    ingestion: str = "none"
    set_aside: int = 0
    validated_at: datetime | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the instant, which the catalog keeps beside it."""
        data = asdict(self)
        del data["validated_at"]
        return with_format_version(type(self), to_tagged_json(data))

    @classmethod
    def from_json(cls, validated_at: datetime, data: Mapping[str, Any]) -> Self:
        """The report that ``to_json`` wrote.

        Args:
            validated_at: its instant.
            data: what ``to_json`` gave.

        Raises:
            UpgradeError: only a newer release can read it.
        """
        subject = f"The validation report of {validated_at:%Y-%m-%d %H:%M:%S} UTC"
        values = select_known_fields(cls, subject, data)
        values["results"] = tuple(map(_read_result, from_tagged_json(data["results"])))
        values["validated_at"] = validated_at
        return cls(**values)


def _read_result(data: Mapping[str, Any]) -> ExpectationResult:
    values = select_known_fields(ExpectationResult, "The result of an expectation", data)
    values["examples"] = tuple(values["examples"])
    return ExpectationResult(**values)
