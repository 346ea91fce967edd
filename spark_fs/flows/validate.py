"""Validate rows by a Great Expectations suite. The library is imported here alone, when a suite is run: its import takes seconds."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base.arithmetic import is_nan
from spark_fs.base.times import as_utc
from spark_fs.errors import SettingsError, ValidationError, get_first_line
from spark_fs.spec.expectations import ExpectationResult, ValidationReport
from spark_fs.spec.feature_group import GroupSpec

MAX_EXAMPLES = 5
REASON_COLUMN = "_reason"
Suite = Mapping[str, Any]
_ANALYTICS_VARIABLE = "GX_ANALYTICS_ENABLED"


def validate_frame(frame: DataFrame, suite: Suite) -> ValidationReport:
    """What each expectation says of the frame's rows, eagerly; SettingsError for one that cannot be evaluated."""
    with _open_runner(frame) as library:
        found = library.run_suite(
            suite, {"result_format": "BASIC", "partial_unexpected_count": MAX_EXAMPLES}
        )
    results = tuple(
        _to_result(each, result) for each, result in zip(suite["expectations"], found, strict=True)
    )
    return ValidationReport(suite["name"], all(r.success for r in results), results, frame.count())


def split_valid_rows(frame: DataFrame, report: ValidationReport) -> tuple[DataFrame, DataFrame]:
    """The rows* that every failed expectation lets pass, and those* that one does not, with ``_reason``: the ones that refuse it.

    Raises ValidationError when an expectation that failed speaks of the rows as a whole, so that
    none of them is to blame.
    """
    failed = [result for result in report.results if not result.success]
    marked = frame
    with _open_runner(frame) as library:
        for number, result in enumerate(failed):
            try:
                marked = _mark_failing_rows(
                    marked, f"{REASON_COLUMN}_{number}", *library.find_failure_predicate(result)
                )
            except (LookupError, PySparkException):
                raise ValidationError(
                    f"{_format_expectation(result)} failed, and no row can be set aside for it,"
                    " since it speaks of all rows together. Nothing was written. Correct the rows,"
                    " or choose validation_options={'policy': 'ALWAYS'}."
                ) from None
    marks = [f"{REASON_COLUMN}_{number}" for number in range(len(failed))]
    reasons = [
        F.when(F.col(mark), F.lit(_format_expectation(result)))
        for mark, result in zip(marks, failed, strict=True)
    ]
    told = marked.withColumn(REASON_COLUMN, F.concat_ws("; ", *reasons)).drop(*marks)
    return told.filter(F.col(REASON_COLUMN) == "").drop(REASON_COLUMN), told.filter(
        F.col(REASON_COLUMN) != ""
    )


def _mark_failing_rows(
    rows: DataFrame, mark: str, fails: Column, row_conditions: Sequence[Column]
) -> DataFrame:
    """The rows* with a column that says whether a row is one of those that are meant, and fails."""
    inside = reduce(
        Column.__and__, [F.coalesce(each, F.lit(False)) for each in row_conditions], F.lit(True)
    )
    failing = F.coalesce(fails, F.lit(False))
    if _is_row_predicate(rows, fails):
        return rows.withColumn(mark, F.when(inside, failing).otherwise(F.lit(False)))
    judged = rows.filter(inside).withColumn(
        mark, failing
    )  # it compares rows, and must see none that is not meant
    return (
        judged.unionByName(rows.filter(~inside).withColumn(mark, F.lit(False)))
        if row_conditions
        else judged
    )


def _is_row_predicate(rows: DataFrame, condition: Column) -> bool:
    """Whether a condition looks at one row alone: Spark filters by no other."""
    try:
        rows.filter(condition).schema  # noqa: B018 # the analysis tells
    except PySparkException:
        return False
    return True


def make_validation_error(group: GroupSpec, report: ValidationReport) -> ValidationError:
    """The error for a batch that is not written: each failed expectation, with examples."""
    failed = "; ".join(
        map(_format_failure, (result for result in report.results if not result.success))
    )
    return ValidationError(
        f"The frame does not meet the expectations of feature group {group}: {failed}. Nothing was"
        " written. Correct the rows, or choose validation_options={'policy': 'QUARANTINE'} to"
        " set them aside, or 'ALWAYS' to write them all the same."
    )


def _format_failure(result: ExpectationResult) -> str:
    told = f"{_format_expectation(result)} failed"
    if result.failed:
        told += (
            f" for {result.failed} of {result.checked} rows, such as"
            f" {', '.join(map(repr, result.examples))}"
        )
    return told


def _format_expectation(result: ExpectationResult) -> str:
    return (
        f"{result.type}({', '.join(f'{name}={value!r}' for name, value in result.kwargs.items())})"
    )


class _SuiteRunner:
    """Great Expectations over the rows of one frame."""

    def __init__(self, gx: Any, frame: DataFrame) -> None:
        self.gx, self.frame = gx, frame
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}
        asset = self.context.data_sources.add_spark("rows", persist=False).add_dataframe_asset(
            "rows"
        )
        self.batch = asset.add_batch_definition_whole_dataframe("rows").get_batch(
            {"dataframe": frame}
        )

    def make_expectation(self, type_: str, kwargs: Mapping[str, Any], **more: Any) -> Any:
        """An expectation as the library has it; SettingsError where it has none such."""
        from great_expectations.expectations.registry import get_expectation_impl

        try:
            return get_expectation_impl(type_)(
                **{name: _to_local_bound(name, value) for name, value in kwargs.items()} | more
            )
        # the library's own tree of errors is as wide as pydantic's and its own together
        except Exception as error:
            raise SettingsError(
                f"Expectation {type_} with {dict(kwargs)} is not one: {get_first_line(error)}"
            ) from None

    def run_suite(self, suite: Suite, result_format: Mapping[str, Any]) -> list[Any]:
        """The results, in the order of the suite."""
        found = [
            self.make_expectation(e["type"], e["kwargs"], meta={REASON_COLUMN: n})
            for n, e in enumerate(suite["expectations"])
        ]
        asked = self.gx.ExpectationSuite(name=suite["name"], expectations=found)
        results = self.batch.validate(asked, result_format=dict(result_format)).results
        for result in results:
            info = result.exception_info
            for each in [info] if "raised_exception" in info else info.values():
                if each["raised_exception"]:
                    given = suite["expectations"][result.expectation_config.meta[REASON_COLUMN]]
                    raise SettingsError(
                        f"{given['type']} with {given['kwargs']} cannot be evaluated:"
                        f" {each['exception_message']}. Correct the suite."
                    )
        return sorted(results, key=lambda result: result.expectation_config.meta[REASON_COLUMN])

    def find_failure_predicate(self, result: ExpectationResult) -> tuple[Column, list[Column]]:
        """Whether a row fails the expectation, and of which rows that is asked; LookupError where it asks it of none by itself."""
        from great_expectations.validator.metric_configuration import MetricConfiguration

        expectation = self.make_expectation(result.type, result.kwargs)
        validator = self.context.get_validator(batch=self.batch)
        metric = getattr(expectation, "map_metric", None)
        needed = expectation.get_validation_dependencies(
            validator.execution_engine, {"result_format": {"result_format": "BASIC"}}
        )
        counted = needed.get_metric_configuration(f"{metric}.unexpected_count")
        if counted is None:
            raise LookupError(result.type)
        asked = MetricConfiguration(
            f"{metric}.condition", counted.metric_domain_kwargs, counted.metric_value_kwargs
        )
        fails, domain, accessor = validator.get_metric(asked)
        return fails, _list_filters(
            validator.execution_engine.get_domain_records({**domain, **accessor}), self.frame
        )


def _list_filters(filtered: DataFrame, frame: DataFrame) -> list[Column]:
    """The conditions that the library filtered the frame by: a row condition, nulls that are to be ignored."""
    plan, end = (each._jdf.queryExecution().analyzed() for each in (filtered, frame))
    found = []
    while not plan.equals(end):
        found.append(F.expr(plan.condition().sql()))
        plan = plan.child()
    return found


def _to_local_bound(name: str, value: Any) -> Any:
    """A bound as the library compares it, which reads a time without a zone in this process's zone, where it is meant in UTC."""
    if name in ("min_value", "max_value") and isinstance(value, str) and ":" in value:
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, list):
        return [_to_local_bound(name, each) for each in value]
    return as_utc(value).astimezone().replace(tzinfo=None) if isinstance(value, datetime) else value


@contextmanager
def _open_runner(frame: DataFrame) -> Iterator[_SuiteRunner]:
    with _load_great_expectations() as gx:
        yield _SuiteRunner(gx, frame)


@contextmanager
def _load_great_expectations() -> Iterator[Any]:
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


def _to_result(expectation: Mapping[str, Any], result: Any) -> ExpectationResult:
    found = result.result
    examples = tuple(_to_json_value(value) for value in found.get("partial_unexpected_list") or ())[
        :MAX_EXAMPLES
    ]
    read = result.expectation_config.kwargs
    kwargs = {
        name: read.get(name, value) if isinstance(value, int) else value
        for name, value in expectation["kwargs"].items()
    }
    return ExpectationResult(
        expectation["type"],
        kwargs,
        bool(result.success),
        int(found.get("element_count") or 0),
        int(found.get("unexpected_count") or 0),
        examples or (() if result.success else (_to_json_value(found.get("observed_value")),)),
    )


def _to_json_value(value: Any) -> Any:
    """A value that JSON holds: itself, or its text; a time in UTC."""
    if isinstance(value, datetime):
        value = value.astimezone(UTC).replace(tzinfo=None)  # Spark gives it in this process's zone
    return (
        value
        if value is None or (isinstance(value, bool | int | float | str) and not is_nan(value))
        else str(value)
    )
