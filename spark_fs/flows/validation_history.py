"""Choose of the validation reports of a group those, and their results, that are asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from spark_fs.base.times import Instant, to_utc
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.expectations import identify_expectation
from spark_fs.spec.validation_report import (
    ExpectationResult,
    ValidationReport,
    check_ingestion_result,
)


def select_reports(
    reports: Sequence[ValidationReport],
    bounds: tuple[Instant | int | None, Instant | int | None],
    fates: Sequence[str],
) -> list[ValidationReport]:
    """The reports that were made between two instants, both included, about batches of some fates.

    Raises:
        SettingsError: The bounds are the wrong way round, or a fate is not known.
    """
    start, end = map(_to_instant, bounds)
    if start is not None and end is not None and start > end:
        raise SettingsError(
            f"start_validation_time {bounds[0]!r} lies after end_validation_time {bounds[1]!r}:"
            " exchange them."
        )
    listed = [fates] if isinstance(fates, str) else fates
    known_fates = {check_ingestion_result(fate) for fate in listed}
    selected = []
    for report in reports:
        at = report.validated_at
        is_inside = at is None or ((start is None or at >= start) and (end is None or at <= end))
        if is_inside and (not known_fates or report.ingestion_result in known_fates):
            selected.append(report)
    return selected


def _to_instant(bound: Instant | int | None) -> datetime | None:
    if bound is None or bound == "":
        return None
    if isinstance(bound, int):
        return datetime.fromtimestamp(bound / 1_000, tz=to_utc("1970-01-01").tzinfo)
    return to_utc(bound)


def list_results(
    reports: Sequence[ValidationReport], number: int, suite: Mapping[str, Any] | None
) -> list[ExpectationResult]:
    """What an expectation of this number found, the newest first.

    Raises:
        NotFoundError: Neither the suite nor a report has it.
    """
    results = []
    for report in reversed(reports):
        results += [each for each in report.with_times() if each.expectation_id == number]
    numbers = {
        identify_expectation(expectation): expectation["type"]
        for expectation in (suite or {}).get("expectations", ())
    }
    if not results and number not in numbers:
        existing = ", ".join(f"{each} ({type_})" for each, type_ in numbers.items()) or "none"
        raise NotFoundError(
            f"Expectation {number} does not exist; the suite has: {existing}. Look at the id of"
            " each in get_expectation_suite().expectations."
        )
    return results
