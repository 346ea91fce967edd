"""In which order rows come, by what they hold, so that it does not depend on where they lie.

No Spark here.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]
_SORTED_BITS = 63  # of an integer that is not negative


def sort_rows(table: pa.Table, identity: Sequence[str]) -> pa.Table:
    """The rows in their order; what is in order already is not copied.

    Args:
        table: the rows.
        identity: as of ``compute_row_order``.
    """
    order = compute_row_order(table, identity)
    if np.array_equal(order, np.arange(len(order))):
        return table
    return table.take(pa.array(order))


def compute_row_order(
    table: pa.Table, identity: Sequence[str], ignored: Sequence[str] = ()
) -> Places:
    """The order of rows by their identity, and of equal ones by all that they hold.

    Args:
        table: the rows.
        identity: the columns to sort by, nulls first.
        ignored: columns that are of no account.

    Returns:
        The places of the rows in their order.
    """
    order = np.arange(table.num_rows)
    # places with one number hold rows that are equal so far
    runs = np.zeros(table.num_rows, np.int64)
    for name in identity:
        tied = _find_ties(runs)
        if not len(tied):
            return order
        runs = _sort_ties(order, runs, tied, table.column(name))
    tied = _find_ties(runs)
    if len(tied):
        columns = [name for name in table.column_names if name not in ignored]
        tied_rows = table.select(columns).take(pa.array(order[tied]))
        order[tied] = order[tied][_sort_by_content(tied_rows, runs[tied])]
    return order


def _sort_ties(order: Places, runs: Places, tied: Places, column: pa.ChunkedArray) -> Places:
    """Sort tied rows by one more column, in place; the runs of rows that are equal still."""
    if len(tied) < len(order):
        column = column.take(pa.array(order[tied]))
    elif not _is_ascending(order):
        column = column.take(pa.array(order))
    values = _to_sort_keys(column)
    places = _sort_keys(runs[tied], values)
    if places is not None:
        order[tied] = order[tied][places]
        values = values[places]
    keys = np.zeros(len(order), np.int64)
    keys[tied] = values
    begins_run = (np.diff(runs) != 0) | (keys[1:] != keys[:-1])
    return np.append(0, np.cumsum(begins_run))


def _is_ascending(numbers: Places) -> bool:
    return bool(np.all(numbers[1:] >= numbers[:-1]))


def _sort_keys(runs: Places, values: Places) -> Places | None:
    """The order of rows by their run, which ascends, and its values; None: they are in it."""
    if np.all((runs[1:] > runs[:-1]) | (values[1:] >= values[:-1])):
        return None
    values = _narrow_integers(values)
    value_bits = int(values.max()).bit_length()
    if runs[0] == runs[-1]:
        return _sort_integers(values, value_bits)
    run_numbers = np.append(0, np.cumsum(runs[1:] != runs[:-1]))
    bits = value_bits + int(run_numbers[-1]).bit_length()
    if bits > _SORTED_BITS:
        return np.lexsort((values, runs))
    return _sort_integers((run_numbers << value_bits) | values, bits)


def _narrow_integers(values: Places) -> Places:
    """Integers in the same order, from 0 on; whole milliseconds or seconds in place of micros."""
    least = int(values.min())
    if int(values.max()) - least > np.iinfo(np.int64).max:
        return np.unique(values, return_inverse=True)[1]
    values = values - least
    for step in (1_000_000, 1_000):
        if not np.any(values % step):
            return values // step
    return values


def _sort_integers(values: Places, bits: int) -> Places:
    """The order of integers from 0 on, of so many bits.

    Sorted with their places in the lowest bits they take a fifth of the time of ``argsort``.
    """
    place_bits = len(values).bit_length()
    if bits + place_bits > _SORTED_BITS:
        return np.argsort(values)
    packed = (values << place_bits) | np.arange(len(values))
    packed.sort()
    return packed & ((1 << place_bits) - 1)


def _sort_by_content(table: pa.Table, runs: Places) -> list[int]:
    """The order of rows by their run, and within one by all their values."""
    columns = (column.to_pylist() for column in table.columns)
    contents = list(map(repr, zip(*columns, strict=True)))
    return sorted(range(len(contents)), key=lambda row: (runs[row], contents[row]))


def to_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values that Arrow neither compares nor hashes, as strings."""
    strings = [None if value is None else repr(value) for value in column.to_pylist()]
    return pa.chunked_array([strings], pa.string())


def _find_ties(runs: Places) -> Places:
    """The places whose neighbour has the same number."""
    if len(runs) <= 1:
        return np.empty(0, np.int64)
    same = np.diff(runs) == 0
    return np.flatnonzero(np.append(False, same) | np.append(same, False))


def _to_sort_keys(column: pa.ChunkedArray) -> Places:
    """Integers that sort as the values do, nulls first."""
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    if pa.types.is_timestamp(column.type) or pa.types.is_signed_integer(column.type):
        integers = pc.fill_null(column.cast(pa.int64()), np.iinfo(np.int64).min)
        keys: Places = integers.to_numpy()
        return keys
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        column = to_strings(column)
    return _rank_values(column)


def _rank_values(column: pa.ChunkedArray) -> Places:
    """The rank of each value among the distinct ones, -1 of a null."""
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray) or not len(encoded.dictionary):
        return np.full(len(column), -1, np.int64)
    ranks = pc.rank(encoded.dictionary, sort_keys="ascending", tiebreaker="dense")
    codes = pc.fill_null(encoded.indices, 0).to_numpy()
    is_null = encoded.is_null().to_numpy(zero_copy_only=False)
    return np.where(is_null, -1, ranks.to_numpy().astype(np.int64)[codes])
