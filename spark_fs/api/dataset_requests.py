"""What the methods that make training data ask of the flow, from their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature import extract_condition
from spark_fs.api.options import to_seconds, warn_of_options
from spark_fs.api.spine import Spine
from spark_fs.api.tags import parse_tags
from spark_fs.api.taken import is_given
from spark_fs.api.transformation_contexts import check_context
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import SettingsError
from spark_fs.spec.training_request import DatasetRequest, FilesRequest, FrameLayout

if TYPE_CHECKING:
    from spark_fs.api.splitting import Splitting
    from spark_fs.api.stores import Stores
    from spark_fs.spec.predicates import Condition

# Arguments that mean nothing here, with the reason.
_TAKEN = {
    "n_processes": "transformations run in the threads of this process or in Spark's tasks",
}
# Keys of write_options that Hopsworks' engines know and Spark's writer does not.
_HOPSWORKS_OPTIONS = {"use_spark", "spark", "arrow_flight_config", "start_offline_materialization"}


def build_request(
    stores: Stores,
    splitting: Splitting,
    description: str | None,
    options: Mapping[str, Any],
    files: FilesRequest | None,
) -> DatasetRequest:
    """What a training dataset is to hold.

    Args:
        stores: Those of the view, whose columns a filter may speak of.
        splitting: The intervals or the shares of the splits.
        description: What it is for.
        options: Those of ``DatasetOptions``; others are of no account here.
        files: How its files are written; None where the rows are kept in memory alone.

    Raises:
        QueryError: The filter speaks of a column of another store.
        SettingsError: ``max_feature_age`` is not a length of time, a spine was given twice,
            ``lookback`` was given, or a context cannot be kept.
    """
    check_lookback(options.get("lookback"))
    return DatasetRequest(
        splitting.intervals,
        splitting.random,
        description or "",
        extract_filter(stores, options.get("extra_filter")),
        choose_spine(options.get("spine"), options.get("spine_df")),
        to_seconds("max_feature_age", options.get("max_feature_age")),
        options.get("null_labels", "keep"),
        options.get("statistics_config"),
        files,
        parse_tags(options.get("tags")),
        check_context(options.get("transformation_context")),
    )


def extract_filter(stores: Stores, extra_filter: Any) -> Condition | None:
    """What an extra filter says; None where there is none.

    Args:
        stores: Those of the view, whose columns it may speak of.
        extra_filter: The filter, or None.
    """
    return None if extra_filter is None else extract_condition(stores, extra_filter)


def choose_spine(spine: Any, spine_df: Any) -> Any:
    """The frame that stands in for the leftmost group, which has two names; None: the group itself.

    Args:
        spine: What was given under Hopsworks' name: a frame, or a spine.
        spine_df: What was given under the other.

    Raises:
        SettingsError: Both were given.
    """
    if spine is not None and spine_df is not None:
        raise SettingsError("A spine was given as spine= and as spine_df=: give one of the two.")
    frame = spine_df if spine is None else spine
    return frame.rows.rows if isinstance(frame, Spine) else frame


def check_lookback(lookback: Any) -> None:
    """Refuse Hopsworks' lookback, which bounds the rows of joined groups by instants.

    Args:
        lookback: What was given; None is taken.

    Raises:
        SettingsError: It was given.
    """
    if lookback is not None:
        raise SettingsError(
            f"lookback={lookback!r} bounds the rows of joined groups by instants on Hopsworks, and"
            " spark_fs has no such thing: give max_feature_age=timedelta(days=...), how old a"
            " joined row may be, or join group.select_all().filter(group['event_time'] >= start)."
        )


def warn_of_taken(method: str, options: Mapping[str, Any]) -> None:
    """Warn of arguments of training data and batches that mean nothing here.

    Args:
        method: The method that takes them.
        options: Its arguments; others are of no account.
    """
    warn_of_options(options.get("read_options"))
    given = [name for name in _TAKEN if is_given(options.get(name))]
    if given:
        arguments = ", ".join(f"{name}=" for name in given)
        reasons = ", and ".join(_TAKEN[name] for name in given)
        warn_user(f"{method}({arguments}) changes nothing: {reasons}.")


def build_files_request(options: Mapping[str, Any]) -> tuple[FilesRequest, bool]:
    """How files are written, by the arguments of a method; and whether the caller waits for them.

    Raises SettingsError for a storage connector.
    """
    for name in ("storage_connector", "data_source"):
        if options.get(name) is not None:
            raise SettingsError(
                f"{name}= says on Hopsworks where training data is written: give location=, a"
                " folder or URI such as 's3a://bucket/folder'; its credentials are Spark settings."
            )
    given_options = dict(options.get("write_options") or {})
    wait = given_options.pop("wait_for_job", True)
    writer_options = {}
    for name, value in given_options.items():
        if name not in _HOPSWORKS_OPTIONS:
            writer_options[name] = str(value)
    ignored = [repr(name) for name in given_options if name in _HOPSWORKS_OPTIONS]
    if ignored:
        warn_user(
            f"write_options {', '.join(ignored)} mean nothing here: which engine writes is said by"
            " engine=."
        )
    request = FilesRequest(
        options.get("location") or None,
        options.get("data_format") or "parquet",
        options.get("coalesce", False),
        writer_options,
    )
    return request, wait


def build_layout(options: Mapping[str, Any]) -> FrameLayout:
    """How frames come, by ``ReadOptions``."""
    return FrameLayout(
        options.get("dataframe_type") or "default",
        options.get("primary_key", False) or options.get("primary_keys", False),
        options.get("event_time", False),
        options.get("training_helper_columns", False),
    )
