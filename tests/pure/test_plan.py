"""Binding a query: which key, which match, which columns come out, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError, QueryError, SettingsError, SparkFSError
from spark_fs.planning.bind import bind_query
from spark_fs.planning.plan import JoinPlan, NodeColumn
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import JoinSpec, QuerySpec


def spec(name: str, key: str, time: str | None, /, **types: str) -> GroupSpec:
    return GroupSpec(name, 1, primary_key=tuple(key.split()), event_time=time).with_schema(types)


ORDERS = spec(
    "orders",
    "customer item",
    "at",
    customer="int",
    item="int",
    at="timestamp",
    city="string",
    price="double",
)
CUSTOMERS = spec(
    "customers", "customer", "at", customer="bigint", at="timestamp", age="int", price="double"
)
ITEMS = spec("items", "item", None, item="int", maker="int", colour="string")
MAKERS = spec("makers", "maker", "at", maker="int", at="timestamp", country="string")
CITIES = spec("cities", "name", None, name="string", people="int")
EMPTY = GroupSpec("empty", 1, primary_key=("customer",))
GROUPS = {g.ref: g for g in (ORDERS, CUSTOMERS, ITEMS, MAKERS, CITIES, EMPTY)}


def of(group: GroupSpec, *columns: str) -> QuerySpec:
    return QuerySpec(group.ref, columns or tuple(group.types))


def bound(query: QuerySpec) -> JoinPlan:
    return bind_query(query, GROUPS)


def test_a_key_or_time_that_the_left_side_has_does_not_come_twice() -> None:
    plan = bound(
        of(ORDERS, "customer", "at", "price")
        .with_join(JoinSpec(of(ITEMS)))
        .with_join(JoinSpec(of(CUSTOMERS, "age", "at", "customer")))
    )
    assert list(plan.schema) == ["customer", "at", "price", "item", "maker", "colour", "age"]


def test_a_key_and_a_time_stay_where_the_left_side_lacks_them() -> None:
    plan = bound(
        of(ORDERS, "city")
        .with_join(JoinSpec(of(CUSTOMERS)))
        .with_join(JoinSpec(of(ITEMS)))
        .with_join(JoinSpec(of(CUSTOMERS, "customer", "at"), prefix="c_"))
    )
    assert {output.name: output.source for output in plan.outputs} == {
        "city": NodeColumn(0, "city"),
        **{name: NodeColumn(1, name) for name in ("customer", "at", "age", "price")},
        **{name: NodeColumn(2, name) for name in ("item", "maker", "colour")},
        "c_customer": NodeColumn(3, "customer"),
        "c_at": NodeColumn(3, "at"),
    }


def test_a_query_of_an_earlier_release_leaves_keys_and_times_to_the_spine() -> None:
    def of_old(group: GroupSpec) -> QuerySpec:
        return replace(of(group), explicit=False)

    plan = bound(
        of(ORDERS, "customer", "price")
        .with_join(JoinSpec(of_old(ITEMS)))
        .with_join(JoinSpec(of_old(CUSTOMERS), prefix="c_"))
    )
    assert list(plan.schema) == ["customer", "price", "maker", "colour", "c_age", "c_price"]
    assert of_old(ITEMS) == of(ITEMS)
    kept = QuerySpec.from_json(of_old(ITEMS).to_json())
    assert kept.explicit is False


def test_keys_are_the_columns_that_the_primary_keys_share() -> None:
    _, customers, items = bound(
        of(ORDERS)
        .with_join(JoinSpec(of(CUSTOMERS, "age")))
        .with_join(JoinSpec(of(ITEMS, "colour")))
    ).nodes
    assert (customers.left_keys, customers.right_keys, customers.match) == (
        (NodeColumn(0, "customer"),),
        ("customer",),
        "point_in_time",
    )
    assert (items.left_keys, items.right_keys, items.match) == (
        (NodeColumn(0, "item"),),
        ("item",),
        "key",
    )


def test_a_snowflake_joins_through_its_parents_row() -> None:
    items = of(ITEMS, "colour").with_join(JoinSpec(of(MAKERS, "country")))
    makers = bound(of(ORDERS, "price").with_join(JoinSpec(items))).nodes[2]
    assert (makers.left_keys, makers.match) == ((NodeColumn(1, "maker"),), "point_in_time")


def test_named_keys_may_differ_on_the_two_sides() -> None:
    cities = bound(
        of(ORDERS).with_join(JoinSpec(of(CITIES, "people"), ("city",), ("name",)))
    ).nodes[1]
    assert (cities.left_keys, cities.right_keys) == ((NodeColumn(0, "city"),), ("name",))


def test_a_spine_without_event_time_takes_the_latest() -> None:
    assert (
        bound(
            of(ITEMS, "colour").with_join(JoinSpec(of(MAKERS, "country"), ("maker",), ("maker",)))
        )
        .nodes[1]
        .match
        == "latest"
    )


def test_the_spines_identity_is_added_under_a_name_that_is_free() -> None:
    plan = bound(of(ORDERS, "city").with_join(JoinSpec(of(CUSTOMERS)))).with_identity("orders_1_")
    assert list(plan.schema)[-3:] == ["orders_1_customer", "item", "orders_1_at"]
    assert plan.ordered_names == ("orders_1_at", "orders_1_customer", "item")
    assert plan.identity_names == ("customer", "at", "orders_1_customer", "item", "orders_1_at")
    assert plan.list_spine_keys() == ["orders_1_customer", "item", "orders_1_at"]
    assert plan.with_identity() == plan


def test_only_what_is_used_is_read() -> None:
    plan = bound(
        of(ORDERS, "price").with_join(JoinSpec(of(CITIES, "people"), ("city",), ("name",)))
    )
    assert plan.list_columns(plan.nodes[0]) == ("at", "city", "price")


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        (
            of(ORDERS)
            .with_join(JoinSpec(of(CUSTOMERS, "price"), prefix="orders_"))
            .with_join(JoinSpec(of(CUSTOMERS, "price"), prefix="orders_"))
            .with_join(JoinSpec(of(CUSTOMERS, "price"), prefix="orders_")),
            QueryError,
            "Two columns of the query are named 'orders_price': give one of the joins prefix=",
        ),
        (
            of(ORDERS).with_join(JoinSpec(of(CITIES))),
            QueryError,
            (
                r"'orders' version 1 and 'cities' version 1 share no primary key column \(customer,"
                r" item beside name\): give on="
            ),
        ),
        (
            of(ORDERS).with_join(JoinSpec(of(CITIES), ("price",), ("name",))),
            QueryError,
            (
                "Key 'price' of 'orders' version 1 is double and 'name' of 'cities' version 1 is"
                " string: they can never be equal"
            ),
        ),
        (
            of(ORDERS).with_join(JoinSpec(of(CITIES), ("town",), ("name",))),
            NotFoundError,
            "Column of feature group .* 'town' does not exist",
        ),
        (of(ORDERS, "prize"), NotFoundError, "'prize' does not exist; did you mean 'price'?"),
        (
            of(EMPTY, "a"),
            QueryError,
            "Feature group 'empty' version 1 has no schema yet: insert its first rows",
        ),
        (
            of(ORDERS).with_filter(Comparison(ITEMS.ref, "colour", "==", "red")),
            QueryError,
            (
                "The filter on 'colour' of 'items' version 1 is applied to 'orders' version 1, before"
                " the two are joined"
            ),
        ),
        (
            of(ORDERS)
            .with_join(JoinSpec(of(ITEMS)))
            .with_filter(Comparison(MAKERS.ref, "country", "==", "x")),
            NotFoundError,
            "Feature group of a filter 'makers' does not exist.* Join it first",
        ),
        (
            of(ORDERS, "price")
            .with_join(JoinSpec(of(CUSTOMERS, "age"), prefix="a_"))
            .with_join(JoinSpec(of(CUSTOMERS, "age"), prefix="b_"))
            .with_filter(Comparison(CUSTOMERS.ref, "age", ">", 1)),
            QueryError,
            "could mean either of the joins of 'customers' version 1",
        ),
        (
            of(ORDERS).with_join(
                JoinSpec(
                    of(ITEMS)
                    .with_join(JoinSpec(of(MAKERS)))
                    .with_filter(Comparison(MAKERS.ref, "country", "==", "x"))
                )
            ),
            QueryError,
            "is inside another join, where it could drop rows of the spine",
        ),
    ],
)
def test_a_query_that_cannot_be_bound_says_why(
    query: QuerySpec, error: type[SparkFSError], text: str
) -> None:
    with pytest.raises(error, match=text):
        bound(query)


def test_a_spine_without_event_time_cannot_be_split() -> None:
    with pytest.raises(
        SettingsError,
        match=r"'items' version 1 has no event time, so \[2024-01-01.*\) select nothing of it",
    ):
        bound(of(ITEMS)).with_splits({"train": Interval.from_bounds("2024-01-01", None)})


class CountedTuple(tuple[FeatureSpec, ...]):
    """Features that count how often they are walked along."""

    walks = 0

    def __iter__(self) -> Iterator[FeatureSpec]:
        type(self).walks += 1
        return super().__iter__()


def count_walks(columns: int) -> int:
    """How often binding walks along the features of two joined groups of so many columns."""
    types = {"id": "int", "at": "timestamp"}
    types |= {f"c{number}": "double" for number in range(columns - 2)}
    left, right = spec("left", "id", "at", **types), spec("right", "id", "at", **types)
    left, right = (replace(group, features=CountedTuple(group.features)) for group in (left, right))
    names = tuple(types)
    query = QuerySpec(left.ref, names).with_join(JoinSpec(QuerySpec(right.ref, names)))
    CountedTuple.walks = 0
    plan = bind_query(query, {group.ref: group for group in (left, right)})
    assert len(plan.outputs) == 2 * columns - 2  # a key and a time come once
    return CountedTuple.walks


def test_a_column_costs_no_walk_along_all_columns() -> None:
    assert count_walks(3) == count_walks(300)
