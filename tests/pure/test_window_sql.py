"""The SQL of windows in a query: DuckDB runs it to what plain Python finds."""

import math
import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pytest
import window_oracle

from spark_fs.base import arrow_types
from spark_fs.planning.bind import bind_query
from spark_fs.planning.sql_text import to_sql
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import JoinSpec, QuerySpec
from spark_fs.spec.window_features import Closed, Function, WindowFeature

MINUTE = 60_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENTS = GroupSpec("payments", 1, primary_key=("card",), event_time="at").with_schema(
    {
        "card": "bigint",
        "at": "timestamp",
        "kind": "string",
        "amount": "double",
        "wild": "double",
        "single": "float",
        "units": "int",
        "price": "decimal(10,2)",
        "shop": "string",
        "is_food": "boolean",
        "day": "date",
        "epoch": "bigint",
    }
)
SPINE = GroupSpec("labels", 1, primary_key=("id",), event_time="t").with_schema(
    {"id": "bigint", "card": "bigint", "t": "timestamp"}
)
GROUPS = {EVENTS.ref: EVENTS, SPINE.ref: SPINE}
VALUES: dict[str, list[Any]] = {
    "amount": [None, 0.0, 1.5, -2.25, 1e9, 0.1, 0.1, 7.0],
    "wild": [None, math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0, 2.0],
    "single": [None, 0.5, 1.0, -0.25],
    "units": [None, 0, 1, -5, 2**31 - 1, 7],
    "price": [None, Decimal("0.00"), Decimal("1.25"), Decimal("-99999999.99"), Decimal("3.10")],
    "shop": [None, "", "a", "b", "é"],
    "is_food": [None, True, False],
    "day": [None, *(EPOCH.date() + timedelta(days=days) for days in (-1, 0, 19_000))],
}
NUMBERS = ("amount", "wild", "single", "units", "price")
ARITHMETIC = ("sum", "mean", "stddev", "variance", "percentile", "approx_percentile")
ARGUMENTS: dict[str, Any] = {
    "percentile": 0.3,
    "approx_percentile": 0.7,
    "top_k": 2,
    "last_n": 3,
    "last_distinct_n": 2,
}
WHERE = Comparison(EVENTS.ref, "kind", "in", ("x", "y"))
Row = dict[str, Any]


def make_rows(seed: int) -> tuple[list[Row], list[Row]]:
    """Events and a spine, with nulls, and many events at one instant."""
    rng = random.Random(seed)
    at = lambda: EPOCH + timedelta(minutes=rng.randrange(200))  # noqa: E731
    cards = [1, 2, 2, None]
    events = []
    for number in range(60):
        event = {"card": rng.choice(cards), "at": rng.choice([at(), at(), at(), None])}
        event["epoch"] = number
        event["kind"] = rng.choice(["x", "y", "z", None])
        event.update({name: rng.choice(values) for name, values in VALUES.items()})
        events.append(event)
    spine = []
    for number in range(15):
        card = rng.choice([*cards, 3])
        spine.append({"id": number, "card": card, "t": rng.choice([at(), at(), None])})
    return events, spine


def iter_features() -> Iterator[WindowFeature]:
    """Each function of each column that it takes, over several windows."""
    shapes = [(30 * MINUTE, 0), (90 * MINUTE, 10 * MINUTE), (None, 0), (None, 5 * MINUTE)]
    functions: Sequence[Function] = get_args(Function)
    number = 0
    for function, column in product(functions, [None, *VALUES]):
        if column is None and function not in ("count", "time_since_last"):
            continue
        if function in ARITHMETIC and column not in NUMBERS:
            continue
        if function == "percentile" and column == "wild":
            continue  # of what lies between infinities every engine has its own opinion
        over, delay = shapes[number % len(shapes)]
        where = WHERE if number % 3 == 0 else None
        argument = ARGUMENTS.get(function)
        yield WindowFeature(f"f{number}", function, column, over, where, delay, argument)
        number += 1


def evaluate(feature: WindowFeature, events: list[Row], row: Row, closed: Closed) -> Any:
    """The feature at a row of the spine, in plain Python."""
    kept = []
    for event in events:
        counts = event["card"] is not None and event["card"] == row["card"]
        if feature.where and event["kind"] not in ("x", "y"):
            counts = False
        if counts and event["at"] is not None:
            value = event[feature.column] if feature.column else 0
            if value is not None:
                kept.append((to_micros(event["at"]), value))
    if row["t"] is None:
        kept = []
    at = to_micros(row["t"] or EPOCH)
    return window_oracle.evaluate(
        feature.function, kept, at, feature.over, feature.delay, closed, feature.argument
    )


def to_micros(when: datetime) -> int:
    return (when - EPOCH) // timedelta(microseconds=1)


def is_same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return (
            found is not None and len(found) == len(expected) and all(map(is_same, found, expected))
        )
    if isinstance(expected, float):
        if found is None or math.isnan(expected):
            return found is not None and math.isnan(found)
        return math.isclose(found, expected, rel_tol=1e-12)
    return bool(found == expected)


def run_in_duckdb(sql: str, events: list[Row], spine: list[Row]) -> list[Row]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for spec, rows in ((EVENTS, events), (SPINE, spine)):
            schema = arrow_types.to_arrow_schema(spec.types)
            table = pa.Table.from_pylist(rows, schema)
            for name in ("at", "t"):  # instants are plain timestamps in UTC in the text
                if name in table.column_names:
                    place = table.column_names.index(name)
                    plain = table.column(name).cast(pa.timestamp("us"))
                    table = table.set_column(place, name, plain)
            connection.register(f"{spec.name}_{spec.version}", table)
        result: list[Row] = connection.sql(sql).to_arrow_table().to_pylist()
        return result


def bind_sql(features: Sequence[WindowFeature], closed: Closed = "left", **query: Any) -> str:
    source = QuerySpec(EVENTS.ref, tuple(EVENTS.types), **query)
    spec = AggregationSpec(source, tuple(features), ("card",), "at", closed=closed)
    names = [feature.name for feature in features]
    spine = QuerySpec(SPINE.ref, ("id",))
    return to_sql(bind_query(spine.with_join(JoinSpec(spec.to_query(names))), GROUPS))


@pytest.mark.parametrize(("seed", "closed"), [(1, "left"), (2, "both"), (3, "left")])
def test_duckdb_gives_what_plain_python_gives(seed: int, closed: Closed) -> None:
    events, spine = make_rows(seed)
    features = list(iter_features())
    found = run_in_duckdb(bind_sql(features, closed), events, spine)
    assert sorted(row["id"] for row in found) == [row["id"] for row in spine]
    by_id = {row["id"]: row for row in found}
    for row in spine:
        for feature in features:
            expected = evaluate(feature, events, row, closed)
            value = by_id[row["id"]][feature.name]
            assert is_same(value, expected), (feature, row, value, expected)


def test_ranked_features_alone_give_one_row_each() -> None:
    events, spine = make_rows(4)
    features = [WindowFeature("top", "top_k", "shop", argument=2)]
    found = run_in_duckdb(bind_sql(features), events, spine)
    expected = {row["id"]: evaluate(features[0], events, row, "left") for row in spine}
    assert {row["id"]: row["top"] for row in found} == expected


def test_a_filter_of_the_source_and_its_version_are_in_the_text() -> None:
    count = WindowFeature("n", "count", over=30 * MINUTE)
    sql = bind_sql([count], where=Comparison(EVENTS.ref, "shop", "==", "a"))
    events, spine = make_rows(5)
    found = {row["id"]: row["n"] for row in run_in_duckdb(sql, events, spine)}
    kept = [event for event in events if event["shop"] == "a"]
    assert found == {row["id"]: evaluate(count, kept, row, "left") for row in spine}
    assert '"payments_1" VERSION AS OF 3 AS r' in bind_sql([count], as_of=3)


def test_events_may_be_the_spine_of_their_own_windows() -> None:
    events, _ = make_rows(6)
    count = WindowFeature("n", "count", over=30 * MINUTE)
    source = QuerySpec(EVENTS.ref, tuple(EVENTS.types))
    spec = AggregationSpec(source, (count,), ("card",), "at")
    spine = QuerySpec(EVENTS.ref, ("epoch",))
    sql = to_sql(bind_query(spine.with_join(JoinSpec(spec.to_query(["n"]))), GROUPS))
    assert 'AS "payments_again2" ON TRUE' in sql
    found = {row["epoch"]: row["n"] for row in run_in_duckdb(sql, events, [])}
    expected = {}
    for event in events:
        row = {"card": event["card"], "t": event["at"]}
        expected[event["epoch"]] = evaluate(count, events, row, "left")
    assert found == expected
    assert len(set(expected.values())) > 2


@pytest.mark.parametrize("known_at", ["day", "epoch"])
def test_dates_and_epochs_are_instants_in_the_text(known_at: str) -> None:
    """An epoch is in seconds or in milliseconds, by its size."""
    day = EPOCH.date() + timedelta(days=19_000)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    seconds = int(noon.timestamp())
    events = [
        {"card": 1, "day": day, "epoch": seconds, "units": 1},
        {"card": 1, "day": day + timedelta(days=1), "epoch": seconds * 1000 + 1, "units": 10},
        {"card": 1, "day": None, "epoch": None, "units": 100},
    ]
    spine = []
    for number, asked in enumerate([noon, noon + timedelta(seconds=1), noon + timedelta(days=2)]):
        spine.append({"id": number, "card": 1, "t": asked})
    features = (
        WindowFeature("total", "sum", "units", 2 * 86_400_000_000),
        WindowFeature("age", "time_since_last", over=None),
    )
    source = QuerySpec(EVENTS.ref, tuple(EVENTS.types))
    spec = AggregationSpec(source, features, ("card",), known_at)
    query = QuerySpec(SPINE.ref, ("id",)).with_join(JoinSpec(spec.to_query(["total", "age"])))
    sql = to_sql(bind_query(query, GROUPS))
    rows = sorted(run_in_duckdb(sql, events, spine), key=lambda row: int(row["id"]))
    found = [(row["total"], row["age"]) for row in rows]
    expected = {
        "day": [(1, 43_200.0), (1, 43_201.0), (10, 129_600.0)],
        "epoch": [(None, None), (11, 0.999), (11, 172_799.999)],
    }
    assert found == expected[known_at]


def test_the_text_spells_the_window_out() -> None:
    feature = WindowFeature("n", "count", over=30 * MINUTE, delay=MINUTE)
    sql = bind_sql([feature])
    assert re.sub(r"\s+", " ", sql) == (
        'SELECT "labels"."id", "payments"."n" FROM "labels_1" AS "labels" LEFT JOIN LATERAL ('
        ' SELECT COUNT(*) FILTER (WHERE r."at" < "labels"."t" - INTERVAL \'60\' SECOND'
        ' AND r."at" >= "labels"."t" - INTERVAL \'1860\' SECOND) AS "n"'
        ' FROM "payments_1" AS r WHERE r."card" = "labels"."card" ) AS "payments" ON TRUE'
    )
