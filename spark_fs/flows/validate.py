"""Validate rows by a Great Expectations suite."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base.arithmetic import is_nan
from spark_fs.base.great_expectations_types import load_great_expectations
from spark_fs.base.times import as_utc
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import SettingsError, ValidationError, get_first_line
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.validation_report import ExpectationResult, ValidationReport

MAX_EXAMPLES = 5
REASON_COLUMN = "_reason"
Suite = Mapping[str, Any]
# Types by the names that suites over pandas have; rows are validated as Spark's.
_SPARK_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("bool", "boolean"), "BooleanType"),
    "int8": "ByteType",
    "int16": "ShortType",
    **dict.fromkeys(("int32", "Int32"), "IntegerType"),
    **dict.fromkeys(("int", "int64", "Int64"), "LongType"),
    "float32": "FloatType",
    **dict.fromkeys(("float", "float64"), "DoubleType"),
    **dict.fromkeys(("object", "str", "string"), "StringType"),
    **dict.fromkeys(
        ("datetime", "datetime64", "datetime64[ns]", "datetime64[us]", "Timestamp"),
        "TimestampType",
    ),
    "date": "DateType",
    "Decimal": "DecimalType",
    "bytes": "BinaryType",
}
_TYPE_ARGUMENTS = ("type_", "type_list")
_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": MAX_EXAMPLES}


def validate_frame(frame: DataFrame, suite: Suite) -> ValidationReport:
    """Evaluate each expectation of a suite on the frame's rows, eagerly.

    Raises:
        SettingsError: An expectation cannot be evaluated.
    """
    results = []
    if suite["expectations"]:
        with _open_runner(frame) as runner:
            library_results = runner.run_suite(suite)
        for expectation, library_result in zip(suite["expectations"], library_results, strict=True):
            results.append(_to_result(expectation, library_result))
    success = all(result.success for result in results)
    return ValidationReport(suite["name"], success, tuple(results), frame.count())


def split_valid_rows(frame: DataFrame, report: ValidationReport) -> tuple[DataFrame, DataFrame]:
    """Split the rows by the expectations that failed.

    Returns:
        The rows* that meet them all, and those* that fail one, with the failed ones in ``_reason``.

    Raises:
        ValidationError: An expectation that failed is about the rows as a whole, so that none of
            them is to blame.
    """
    failed = report.failed
    rows = frame
    marks: list[str] = []
    reasons: list[Column] = []
    with _open_runner(frame) as runner:
        for number, result in enumerate(failed):
            mark = f"{REASON_COLUMN}_{number}"
            expectation = _format_expectation(result)
            try:
                fails, row_conditions = runner.find_failure_predicate(result)
                rows = _mark_failing_rows(rows, mark, fails, row_conditions)
            except (LookupError, PySparkException):
                raise ValidationError(
                    f"{expectation} failed, and no row can be set aside for it,"
                    " since it is about all rows together. Nothing was written. Correct the rows,"
                    " or choose validation_options={'policy': 'ALWAYS'}."
                ) from None
            marks.append(mark)
            reasons.append(F.when(F.col(mark), F.lit(expectation)))
    rows = rows.withColumn(REASON_COLUMN, F.concat_ws("; ", *reasons)).drop(*marks)
    valid = rows.filter(F.col(REASON_COLUMN) == "").drop(REASON_COLUMN)
    rejected = rows.filter(F.col(REASON_COLUMN) != "")
    return valid, rejected


def _mark_failing_rows(
    rows: DataFrame, mark: str, fails: Column, row_conditions: Sequence[Column]
) -> DataFrame:
    """The rows* with a column that says whether a row meets the row conditions, and fails."""
    is_validated = F.lit(True)
    for condition in row_conditions:
        is_validated = is_validated & F.coalesce(condition, F.lit(False))
    failing = F.coalesce(fails, F.lit(False))
    if _is_row_predicate(rows, fails):
        return rows.withColumn(mark, F.when(is_validated, failing).otherwise(F.lit(False)))
    # the predicate compares rows, and must see none of those that do not meet the conditions
    validated = rows.filter(is_validated).withColumn(mark, failing)
    if not row_conditions:
        return validated
    others = rows.filter(~is_validated).withColumn(mark, F.lit(False))
    return validated.unionByName(others)


def _is_row_predicate(rows: DataFrame, condition: Column) -> bool:
    """Whether a condition is about one row alone: Spark filters by no other."""
    try:
        rows.filter(condition).schema  # noqa: B018 # the analysis tells
    except PySparkException:
        return False
    return True


def make_validation_error(group: GroupSpec, report: ValidationReport) -> ValidationError:
    """The error for a batch that is not written: each failed expectation, with examples."""
    listed = "; ".join(map(_format_failure, report.failed))
    return ValidationError(
        f"The frame does not meet the expectations of feature group {group}: {listed}. Nothing was"
        " written. Correct the rows, or choose validation_options={'policy': 'QUARANTINE'} to"
        " set them aside, or 'ALWAYS' to write them all the same."
    )


def warn_of_failures(group: GroupSpec, report: ValidationReport) -> None:
    """Warn that rows were written which do not meet the expectations: each that failed."""
    listed = "; ".join(map(_format_failure, report.failed))
    warn_user(
        f"{len(report.failed)} of {len(report.results)} expectations of feature group {group}"
        f" failed, and the rows were written all the same: {listed}. To refuse such rows, say"
        " validation_options={'policy': 'STRICT'}, or 'QUARANTINE' to set them aside;"
        " save_expectation_suite(suite, validation_ingestion_policy='STRICT') says so for good."
    )


def _format_failure(result: ExpectationResult) -> str:
    expectation = _format_expectation(result)
    if not result.failed:
        return f"{expectation} failed"
    examples = ", ".join(map(repr, result.examples))
    return f"{expectation} failed for {result.failed} of {result.checked} rows, such as {examples}"


def _format_expectation(result: ExpectationResult) -> str:
    arguments = [f"{name}={value!r}" for name, value in result.kwargs.items()]
    return f"{result.type}({', '.join(arguments)})"


class _SuiteRunner:
    """Great Expectations over the rows of one frame."""

    def __init__(self, gx: Any, frame: DataFrame) -> None:
        self.gx = gx
        self.frame = frame
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}
        source = self.context.data_sources.add_spark("rows", persist=False)
        asset = source.add_dataframe_asset("rows")
        definition = asset.add_batch_definition_whole_dataframe("rows")
        self.batch = definition.get_batch({"dataframe": frame})

    def make_expectation(self, type_: str, kwargs: Mapping[str, Any], **more: Any) -> Any:
        """An expectation as the library has it; SettingsError where it has none such."""
        from great_expectations.expectations.registry import get_expectation_impl

        try:
            bounds = {name: _to_local_bound(name, value) for name, value in kwargs.items()}
            for name in _TYPE_ARGUMENTS:
                if name in bounds:
                    bounds[name] = _to_spark_types(bounds[name])
            return get_expectation_impl(type_)(**bounds | more)
        # the library's own tree of errors is as wide as pydantic's and its own together
        except Exception as error:
            raise SettingsError(
                f"Expectation {type_} with {dict(kwargs)} is not valid:"
                f" {_explain_refusal(error)}. Correct the suite; great_expectations"
                f" {self.gx.__version__} runs it."
            ) from None

    def run_suite(self, suite: Suite) -> list[Any]:
        """The library's results, in the order of the suite."""
        expectations = []
        for number, definition in enumerate(suite["expectations"]):
            meta = {REASON_COLUMN: number}
            expectation = self.make_expectation(definition["type"], definition["kwargs"], meta=meta)
            expectations.append(expectation)
        library_suite = self.gx.ExpectationSuite(name=suite["name"], expectations=expectations)
        validated = self.batch.validate(library_suite, result_format=dict(_RESULT_FORMAT))
        for result in validated.results:
            _check_evaluated(suite["expectations"][_get_number(result)], result)
        return sorted(validated.results, key=_get_number)

    def find_failure_predicate(self, result: ExpectationResult) -> tuple[Column, list[Column]]:
        """Whether a row fails the expectation, and the conditions of the rows that it is about.

        Raises:
            LookupError: It is not about rows one by one.
        """
        from great_expectations.validator.metric_configuration import MetricConfiguration

        expectation = self.make_expectation(result.type, result.kwargs)
        validator = self.context.get_validator(batch=self.batch)
        metric = getattr(expectation, "map_metric", None)
        needed = expectation.get_validation_dependencies(
            validator.execution_engine, {"result_format": {"result_format": "BASIC"}}
        )
        count_metric = needed.get_metric_configuration(f"{metric}.unexpected_count")
        if count_metric is None:
            raise LookupError(result.type)
        condition_metric = MetricConfiguration(
            f"{metric}.condition",
            count_metric.metric_domain_kwargs,
            count_metric.metric_value_kwargs,
        )
        fails, domain, accessor = validator.get_metric(condition_metric)
        filtered = validator.execution_engine.get_domain_records({**domain, **accessor})
        return fails, _list_filters(filtered, self.frame)


def _explain_refusal(error: Exception) -> str:
    """What the library refuses: each argument with its reason, or what the error says first."""
    list_errors = getattr(error, "errors", None)
    if not callable(list_errors):
        return get_first_line(error).rstrip(".")
    return "; ".join(
        f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in list_errors()
    )


def _get_number(result: Any) -> int:
    """The number of a result's expectation in its suite."""
    number: int = result.expectation_config.meta[REASON_COLUMN]
    return number


def _check_evaluated(expectation: Mapping[str, Any], result: Any) -> None:
    """Raise SettingsError for an expectation that the library could not evaluate."""
    info = result.exception_info
    failures = [info] if "raised_exception" in info else info.values()
    for failure in failures:
        if failure["raised_exception"]:
            raise SettingsError(
                f"{expectation['type']} with {expectation['kwargs']} cannot be evaluated:"
                f" {failure['exception_message']}. Correct the suite."
            )


def _list_filters(filtered: DataFrame, frame: DataFrame) -> list[Column]:
    """The conditions that the library filtered the frame by.

    They are a row condition, and that nulls are ignored.
    """
    plan: Any = filtered._jdf.queryExecution().analyzed()
    frame_plan: Any = frame._jdf.queryExecution().analyzed()
    conditions = []
    while not plan.equals(frame_plan):
        conditions.append(F.expr(plan.condition().sql()))
        plan = plan.child()
    return conditions


def _to_spark_types(types: Any) -> Any:
    """The name of a type, or a list of names, as Spark has it."""
    if isinstance(types, list):
        return [_to_spark_types(each) for each in types]
    return _SPARK_TYPES.get(types, types)


def _to_local_bound(name: str, value: Any) -> Any:
    """A bound as the library compares it.

    It reads a time without a zone in this process's zone; here that is meant in UTC.
    """
    if name in ("min_value", "max_value") and isinstance(value, str) and ":" in value:
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, list):
        return [_to_local_bound(name, item) for item in value]
    if isinstance(value, datetime):
        return as_utc(value).astimezone().replace(tzinfo=None)
    return value


@contextmanager
def _open_runner(frame: DataFrame) -> Iterator[_SuiteRunner]:
    with load_great_expectations() as gx:
        yield _SuiteRunner(gx, frame)


def _to_result(expectation: Mapping[str, Any], result: Any) -> ExpectationResult:
    """The library's result of an expectation as a plain value."""
    details = result.result
    unexpected = details.get("partial_unexpected_list") or ()
    examples = [_to_json_value(value) for value in unexpected][:MAX_EXAMPLES]
    is_observed = "observed_value" in details
    if not examples and (is_observed or not result.success):
        examples = [_to_json_value(details.get("observed_value"))]
    parsed_kwargs = result.expectation_config.kwargs
    kwargs = {}
    for name, value in expectation["kwargs"].items():
        kwargs[name] = parsed_kwargs.get(name, value) if isinstance(value, int) else value
    success = bool(result.success)
    checked = int(details.get("element_count") or 0)
    failed = int(details.get("unexpected_count") or 0)
    return ExpectationResult(expectation["type"], kwargs, success, checked, failed, tuple(examples))


def _to_json_value(value: Any) -> Any:
    """A value that JSON holds: itself, or its string; a time in UTC."""
    if value is None:
        return None
    if isinstance(value, datetime):  # Spark gives it in this process's zone
        return str(value.astimezone(UTC).replace(tzinfo=None))
    if isinstance(value, bool | int | float | str) and not is_nan(value):
        return value
    return str(value)
