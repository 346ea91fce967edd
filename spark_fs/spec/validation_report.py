"""Validation reports, as plain values: what the expectations found in one batch.

They are read by attribute or, as Great Expectations' own, by the names of its JSON.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from spark_fs.base.great_expectations_types import to_ge_report, to_ge_result
from spark_fs.errors import SettingsError
from spark_fs.spec.expectations import (
    from_tagged_json,
    identify_expectation,
    parse_expectation,
    to_tagged_json,
)
from spark_fs.spec.record_format import select_known_fields, with_format_version

# What became of rows, in Hopsworks' words, by what reports of inserts say.
_INGESTION_RESULTS = {"inserted": "INGESTED", "refused": "REJECTED", "none": "UNKNOWN"}
INGESTION_RESULTS = ("INGESTED", "REJECTED", "UNKNOWN", "EXPERIMENT", "FG_DATA")
_MAX_EXAMPLES = 5


class _JsonReading(ABC):
    """Reads a value as its JSON too: ``report["success"]``."""

    @abstractmethod
    def to_json_dict(self) -> dict[str, Any]:
        """As plain JSON."""

    def __getitem__(self, name: str) -> Any:
        return self.to_json_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_json_dict())

    def keys(self) -> list[str]:
        """The names of its JSON."""
        return list(self.to_json_dict())

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name of its JSON."""
        return self.to_json_dict().get(name, default)


@dataclass(frozen=True)
class ExpectationConfig(_JsonReading):
    """What a result is the result of, in the words of Great Expectations 0.18."""

    expectation_type: str
    kwargs: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The type, as Great Expectations 1.x calls it."""
        return self.expectation_type

    def to_json_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        kwargs = _to_plain_json(self.kwargs)
        return {"expectation_type": self.expectation_type, "kwargs": kwargs, "meta": {}}


@dataclass(frozen=True)
class ExpectationResult(_JsonReading):
    """How one expectation fared.

    success: whether it held. checked, failed: how many rows, and how many of them failed it.
    examples: up to five of their values. validation_time, ingestion_result: when its report was
    made, and what became of the batch, in a history of results.
    """

    type: str
    kwargs: Mapping[str, Any]
    success: bool
    checked: int = 0
    failed: int = 0
    examples: tuple[Any, ...] = ()
    validation_time: datetime | None = field(default=None, compare=False)
    ingestion_result: str = field(default="UNKNOWN", compare=False)

    @property
    def expectation_config(self) -> ExpectationConfig:
        """The expectation."""
        return ExpectationConfig(self.type, self.kwargs)

    @property
    def expectation_id(self) -> int:
        """The number of the expectation."""
        return identify_expectation({"type": self.type, "kwargs": self.kwargs})

    @property
    def result(self) -> dict[str, Any]:
        """The figures, by the names of Great Expectations."""
        if not self.checked:
            return {"observed_value": self.examples[0]} if self.examples else {}
        return {
            "element_count": self.checked,
            "unexpected_count": self.failed,
            "unexpected_percent": 100 * self.failed / self.checked,
            "partial_unexpected_list": list(self.examples),
        }

    @property
    def exception_info(self) -> dict[str, Any]:
        """That it could be evaluated: where one cannot, there is no report."""
        return {"raised_exception": False, "exception_message": None, "exception_traceback": None}

    @property
    def meta(self) -> dict[str, Any]:
        """Nothing: a result has no notes."""
        return {}

    def to_ge_type(self) -> Any:
        """As an ``ExpectationValidationResult`` of Great Expectations 1.x."""
        return to_ge_result(self)

    def to_json_dict(self) -> dict[str, Any]:
        """As plain JSON, in the form of Great Expectations 0.18."""
        return {
            "success": self.success,
            "expectation_config": self.expectation_config.to_json_dict(),
            "result": _to_plain_json(self.result),
            "exception_info": self.exception_info,
            "meta": self.meta,
        }


@dataclass(frozen=True)
class ValidationReport(_JsonReading):
    """What the expectations found in one batch, and what became of it.

    ingestion: "inserted", "refused" or "none" (only validated), or what a caller who saved it says.
    set_aside: rows that went to quarantine. id: its number in the catalog, once it is kept.
    """

    suite: str
    success: bool
    results: tuple[ExpectationResult, ...]
    rows: int
    ingestion: str = "none"
    set_aside: int = 0
    validated_at: datetime | None = field(default=None, compare=False)
    id: int | None = field(default=None, compare=False)

    @property
    def failed(self) -> list[ExpectationResult]:
        """The results that are no success."""
        return [result for result in self.results if not result.success]

    @property
    def ingestion_result(self) -> str:
        """What became of the rows, in Hopsworks' words."""
        return _INGESTION_RESULTS.get(self.ingestion, self.ingestion.upper())

    @property
    def validation_time(self) -> datetime | None:
        """When it was made (UTC)."""
        return self.validated_at

    @property
    def statistics(self) -> dict[str, Any]:
        """How many expectations were evaluated, and how many of them held."""
        evaluated = len(self.results)
        successful = evaluated - len(self.failed)
        return {
            "evaluated_expectations": evaluated,
            "successful_expectations": successful,
            "unsuccessful_expectations": len(self.failed),
            "success_percent": 100 * successful / evaluated if evaluated else None,
        }

    @property
    def meta(self) -> dict[str, Any]:
        """The name of the suite, and when it was run."""
        instant = None if self.validated_at is None else self.validated_at.isoformat()
        return {"expectation_suite_name": self.suite, "validation_time": instant}

    @property
    def evaluation_parameters(self) -> dict[str, Any]:
        """None: an expectation has its values in it."""
        return {}

    def to_json_dict(self) -> dict[str, Any]:
        """As plain JSON, in the form of Great Expectations 0.18."""
        return {
            "success": self.success,
            "results": [result.to_json_dict() for result in self.results],
            "evaluation_parameters": self.evaluation_parameters,
            "statistics": self.statistics,
            "meta": self.meta,
        }

    def to_ge_type(self) -> Any:
        """As an ``ExpectationSuiteValidationResult`` of Great Expectations 1.x."""
        return to_ge_report(self)

    def with_times(self) -> list[ExpectationResult]:
        """The results, each with the instant of the report and what became of the batch."""
        return [
            replace(
                result,
                validation_time=self.validated_at,
                ingestion_result=self.ingestion_result,
            )
            for result in self.results
        ]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what the catalog keeps beside it: the instant and the number."""
        data = asdict(self)
        for name in ("validated_at", "id"):
            del data[name]
        for result in data["results"]:
            for name in ("validation_time", "ingestion_result"):
                del result[name]
        return with_format_version(type(self), to_tagged_json(data))

    @classmethod
    def from_json(
        cls, validated_at: datetime, data: Mapping[str, Any], number: int | None = None
    ) -> Self:
        """The report that ``to_json`` wrote.

        Args:
            validated_at: its instant.
            data: what ``to_json`` gave.
            number: its number.

        Raises:
            UpgradeError: only a newer release can read it.
        """
        subject = f"The validation report of {validated_at:%Y-%m-%d %H:%M:%S} UTC"
        values = select_known_fields(cls, subject, data)
        values["results"] = tuple(map(_read_result, from_tagged_json(data["results"])))
        values["validated_at"] = validated_at
        values["id"] = number
        return cls(**values)


def parse_report(report: Any, ingestion_result: str) -> ValidationReport:
    """A report that was made elsewhere, to be kept.

    Args:
        report: a report of ours or of Great Expectations, or its JSON.
        ingestion_result: what became of the rows, one of ``INGESTION_RESULTS``.

    Raises:
        SettingsError: it is none of these.
    """
    ingestion = check_ingestion_result(ingestion_result).lower()
    if isinstance(report, ValidationReport):
        return report if ingestion == "unknown" else replace(report, ingestion=ingestion)
    data = report.to_json_dict() if hasattr(report, "to_json_dict") else report
    listed = data.get("results") if isinstance(data, Mapping) else None
    if not isinstance(listed, list | tuple) or "success" not in data:
        raise SettingsError(
            f"{report!r} is not a validation report: give what validate returns, a"
            " great_expectations validation result, or its JSON as a dict."
        )
    results = tuple(map(_parse_result, listed))
    meta = data.get("meta") or {}
    suite = meta.get("expectation_suite_name") or data.get("suite_name") or "suite"
    rows = max((result.checked for result in results), default=0)
    return ValidationReport(str(suite), bool(data["success"]), results, rows, ingestion)


def check_ingestion_result(value: str) -> str:
    """One of ``INGESTION_RESULTS``; SettingsError for anything else."""
    name = str(value).upper()
    if name not in INGESTION_RESULTS:
        raise SettingsError(
            f"ingestion_result {value!r} is not known: use"
            f" {', '.join(map(repr, INGESTION_RESULTS))}."
        )
    return name


def _parse_result(result: Any) -> ExpectationResult:
    data = result.to_json_dict() if hasattr(result, "to_json_dict") else result
    expectation = parse_expectation(data.get("expectation_config"))
    figures: Mapping[str, Any] = data.get("result") or {}
    examples: Sequence[Any] = figures.get("partial_unexpected_list") or ()
    if not examples and "observed_value" in figures:
        examples = [figures["observed_value"]]
    return ExpectationResult(
        expectation["type"],
        expectation["kwargs"],
        bool(data.get("success")),
        int(figures.get("element_count") or 0),
        int(figures.get("unexpected_count") or 0),
        tuple(examples[:_MAX_EXAMPLES]),
    )


def _read_result(data: Mapping[str, Any]) -> ExpectationResult:
    values = select_known_fields(ExpectationResult, "The result of an expectation", data)
    values["examples"] = tuple(values["examples"])
    return ExpectationResult(**values)


def _to_plain_json(value: Any) -> Any:
    """A value as JSON, where what JSON lacks is a string."""
    return json.loads(json.dumps(value, default=str))
