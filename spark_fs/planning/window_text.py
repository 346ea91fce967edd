"""Window features in plain words, for pages and for people."""

from collections.abc import Mapping
from typing import Any

from spark_fs.base.times import spell_micros
from spark_fs.planning.sql_expressions import format_condition
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.predicates import Condition
from spark_fs.spec.query import QuerySpec
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


def describe_aggregation(spec: AggregationSpec) -> str:
    """What it is made of and for what there are rows, in one line."""
    source = spec.source
    groups = list(dict.fromkeys(map(str, spec.list_groups())))
    text = " with ".join([groups[0], *groups[1:]])
    conditions = [each for each in (source.where, source.having) if each is not None]
    if conditions:
        text += f" where {' and '.join(map(_describe_condition, conditions))}"
    return f"{text}, {describe_rows(spec)}"


def describe_rows(spec: AggregationSpec) -> str:
    """For what there are rows, as in ``by card, for each instant of event_time``."""
    instants = f"for each instant of {spec.known_at}"
    if spec.every is not None:
        instants = f"every {spell_micros(spec.every)} of {spec.known_at}"
    text = f"by {', '.join(spec.by)}, {instants}"
    if spec.closed == "both":
        text += ", with the events of that very instant"
    return text


def list_differences(present: AggregationSpec, wanted: AggregationSpec) -> list[str]:
    """What an aggregation has that another has not, feature by feature, in words.

    Args:
        present: The one that there is.
        wanted: The one that is asked for.

    Returns:
        The differences; none where the two are equal.
    """
    differences = _compare_features(present, wanted)
    for field in _COMPARED_FIELDS:
        before = _describe_field(getattr(present, field))
        after = _describe_field(getattr(wanted, field))
        if before != after:
            differences.append(f"{field} is {before}, not {after}")
    differences += _compare_sources(present.source, wanted.source)
    if differences or present == wanted:
        return differences
    names = [", ".join(each.name for each in spec.features) for spec in (present, wanted)]
    if names[0] != names[1]:
        return [f"the features are in the order {names[0]}, not {names[1]}"]
    return ["the source joins other rows"]


_COMPARED_FIELDS = ("by", "known_at", "every", "closed")


def _describe_field(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, int):
        return spell_micros(value)
    return str(value)


def _compare_features(present: AggregationSpec, wanted: AggregationSpec) -> list[str]:
    before = {feature.name: feature for feature in present.features}
    after = {feature.name: feature for feature in wanted.features}
    differences = []
    for name, feature in before.items():
        text = describe_feature(feature)
        if name not in after:
            differences.append(f"{name} ({text}) is there, and was not asked for")
        elif after[name] != feature:
            differences.append(f"{name} is {text}, not {describe_feature(after[name])}")
    for name, feature in after.items():
        if name not in before:
            differences.append(f"{name} ({describe_feature(feature)}) is not there")
    return differences


def _compare_sources(present: QuerySpec, wanted: QuerySpec) -> list[str]:
    """What differs beside the columns and joins that are read, which follow from the features."""
    if present.group != wanted.group:
        return [f"the source is {present.group}, not {wanted.group}"]
    differences = []
    for field in ("where", "having"):
        before = _describe_filter(getattr(present, field))
        after = _describe_filter(getattr(wanted, field))
        if before != after:
            differences.append(f"the source is filtered by {before}, not by {after}")
    if present.as_of != wanted.as_of:
        differences.append(f"the source is read as of {present.as_of}, not {wanted.as_of}")
    if present.as_known != wanted.as_known:
        differences.append(f"as_known of the source is {present.as_known}, not {wanted.as_known}")
    return differences


def _describe_filter(condition: Condition | None) -> str:
    if condition is None:
        return "nothing"
    return _describe_condition(condition)


def _describe_condition(condition: Condition) -> str:
    text = format_condition(condition, lambda comparison: comparison.column)
    if text.startswith("("):
        return text[1:-1]
    return text
