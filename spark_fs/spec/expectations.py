"""Expectation suites and validation reports, as plain values: Great Expectations is needed only to run them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, Self, get_args

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
    """A value of a suite or report as JSON: times, decimals, bytes, NaN and infinities marked; what else JSON lacks as its text."""
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "tolist"):  # of NumPy, whose nanoseconds Python has no time for
        kept = (
            value.astype("datetime64[us]")
            if getattr(getattr(value, "dtype", None), "kind", "") == "M"
            else value
        )
        return to_tagged_json(kept.tolist())
    if isinstance(value, Mapping):
        return {str(name): to_tagged_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_tagged_json(each) for each in value]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if value - value == 0 else {"$float": str(float(value))}
    if isinstance(value, date):
        whole = isinstance(value, datetime)
        return (
            {"$timestamp" if whole else "$date": value.isoformat()} if value == value else None
        )  # NaT is none
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, bytes):
        return {"$binary": value.hex()}
    if hasattr(value, "dict"):  # a condition of Great Expectations
        return to_tagged_json(value.dict())
    return str(value)


def from_tagged_json(value: Any) -> Any:
    """The value that ``to_plain`` wrote."""
    if isinstance(value, Mapping):
        if len(value) == 1 and next(iter(value)) in _TYPE_TAGS:
            ((mark, text),) = value.items()
            return _TYPE_TAGS[mark](text)
        return {name: from_tagged_json(each) for name, each in value.items()}
    return [from_tagged_json(each) for each in value] if isinstance(value, list) else value


def parse_suite(suite: Any) -> dict[str, Any]:
    """A suite as JSON: of a Great Expectations ExpectationSuite, or a mapping with a name and a list of expectations.

    An expectation is a mapping with its ``type`` and ``kwargs``. Raises SettingsError for anything
    else.
    """
    data = suite.to_json_dict() if hasattr(suite, "to_json_dict") else suite
    if (
        not isinstance(data, Mapping)
        or not isinstance(data.get("expectations"), list)
        or not data["expectations"]
    ):
        raise SettingsError(
            f"{suite!r} is not an expectation suite: give a great_expectations ExpectationSuite"
            " with expectations in it, or a dict such as {'name': 'payments', 'expectations':"
            " [{'type': 'expect_column_values_to_not_be_null', 'kwargs': {'column':"
            " 'amount'}}]}."
        )
    expectations = []
    for each in data["expectations"]:
        type_ = (
            each.get("type", each.get("expectation_type")) if isinstance(each, Mapping) else None
        )
        if not isinstance(type_, str):
            raise SettingsError(f"{each!r} is not an expectation: give its 'type' and 'kwargs'.")
        expectations.append(
            {"type": type_, "kwargs": from_tagged_json(to_tagged_json(each.get("kwargs") or {}))}
        )
    return {"name": str(data.get("name") or "suite"), "expectations": expectations}


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
        for name in options or {}:
            if name not in ("run_validation", "policy"):
                raise SettingsError(
                    f"validation_options {name!r} does not"
                    f" exist{format_suggestions(str(name), ('run_validation', 'policy'))}"
                )
        return cls(**(options or {}))


@dataclass(frozen=True)
class ExpectationResult:
    """How one expectation fared: whether it held, how many of how many rows failed it, and up to five of their values."""

    type: str
    kwargs: Mapping[str, Any]
    success: bool
    checked: int = 0
    failed: int = 0
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ValidationReport:
    """What the expectations said of one batch, and what became of it.

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
        """From what ``to_json`` gave; UpgradeError where a newer release gave it and this one would misread it."""
        found = select_known_fields(
            cls, f"The validation report of {validated_at:%Y-%m-%d %H:%M:%S} UTC", data
        )
        results = [
            select_known_fields(ExpectationResult, "The result of an expectation", each)
            for each in from_tagged_json(data["results"])
        ]
        found["results"] = tuple(
            ExpectationResult(**each | {"examples": tuple(each["examples"])}) for each in results
        )
        return cls(**found | {"validated_at": validated_at})
