"""The keys and instants that were served, as rows that training data begins with."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from spark_fs.base.dataframes import convert_table
from spark_fs.base.times import Interval
from spark_fs.errors import SettingsError
from spark_fs.flows.log_columns import LogColumns
from spark_fs.flows.log_rows import read_log
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.serving_log import GIVEN_KEYS, LOG_TIME


def read_logged_spine(stores: ProjectStores, view: ViewSpec, interval: Interval) -> Any:
    """The keys and instants of what was served, eagerly, with the leftmost group's own features.

    Args:
        stores: Those of the view.
        view: The view, as the catalog has it now.
        interval: Of when it was served: start <= instant < end.

    Returns:
        A pandas frame.

    Raises:
        SettingsError: The leftmost group has no event time to read training data by.
    """
    log_columns = LogColumns.of_view(stores.catalog, view)
    event_time = log_columns.event_time
    if event_time is None or log_columns.known_types[event_time] != "timestamp":
        raise SettingsError(
            f"The leftmost group of feature view {view} has no event time that is a timestamp, so"
            " training data has no instants: read_log gives what was served."
        )
    rows = read_log(stores, view, interval, None, "arrow")
    rows = rows.filter(pc.not_equal(pc.fill_null(rows.column(GIVEN_KEYS), ""), ""))
    instants = pc.coalesce(rows.column(event_time), rows.column(LOG_TIME))
    plan = log_columns.columns.plan
    own = [output.name for output in plan.outputs if output.source.node == 0]
    features = log_columns.plain_features
    names = dict.fromkeys([*log_columns.key_types, *(name for name in own if name in features)])
    names.pop(event_time, None)
    known = [name for name in names if rows.column(name).null_count < rows.num_rows]
    spine = rows.select(known).append_column(event_time, instants)
    return convert_table(spine, "pandas")
