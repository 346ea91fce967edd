"""Which split a row is in: by what the row holds, so that it does not depend on where it lies.

Of a random split the least hashes of (key, event time, seed) go to the first share, the next to the
second, the rest to train. No Spark here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.base.hashing import Hashes, split_mix
from spark_fs.engine.join import shuffle
from spark_fs.engine.training.row_order import compute_row_order, to_strings
from spark_fs.spec.training_dataset import TRAIN_SPLIT, RandomSplit

# they begin with an underscore, so no feature has such a name
HASH_COLUMN = "_hash"
FILE_COLUMN = "_file"
ROW_COLUMN = "_row"
CELL_COUNT = 1 << 16  # of hashes, by their leading bits
_CELL_SHIFT = np.uint64(48)
# cells on either side of a share's end that its end is likely in: from 100,000 rows on it nearly
# always is
_LIKELY_BAND = 256
CellCounts = npt.NDArray[np.int64]
_NULL_HASH = np.uint64(0xD6E8FEB86659FD93)
_SEED_MASK = 0xFFFFFFFFFFFFFFFF


def hash_rows(table: pa.Table, identity: Mapping[str, str], seed: int) -> Hashes:
    """A hash of each row's identity and the seed.

    It is equal for equal values, whatever the width of their integers.

    Args:
        table: the rows.
        identity: the columns of the identity, with their types.
        seed: of the random split.

    Returns:
        A hash for each row.
    """
    hashes: Hashes = np.zeros(table.num_rows, np.uint64)
    with np.errstate(over="ignore"):
        for name, type_ in identity.items():
            hashes = split_mix(hashes ^ _hash_column(table.column(name), type_))
        seed_hash = split_mix(np.array([seed & _SEED_MASK], np.uint64))
        return split_mix(hashes + seed_hash)


def _hash_column(column: pa.ChunkedArray, type_: str) -> Hashes:
    if shuffle.get_key_kind(type_):
        key = shuffle.to_canonical_key(column, type_)
    else:
        key = to_strings(column)
    is_null = column.is_null().to_numpy()
    return np.where(is_null, _NULL_HASH, shuffle.hash_keys([key])).astype(np.uint64)


@dataclass(frozen=True)
class SplitThreshold:
    """Where a share ends.

    Attributes:
        hash: the share ends behind the rows with this hash.
        row_ids: of these rows, those that are in the share still, by their file and place in it;
            None: all of them.
    """

    hash: int
    row_ids: frozenset[tuple[int, int]] | None = None

    def is_past(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows of a table lie behind the threshold.

        The table has the column of hashes, and where there are row_ids those of files and rows.
        """
        hashes = table.column(HASH_COLUMN).to_numpy()
        past: npt.NDArray[np.bool_] = hashes > np.uint64(self.hash)
        if self.row_ids is not None:
            files = table.column(FILE_COLUMN)
            rows = table.column(ROW_COLUMN)
            for i in np.flatnonzero(hashes == np.uint64(self.hash)).tolist():
                past[i] = (files[i].as_py(), rows[i].as_py()) not in self.row_ids
        return past


def assign_splits(thresholds: Sequence[SplitThreshold], table: pa.Table) -> npt.NDArray[np.int64]:
    """The number of each row's split: that of the first threshold that it is not behind."""
    numbers = np.zeros(table.num_rows, np.int64)
    for threshold in thresholds:
        numbers += threshold.is_past(table)
    return numbers


def count_cells(hashes: Hashes) -> CellCounts:
    """How many hashes are in each cell."""
    return np.bincount(get_cells(hashes), minlength=CELL_COUNT)


def get_cells(hashes: Hashes) -> npt.NDArray[np.int64]:
    """The cell of each hash."""
    return (hashes >> _CELL_SHIFT).astype(np.int64)


def find_threshold_cells(counts: CellCounts, random_split: RandomSplit) -> npt.NDArray[np.int64]:
    """The cells of hashes that a share ends in, by how many rows are in each cell."""
    ends = np.cumsum(counts)
    share_ends = np.cumsum(random_split.compute_sizes(int(ends[-1])))
    return np.unique(np.searchsorted(ends, share_ends, side="left"))


def select_likely_hashes(hashes: Hashes, random_split: RandomSplit) -> Hashes:
    """The hashes in cells that a share of many rows ends in: hashes are spread evenly."""
    cells = get_cells(hashes)
    is_likely = np.zeros(len(hashes), bool)
    for share_end in np.cumsum(list(random_split.shares.values())):
        is_likely |= np.abs(cells - share_end * CELL_COUNT) < _LIKELY_BAND
    return hashes[is_likely]


def has_only_likely_cells(cells: npt.NDArray[np.int64], random_split: RandomSplit) -> bool:
    """Whether every hash in these cells is likely."""
    expected_ends = np.cumsum(list(random_split.shares.values())) * CELL_COUNT
    return all((np.abs(cell - expected_ends) < _LIKELY_BAND).any() for cell in cells)


def find_thresholds(
    hashes: Hashes, counts: CellCounts, random_split: RandomSplit
) -> list[SplitThreshold] | None:
    """The thresholds of a random split.

    Args:
        hashes: those in ``find_threshold_cells``.
        counts: how many rows are in each cell.
        random_split: the shares.

    Returns:
        A threshold for each share; None: a share ends between rows of one hash.
    """
    ordered = np.sort(hashes)
    thresholds = []
    for end, last in _find_share_ends(get_cells(ordered), counts, random_split):
        if not end:
            thresholds.append(SplitThreshold(0, frozenset()))
        elif np.searchsorted(ordered, ordered[last], side="right") > last + 1:
            return None
        else:
            thresholds.append(SplitThreshold(int(ordered[last])))
    return thresholds


def find_thresholds_by_content(
    near_rows: pa.Table, counts: CellCounts, random_split: RandomSplit, identity: Sequence[str]
) -> list[SplitThreshold]:
    """The thresholds of a random split, of which some may end between rows of one hash.

    Such rows are told apart by all that they hold.

    Args:
        near_rows: the rows in ``find_threshold_cells``, with their hashes, files and rows.
        counts: how many rows are in each cell.
        random_split: the shares.
        identity: the columns to sort by first.

    Returns:
        A threshold for each share.
    """
    order = compute_row_order(near_rows, identity, (HASH_COLUMN, FILE_COLUMN, ROW_COLUMN))
    near_rows = near_rows.take(pa.array(order))
    by_hash = np.argsort(near_rows.column(HASH_COLUMN).to_numpy(), kind="stable")
    near_rows = near_rows.take(pa.array(by_hash))
    hashes = near_rows.column(HASH_COLUMN).to_numpy()
    files = near_rows.column(FILE_COLUMN).to_numpy()
    rows = near_rows.column(ROW_COLUMN).to_numpy()
    thresholds = []
    for end, last in _find_share_ends(get_cells(hashes), counts, random_split):
        if not end:
            thresholds.append(SplitThreshold(0, frozenset()))
            continue
        first = int(np.searchsorted(hashes, hashes[last]))
        row_ids = zip(
            files[first : last + 1].tolist(), rows[first : last + 1].tolist(), strict=True
        )
        thresholds.append(SplitThreshold(int(hashes[last]), frozenset(row_ids)))
    return thresholds


def _find_share_ends(
    cells: npt.NDArray[np.int64], counts: CellCounts, random_split: RandomSplit
) -> Iterator[tuple[int, int]]:
    """Of each share how many rows are before its end, and where its last row is.

    That is its place among the sorted hashes that these cells are of.
    """
    ends = np.cumsum(counts)
    for end in np.cumsum(random_split.compute_sizes(int(ends[-1]))).tolist():
        cell = int(np.searchsorted(ends, end, side="left"))
        rank_in_cell = end - (ends[cell] - counts[cell])
        yield end, int(np.searchsorted(cells, cell) + rank_in_cell) - 1


def split_table(
    table: pa.Table, random_split: RandomSplit, identity: Mapping[str, str]
) -> dict[str, pa.Table]:
    """The rows of each split, of a whole table in canonical order, which they keep."""
    order = np.argsort(hash_rows(table, identity, random_split.seed), kind="stable")
    sizes = random_split.compute_sizes(table.num_rows)
    others: dict[str, pa.Table] = {}
    start = 0
    for name, size in zip(random_split.shares, sizes, strict=True):
        others[name] = table.take(pa.array(np.sort(order[start : start + size])))
        start += size
    train = table.take(pa.array(np.sort(order[start:])))
    return {TRAIN_SPLIT: train} | others
