"""Queries, as small immutable trees."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args

from spark_fs.errors import QueryError, SettingsError
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import (
    Condition,
    iter_comparisons,
    make_conjunction,
    parse_condition,
    rebind_group,
)
from spark_fs.spec.record_format import FORMAT_KEY, check_format, select_known_fields
from spark_fs.spec.window_features import WindowsSpec

JoinType = Literal["left", "inner", "right", "outer"]
_WINDOWS_FORMAT = 2  # of a query with windows


def parse_join_type(text: str | None) -> JoinType:
    """The kind of join that a caller names, in any case; None is "left", "full" is "outer".

    SettingsError for one that does not exist.
    """
    kinds: dict[str, JoinType] = {kind: kind for kind in get_args(JoinType)}
    kinds["full"] = "outer"
    name = "left" if text is None else text.lower()
    if name not in kinds:
        raise _make_join_type_error(text)
    return kinds[name]


def _make_join_type_error(name: str | None) -> SettingsError:
    listed = ", ".join(map(repr, get_args(JoinType)))
    return SettingsError(f"join_type {name!r} is not known: use one of {listed}.")


@dataclass(frozen=True)
class JoinSpec:
    """A query joined to another: its keys on each side, how, and the prefix of its columns.

    left_on, right_on: None: the names that the primary keys share.
    """

    query: "QuerySpec"
    left_on: tuple[str, ...] | None = None
    right_on: tuple[str, ...] | None = None
    join_type: JoinType = "left"
    prefix: str = ""

    def __post_init__(self) -> None:
        if self.join_type not in get_args(JoinType):
            raise _make_join_type_error(self.join_type)
        if len(self.left_on or ()) != len(self.right_on or ()):
            raise SettingsError(
                f"left_on {self.left_on} and right_on {self.right_on} differ in length: name the"
                " same number of columns."
            )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "query": self.query.to_json(),
            "left_on": self.left_on,
            "right_on": self.right_on,
            "join_type": self.join_type,
            "prefix": self.prefix,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        fields = select_known_fields(cls, "A join", data)
        for side in ("left_on", "right_on"):
            fields[side] = tuple(data[side]) if data[side] else None
        fields["query"] = QuerySpec.from_json(data["query"])
        return cls(**fields)


@dataclass(frozen=True)
class QuerySpec:
    """Columns of a group, the queries joined to it, and its filters.

    ``where`` narrows the group's own rows before anything is joined; ``having`` applies to the
    joined result. ``explicit`` tells that a joined group's key and event time stay where no column
    before them has their name; it is False of a query that ``select_all``, ``select_except`` or
    ``select_features`` made before 0.2, which gives what it gave: these are left to the spine.
    ``keeps_order`` tells that a frame in the place of the group gives its columns in the order of
    ``columns``; it is False of a query from before 0.2, where the frame's own order stays. Neither
    is of account when queries are compared. ``as_of`` is the Delta version that the group is read
    at; None: the newest. ``as_known`` tells whether a row matches only where it had been ingested
    by the spine's event time. ``windows``: the columns are these features of the group's rows, at
    the spine's instants; None: they are columns of the group.
    """

    group: GroupRef
    columns: tuple[str, ...]
    explicit: bool = field(default=True, compare=False)
    joins: tuple[JoinSpec, ...] = ()
    where: Condition | None = None
    having: Condition | None = None
    as_of: int | None = None
    as_known: bool = False
    windows: WindowsSpec | None = None
    keeps_order: bool = field(default=True, compare=False)

    def with_join(self, join: JoinSpec) -> Self:
        """A copy with one more query joined."""
        if self.windows is not None:
            raise QueryError(
                f"The windows of {self.group} have no rows that {join.query.group} could be joined"
                " to: begin with a spine, and join both to it."
            )
        return replace(self, joins=(*self.joins, join))

    def with_filter(self, condition: Condition) -> Self:
        """A copy with one more condition.

        It is on the group's rows while nothing is joined, on the result after.
        """
        if self.windows is not None:
            raise QueryError(
                f"A filter on the windows of {self.group}: give its features where=, or filter the"
                " source of the aggregation, for some of the events alone."
            )
        if self.joins:
            return replace(self, having=make_conjunction(self.having, condition))
        return replace(self, where=make_conjunction(self.where, condition))

    def with_current_rules(self) -> Self:
        """A copy that gives the columns that a query made today gives."""
        joins = []
        for join in self.joins:
            joins.append(replace(join, query=join.query.with_current_rules()))
        return replace(self, explicit=True, joins=tuple(joins), keeps_order=True)

    def pin_versions(self, get_version: Callable[[GroupRef], int | None]) -> Self:
        """A copy in which every group is read at the version that ``get_version`` gives.

        That is None for the newest, and for a group that has no versions.
        """
        joins = []
        for join in self.joins:
            joined = join.query.pin_versions(get_version)
            joins.append(replace(join, query=joined))
        return replace(self, joins=tuple(joins), as_of=get_version(self.group))

    def with_spine(self, group: GroupRef, columns: tuple[str, ...]) -> Self:
        """A copy with another group, and these columns of it, as the leftmost one."""

        def rebind_filter(condition: Condition | None) -> Condition | None:
            return condition and rebind_group(condition, self.group, group)

        return replace(
            self,
            group=group,
            columns=columns,
            as_of=None,
            where=rebind_filter(self.where),
            having=rebind_filter(self.having),
        )

    def select_columns(self, wanted_columns: Sequence[set[str]]) -> Self:
        """A copy with these columns alone of each query of ``iter_queries``.

        What is joined from the left and gives none is left out.
        """
        return self._select_columns(iter(wanted_columns))

    def _select_columns(self, wanted_columns: Iterator[set[str]]) -> Self:
        columns = next(wanted_columns)
        filtered_groups = set()
        if self.having:
            filtered_groups = {comparison.group for comparison in iter_comparisons(self.having)}
        joins = []
        for join in self.joins:
            joined = join.query._select_columns(wanted_columns)
            is_needed = any(
                query.columns or (query.group in filtered_groups and query.windows is None)
                for query in joined.iter_queries()
            )
            if join.join_type == "inner" or is_needed:
                joins.append(replace(join, query=joined))
        kept_columns = tuple(column for column in self.columns if column in columns)
        return replace(self, columns=kept_columns, explicit=True, joins=tuple(joins))

    def iter_groups(self) -> Iterator[GroupRef]:
        """Every group read, the leftmost first; one joined twice comes twice."""
        return (query.group for query in self.iter_queries())

    def iter_queries(self) -> Iterator["QuerySpec"]:
        """The query and every query joined to it, the leftmost first."""
        yield self
        for join in self.joins:
            yield from join.query.iter_queries()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        where = self.where and self.where.to_json()
        having = self.having and self.having.to_json()
        data = {
            "group": list(self.group),
            "columns": list(self.columns),
            "explicit": self.explicit,
            "joins": [join.to_json() for join in self.joins],
            "where": where,
            "having": having,
            "as_of": self.as_of,
            "as_known": self.as_known,
            "keeps_order": self.keeps_order,
        }
        if self.windows is None:
            return data  # as the first release reads it
        return {**data, "windows": self.windows.to_json(), FORMAT_KEY: _WINDOWS_FORMAT}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        check_format("A query", data, _WINDOWS_FORMAT)
        where = data["where"] and parse_condition(data["where"])
        having = data["having"] and parse_condition(data["having"])
        windows = data.get("windows")
        return cls(
            group=GroupRef(*data["group"]),
            columns=tuple(data["columns"]),
            explicit=data["explicit"],
            joins=tuple(map(JoinSpec.from_json, data["joins"])),
            where=where,
            having=having,
            as_of=data.get("as_of"),
            as_known=data.get("as_known", False),
            windows=windows and WindowsSpec.from_json(windows),
            keeps_order=data.get("keeps_order", False),
        )
