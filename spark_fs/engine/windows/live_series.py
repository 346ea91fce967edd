"""The series of live windows, over all events of a bucket: what each entity's part is cut from."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import arrow_types, types
from spark_fs.base.types import FLOATS, INTEGERS
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.scan.filters import evaluate_condition
from spark_fs.engine.windows.value_codes import find_example_of_each, rank_values
from spark_fs.online.live.byte_layout import FIXED_CODES, LiveSeries

Mask = npt.NDArray[np.bool_]
_DOUBLE_BITS = 53


class Integers(NamedTuple):
    """Numbers of one entity, and the exponent of two of their common unit."""

    numbers: list[int]
    exponent: int


class BucketSeries:
    """A series among the events of a bucket, in the order of entity and instant.

    Args:
        series: What it is.
        events: The events.
        order: Their rows, in order.
        column_types: The type of each column of the events.
    """

    def __init__(
        self, series: LiveSeries, events: pa.Table, order: Ints, column_types: dict[str, str]
    ) -> None:
        self.series = series
        self._column: pa.Array | None = None
        is_present = np.ones(len(order), bool)
        if series.column is not None:
            taken = events.column(series.column).take(pa.array(order))
            self._column = _to_array(taken, series.type)
            is_present &= pc.is_valid(self._column).to_numpy(zero_copy_only=False)
        if series.where is not None:
            columns = {name: events.column(name) for name in column_types}
            is_met = evaluate_condition(series.where, columns, column_types)
            is_present &= pc.fill_null(is_met, False).to_numpy()[order]
        self.is_present: Mask = is_present

    # -- numbers

    @cached_property
    def doubles(self) -> npt.NDArray[np.float64]:
        """The numbers of floats; 0 where there is none."""
        assert self._column is not None
        filled = self._column.cast(pa.float64()).fill_null(0.0)
        numbers: npt.NDArray[np.float64] = filled.to_numpy(zero_copy_only=False).copy()
        numbers[~self.is_present] = 0.0
        return numbers

    @cached_property
    def is_finite(self) -> Mask:
        """Which of them are finite."""
        is_finite: Mask = np.isfinite(self.doubles)
        return is_finite

    @cached_property
    def _whole_numbers(self) -> list[int]:
        """Integers, or decimals in units of their last digit; 0 where there is none."""
        assert self._column is not None
        values = self._column.to_pylist()
        assert self.series.type
        scale = 0
        if self.series.type not in INTEGERS:
            _, scale = types.parse_decimal_sizes(self.series.type)
        numbers = []
        for value, is_present in zip(values, self.is_present.tolist(), strict=True):
            numbers.append(_count_units(value, scale) if is_present else 0)
        return numbers

    @cached_property
    def _halves(self) -> tuple[list[int], Ints]:
        """Floats as odd integers times powers of two; 0 and a great exponent for zero."""
        numbers = np.where(self.is_finite, self.doubles, 0.0)
        fractions, exponents = np.frexp(numbers)
        integers = np.ldexp(fractions, _DOUBLE_BITS).astype(np.int64)
        lowest_bits = integers & -integers
        _, spare = np.frexp(lowest_bits.astype(np.float64))
        spare = np.maximum(spare - 1, 0)
        exponents = exponents.astype(np.int64) - _DOUBLE_BITS + spare
        exponents[integers == 0] = _DOUBLE_BITS << 10
        return (integers >> spare).tolist(), exponents

    def find_integers(self, start: int, end: int) -> Integers:
        """The numbers of an entity's events, those that are not finite as 0."""
        if self.series.type not in FLOATS:
            return Integers(self._whole_numbers[start:end], 0)
        integers, exponents = self._halves
        own_exponents = exponents[start:end]
        unit = int(own_exponents.min())
        if unit == _DOUBLE_BITS << 10:
            return Integers([0] * (end - start), 0)
        shifts = np.where(own_exponents == _DOUBLE_BITS << 10, 0, own_exponents - unit)
        numbers = []
        for integer, shift in zip(integers[start:end], shifts.tolist(), strict=True):
            numbers.append(integer << shift)
        return Integers(numbers, unit)

    # -- values

    @cached_property
    def _present_values(self) -> pa.Array:
        assert self._column is not None
        return self._column.filter(pa.array(self.is_present))

    @cached_property
    def ranks(self) -> Ints:
        """The rank of each value among those of the bucket, -1 where there is none."""
        assert self.series.type
        ranks = np.full(len(self.is_present), -1)
        ranks[self.is_present] = rank_values(self._present_values, self.series.type)
        return ranks

    @cached_property
    def _distinct_values(self) -> pa.Array:
        present_ranks = self.ranks[self.is_present]
        return self._present_values.take(pa.array(find_example_of_each(present_ranks)))

    @cached_property
    def _fixed_values(self) -> npt.NDArray[Any] | None:
        """The distinct values as numbers of fixed length; None where they have any length."""
        assert self.series.type
        code = FIXED_CODES.get(types.get_base_type(self.series.type))
        if code is None:
            return None
        values = self._distinct_values
        if self.series.type == "boolean":
            values = values.cast(pa.int8())
        if self.series.type == "date":
            values = values.view(pa.int32())
        if self.series.type == "timestamp":
            values = values.view(pa.int64())
        numbers: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False).astype(code)
        return numbers

    @cached_property
    def _texts(self) -> list[bytes]:
        """The distinct values as bytes."""
        texts = []
        for value in self._distinct_values.to_pylist():
            texts.append(value if isinstance(value, bytes) else str(value).encode())
        return texts

    @cached_property
    def _doubles_by_rank(self) -> npt.NDArray[np.float64]:
        numbers = self._distinct_values.cast(pa.float64(), safe=False)
        doubles: npt.NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
        return doubles

    def pack_doubles(self, ranks: Ints) -> bytes:
        """The values of some ranks as doubles."""
        return self._doubles_by_rank[ranks].astype("<f8").tobytes()

    def pack_values(self, ranks: Ints) -> bytes:
        """The values of some ranks."""
        if self._fixed_values is not None:
            packed: bytes = self._fixed_values[ranks].tobytes()
            return packed
        texts = [self._texts[rank] for rank in ranks.tolist()]
        ends = np.array(list(accumulate(map(len, texts), initial=0)), "<u4")
        return ends.tobytes() + b"".join(texts)


def _to_array(column: pa.ChunkedArray, type_: str | None) -> pa.Array:
    """One array of the type that a feature type has."""
    assert type_
    wanted = arrow_types.to_arrow_type(type_)
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return whole if whole.type == wanted else whole.cast(wanted)


def _count_units(value: Any, scale: int) -> int:
    """How many units of the last digit a number has."""
    if isinstance(value, int):
        return value
    sign, digits, exponent = value.as_tuple()
    units: int = int("".join(map(str, digits))) * 10 ** (scale + exponent)
    return -units if sign else units


def pack_integers(numbers: Sequence[int], positions: Ints) -> tuple[int, bytes]:
    """The sums of integers before some positions, and their width in bytes."""
    sums = list(accumulate(numbers, initial=0))
    if len(positions) < len(sums):
        sums = [sums[position] for position in positions.tolist()]
    bits = max(max(sums).bit_length(), min(sums).bit_length())
    width = bits // 8 + 1
    return width, b"".join(total.to_bytes(width, "little", signed=True) for total in sums)
