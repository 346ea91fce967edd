"""Which split a row is in, and in which order rows come: both by what a row holds, so that neither depends on where it lies.

Of a random split the least hashes of (key, event time, seed) go to the first share, the next to the second, the rest to train. No Spark
here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.engine import shuffle
from spark_fs.engine.shuffle import Hashes
from spark_fs.spec.datasets import WHOLE, RandomSplit

HASH, FILE, ROW = "_hash", "_file", "_row"  # they begin with an underscore, so no feature has such a name
CELLS = 1 << 16  # of hashes, by their leading bits
_LOW = np.uint64(48)
_BAND = 256  # cells on either side of a share's end that its end is likely in: from 100,000 rows on it nearly always is
Counts = npt.NDArray[np.int64]
_MISSING = np.uint64(0xD6E8FEB86659FD93)


def hashes(table: pa.Table, identity: Mapping[str, str], seed: int) -> Hashes:
    """A hash of each row's identity and the seed: equal for equal values, whatever the width of their whole numbers."""
    found: Hashes = np.zeros(table.num_rows, np.uint64)
    with np.errstate(over="ignore"):
        for name, type_ in identity.items():
            column = table.column(name)
            key = shuffle.canonical(column, type_) if shuffle.kind(type_) else _written(column)
            own: Hashes = np.where(column.is_null().to_numpy(), _MISSING, shuffle.hashes_of([key])).astype(np.uint64)
            found = _mixed(found ^ own)
        return _mixed(found + _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64)))


def _mixed(bits: Hashes) -> Hashes:
    """Every bit of the result hangs on every bit of the input (the finalizer of SplitMix64, Steele et al. 2014)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@dataclass(frozen=True)
class Cut:
    """Where a share ends: behind the rows with this hash, or, of these, behind the ones at some places (file, row)."""

    hash: int
    places: frozenset[tuple[int, int]] | None = None

    def behind(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows lie behind the cut, of a table with HASH, and where there are places with FILE and ROW."""
        found = table.column(HASH).to_numpy()
        behind: npt.NDArray[np.bool_] = found > np.uint64(self.hash)
        if self.places is not None:
            for row in np.flatnonzero(found == np.uint64(self.hash)).tolist():
                behind[row] = (table.column(FILE)[row].as_py(), table.column(ROW)[row].as_py()) not in self.places
        return behind


def parts(cuts: Sequence[Cut], table: pa.Table) -> npt.NDArray[np.int64]:
    """The number of each row's split: that of the first cut that it is not behind."""
    numbers = np.zeros(table.num_rows, np.int64)
    for cut in cuts:
        numbers += cut.behind(table)
    return numbers


def counted(found: Hashes) -> Counts:
    """How many hashes are in each cell."""
    return np.bincount(cells(found), minlength=CELLS)


def cells(found: Hashes) -> npt.NDArray[np.int64]:
    """The cell of each hash."""
    return (found >> _LOW).astype(np.int64)


def cells_of_cuts(counts: Counts, random: RandomSplit) -> npt.NDArray[np.int64]:
    """The cells of hashes, of which so many rows are in each, that a share ends in."""
    ends = np.cumsum(counts)
    return np.unique(np.searchsorted(ends, np.cumsum(random.sizes(int(ends[-1]))), side="left"))


def likely(found: Hashes, random: RandomSplit) -> Hashes:
    """The hashes in cells that a share of many rows ends in: hashes are spread evenly."""
    where = cells(found)
    inside = np.zeros(len(found), bool)
    for share in np.cumsum(list(random.shares.values())):
        inside |= np.abs(where - share * CELLS) < _BAND
    return found[inside]


def are_likely(wanted: npt.NDArray[np.int64], random: RandomSplit) -> bool:
    """Whether every hash in these cells is likely."""
    edges = np.cumsum(list(random.shares.values())) * CELLS
    return all((np.abs(cell - edges) < _BAND).any() for cell in wanted)


def cuts(found: Hashes, counts: Counts, random: RandomSplit) -> list[Cut] | None:
    """The cuts of a random split; found: the hashes in ``cells_of_cuts``. None: a share ends between rows of one hash."""
    ordered = np.sort(found)
    result = []
    for end, last in _ends(cells(ordered), counts, random):
        if not end:
            result.append(Cut(0, frozenset()))
        elif np.searchsorted(ordered, ordered[last], side="right") > last + 1:
            return None
        else:
            result.append(Cut(int(ordered[last])))
    return result


def cuts_by_content(near: pa.Table, counts: Counts, random: RandomSplit, identity: Sequence[str]) -> list[Cut]:
    """The cuts of a random split that end between rows of one hash, which are told apart by all that they hold.

    near: the rows in ``cells_of_cuts``, with HASH, FILE and ROW.
    """
    near = near.take(pa.array(canonical(near, identity, (HASH, FILE, ROW))))
    near = near.take(pa.array(np.argsort(near.column(HASH).to_numpy(), kind="stable")))
    found, files, rows = (near.column(name).to_numpy() for name in (HASH, FILE, ROW))
    result = []
    for end, last in _ends(cells(found), counts, random):
        first = int(np.searchsorted(found, found[last])) if end else 0
        places = zip(files[first : last + 1].tolist(), rows[first : last + 1].tolist(), strict=True) if end else ()
        result.append(Cut(int(found[last]) if end else 0, frozenset(places)))
    return result


def _ends(where: npt.NDArray[np.int64], counts: Counts, random: RandomSplit) -> Iterator[tuple[int, int]]:
    """Of each share how many rows are before its end, and the place of its last one among the sorted hashes of these cells."""
    ends = np.cumsum(counts)
    for end in np.cumsum(random.sizes(int(ends[-1]))).tolist():
        cell = int(np.searchsorted(ends, end, side="left"))
        yield end, int(np.searchsorted(where, cell) + end - (ends[cell] - counts[cell])) - 1


def divided(table: pa.Table, random: RandomSplit, identity: Mapping[str, str]) -> dict[str, pa.Table]:
    """The rows of each split, of a whole table in canonical order, which they keep."""
    order = np.argsort(hashes(table, identity, random.seed), kind="stable")
    result: dict[str, pa.Table] = {}
    start = 0
    for name, size in zip(random.shares, random.sizes(table.num_rows), strict=True):
        result[name] = table.take(pa.array(np.sort(order[start : start + size])))
        start += size
    return {WHOLE: table.take(pa.array(np.sort(order[start:])))} | result


def canonical(table: pa.Table, identity: Sequence[str], aside: Sequence[str] = ()) -> npt.NDArray[np.int64]:
    """The order of rows by their identity, and of equal ones by all that they hold, so that it hangs on no other order.

    identity: the columns to sort by, nulls first. aside: columns that are of no account.
    """
    order = np.arange(table.num_rows)
    runs = np.zeros(table.num_rows, np.int64)  # places with one number hold rows that are equal so far
    for name in identity:
        places = _tied(runs)
        if not len(places):
            return order
        values = _sortable(table.column(name).take(pa.array(order[places])))
        within = np.lexsort((values, runs[places])) if runs[-1] else np.argsort(values, kind="stable")
        order[places] = order[places][within]
        keys = np.zeros(table.num_rows, np.int64)
        keys[places] = values[within]
        runs = np.append(0, np.cumsum((np.diff(runs) != 0) | (keys[1:] != keys[:-1])))
    if len(places := _tied(runs)):
        held = table.select([c for c in table.column_names if c not in aside]).take(pa.array(order[places]))
        rows = list(map(repr, zip(*(column.to_pylist() for column in held.columns), strict=True)))
        order[places] = order[places][sorted(range(len(rows)), key=lambda i: (runs[places[i]], rows[i]))]
    return order


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values that Arrow neither compares nor hashes, as texts."""
    return pa.chunked_array([[None if value is None else repr(value) for value in column.to_pylist()]], pa.string())


def _tied(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places whose neighbour has the same number."""
    same = np.diff(runs) == 0
    return np.flatnonzero(np.append(False, same) | np.append(same, False)) if len(runs) > 1 else np.empty(0, np.int64)


def _sortable(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Whole numbers that sort as the values do, nulls first."""
    if pa.types.is_timestamp(column.type) or pa.types.is_int64(column.type):
        numbers: npt.NDArray[np.int64] = pc.fill_null(column.cast(pa.int64()), np.iinfo(np.int64).min).to_numpy()
        return numbers
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        column = _written(column)
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray) or not len(encoded.dictionary):
        return np.full(len(column), -1, np.int64)
    ranks = pc.rank(encoded.dictionary, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64)
    return np.where(encoded.is_null().to_numpy(zero_copy_only=False), -1, ranks[pc.fill_null(encoded.indices, 0).to_numpy()])
