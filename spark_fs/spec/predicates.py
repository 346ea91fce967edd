"""Conditions on columns of feature groups, as small immutable trees."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

from spark_fs.base.literals import from_literal, to_literal
from spark_fs.spec.names import GroupRef

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "like", "is_null"]
Logic = Literal["and", "or", "not"]
NO_GROUP = GroupRef("", 0)  # of a column that is named alone, until the query says whose it is
T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """One column beside a value. ``in`` takes a tuple; ``is_null`` ignores the value."""

    group: GroupRef
    column: str
    operator: Operator
    value: Any = None

    def to_json(self) -> list[Any]:
        """As plain JSON."""
        return [self.operator, list(self.group), self.column, to_literal(self.value)]


@dataclass(frozen=True)
class Combination:
    """Conditions joined by ``and`` or ``or``, or one negated by ``not``."""

    operator: Logic
    parts: tuple["Condition", ...]

    def to_json(self) -> list[Any]:
        """As plain JSON."""
        return [self.operator, *(part.to_json() for part in self.parts)]


Condition = Comparison | Combination


def parse_condition(data: list[Any]) -> Condition:
    """From what ``to_json`` gave."""
    operator, *rest = data
    if operator in get_args(Logic):
        return Combination(operator, tuple(map(parse_condition, rest)))
    group, column, value = rest
    return Comparison(GroupRef(*group), column, operator, from_literal(value))


def iter_comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison in the condition."""
    if isinstance(condition, Comparison):
        yield condition
    else:
        for part in condition.parts:
            yield from iter_comparisons(part)


def fold_condition(
    condition: Condition,
    compare: Callable[[Comparison], T],
    combine: Mapping[Logic, Callable[[list[T]], T]],
) -> T:
    """A condition in another form, such as Spark's, Arrow's or SQL.

    Args:
        condition: The condition.
        compare: Gives the form of a comparison.
        combine: Gives the form of a combination from those of its parts.
    """
    if isinstance(condition, Comparison):
        return compare(condition)
    parts = [fold_condition(part, compare, combine) for part in condition.parts]
    return combine[condition.operator](parts)


def map_comparisons(condition: Condition, change: Callable[[Comparison], Comparison]) -> Condition:
    """The condition with each of its comparisons changed."""
    if isinstance(condition, Comparison):
        return change(condition)
    parts = tuple(map_comparisons(part, change) for part in condition.parts)
    return replace(condition, parts=parts)


def has_named_columns(condition: Condition) -> bool:
    """Whether a column in it is named alone, without its group."""
    return any(comparison.group == NO_GROUP for comparison in iter_comparisons(condition))


def rebind_group(condition: Condition, old_group: GroupRef, new_group: GroupRef) -> Condition:
    """The condition with the columns of one group taken from another."""

    def rebind(comparison: Comparison) -> Comparison:
        if comparison.group == old_group:
            return replace(comparison, group=new_group)
        return comparison

    return map_comparisons(condition, rebind)


def make_conjunction(first: Condition | None, second: Condition) -> Condition:
    """The condition that both hold; the second alone where there is no first."""
    if first is None:
        return second
    return Combination("and", (first, second))
