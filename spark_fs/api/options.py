"""What the methods that make and read training data take beside their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

from spark_fs.base.arguments import get_check, make_argument_error
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import SettingsError, format_suggestions

if TYPE_CHECKING:
    from spark_fs.api.feature import Filter


_MAX_SECONDS = 1e12  # some 30,000 years


class DatasetOptions(TypedDict, total=False):
    """How rows are chosen.

    extra_filter: a condition that the rows must meet beside the view's own. spine_df: a Spark,
    pandas or polars DataFrame, an Arrow table or a list of dicts with keys and event times, which
    stands in for the leftmost group; its other columns are carried through. max_feature_age: how
    old (a timedelta, or seconds) a joined row may be at the spine's event time. null_labels: "keep"
    or "drop" the rows in which a label is null. statistics_config: kept with the training dataset.
    """

    extra_filter: Filter | None
    spine_df: Any
    max_feature_age: timedelta | float | None
    null_labels: str
    statistics_config: Any


class EngineOptions(TypedDict, total=False):
    """What runs it.

    engine: "local", "spark", or "auto" for the local one where it can; None: what the settings say.
    """

    engine: str | None


class FrameOptions(EngineOptions, total=False):
    """Which columns frames have beside the features.

    primary_key, event_time: whether X begins with the spine's key and event time, where they are no
    features; where a joined group's column has their name, as ``<group>_<version>_<name>``.
    training_helper_columns: whether these end X.
    """

    primary_key: bool
    event_time: bool
    training_helper_columns: bool


class ReadOptions(FrameOptions, total=False):
    """How frames come.

    dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default" for Spark's where a
    session is active, else pandas'.
    """

    dataframe_type: str


class PandasReadOptions(FrameOptions, total=False):
    """The same for a type checker, where frames come as pandas."""

    dataframe_type: Literal["pandas"]


class SparkReadOptions(FrameOptions):
    """The same for a type checker, where frames come as Spark's."""

    dataframe_type: Required[Literal["spark"]]


class FileOptions(EngineOptions, total=False):
    """How files are written.

    data_format: "parquet", "csv", "tsv", "json", "orc", "avro" or "delta". write_options:
    ``{"wait_for_job": False}`` returns at once; others go to Spark's writer. coalesce: one file for
    each split. location: a folder or URI that does not exist or is empty; None: one in the
    warehouse.
    """

    data_format: str
    write_options: Mapping[str, Any] | None
    coalesce: bool
    location: str | None


class InMemoryOptions(DatasetOptions, ReadOptions):
    """How rows are chosen and how frames come."""


class PandasOptions(DatasetOptions, PandasReadOptions):
    """The same for a type checker, where frames come as pandas."""


class SparkOptions(DatasetOptions, SparkReadOptions):
    """The same for a type checker, where frames come as Spark's."""


class AsFilesOptions(DatasetOptions, FileOptions):
    """How rows are chosen and how files are written."""


def check_options(options: Mapping[str, Any], *kinds: type) -> None:
    """Check options by the kinds of options that take them.

    Args:
        options: The options.
        *kinds: The kinds, each a TypedDict.

    Raises:
        SettingsError: No kind has such an option, and the error has the nearest names; or a value
            is not what the option takes.
    """
    annotations: dict[str, str] = {}
    for kind in kinds:
        for name, hint in kind.__annotations__.items():
            annotations[name] = getattr(hint, "__forward_arg__", str(hint))
    for name, value in options.items():
        if name not in annotations:
            raise SettingsError(
                f"Option {name!r} does not exist{format_suggestions(name, sorted(annotations))}"
            )
        check = get_check(annotations[name])
        if check and not check.accepts(value):
            raise make_argument_error(name, value, check.expected)


def to_seconds(argument: str, length: Any) -> float | None:
    """Convert a length of time to seconds, exact to the microsecond.

    Args:
        argument: The name of the argument, for the error.
        length: A timedelta, or seconds; None: no length.

    Returns:
        Seconds; None for None.

    Raises:
        SettingsError: It is not a length of time.
    """
    from spark_fs.base.times import MICROSECOND

    if length is None:
        return None
    if isinstance(length, bool) or not isinstance(length, timedelta | int | float):
        raise _make_length_error(argument, length)
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if not abs(seconds) < _MAX_SECONDS:  # nor is NaN below it
        raise _make_length_error(argument, length)
    micros = length // MICROSECOND if isinstance(length, timedelta) else round(length * 1_000_000)
    return micros / 1_000_000 if micros % 1_000_000 else micros // 1_000_000


def _make_length_error(argument: str, length: Any) -> SettingsError:
    return SettingsError(
        f"{argument}={length!r} is not a length of time: give a timedelta, or seconds."
    )


def warn_of_options(read_options: Mapping[str, Any] | None) -> None:
    """Warn of options of reading, which Hopsworks' engines know and which mean nothing here."""
    if read_options:
        listed = ", ".join(map(repr, read_options))
        warn_user(
            f"read_options {listed} mean nothing here: the rows are read as they would be without."
        )
