"""The moments that tiles keep: how many values there are, their exact sum, and that of the squares.

Each tile, and each event that is in none, is one row; a window's moments are sums of rows.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import to_arrow_type
from spark_fs.base.types import FLOATS
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.edges import OrderedEvents
from spark_fs.engine.windows.exact_parts import split_numbers, split_squares
from spark_fs.engine.windows.exact_sums import ExactPrefix, ExactSums, Part
from spark_fs.engine.windows.occurrences import sum_before
from spark_fs.engine.windows.series import NonFiniteCounts, Series
from spark_fs.engine.windows.tile_columns import TileColumn
from spark_fs.engine.windows.tile_events import KeptEvents

_SPECIALS = 3  # NaN, infinity, and infinity below zero
_LEAST_SQUARED_DEGREE = 2


class Moments(NamedTuple):
    """Rows of moments.

    codes: what each belongs to: an entity, or one of some tiles. at: an instant of it. counts: how
    many values there are. specials: how many of them are NaN, infinite, and infinite below zero, a
    row for each kind; None where none is. sums, squares: of the finite values.
    """

    codes: Ints
    at: Ints
    counts: Ints
    specials: Ints | None
    sums: list[Part]
    squares: list[Part]

    @classmethod
    def from_events(cls, events: KeptEvents, column: TileColumn) -> Self:
        """The moments of events, each by itself.

        Args:
            events: Of the series.
            column: Which moments are wanted.
        """
        specials = None
        parts: list[np.typing.NDArray[np.float64]] = []
        if column.size and events.values is not None:
            assert column.type is not None
            values = events.values
            if column.type in FLOATS:
                doubles = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
                specials = _find_specials(doubles)
                values = pa.array(np.where(np.isfinite(doubles), doubles, 0.0))
            parts = split_numbers(values, column.type)
        sums = [Part(values) for values in parts]
        squares: list[Part] = []
        if column.size == _LEAST_SQUARED_DEGREE:
            squares = split_squares(parts)
        return cls(events.codes, events.at, events.counts, specials, sums, squares)

    @classmethod
    def from_states(cls, codes: Ints, at: Ints, states: pa.ChunkedArray) -> Self:
        """The moments that tiles keep.

        Args:
            codes: What each tile belongs to.
            at: An instant of each.
            states: The column of the tiles.
        """
        structs = states.combine_chunks()
        counts = structs.field("count").to_numpy()
        moments = cls(
            codes,
            at,
            counts,
            _read_specials(structs.field("specials")),
            _read_parts(structs.field("sums")),
            _read_parts(structs.field("squares")),
        )
        return moments.take(np.flatnonzero(counts))  # a row without values would fill a window

    def take(self, rows: Ints) -> Self:
        """Some of the rows."""
        specials = None
        if self.specials is not None:
            specials = self.specials[:, rows]
        return type(self)(
            self.codes[rows],
            self.at[rows],
            self.counts[rows],
            specials,
            [Part(part.values[rows], part.exponent) for part in self.sums],
            [Part(part.values[rows], part.exponent) for part in self.squares],
        )


def concat_moments(parts: Sequence[Moments]) -> Moments:
    """The rows of some parts, together."""
    specials = None
    if any(part.specials is not None for part in parts):
        rows = []
        for part in parts:
            none = np.zeros((_SPECIALS, len(part.codes)), np.int64)
            rows.append(none if part.specials is None else part.specials)
        specials = np.concatenate(rows, axis=1)
    lengths = [len(part.codes) for part in parts]
    return Moments(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.counts for part in parts]),
        specials,
        _stack_parts([part.sums for part in parts], lengths),
        _stack_parts([part.squares for part in parts], lengths),
    )


def summarize_moments(moments: Moments, column: TileColumn, tile_count: int) -> pa.Array:
    """The moments of tiles.

    Args:
        moments: Their codes are the numbers of the tiles.
        column: Which of them are kept.
        tile_count: How many tiles there are.
    """
    ordered = moments.take(np.argsort(moments.codes))  # in any order within a tile: sums are exact
    bounds = np.searchsorted(ordered.codes, np.arange(tile_count + 1))
    counts = _sum_between(ordered.counts, bounds)
    squares = None
    sums = None
    if column.size:
        sums = _sum_parts(ordered.sums, bounds)
    if column.size == _LEAST_SQUARED_DEGREE:
        squares = _sum_parts(ordered.squares, bounds)
    fields = {
        "count": pa.array(counts),
        "specials": _write_specials(ordered.specials, bounds),
        "sums": _write_parts(sums, tile_count),
        "squares": _write_parts(squares, tile_count),
    }
    structs = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    return structs.cast(to_arrow_type(column.state_type))


class MomentSeries(Series):
    """Moments as a series, each of whose rows counts for several events."""

    def __init__(self, moments: Moments, events: OrderedEvents, type_: str | None) -> None:
        super().__init__(events, None, type_, None)
        self._moments = moments.take(events.order)

    @cached_property
    def weights_before(self) -> Ints:
        """How many values come before each row."""
        return sum_before(self._moments.counts)

    @cached_property
    def non_finite(self) -> NonFiniteCounts | None:
        """How many values before each row are no finite numbers; None where all are."""
        if self._moments.specials is None:
            return None
        return NonFiniteCounts(*map(sum_before, self._moments.specials))

    @cached_property
    def sums(self) -> ExactPrefix:
        """The sums of the values before each row."""
        return ExactPrefix.from_parts(self._moments.sums)

    @cached_property
    def squares(self) -> ExactPrefix:
        """The sums of their squares."""
        return ExactPrefix.from_parts(self._moments.squares)


# -- rows of tiles


def _sum_between(numbers: Ints, bounds: Ints) -> Ints:
    return np.diff(sum_before(numbers)[bounds])


def _sum_parts(parts: list[Part], bounds: Ints) -> ExactSums:
    if not parts:
        parts = [Part(np.zeros(bounds[-1]))]
    return ExactPrefix.from_parts(parts).sum_between(bounds[:-1], bounds[1:])


def _find_specials(doubles: np.typing.NDArray[np.float64]) -> Ints | None:
    if np.isfinite(doubles).all():
        return None
    kinds = [np.isnan(doubles), doubles == np.inf, doubles == -np.inf]
    return np.array(kinds, np.int64)


def _write_specials(specials: Ints | None, bounds: Ints) -> pa.Array:
    tile_count = len(bounds) - 1
    if specials is None:
        return pa.nulls(tile_count, pa.list_(pa.int64()))
    counts = np.array([_sum_between(kind, bounds) for kind in specials])
    has_any = counts.any(axis=0)
    offsets = np.arange(tile_count + 1) * _SPECIALS
    values = pa.array(counts.T.ravel())
    mask = pa.array(~has_any)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=mask)
    return lists.take(pa.array(np.arange(tile_count)))  # without the values of what is null


def _read_specials(lists: pa.ListArray) -> Ints | None:
    if lists.null_count == len(lists):
        return None
    specials = np.zeros((len(lists), _SPECIALS), np.int64)
    specials[lists.is_valid().to_numpy(zero_copy_only=False)] = (
        lists.flatten().to_numpy().reshape(-1, _SPECIALS)
    )
    return np.ascontiguousarray(specials.T)


def _write_parts(sums: ExactSums | None, tile_count: int) -> pa.Array:
    """The parts of each sum that are not 0, the greatest first."""
    type_ = pa.struct([("value", pa.float64()), ("exponent", pa.int32())])
    if sums is None:
        return pa.nulls(tile_count, pa.list_(type_))
    parts = sums.to_parts()
    values = np.array([part.values for part in parts]).T
    exponents = np.broadcast_to([part.exponent for part in parts], values.shape)
    is_kept = values != 0
    offsets = sum_before(is_kept.sum(axis=1))
    kept = [pa.array(values[is_kept]), pa.array(exponents[is_kept].astype(np.int32))]
    structs = pa.StructArray.from_arrays(kept, fields=list(type_))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs)


def _read_parts(lists: pa.ListArray) -> list[Part]:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    rows = np.repeat(np.arange(len(lists)), lengths)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    structs = lists.flatten()
    values = structs.field("value").to_numpy()
    exponents = structs.field("exponent").to_numpy()
    parts = []
    for exponent in np.unique(exponents):
        for place in range(int(lengths.max(initial=0))):
            is_part = (exponents == exponent) & (places == place)
            if is_part.any():
                part = np.zeros(len(lists))
                part[rows[is_part]] = values[is_part]
                parts.append(Part(part, int(exponent)))
    return parts


def _stack_parts(rows: Sequence[list[Part]], lengths: Sequence[int]) -> list[Part]:
    """The parts of some rows and then of others; those of one exponent share a part."""
    stacked: dict[tuple[int, int], Part] = {}
    start = 0
    for parts, length in zip(rows, lengths, strict=True):
        seen: dict[int, int] = {}
        for part in parts:
            place = seen.get(part.exponent, 0)
            seen[part.exponent] = place + 1
            key = (part.exponent, place)
            if key not in stacked:
                stacked[key] = Part(np.zeros(sum(lengths)), part.exponent)
            stacked[key].values[start : start + length] = part.values
        start += length
    return list(stacked.values())
