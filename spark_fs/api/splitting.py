"""What the arguments of a split mean."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_fs.base.times import Interval
from spark_fs.errors import SettingsError
from spark_fs.spec.training_dataset import TRAIN_SPLIT, FilesSpec, RandomSplit

if TYPE_CHECKING:
    from spark_fs.base.times import Instant


def build_files_spec(options: Mapping[str, Any], folder: str, parts: bool) -> FilesSpec:
    """Where and how files are written: in this folder unless another was named."""
    location = options.get("location") or folder
    return FilesSpec(
        location,
        options.get("data_format", "parquet"),
        options.get("coalesce", False),
        options.get("options", {}),
        parts,
    )


def build_single_split(start: Instant | None, end: Instant | None) -> dict[str, Interval]:
    """The interval of training data that is not split."""
    return {} if start is None and end is None else {TRAIN_SPLIT: Interval.from_bounds(start, end)}


def choose_ratio(ratio: float | None, size: float | None) -> float | None:
    """The ratio, under either of its two names."""
    return size if ratio is None else ratio


def resolve_version(version: int | None, training_dataset_version: int | None) -> int:
    """The version of a training dataset, under either of its two names."""
    if (version is None) == (training_dataset_version is None):
        raise SettingsError(
            "Give the version of a training dataset as version=..., or as"
            " training_dataset_version=...."
        )
    return version if version is not None else training_dataset_version  # type: ignore[return-value] # one of them is given


SplitBounds = tuple["Instant | None", "Instant | None"]


def build_two_way_split(
    ratio: float | None, train: SplitBounds, test: SplitBounds, seed: int | None
) -> tuple[dict[str, Interval], RandomSplit | None]:
    """A split in two: by a ratio, or by times."""
    if ratio is not None:
        return {}, _make_random_split({"test": ratio}, (*train, *test), seed)
    if all(bound is None for bound in (*train, *test)):
        raise SettingsError(
            "How to split is not said: give test_ratio, or times such as train_end."
        )
    return {
        "train": Interval.from_bounds(*train),
        "test": Interval.from_bounds(test[0] if test[0] is not None else train[1], test[1]),
    }, None


def build_three_way_split(
    validation: float | None,
    test: float | None,
    times: tuple[SplitBounds, SplitBounds, SplitBounds],
    seed: int | None,
) -> tuple[dict[str, Interval], RandomSplit | None]:
    """A split in three: by ratios, or by times."""
    bounds = [bound for pair in times for bound in pair]
    if validation is not None or test is not None:
        if validation is None or test is None:
            raise SettingsError(
                "A random split in three needs validation_ratio and test_ratio: give both."
            )
        return {}, _make_random_split({"test": test, "validation": validation}, tuple(bounds), seed)
    if all(bound is None for bound in bounds):
        raise SettingsError(
            "How to split is not said: give validation_ratio and test_ratio, or times such as"
            " train_end and validation_end."
        )
    train, middle, last = times
    second = Interval.from_bounds(middle[0] if middle[0] is not None else train[1], middle[1])
    third = Interval.from_bounds(last[0] if last[0] is not None else middle[1], last[1])
    return {"train": Interval.from_bounds(*train), "validation": second, "test": third}, None


def _make_random_split(
    shares: dict[str, float], times: tuple[Instant | None, ...], seed: int | None
) -> RandomSplit:
    if any(bound is not None for bound in times):
        given = ", ".join(str(bound) for bound in times if bound is not None)
        raise SettingsError(
            f"A split is either random or by time, and both a ratio and times ({given}) were given:"
            " leave one of them out."
        )
    return RandomSplit(secrets.randbelow(1 << 31) if seed is None else seed, shares)
