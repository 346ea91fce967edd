"""Window features in plain words, for pages and for people."""

from collections.abc import Mapping

from spark_fs.base.times import spell_micros
from spark_fs.planning.sql_expressions import format_condition
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.predicates import Condition
from spark_fs.spec.window_features import Function, WindowFeature

# What each function gives of the values of {column}, with {argument} where it takes one.
_OF_VALUES: Mapping[Function, str] = {
    "count": "number of values of {column}",
    "sum": "sum of {column}",
    "mean": "mean of {column}",
    "stddev": "standard deviation of {column}",
    "variance": "variance of {column}",
    "min": "least {column}",
    "max": "greatest {column}",
    "first": "first {column}",
    "last": "last {column}",
    "distinct_count": "number of distinct values of {column}",
    "approx_distinct_count": "approximate number of distinct values of {column}",
    "percentile": "percentile {argument} of {column}",
    "approx_percentile": "approximate percentile {argument} of {column}",
    "top_k": "{argument} most frequent values of {column}",
    "last_n": "last {argument} values of {column}",
    "last_distinct_n": "last {argument} distinct values of {column}",
    "time_since_last": "seconds since the last {column}",
}
_OF_EVENTS: Mapping[Function, str] = {
    "count": "number of events",
    "time_since_last": "seconds since the last event",
}


def describe_feature(feature: WindowFeature) -> str:
    """What a feature is, as in ``mean of amount over 4h where category = 'food'``."""
    words = _OF_VALUES
    if feature.column is None:
        words = _OF_EVENTS
    text = words[feature.function].format(column=feature.column, argument=feature.argument)
    window = "all history"
    if feature.over is not None:
        window = spell_micros(feature.over)
    text += f" over {window}"
    if feature.delay:
        text += f" up to {spell_micros(feature.delay)} before"
    if feature.where is not None:
        text += f" where {_describe_condition(feature.where)}"
    return text


def describe_rows(spec: AggregationSpec) -> str:
    """For what there are rows, as in ``by card, for each instant of event_time``."""
    instants = f"for each instant of {spec.known_at}"
    if spec.every is not None:
        instants = f"every {spell_micros(spec.every)} of {spec.known_at}"
    text = f"by {', '.join(spec.by)}, {instants}"
    if spec.closed == "both":
        text += ", with the events of that very instant"
    return text


def _describe_condition(condition: Condition) -> str:
    text = format_condition(condition, lambda comparison: comparison.column)
    if text.startswith("("):
        return text[1:-1]
    return text
