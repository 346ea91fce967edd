"""Expectation suites, as plain values.

Great Expectations is needed only to run them.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Literal, Self, cast, get_args

from spark_fs.base.arithmetic import is_nan
from spark_fs.errors import SettingsError, format_suggestions

# How JSON holds what it has no word for: marked, so that it comes back as it was.
_TYPE_TAGS: Mapping[str, Callable[[str], Any]] = {
    "$timestamp": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$decimal": Decimal,
    "$binary": bytes.fromhex,
    "$float": float,
}
Policy = Literal["STRICT", "ALWAYS", "QUARANTINE"]

# The names of a field: ours and those of Great Expectations 1.x, of 0.18, and of Hopsworks' JSON.
_NAME_FIELDS = ("name", "expectation_suite_name", "expectationSuiteName")
_TYPE_FIELDS = ("type", "expectation_type", "expectationType")
_POLICY_FIELDS = ("policy", "validation_ingestion_policy", "validationIngestionPolicy")
_RUN_FIELDS = ("run_validation", "runValidation")
# Arguments of 0.18 that say how a result is shown, not whether it is a success.
_SHOWN_ARGUMENTS = (
    "auto",
    "batch_id",
    "catch_exceptions",
    "include_config",
    "output_strftime_format",
    "profiler_config",
    "rendered_content",
    "result_format",
)
_MAX_FLOAT = 2**53  # up to which every integer is a float
_OWN_OPTIONS = ("run_validation", "policy", "save_report")
# What Hopsworks takes beside them changes nothing here: a schema is always checked.
_OPTIONS = (
    *_OWN_OPTIONS,
    "fetch_expectation_suite",
    "ge_type",
    "ge_validate_kwargs",
    "online_schema_validation",
    "schema_validation",
)


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
    """A suite as JSON: its name and its expectations, and what it says of its use.

    Suites of Great Expectations 0.18 and of Hopsworks are translated: their names of fields, and
    arguments of expectations that only say how results are shown, which are left out.

    Args:
        suite: an ExpectationSuite of ours or of Great Expectations, or a mapping with a name and a
            list of expectations, each an object or a mapping with its type and kwargs.

    Raises:
        SettingsError: it is anything else.
    """
    data = suite.to_json_dict() if hasattr(suite, "to_json_dict") else suite
    listed = data.get("expectations") if isinstance(data, Mapping) else None
    if not isinstance(listed, list | tuple):
        raise SettingsError(
            f"{suite!r} is not an expectation suite: give a spark_fs or great_expectations"
            " ExpectationSuite, or a dict such as {'name': 'payments', 'expectations':"
            " [{'type': 'expect_column_values_to_not_be_null', 'kwargs': {'column':"
            " 'amount'}}]}."
        )
    parsed: dict[str, Any] = {"name": str(_get_first(data, _NAME_FIELDS) or "suite")}
    parsed["expectations"] = [parse_expectation(expectation) for expectation in listed]
    policy = _get_first(data, _POLICY_FIELDS)
    if policy is not None:
        parsed["policy"] = check_policy("The expectation suite's policy", policy)
    run_validation = _get_first(data, _RUN_FIELDS)
    if run_validation is not None and not run_validation:
        parsed["run_validation"] = False
    return parsed


def parse_expectation(expectation: Any) -> dict[str, Any]:
    """An expectation as JSON: its type and kwargs, and its meta where it has some.

    Args:
        expectation: an object of ours or of Great Expectations, or a mapping with its ``type``, or
            ``expectation_type``, and ``kwargs``.

    Raises:
        SettingsError: it is anything else.
    """
    source = getattr(expectation, "configuration", expectation)  # of an object of 1.x
    data = source.to_json_dict() if hasattr(source, "to_json_dict") else source
    kind = _get_first(data, _TYPE_FIELDS) if isinstance(data, Mapping) else None
    if not isinstance(kind, str):
        raise SettingsError(f"{expectation!r} is not an expectation: give its 'type' and 'kwargs'.")
    arguments = from_tagged_json(to_tagged_json(read_mapping(data.get("kwargs"))))
    for name in _SHOWN_ARGUMENTS:
        arguments.pop(name, None)
    parsed = {"type": kind, "kwargs": arguments}
    meta = from_tagged_json(to_tagged_json(read_mapping(data.get("meta"))))
    meta.pop("expectationId", None)
    if meta:
        parsed["meta"] = meta
    return parsed


def _get_first(data: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these fields that is there and says something."""
    return next((data[name] for name in names if data.get(name) is not None), None)


def read_mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, which may be written as JSON; SettingsError for anything else."""
    parsed = value
    if isinstance(value, str):
        with suppress(ValueError):
            parsed = json.loads(value)
    if parsed is not None and not isinstance(parsed, Mapping):
        raise SettingsError(f"{value!r} is not a mapping: give a dict, or one as JSON.")
    return parsed or {}


def check_policy(subject: str, policy: Any) -> Policy:
    """The policy in capitals; SettingsError for one that is not known."""
    name = str(policy).strip().upper()
    if name not in get_args(Policy):
        raise SettingsError(
            f"{subject} {policy!r} is not known: use {', '.join(map(repr, get_args(Policy)))}."
        )
    return cast("Policy", name)


def with_told_policy(suite: Mapping[str, Any]) -> dict[str, Any]:
    """A suite that is attached now, with its policy: ALWAYS unless it says another.

    One that says none was attached by a release whose default was STRICT, and keeps that.
    """
    return {**suite, "policy": suite.get("policy", "ALWAYS")}


def with_kept_options(
    suite: Mapping[str, Any] | None, kept: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """A suite as it is declared again, with what the attached one says and it does not."""
    if suite is None or kept is None:
        return None if suite is None else dict(suite)
    told = {name: value for name, value in suite.items() if (name, value) != ("policy", "ALWAYS")}
    options = {name: kept[name] for name in ("policy", "run_validation") if name in kept}
    return {**options, **told}


def identify_expectation(expectation: Mapping[str, Any]) -> int:
    """The number of an expectation: it follows from its type and arguments alone."""
    content = [expectation["type"], _as_floats(to_tagged_json(expectation["kwargs"]))]
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _as_floats(value: Any) -> Any:
    """The value with floats for its integers: Great Expectations reads a bound as a float."""
    if isinstance(value, dict):
        return {name: _as_floats(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_as_floats(element) for element in value]
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_integer and abs(value) < _MAX_FLOAT else value


@dataclass(frozen=True)
class ValidationOptions:
    """The ``validation_options`` of an insert.

    run_validation: whether the group's suite is run at all; None: as the suite says. policy:
    "STRICT" refuses the whole batch when an expectation fails, "ALWAYS" writes it all the same,
    "QUARANTINE" sets the rows that fail aside and writes the others; None: as the suite says.
    save_report: whether the report is kept.
    """

    run_validation: bool | None = None
    policy: Policy | None = None
    save_report: bool = True

    @classmethod
    def from_argument(cls, options: Mapping[str, Any] | None) -> Self:
        """The options of a call; SettingsError for one that is unknown or not valid."""
        values = {}
        for name, value in (options or {}).items():
            if name not in _OPTIONS:
                raise SettingsError(
                    f"validation_options {name!r} does not"
                    f" exist{format_suggestions(str(name), _OPTIONS)}"
                )
            if name in _OWN_OPTIONS:
                values[name] = value
        if values.get("policy") is not None:
            values["policy"] = check_policy("validation_options policy", values["policy"])
        return cls(**values)

    def choose_suite(self, suite: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The suite of a group where it is to be run; None where none is."""
        if suite is None:
            return None
        is_run = self.run_validation
        if is_run is None:
            is_run = suite.get("run_validation", True)
        return suite if is_run else None

    def choose_policy(self, suite: Mapping[str, Any]) -> Policy:
        """What becomes of a batch that fails: as the call says, or the suite."""
        policy: Policy = self.policy or suite.get("policy", "STRICT")
        return policy
