"""What the methods that make and read training data take beside their bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

from spark_fs.base.arguments import get_check, make_argument_error
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import SettingsError, format_suggestions

if TYPE_CHECKING:
    from spark_fs.api.feature import Filter
    from spark_fs.base.times import Instant


_MAX_SECONDS = 1e12  # some 30,000 years


class OwnDatasetOptions(TypedDict, total=False):
    """How rows are chosen, beside Hopsworks' arguments.

    spine_df: the same as ``spine``. max_feature_age: how old (a timedelta, or seconds) a joined row
    may be at the spine's event time. null_labels: "keep" or "drop" the rows in which a label is
    null.
    """

    spine_df: Any
    max_feature_age: timedelta | float | None
    null_labels: str


class OwnFilesOptions(OwnDatasetOptions, total=False):
    """The same where files are written.

    engine: "local", "spark", or "auto" for the local one where it can; None: what the settings say.
    primary_key, primary_keys, event_time, training_helper_columns: taken, and change nothing: files
    hold these columns in any case, and those who read them back choose.
    """

    engine: str | None
    primary_key: bool
    primary_keys: bool
    event_time: bool
    training_helper_columns: bool


class OwnFrameOptions(TypedDict, total=False):
    """How frames come, beside Hopsworks' arguments.

    engine: as in ``OwnFilesOptions``. primary_keys: the same as ``primary_key``.
    """

    engine: str | None
    primary_keys: bool


class OwnInMemoryOptions(OwnDatasetOptions, OwnFrameOptions):
    """How rows are chosen and how frames come, beside Hopsworks' arguments."""


class OwnBatchOptions(OwnFrameOptions, total=False):
    """How the rows of a batch are chosen, beside Hopsworks' arguments.

    transform: the same as ``transformed``.
    """

    transform: bool
    spine_df: Any
    max_feature_age: timedelta | float | None


class DatasetOptions(OwnDatasetOptions, total=False):
    """How rows are chosen.

    extra_filter: a condition that the rows must meet beside the view's own. statistics_config: kept
    with the training dataset. spine: a Spark, pandas or polars DataFrame, an Arrow table, a list of
    dicts or a spine, with keys and event times, which stands in for the leftmost group; its other
    columns are carried through. tags: of the training dataset, by name.
    """

    extra_filter: Filter | None
    statistics_config: Any
    spine: Any
    lookback: Any
    tags: Any


class FrameOptions(OwnFrameOptions, total=False):
    """Which columns frames have beside the features.

    primary_key, event_time: whether X begins with the spine's key and event time, where they are no
    features; where a joined group's column has their name, as ``<group>_<version>_<name>``.
    training_helper_columns: whether these end X.
    """

    read_options: Mapping[str, Any] | None
    primary_key: bool
    event_time: bool
    training_helper_columns: bool
    transformation_context: Mapping[str, Any] | None
    n_processes: int | None


class ReadOptions(FrameOptions, total=False):
    """How frames come.

    dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default" for Spark's where
    the caller has a session, else pandas'.
    """

    dataframe_type: str | None


class PandasReadOptions(FrameOptions, total=False):
    """The same for a type checker, where frames come as pandas."""

    dataframe_type: Literal["pandas"]


class SparkReadOptions(FrameOptions):
    """The same for a type checker, where frames come as Spark's."""

    dataframe_type: Required[Literal["spark"]]


class AsFilesOptions(DatasetOptions, total=False):
    """How rows are chosen and how files are written."""

    engine: str | None
    primary_key: bool
    primary_keys: bool
    event_time: bool
    training_helper_columns: bool
    transformation_context: Mapping[str, Any] | None
    storage_connector: Any
    location: str | None
    data_format: str | None
    coalesce: bool
    write_options: Mapping[str, Any] | None
    data_source: Any


class InMemoryOptions(DatasetOptions, ReadOptions):
    """How rows are chosen and how frames come."""


class PandasOptions(DatasetOptions, PandasReadOptions):
    """The same for a type checker, where frames come as pandas."""


class SparkOptions(DatasetOptions, SparkReadOptions):
    """The same for a type checker, where frames come as Spark's."""


class BatchOptions(OwnBatchOptions, total=False):
    """The arguments of ``get_batch_data`` behind its times, for a type checker."""

    read_options: Mapping[str, Any] | None
    spine: Any
    primary_key: bool
    event_time: bool
    inference_helper_columns: bool
    transformed: bool | None
    transformation_context: Mapping[str, Any] | None
    logging_data: bool
    extra_filter: Filter | None
    lookback: Any
    n_processes: int | None
    training_filter: bool


class HelperOptions(TypedDict, total=False):
    """The arguments of ``get_inference_helper`` behind its return type, for a type checker."""

    force_rest_client: bool
    force_sql_client: bool
    allow_missing: bool
    now: Instant | None


class _VectorOptions(HelperOptions, total=False):
    external: bool | None
    transform: bool | None
    on_demand_features: bool | None
    transformation_context: Mapping[str, Any] | None
    logging_data: bool
    n_processes: int | None
    max_replica_age: float | None


class VectorOptions(_VectorOptions, total=False):
    """The arguments of ``get_feature_vector`` behind its features, for a type checker."""

    request_parameters: Mapping[str, Any] | None
    keys: Mapping[str, Any] | None


class VectorsOptions(_VectorOptions, total=False):
    """Those of ``get_feature_vectors``."""

    request_parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None
    keys: Sequence[Mapping[str, Any]] | None


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
