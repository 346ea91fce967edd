"""What the arguments of a split mean."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_fs.base.times import Interval
from spark_fs.errors import SettingsError
from spark_fs.spec.training_dataset import TRAIN_SPLIT, RandomSplit

if TYPE_CHECKING:
    from spark_fs.base.times import Instant


@dataclass(frozen=True)
class Splitting:
    """How rows are split: by the interval of each split, or at random."""

    intervals: Mapping[str, Interval]
    random: RandomSplit | None = None


def build_single_split(start: Instant | None, end: Instant | None) -> Splitting:
    """Build the interval of training data that is not split.

    Args:
        start: The first instant (UTC); None: from the beginning.
        end: The instant (UTC) before which rows end; None: up to the last.

    Raises:
        SettingsError: The interval is empty.
    """
    interval = build_interval(start, end)
    return Splitting({}) if interval is None else Splitting({TRAIN_SPLIT: interval})


def build_interval(start: Instant | None, end: Instant | None) -> Interval | None:
    """Build the interval of two times; None where neither was given.

    Args:
        start: The first instant (UTC) in it; None, or an empty string: from the beginning.
        end: The instant (UTC) before which it ends; None, or an empty string: up to the last row.

    Raises:
        SettingsError: The interval is empty.
    """
    bounds = _drop_empty_times(start, end)
    return None if bounds == (None, None) else Interval.from_bounds(*bounds)


def _drop_empty_times(start: Instant | None, end: Instant | None) -> SplitBounds:
    """The bounds of a split, None for an empty string: it stands for no time, as in Hopsworks."""
    return (None if start == "" else start, None if end == "" else end)


def choose_ratio(size: float | None, ratio: float | None) -> float | None:
    """Choose the share of a split, which has two names.

    Args:
        size: What was given under Hopsworks' name.
        ratio: What was given under the other, which wins.
    """
    return size if ratio is None else ratio


def resolve_version(version: int | None, training_dataset_version: int | None) -> int:
    """Choose the version of a training dataset, which has two names.

    Args:
        version: What was given under the first.
        training_dataset_version: What was given under the second.

    Raises:
        SettingsError: Not exactly one of the two was given.
    """
    if version is not None and training_dataset_version is None:
        return version
    if version is None and training_dataset_version is not None:
        return training_dataset_version
    raise SettingsError(
        "Give the version of a training dataset as version=..., or as training_dataset_version=...."
    )


SplitBounds = tuple["Instant | None", "Instant | None"]


def build_two_way_split(
    ratio: float | None, train: SplitBounds, test: SplitBounds, seed: int | None
) -> Splitting:
    """Build a split in two: by a ratio, or by times.

    Args:
        ratio: The share of the test split.
        train: The start and the end (UTC, which is not in it) of the train split; without an end
            it ends where test begins.
        test: Those of the test split; without a start it begins where train ends.
        seed: Of the random split; None: a new one.

    Raises:
        SettingsError: Neither a ratio nor a time was given, or both, or one is out of its range.
    """
    train = _drop_empty_times(*train)
    test = _drop_empty_times(*test)
    bounds = [*train, *test]
    if ratio is not None:
        return _build_random_split({"test": ratio}, bounds, seed)
    if all(bound is None for bound in bounds):
        raise SettingsError("Give test_size, or times such as train_end.")
    return Splitting(_build_intervals({"train": train, "test": test}))


def build_three_way_split(
    validation_ratio: float | None,
    test_ratio: float | None,
    times: tuple[SplitBounds, SplitBounds, SplitBounds],
    seed: int | None,
) -> Splitting:
    """Build a split in three: by ratios, or by times.

    Args:
        validation_ratio: The share of the validation split.
        test_ratio: The share of the test split.
        times: The start and the end (UTC, which is not in it) of train, validation and test; a
            split without an end ends where the next one begins, and the other way round.
        seed: Of the random split; None: a new one.

    Raises:
        SettingsError: Neither ratios nor times were given, or both, or only one of the ratios, or
            one is out of its range.
    """
    train, validation, test = (_drop_empty_times(*bounds) for bounds in times)
    bounds = [*train, *validation, *test]
    if validation_ratio is not None and test_ratio is not None:
        shares = {"test": test_ratio, "validation": validation_ratio}
        return _build_random_split(shares, bounds, seed)
    if validation_ratio is not None or test_ratio is not None:
        raise SettingsError(
            "A random split in three needs validation_size and test_size: give both."
        )
    if all(bound is None for bound in bounds):
        raise SettingsError(
            "Give validation_size and test_size, or times such as train_end and validation_end."
        )
    return Splitting(_build_intervals({"train": train, "validation": validation, "test": test}))


def _build_intervals(bounds: Mapping[str, SplitBounds]) -> dict[str, Interval]:
    """The interval of each split, in their order; a bound that is left open is its neighbour's.

    A split ends where the next one that says so begins, and begins where the one before it that
    says so ends.
    """
    names = list(bounds)
    intervals = {}
    for number, name in enumerate(names):
        start, end = bounds[name]
        if start is None:
            ends = [bounds[previous][1] for previous in names[:number]]
            start = _find_given(reversed(ends))
        if end is None:
            starts = [bounds[later][0] for later in names[number + 1 :]]
            end = _find_given(starts)
        intervals[name] = Interval.from_bounds(start, end)
    return intervals


def _find_given(times: Iterable[Instant | None]) -> Instant | None:
    """The first time that was given; None where none was."""
    return next((time for time in times if time is not None), None)


def _build_random_split(
    shares: dict[str, float], times: Sequence[Instant | None], seed: int | None
) -> Splitting:
    bounds = [str(bound) for bound in times if bound is not None]
    if bounds:
        raise SettingsError(
            "A split is either random or by time, and both a ratio and times"
            f" ({', '.join(bounds)}) were given: leave one of them out."
        )
    if seed is None:
        seed = secrets.randbelow(1 << 31)
    return Splitting({}, RandomSplit(seed, shares))
