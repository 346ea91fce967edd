"""Suites, expectations and reports as the objects of Great Expectations.

The library is imported here and where a suite is run, when that is asked for: its import takes
seconds.
"""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_ANALYTICS_VARIABLE = "GX_ANALYTICS_ENABLED"


@contextmanager
def load_great_expectations() -> Iterator[Any]:
    """Great Expectations, without its analytics and its warnings to its own developers."""
    before = os.environ.get(_ANALYTICS_VARIABLE)
    os.environ[_ANALYTICS_VARIABLE] = "False"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import great_expectations as gx

            yield gx
    finally:
        if before is None:
            del os.environ[_ANALYTICS_VARIABLE]
        else:
            os.environ[_ANALYTICS_VARIABLE] = before


def to_ge_suite(suite: Mapping[str, Any]) -> Any:
    """A suite, as JSON, as an ``ExpectationSuite`` of the library."""
    with load_great_expectations() as gx:
        expectations = [to_ge_expectation(each) for each in suite["expectations"]]
        return gx.ExpectationSuite(name=suite["name"], expectations=expectations)


def to_ge_expectation(expectation: Mapping[str, Any]) -> Any:
    """An expectation, as JSON, as an ``ExpectationConfiguration`` of the library."""
    with load_great_expectations():
        from great_expectations.expectations.expectation_configuration import (
            ExpectationConfiguration,
        )

        return ExpectationConfiguration(
            type=expectation["type"],
            kwargs=dict(expectation["kwargs"]),
            meta=expectation.get("meta") or {},
        )


def to_ge_report(report: Any) -> Any:
    """A report of ours as an ``ExpectationSuiteValidationResult`` of the library."""
    with load_great_expectations():
        from great_expectations.core import ExpectationSuiteValidationResult

        return ExpectationSuiteValidationResult(
            success=report.success,
            results=[to_ge_result(result) for result in report.results],
            suite_name=report.suite,
            statistics=report.statistics,
            meta=report.meta,
        )


def to_ge_result(result: Any) -> Any:
    """A result of ours as an ``ExpectationValidationResult`` of the library."""
    with load_great_expectations():
        from great_expectations.core import ExpectationValidationResult

        return ExpectationValidationResult(
            success=result.success,
            expectation_config=to_ge_expectation({"type": result.type, "kwargs": result.kwargs}),
            result=result.result,
            exception_info=result.exception_info,
            meta=result.meta,
        )
