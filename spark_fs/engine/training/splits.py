"""Which split a row is in, and in which order rows come: both by what a row holds, so that neither depends on where it lies.

Of a random split the least hashes of (key, event time, seed) go to the first share, the next to the
second, the rest to train. No Spark here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.hashing import split_mix
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.shuffle import Hashes
from spark_fs.spec.training_dataset import TRAIN_SPLIT, RandomSplit

HASH_COLUMN, FILE_COLUMN, ROW_COLUMN = (
    "_hash",
    "_file",
    "_row",
)  # they begin with an underscore, so no feature has such a name
CELL_COUNT = 1 << 16  # of hashes, by their leading bits
_CELL_SHIFT = np.uint64(48)
# cells on either side of a share's end that its end is likely in: from 100,000 rows on it nearly
# always is
_LIKELY_BAND = 256
CellCounts = npt.NDArray[np.int64]
_NULL_HASH = np.uint64(0xD6E8FEB86659FD93)


def hash_rows(table: pa.Table, identity: Mapping[str, str], seed: int) -> Hashes:
    """A hash of each row's identity and the seed: equal for equal values, whatever the width of their whole numbers."""
    found: Hashes = np.zeros(table.num_rows, np.uint64)
    with np.errstate(over="ignore"):
        for name, type_ in identity.items():
            column = table.column(name)
            key = (
                shuffle.to_canonical_key(column, type_)
                if shuffle.get_key_kind(type_)
                else _to_strings(column)
            )
            own: Hashes = np.where(
                column.is_null().to_numpy(), _NULL_HASH, shuffle.hash_keys([key])
            ).astype(np.uint64)
            found = split_mix(found ^ own)
        return split_mix(found + split_mix(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)))


@dataclass(frozen=True)
class SplitThreshold:
    """Where a share ends: behind the rows with this hash, or, of these, behind the ones at some places (file, row)."""

    hash: int
    row_ids: frozenset[tuple[int, int]] | None = None

    def is_past(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows lie behind the cut, of a table with HASH, and where there are places with FILE and ROW."""
        found = table.column(HASH_COLUMN).to_numpy()
        behind: npt.NDArray[np.bool_] = found > np.uint64(self.hash)
        if self.row_ids is not None:
            for row in np.flatnonzero(found == np.uint64(self.hash)).tolist():
                behind[row] = (
                    table.column(FILE_COLUMN)[row].as_py(),
                    table.column(ROW_COLUMN)[row].as_py(),
                ) not in self.row_ids
        return behind


def assign_splits(thresholds: Sequence[SplitThreshold], table: pa.Table) -> npt.NDArray[np.int64]:
    """The number of each row's split: that of the first cut that it is not behind."""
    numbers = np.zeros(table.num_rows, np.int64)
    for cut in thresholds:
        numbers += cut.is_past(table)
    return numbers


def count_cells(hashes: Hashes) -> CellCounts:
    """How many hashes are in each cell."""
    return np.bincount(get_cells(hashes), minlength=CELL_COUNT)


def get_cells(hashes: Hashes) -> npt.NDArray[np.int64]:
    """The cell of each hash."""
    return (hashes >> _CELL_SHIFT).astype(np.int64)


def find_threshold_cells(counts: CellCounts, random_split: RandomSplit) -> npt.NDArray[np.int64]:
    """The cells of hashes, of which so many rows are in each, that a share ends in."""
    ends = np.cumsum(counts)
    return np.unique(
        np.searchsorted(ends, np.cumsum(random_split.compute_sizes(int(ends[-1]))), side="left")
    )


def select_likely_hashes(hashes: Hashes, random_split: RandomSplit) -> Hashes:
    """The hashes in cells that a share of many rows ends in: hashes are spread evenly."""
    where = get_cells(hashes)
    inside = np.zeros(len(hashes), bool)
    for share in np.cumsum(list(random_split.shares.values())):
        inside |= np.abs(where - share * CELL_COUNT) < _LIKELY_BAND
    return hashes[inside]


def has_only_likely_cells(cells: npt.NDArray[np.int64], random_split: RandomSplit) -> bool:
    """Whether every hash in these cells is likely."""
    edges = np.cumsum(list(random_split.shares.values())) * CELL_COUNT
    return all((np.abs(cell - edges) < _LIKELY_BAND).any() for cell in cells)


def find_thresholds(
    hashes: Hashes, counts: CellCounts, random_split: RandomSplit
) -> list[SplitThreshold] | None:
    """The cuts of a random split; found: the hashes in ``cells_of_cuts``. None: a share ends between rows of one hash."""
    ordered = np.sort(hashes)
    result = []
    for end, last in _find_share_ends(get_cells(ordered), counts, random_split):
        if not end:
            result.append(SplitThreshold(0, frozenset()))
        elif np.searchsorted(ordered, ordered[last], side="right") > last + 1:
            return None
        else:
            result.append(SplitThreshold(int(ordered[last])))
    return result


def find_thresholds_by_content(
    near_rows: pa.Table, counts: CellCounts, random_split: RandomSplit, identity: Sequence[str]
) -> list[SplitThreshold]:
    """The cuts of a random split that end between rows of one hash, which are told apart by all that they hold.

    near: the rows in ``cells_of_cuts``, with HASH, FILE and ROW.
    """
    near_rows = near_rows.take(
        pa.array(compute_row_order(near_rows, identity, (HASH_COLUMN, FILE_COLUMN, ROW_COLUMN)))
    )
    near_rows = near_rows.take(
        pa.array(np.argsort(near_rows.column(HASH_COLUMN).to_numpy(), kind="stable"))
    )
    found, files, rows = (
        near_rows.column(name).to_numpy() for name in (HASH_COLUMN, FILE_COLUMN, ROW_COLUMN)
    )
    result = []
    for end, last in _find_share_ends(get_cells(found), counts, random_split):
        first = int(np.searchsorted(found, found[last])) if end else 0
        places = (
            zip(files[first : last + 1].tolist(), rows[first : last + 1].tolist(), strict=True)
            if end
            else ()
        )
        result.append(SplitThreshold(int(found[last]) if end else 0, frozenset(places)))
    return result


def _find_share_ends(
    cells: npt.NDArray[np.int64], counts: CellCounts, random_split: RandomSplit
) -> Iterator[tuple[int, int]]:
    """Of each share how many rows are before its end, and the place of its last one among the sorted hashes of these cells."""
    ends = np.cumsum(counts)
    for end in np.cumsum(random_split.compute_sizes(int(ends[-1]))).tolist():
        cell = int(np.searchsorted(ends, end, side="left"))
        yield end, int(np.searchsorted(cells, cell) + end - (ends[cell] - counts[cell])) - 1


def split_table(
    table: pa.Table, random_split: RandomSplit, identity: Mapping[str, str]
) -> dict[str, pa.Table]:
    """The rows of each split, of a whole table in canonical order, which they keep."""
    order = np.argsort(hash_rows(table, identity, random_split.seed), kind="stable")
    result: dict[str, pa.Table] = {}
    start = 0
    for name, size in zip(
        random_split.shares, random_split.compute_sizes(table.num_rows), strict=True
    ):
        result[name] = table.take(pa.array(np.sort(order[start : start + size])))
        start += size
    return {TRAIN_SPLIT: table.take(pa.array(np.sort(order[start:])))} | result


def compute_row_order(
    table: pa.Table, identity: Sequence[str], ignored: Sequence[str] = ()
) -> npt.NDArray[np.int64]:
    """The order of rows by their identity, and of equal ones by all that they hold, so that it hangs on no other order.

    identity: the columns to sort by, nulls first. aside: columns that are of no account.
    """
    order = np.arange(table.num_rows)
    runs = np.zeros(
        table.num_rows, np.int64
    )  # places with one number hold rows that are equal so far
    for name in identity:
        places = _find_ties(runs)
        if not len(places):
            return order
        values = _to_sort_keys(table.column(name).take(pa.array(order[places])))
        within = (
            np.lexsort((values, runs[places])) if runs[-1] else np.argsort(values, kind="stable")
        )
        order[places] = order[places][within]
        keys = np.zeros(table.num_rows, np.int64)
        keys[places] = values[within]
        runs = np.append(0, np.cumsum((np.diff(runs) != 0) | (keys[1:] != keys[:-1])))
    if len(places := _find_ties(runs)):
        held = table.select([c for c in table.column_names if c not in ignored]).take(
            pa.array(order[places])
        )
        rows = list(map(repr, zip(*(column.to_pylist() for column in held.columns), strict=True)))
        order[places] = order[places][
            sorted(range(len(rows)), key=lambda i: (runs[places[i]], rows[i]))
        ]
    return order


def _to_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values that Arrow neither compares nor hashes, as texts."""
    return pa.chunked_array(
        [[None if value is None else repr(value) for value in column.to_pylist()]], pa.string()
    )


def _find_ties(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places whose neighbour has the same number."""
    same = np.diff(runs) == 0
    return (
        np.flatnonzero(np.append(False, same) | np.append(same, False))
        if len(runs) > 1
        else np.empty(0, np.int64)
    )


def _to_sort_keys(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Whole numbers that sort as the values do, nulls first."""
    if pa.types.is_timestamp(column.type) or pa.types.is_int64(column.type):
        numbers: npt.NDArray[np.int64] = pc.fill_null(
            column.cast(pa.int64()), np.iinfo(np.int64).min
        ).to_numpy()
        return numbers
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        column = _to_strings(column)
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray) or not len(encoded.dictionary):
        return np.full(len(column), -1, np.int64)
    ranks = (
        pc.rank(encoded.dictionary, sort_keys="ascending", tiebreaker="dense")
        .to_numpy()
        .astype(np.int64)
    )
    return np.where(
        encoded.is_null().to_numpy(zero_copy_only=False),
        -1,
        ranks[pc.fill_null(encoded.indices, 0).to_numpy()],
    )
