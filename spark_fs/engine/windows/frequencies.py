"""The most frequent codes of many ranges, without counting any range anew.

Where ranges move on (sorted starts and ends, as windows of one length have), the count of a code
steps up in the range that first has one more of its places, and down in the first that has lost
one. So each place makes at most two *spells*: runs of ranges in which a code has one count. What is
asked for are the k best spells over each range. A segment tree over the ranges answers that: a
spell is put on the few nodes that make up its run, each node keeps its k best, and from the root
down each node's best are merged with those of its parent.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.occurrences import Lists, count_up_to, sum_before

_BLOCK_ITEMS = 1 << 23  # of the lists that are in memory at a time
_LEAST_BLOCK = 1 << 16  # ranges at a time; a block looks at all places of its ranges again
_Places = npt.NDArray[np.int32]


class _Spells(NamedTuple):
    """Runs of ranges, from first to before last, in which a code has one count; the best first."""

    firsts: Ints
    lasts: Ints
    codes: Ints


class _BestOfNodes(NamedTuple):
    """The nodes of a level of the tree that have spells, and for each the best, padded."""

    nodes: Ints
    spells: _Places


def find_most_frequent(codes: Ints, starts: Ints, ends: Ints, k: int) -> Lists:
    """The k most frequent codes of each range, the most frequent first, of equal ones the lesser.

    Args:
        codes: The codes, at least 0.
        starts: Where each range begins.
        ends: Where it ends; this place is not in it.
        k: How many codes at most.
    """
    rows = np.full((len(starts), k), -1)
    size = max(_LEAST_BLOCK, _BLOCK_ITEMS // k)
    for chain in _iter_sorted_chains(starts, ends):
        for first in range(0, len(chain), size):
            block = chain[first : first + size]
            rows[block] = _find_in_block(codes, starts[block], ends[block], k)
    is_code = rows >= 0
    return Lists(sum_before(is_code.sum(axis=1)), rows[is_code])


def _iter_sorted_chains(starts: Ints, ends: Ints) -> Iterator[Ints]:
    """Indices of ranges whose starts and ends are both sorted, until every range has been given.

    Windows of one length make one chain; a range within another is in a later one.
    """
    remaining = np.lexsort((ends, starts))
    while len(remaining):
        chain_ends = ends[remaining]
        is_next = chain_ends == np.maximum.accumulate(chain_ends)
        yield remaining[is_next]
        remaining = remaining[~is_next]


def _find_in_block(codes: Ints, starts: Ints, ends: Ints, k: int) -> Ints:
    """A row of k codes for each of the ranges, whose starts and ends are sorted; -1 for none."""
    place = int(starts[0])
    last_place = int(ends[-1])
    spells = _list_spells(codes[place:last_place], starts - place, ends - place)
    best = _find_best(spells, len(starts), k)
    with_none = np.append(spells.codes, -1)
    return with_none[best]


def _list_spells(codes: Ints, starts: Ints, ends: Ints) -> _Spells:
    first_ranges = count_up_to(ends, len(codes))[:-1]
    last_ranges = count_up_to(starts, len(codes))[:-1]
    is_seen = first_ranges < last_ranges
    seen_codes = codes.compress(is_seen)
    # The steps in order of code and range, one integer each; the lowest bit says whether it is up.
    bits = len(starts).bit_length() + 1
    steps = np.concatenate(
        [first_ranges.compress(is_seen) << 1 | 1, last_ranges.compress(is_seen) << 1]
    )
    steps |= np.concatenate([seen_codes, seen_codes]) << bits
    steps.sort()
    is_up = steps & 1
    counts = np.cumsum(2 * is_up - 1)  # down to 0 at the end of each code
    step_ranges = (steps & ((1 << bits) - 1)) >> 1
    next_ranges = np.append(step_ranges[1:], 0)
    spells = np.flatnonzero((counts > 0) & (step_ranges < next_ranges))
    # By code already: so a stable order by count leaves the lesser code first.
    order = spells[np.argsort(-counts[spells], kind="stable")]
    return _Spells(step_ranges[order], next_ranges[order], steps[order] >> bits)


def _find_best(spells: _Spells, range_count: int, k: int) -> _Places:
    """The indices of the k best spells over each range, padded with the number of spells."""
    levels = list(_iter_levels(spells, range_count, k))
    padding = len(spells.codes)
    best = np.full((1, k), padding, np.int32)
    for height in reversed(range(len(levels))):
        node_count = ((range_count - 1) >> height) + 1
        best = np.repeat(best, 2, axis=0)[:node_count]
        nodes = levels[height].nodes
        merged = np.concatenate([best[nodes], levels[height].spells], axis=1)
        merged.sort(axis=1)
        best[nodes] = merged[:, :k]
    return best


def _iter_levels(spells: _Spells, range_count: int, k: int) -> Iterator[_BestOfNodes]:
    """The levels of the tree from the leaves up: node i of height h has ranges from i * 2**h on."""
    firsts = spells.firsts
    lasts = spells.lasts
    indices = np.arange(len(firsts))
    for _ in range((range_count - 1).bit_length() + 1):
        ends_left = firsts & 1 == 1
        ends_right = lasts & 1 == 1
        nodes = np.concatenate([firsts.compress(ends_left), lasts.compress(ends_right) - 1])
        put = np.concatenate([indices.compress(ends_left), indices.compress(ends_right)])
        yield _keep_best(nodes, put, len(spells.codes), k)
        firsts = (firsts + 1) >> 1
        lasts = lasts >> 1
        goes_on = firsts < lasts
        firsts = firsts.compress(goes_on)
        lasts = lasts.compress(goes_on)
        indices = indices.compress(goes_on)


def _keep_best(nodes: Ints, spells: Ints, padding: int, k: int) -> _BestOfNodes:
    bits = padding.bit_length()
    combined = np.sort(nodes << bits | spells)
    nodes = combined >> bits
    is_first = np.append(True, nodes[1:] != nodes[:-1])[: len(nodes)]
    firsts = np.flatnonzero(is_first)
    rows = np.cumsum(is_first) - 1
    columns = np.arange(len(nodes)) - firsts[rows]
    kept = np.flatnonzero(columns < k)
    best = np.full((len(firsts), k), padding, np.int32)
    best[rows[kept], columns[kept]] = combined[kept] & ((1 << bits) - 1)
    return _BestOfNodes(nodes[firsts], best)
