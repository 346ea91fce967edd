"""One pass of a join in memory: left rows, and the groups that join by the same columns of them.

Columns travel as ``n<place>_<column>``. No Spark here, so any worker and any test can run it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.engine import matching, scan, shuffle
from spark_fs.engine.matching import NONE, Ints

Typed = tuple[str, str]  # a column as it travels, and its feature type


@dataclass(frozen=True)
class Rule:
    """How the row of one group is found.

    keys: its key columns. time: its event time; None: any row of the key. ties: which columns decide between rows of one key and time.
    known: the instant from which a row was known, when that matters. ttl: the greatest age in microseconds. inner: whether rows without a
    match go. carried: which of its columns are needed after.
    """

    place: int
    keys: tuple[Typed, ...]
    time: Typed | None
    ties: tuple[str, ...]
    known: Typed | None
    ttl: int | None
    inner: bool
    carried: tuple[str, ...]


@dataclass(frozen=True)
class Pass:
    """The groups that join by the same columns of what is joined so far.

    keys, time: these columns, and the spine's event time; None: the greatest time of all. kept: which columns of the left side are needed
    after.
    """

    keys: tuple[Typed, ...]
    time: Typed | None
    rules: tuple[Rule, ...]
    kept: tuple[str, ...]


def joined(left: pa.Table, rights: Mapping[int, pa.Table], one: Pass) -> pa.Table:
    """The left rows with the columns of their matches."""
    sides = [keys_of(left, one.keys), *(keys_of(rights[rule.place], rule.keys) for rule in one.rules)]
    codes, *others = matching.codes(sides)
    found = [_found(left, codes, rights[rule.place], other, rule, one.time) for rule, other in zip(one.rules, others, strict=True)]
    stays = [matched != NONE for rule, matched in zip(one.rules, found, strict=True) if rule.inner]
    rows = np.flatnonzero(np.logical_and.reduce(stays)) if stays else None
    result = left.select(list(one.kept))
    result = result if rows is None else result.take(pa.array(rows))
    for rule, matched in zip(one.rules, found, strict=True):
        matched = matched if rows is None else matched[rows]
        taken = rights[rule.place].select(list(rule.carried)).combine_chunks().take(pa.array(matched, mask=matched == NONE))
        for name in rule.carried:
            result = result.append_column(name, taken.column(name))
    return result


def _found(left: pa.Table, codes: Ints, right: pa.Table, others: Ints, rule: Rule, time: Typed | None) -> Ints:
    mine = micros(left, time) if time and (rule.time or rule.known) else None
    if mine is not None and left.column(time[0]).null_count:  # type: ignore[index] # a null time matches nothing
        codes = np.where(left.column(time[0]).is_null().to_numpy(), NONE, codes)  # type: ignore[index] # as above
    return matching.find(matching.Rows(codes, mine), candidates(right, others, rule), rule.ttl)


def candidates(right: pa.Table, codes: Ints, rule: Rule) -> matching.Rows:
    """The right rows as the search takes them."""
    known = micros(right, rule.known) if rule.known else None
    times = micros(right, rule.time) if rule.time else known
    return matching.Rows(codes, times, matching.ranks(right, rule.ties), known)


def keys_of(table: pa.Table, keys: Sequence[Typed]) -> list[pa.ChunkedArray]:
    """The key columns of a side in the form in which they are compared."""
    return [shuffle.canonical(table.column(name), type_) for name, type_ in keys]


def micros(table: pa.Table, time: Typed) -> Ints:
    """An event time in microseconds, 0 where it is null."""
    found: Ints = pc.fill_null(scan.instants(table.column(time[0]), time[1]), 0).to_numpy()
    return found
