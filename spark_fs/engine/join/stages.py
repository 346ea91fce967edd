"""One stage of a join in memory: left rows, and the groups that join by the same columns of them.

Columns travel under the names of ``columns``. Without Spark, so any worker and any test can run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import decode_dictionaries
from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.join import matching, shuffle
from spark_fs.engine.join.key_codes import KeyEncoder
from spark_fs.engine.join.matching import MISSING, Ints
from spark_fs.planning.window_plan import WindowPlan

if TYPE_CHECKING:
    from spark_fs.engine.windows.edges import Instants

RunAll = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
TypedColumn = tuple[str, str]  # a column as it travels, and its feature type


@dataclass(frozen=True)
class MatchRule:
    """How the row of one group is found.

    keys: its key columns. time: its event time; None: any row of the key. tie_breakers: which
    columns decide between rows of one key and time. known_from: the instant from which a row was
    known, when that matters. ttl: the greatest age in microseconds. is_inner: whether rows without
    a match go. right_columns: which of its columns are needed after.
    """

    node_index: int
    keys: tuple[TypedColumn, ...]
    time: TypedColumn | None
    tie_breakers: tuple[str, ...]
    known_from: TypedColumn | None
    ttl: int | None
    is_inner: bool
    right_columns: tuple[str, ...]


@dataclass(frozen=True)
class WindowRule:
    """How features are computed of the rows of one group, its events, in windows before each row.

    keys: of the events, by which they join. time: when an event becomes known. plan: the features
    and windows. event_columns: how the columns that the plan needs travel, in its order.
    right_columns: how the features do.
    """

    node_index: int
    keys: tuple[TypedColumn, ...]
    time: TypedColumn
    plan: WindowPlan
    event_columns: tuple[str, ...]
    right_columns: tuple[str, ...]


StageRule = MatchRule | WindowRule


@dataclass(frozen=True)
class JoinStage:
    """The groups that join by the same columns of what is joined so far.

    keys, time: these columns, and the spine's event time; None: the greatest time of all.
    left_columns: which columns of the left side are needed after.
    """

    keys: tuple[TypedColumn, ...]
    time: TypedColumn | None
    rules: tuple[StageRule, ...]
    left_columns: tuple[str, ...]


class _JoinedGroup(NamedTuple):
    """The rows of one joined group, the code of each one's key, and how they are searched.

    search: None for a group of events, of which windows are made.
    """

    rule: StageRule
    rows: pa.Table
    codes: Ints
    search: matching.SearchableRows | None


@dataclass(frozen=True)
class StageIndex:
    """The joined groups of a stage in an order in which left rows find their matches.

    encoder: of the keys of all groups, so that a left key is looked up once.
    """

    stage: JoinStage
    encoder: KeyEncoder
    groups: tuple[_JoinedGroup, ...]

    @classmethod
    def build(cls, stage: JoinStage, rights: Mapping[int, pa.Table], run_all: RunAll = map) -> Self:
        """Put the rows of each joined group, given by the index of its node, in order.

        Args:
            stage: How they match.
            rights: The rows.
            run_all: Calls a function with each of several values, as ``map`` does.
        """
        tables = [rights[rule.node_index] for rule in stage.rules]
        keys = []
        for rule, table in zip(stage.rules, tables, strict=True):
            keys.append(get_key_columns(table, rule.keys))
        encoder, codes = KeyEncoder.learn(keys)
        groups = run_all(_index_group, zip(stage.rules, tables, codes, strict=True))
        return cls(stage, encoder, tuple(groups))

    def join(self, left: pa.Table) -> pa.Table:
        """The left rows with the columns of their matches, and their windows."""
        stage = self.stage
        codes = self.encoder.encode(get_key_columns(left, stage.keys))
        matches: dict[StageRule, Ints] = {}
        for group in self.groups:
            if group.search:
                matches[group.rule] = _match_group(left, codes, group, stage.time)
        rows = _list_inner_rows(matches)
        if rows is not None:
            left = left.take(pa.array(rows))
            codes = codes[rows]
        result = decode_dictionaries(left.select(list(stage.left_columns)))
        for group in self.groups:
            rule = group.rule
            if isinstance(rule, WindowRule):
                assert stage.time  # a plan with windows has a spine with an event time
                instants = build_instants(left, codes, stage.time)
                columns = _compute_features(group.rows, group.codes, instants, rule)
            else:
                matched = matches[rule] if rows is None else matches[rule][rows]
                columns = _take_matches(group.rows, rule, matched).columns
            for name, column in zip(rule.right_columns, columns, strict=True):
                result = result.append_column(name, column)
        return result


def join_bucket(left: pa.Table, rights: Mapping[int, pa.Table], stage: JoinStage) -> pa.Table:
    """The left rows with the columns of their matches, and their windows.

    Args:
        left: Rows of what is joined so far.
        rights: The rows of each joined group, by the index of its node.
        stage: How they match.
    """
    return StageIndex.build(stage, rights).join(left)


def _index_group(group: tuple[StageRule, pa.Table, Ints]) -> _JoinedGroup:
    rule, rows, codes = group
    search = None
    if isinstance(rule, MatchRule):
        search = matching.SearchableRows.from_rows(build_candidate_rows(rows, codes, rule))
    return _JoinedGroup(rule, rows, codes, search)


def build_instants(left: pa.Table, codes: Ints, time: TypedColumn) -> Instants:
    """Where the windows of some rows end; a row without a time has no window.

    Args:
        left: The rows.
        codes: The entity of each.
        time: Their column that holds the instant.
    """
    from spark_fs.engine.windows.edges import Instants

    return Instants(_drop_untimed(left, codes, time), get_micros(left, time))


def _drop_untimed(left: pa.Table, codes: Ints, time: TypedColumn) -> Ints:
    """The codes of the left rows, ``MISSING`` where the time is null."""
    column = left.column(time[0])
    if not column.null_count:
        return codes
    return np.where(column.is_null().to_numpy(), MISSING, codes)


def _compute_features(
    right: pa.Table, codes: Ints, instants: Instants, rule: WindowRule
) -> list[pa.ChunkedArray]:
    events = decode_dictionaries(right.select(list(rule.event_columns)))
    events = events.rename_columns([name for name, _ in rule.plan.types])
    from spark_fs.engine.windows.blocks import compute_windows_at

    return compute_windows_at(events, codes, instants, rule.plan)


def _take_matches(right: pa.Table, rule: MatchRule, matches: Ints) -> pa.Table:
    """The rows of these indices, nulls where one is missing."""
    needed = right.select(list(rule.right_columns)).combine_chunks()
    taken = needed.take(pa.array(matches, mask=matches == MISSING))
    return decode_dictionaries(taken)


def _list_inner_rows(matches: Mapping[StageRule, Ints]) -> Ints | None:
    """The left rows that have a match of every inner join; None: all."""
    has_match = []
    for rule, matched in matches.items():
        if isinstance(rule, MatchRule) and rule.is_inner:
            has_match.append(matched != MISSING)
    if not has_match:
        return None
    return np.flatnonzero(np.logical_and.reduce(has_match))


def _match_group(
    left: pa.Table, codes: Ints, group: _JoinedGroup, time: TypedColumn | None
) -> Ints:
    rule = group.rule
    assert isinstance(rule, MatchRule)
    assert group.search
    left_times = None
    if time and (rule.time or rule.known_from):
        left_times = get_micros(left, time)
        codes = _drop_untimed(left, codes, time)  # a null time matches nothing
    return group.search.find_matches(matching.KeyedRows(codes, left_times), rule.ttl)


def build_candidate_rows(right: pa.Table, codes: Ints, rule: MatchRule) -> matching.KeyedRows:
    """The right rows as the search takes them."""
    known_from = None
    if rule.known_from:
        known_from = get_micros(right, rule.known_from)
    times = known_from
    if rule.time:
        times = get_micros(right, rule.time)
    ranks = matching.rank_rows(right, rule.tie_breakers)
    return matching.KeyedRows(codes, times, ranks, known_from)


def get_key_columns(table: pa.Table, keys: Sequence[TypedColumn]) -> list[pa.ChunkedArray]:
    """The key columns of a side in the form in which they are compared."""
    return [shuffle.to_canonical_key(table.column(name), type_) for name, type_ in keys]


def get_micros(table: pa.Table, time: TypedColumn) -> Ints:
    """An event time in microseconds, 0 where it is null."""
    name, type_ = time
    instants = to_event_micros(table.column(name), type_)
    micros: Ints = pc.fill_null(instants, 0).to_numpy()
    return micros
