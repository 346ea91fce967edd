"""What the methods that make training data ask of the flow, from their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature import extract_condition
from spark_fs.api.options import to_seconds
from spark_fs.spec.training_request import DatasetRequest, FilesRequest, FrameLayout

if TYPE_CHECKING:
    from spark_fs.api.splitting import Splitting
    from spark_fs.api.stores import Stores


def build_request(
    stores: Stores,
    splitting: Splitting,
    description: str,
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
        SettingsError: ``max_feature_age`` is not a length of time.
    """
    extra_filter = options.get("extra_filter")
    condition = None
    if extra_filter is not None:
        condition = extract_condition(stores, extra_filter)
    return DatasetRequest(
        splitting.intervals,
        splitting.random,
        description,
        condition,
        options.get("spine_df"),
        to_seconds("max_feature_age", options.get("max_feature_age")),
        options.get("null_labels", "keep"),
        options.get("statistics_config"),
        files,
    )


def build_files_request(options: Mapping[str, Any]) -> tuple[FilesRequest, bool]:
    """How files are written, by ``FileOptions``; and whether the caller waits for them."""
    writer_options = dict(options.get("write_options") or {})
    wait = writer_options.pop("wait_for_job", True)
    request = FilesRequest(
        options.get("location"),
        options.get("data_format", "parquet"),
        options.get("coalesce", False),
        {name: str(value) for name, value in writer_options.items()},
    )
    return request, wait


def build_layout(options: Mapping[str, Any]) -> FrameLayout:
    """How frames come, by ``ReadOptions``."""
    return FrameLayout(
        options.get("dataframe_type", "pandas"),
        options.get("primary_key", False),
        options.get("event_time", False),
        options.get("training_helper_columns", False),
    )
