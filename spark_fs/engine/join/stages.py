"""One pass of a join in memory: left rows, and the groups that join by the same columns of them.

Columns travel as ``n<place>_<column>``. No Spark here, so any worker and any test can run it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.engine.join import matching, shuffle
from spark_fs.engine.join.matching import MISSING, Ints
from spark_fs.engine.scan import parquet

TypedColumn = tuple[str, str]  # a column as it travels, and its feature type


@dataclass(frozen=True)
class MatchRule:
    """How the row of one group is found.

    keys: its key columns. time: its event time; None: any row of the key. ties: which columns
    decide between rows of one key and time. known: the instant from which a row was known, when
    that matters. ttl: the greatest age in microseconds. inner: whether rows without a match go.
    carried: which of its columns are needed after.
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
class JoinStage:
    """The groups that join by the same columns of what is joined so far.

    keys, time: these columns, and the spine's event time; None: the greatest time of all. kept:
    which columns of the left side are needed after.
    """

    keys: tuple[TypedColumn, ...]
    time: TypedColumn | None
    rules: tuple[MatchRule, ...]
    left_columns: tuple[str, ...]


def join_bucket(left: pa.Table, rights: Mapping[int, pa.Table], stage: JoinStage) -> pa.Table:
    """The left rows with the columns of their matches."""
    sides = [
        get_key_columns(left, stage.keys),
        *(get_key_columns(rights[rule.node_index], rule.keys) for rule in stage.rules),
    ]
    codes, *others = matching.encode_keys(sides)
    found = [
        _match_group(left, codes, rights[rule.node_index], other, rule, stage.time)
        for rule, other in zip(stage.rules, others, strict=True)
    ]
    stays = [
        matched != MISSING
        for rule, matched in zip(stage.rules, found, strict=True)
        if rule.is_inner
    ]
    rows = np.flatnonzero(np.logical_and.reduce(stays)) if stays else None
    result = left.select(list(stage.left_columns))
    result = result if rows is None else result.take(pa.array(rows))
    for rule, matched in zip(stage.rules, found, strict=True):
        matched = matched if rows is None else matched[rows]
        taken = (
            rights[rule.node_index]
            .select(list(rule.right_columns))
            .combine_chunks()
            .take(pa.array(matched, mask=matched == MISSING))
        )
        for name in rule.right_columns:
            result = result.append_column(name, taken.column(name))
    return result


def _match_group(
    left: pa.Table,
    left_codes: Ints,
    right: pa.Table,
    right_codes: Ints,
    rule: MatchRule,
    time: TypedColumn | None,
) -> Ints:
    mine = get_micros(left, time) if time and (rule.time or rule.known_from) else None
    if mine is not None and left.column(time[0]).null_count:  # type: ignore[index] # a null time matches nothing
        left_codes = np.where(left.column(time[0]).is_null().to_numpy(), MISSING, left_codes)  # type: ignore[index] # as above
    return matching.find_matches(
        matching.KeyedRows(left_codes, mine),
        build_candidate_rows(right, right_codes, rule),
        rule.ttl,
    )


def build_candidate_rows(right: pa.Table, codes: Ints, rule: MatchRule) -> matching.KeyedRows:
    """The right rows as the search takes them."""
    known = get_micros(right, rule.known_from) if rule.known_from else None
    times = get_micros(right, rule.time) if rule.time else known
    return matching.KeyedRows(codes, times, matching.rank_rows(right, rule.tie_breakers), known)


def get_key_columns(table: pa.Table, keys: Sequence[TypedColumn]) -> list[pa.ChunkedArray]:
    """The key columns of a side in the form in which they are compared."""
    return [shuffle.to_canonical_key(table.column(name), type_) for name, type_ in keys]


def get_micros(table: pa.Table, time: TypedColumn) -> Ints:
    """An event time in microseconds, 0 where it is null."""
    found: Ints = pc.fill_null(
        parquet.to_event_micros(table.column(time[0]), time[1]), 0
    ).to_numpy()
    return found
