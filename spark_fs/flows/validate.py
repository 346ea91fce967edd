"""Validate rows by a Great Expectations suite. The library is imported here alone, when a suite is run: its import takes seconds."""

import ast
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.errors import SettingsError, ValidationError, first_line
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.suites import ExpectationResult, ValidationReport

EXAMPLES = 5
REASON = "_reason"
Suite = Mapping[str, Any]
_ANALYTICS = "GX_ANALYTICS_ENABLED"


def report_of(frame: DataFrame, suite: Suite) -> ValidationReport:
    """What each expectation says of the frame's rows, eagerly; SettingsError for one that cannot be evaluated."""
    results = tuple(map(_result, _run(frame, suite, {"result_format": "BASIC", "partial_unexpected_count": EXAMPLES})))
    return ValidationReport(suite["name"], all(r.success for r in results), results, frame.count())


def told_apart(frame: DataFrame, suite: Suite, report: ValidationReport) -> tuple[DataFrame, DataFrame]:
    """The rows* that every failed expectation lets pass, and those* that one does not, with ``_reason``: the ones that refuse it.

    Raises ValidationError when an expectation that failed speaks of the rows as a whole, so that none of them is to blame.
    """
    failed = [result for result in report.results if not result.success]
    reasons = [F.when(condition, F.lit(text)) for text, condition in _conditions(frame, suite["name"], failed)]
    marked = frame.withColumn(REASON, F.concat_ws("; ", *reasons))
    return marked.filter(F.col(REASON) == "").drop(REASON), marked.filter(F.col(REASON) != "")


def refused(group: GroupSpec, report: ValidationReport) -> ValidationError:
    """The error for a batch that is not written: each failed expectation, with examples."""
    failed = "; ".join(map(_sentence, (result for result in report.results if not result.success)))
    return ValidationError(
        f"The frame does not meet the expectations of feature group {group}: {failed}. Nothing was written. Correct the rows, or choose "
        "validation_options={'policy': 'QUARANTINE'} to set them aside, or 'ALWAYS' to write them all the same."
    )


def _sentence(result: ExpectationResult) -> str:
    told = f"{_name(result.type, result.kwargs)} failed"
    if result.failed:
        told += f" for {result.failed} of {result.checked} rows, such as {', '.join(map(repr, result.examples))}"
    return told


def _name(type_: str, kwargs: Mapping[str, Any]) -> str:
    return f"{type_}({', '.join(f'{name}={value!r}' for name, value in kwargs.items())})"


def _conditions(frame: DataFrame, name: str, failed: Sequence[ExpectationResult]) -> Iterator[tuple[str, Column]]:
    """For each expectation its name and whether a row fails it, as Great Expectations itself writes it."""
    suite = {"name": name, "expectations": [{"type": r.type, "kwargs": r.kwargs} for r in failed]}
    told = {"result_format": "COMPLETE", "unexpected_index_column_names": frame.columns[:1]}
    for each in _run(frame.limit(0), suite, told):  # no row is needed to learn the condition
        type_, kwargs = each.expectation_config.type, _given(each)
        query = each.result.get("unexpected_index_query")
        try:
            if query is None:
                raise ValueError
            condition = F.expr(_argument(query))
            frame.filter(condition).schema  # noqa: B018 # the analysis tells whether Spark can evaluate it
        except (ValueError, PySparkException):
            raise ValidationError(
                f"{_name(type_, kwargs)} failed, and no row can be set aside for it, since it speaks of all rows together. "
                "Nothing was written. Correct the rows, or choose validation_options={'policy': 'ALWAYS'}."
            ) from None
        yield _name(type_, kwargs), F.coalesce(condition, F.lit(False))


def _argument(query: str) -> str:
    """The condition in ``df.filter(F.expr('...'))``."""
    call = ast.parse(query, mode="eval").body
    inner = call.args[0] if isinstance(call, ast.Call) else None
    argument = inner.args[0] if isinstance(inner, ast.Call) else None
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        raise ValueError(query)
    return argument.value


def _run(frame: DataFrame, suite: Suite, result_format: Mapping[str, Any]) -> list[Any]:
    """The results of Great Expectations on the frame, in the order of the suite."""
    with _library() as gx:
        from great_expectations.expectations.registry import get_expectation_impl

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_spark("rows", persist=False).add_dataframe_asset("rows")
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": frame})
        found = []
        for expectation in suite["expectations"]:
            try:
                found.append(get_expectation_impl(expectation["type"])(**expectation["kwargs"]))
            except Exception as error:  # the library's own tree of errors is as wide as pydantic's and its own together
                raise SettingsError(f"Expectation {expectation} is not one: {first_line(error)}") from None
        results = batch.validate(gx.ExpectationSuite(name=suite["name"], expectations=found), result_format=dict(result_format)).results
    for result in results:
        info = result.exception_info
        for each in [info] if "raised_exception" in info else info.values():
            if each["raised_exception"]:
                named = _name(result.expectation_config.type, _given(result))
                raise SettingsError(f"{named} cannot be evaluated: {each['exception_message']}. Correct the suite.")
    return list(results)


@contextmanager
def _library() -> Iterator[Any]:
    """Great Expectations, without its analytics and its warnings to its own developers."""
    before = os.environ.get(_ANALYTICS)
    os.environ[_ANALYTICS] = "False"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import great_expectations as gx

            yield gx
    finally:
        if before is None:
            del os.environ[_ANALYTICS]
        else:
            os.environ[_ANALYTICS] = before


def _given(result: Any) -> dict[str, Any]:
    return {name: value for name, value in result.expectation_config.kwargs.items() if name != "batch_id"}


def _result(result: Any) -> ExpectationResult:
    found = result.result
    examples = tuple(_plain(value) for value in found.get("partial_unexpected_list") or ())[:EXAMPLES]
    return ExpectationResult(
        result.expectation_config.type, _given(result), bool(result.success), int(found.get("element_count") or 0),
        int(found.get("unexpected_count") or 0), examples or (() if result.success else (_plain(found.get("observed_value")),)),
    )


def _plain(value: Any) -> Any:
    """A value that JSON holds: itself, or its text."""
    return value if value is None or (isinstance(value, bool | int | float | str) and value == value) else str(value)
