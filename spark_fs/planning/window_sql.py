"""Window features as SQL: aggregates of the events of one entity, with their windows spelled out.

Sums and means of fractions are those of the engine that runs it, which may round at each step;
``approx_distinct_count`` stands as the exact count and ``approx_percentile`` as the exact value of
its rank, so both are as near to what spark_fs gives as it says of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from spark_fs.planning.sql_expressions import (
    cast_compared,
    format_condition,
    format_instant,
    format_interval,
    quote_name,
)
from spark_fs.planning.window_plan import BoundFeature, WindowPlan
from spark_fs.spec.window_features import Function

SECOND_MICROS = 1_000_000


class _Terms(NamedTuple):
    """What the SQL of a feature is made of.

    value: of its column in an event ``r``. number: that as a double. argument: of the function.
    event_time, spine_time: the instants. kept: which events count. type: of the feature.
    """

    value: str
    number: str
    argument: str
    event_time: str
    spine_time: str
    kept: str
    type: str


def format_windows(
    plan: WindowPlan, table: str, rules: Sequence[str], spine_time: str
) -> list[str]:
    """The lines of a query that gives one row with the features of a plan.

    Args:
        plan: The features.
        table: The SQL of the events.
        rules: The SQL of the conditions on an event ``r`` of the entity.
        spine_time: The SQL of the instant at which windows end.
    """
    known_at, type_ = plan.known_at
    event_time = format_instant(f"r.{quote_name(known_at)}", type_)
    events = f"FROM {table} AS r WHERE {' AND '.join(rules)}"
    columns = []
    is_aggregate = False
    for feature in plan.features:
        terms = _make_terms(feature, plan, event_time, spine_time)
        if feature.function in _RANKED:
            text = _RANKED[feature.function](terms, events)
        else:
            text = _AGGREGATES[feature.function](terms)
            is_aggregate = True
        columns.append(f"  {text} AS {quote_name(feature.name)}")
    lines = ["SELECT", *(f"{column}," for column in columns[:-1]), *columns[-1:]]
    return [*lines, events] if is_aggregate else lines


def _make_terms(
    feature: BoundFeature, plan: WindowPlan, event_time: str, spine_time: str
) -> _Terms:
    kept = _format_bounds(feature, plan, event_time, spine_time)
    value = ""
    if feature.column:
        value = f"r.{quote_name(feature.column)}"
        kept.append(f"{value} IS NOT NULL")
    if feature.where:
        types = dict(plan.types)
        kept.append(
            format_condition(
                feature.where,
                lambda c: cast_compared(f"r.{quote_name(c.column)}", types[c.column]),
            )
        )
    return _Terms(
        value,
        f"CAST({value} AS DOUBLE)",
        str(feature.argument),
        event_time,
        spine_time,
        " AND ".join(kept),
        feature.result_type.upper(),
    )


def _format_bounds(
    feature: BoundFeature, plan: WindowPlan, event_time: str, spine_time: str
) -> list[str]:
    """The conditions that an event is in the window."""
    end = spine_time
    if feature.delay:
        end += f" - {format_interval(feature.delay / SECOND_MICROS)}"
    before = "<=" if plan.closed == "both" else "<"
    bounds = [f"{event_time} {before} {end}"]
    if feature.over is not None:
        length = format_interval((feature.over + feature.delay) / SECOND_MICROS)
        bounds.append(f"{event_time} >= {spine_time} - {length}")
    return bounds


def _format_sum(terms: _Terms) -> str:
    value = terms.number if terms.type == "DOUBLE" else terms.value
    return f"CAST(SUM({value}) FILTER (WHERE {terms.kept}) AS {terms.type})"


def _format_call(name: str, part: Callable[[_Terms], str]) -> Callable[[_Terms], str]:
    """An aggregate of one argument."""
    return lambda terms: f"{name}({part(terms)}) FILTER (WHERE {terms.kept})"


def _format_list(terms: _Terms, direction: str) -> str:
    """The values in the order of the events."""
    order = f"{terms.event_time} {direction}, {terms.value} {direction}"
    return f"(ARRAY_AGG({terms.value} ORDER BY {order}) FILTER (WHERE {terms.kept}))"


def _format_percentile(name: str) -> Callable[[_Terms], str]:
    return lambda terms: (
        f"{name}({terms.argument}) WITHIN GROUP (ORDER BY {terms.number})"
        f" FILTER (WHERE {terms.kept})"
    )


def _format_time_since(terms: _Terms) -> str:
    newest = f"MAX({terms.event_time}) FILTER (WHERE {terms.kept})"
    return f"CAST(EXTRACT(EPOCH FROM ({terms.spine_time} - {newest})) AS DOUBLE)"


def _format_ranked(terms: _Terms, events: str, rank: str, tie: str) -> str:
    """The values with the greatest ranks; ties go to the least value, or to the greatest."""
    value = terms.value
    groups = f"SELECT {value} AS v, {rank} AS n {events} AND {terms.kept} GROUP BY {value}"
    ordered = f"(ARRAY_AGG(g.v ORDER BY g.n DESC, g.v {tie}))[1:{terms.argument}]"
    return f"(SELECT {ordered} FROM ({groups}) AS g)"  # noqa: S608 # names are quoted, nothing runs it


_count_distinct = _format_call("COUNT", lambda terms: f"DISTINCT {terms.value}")
_AGGREGATES: Mapping[Function, Callable[[_Terms], str]] = {
    "count": _format_call("COUNT", lambda _: "*"),
    "sum": _format_sum,
    "mean": _format_call("AVG", lambda terms: terms.value),
    "stddev": _format_call("STDDEV_POP", lambda terms: terms.number),
    "variance": _format_call("VAR_POP", lambda terms: terms.number),
    "min": _format_call("MIN", lambda terms: terms.value),
    "max": _format_call("MAX", lambda terms: terms.value),
    "first": lambda terms: f"{_format_list(terms, 'ASC')}[1]",
    "last": lambda terms: f"{_format_list(terms, 'DESC')}[1]",
    "distinct_count": _count_distinct,
    "approx_distinct_count": _count_distinct,
    "percentile": _format_percentile("PERCENTILE_CONT"),
    "approx_percentile": _format_percentile("PERCENTILE_DISC"),
    "last_n": lambda terms: f"{_format_list(terms, 'DESC')}[1:{terms.argument}]",
    "time_since_last": _format_time_since,
}
_RANKED: Mapping[Function, Callable[[_Terms, str], str]] = {
    "top_k": lambda terms, events: _format_ranked(terms, events, "COUNT(*)", "ASC"),
    "last_distinct_n": lambda terms, events: _format_ranked(
        terms, events, f"MAX({terms.event_time})", "DESC"
    ),
}
