"""What a caller logs of a view, as rows of the log: frames, lists, vectors with what they are of.

The rows go to the spool, so no JVM is started; unlike what a server logs, nothing is dropped when
it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from spark_fs.base import json_values
from spark_fs.base.dataframes import is_spark_frame
from spark_fs.base.python_values import UnfitError, format_value, to_python
from spark_fs.base.user_warnings import warn_user
from spark_fs.base.values import to_canonical
from spark_fs.errors import SchemaError, SettingsError, SparkFSError
from spark_fs.flows.jobs import Job
from spark_fs.flows.log_columns import LogColumns, Row
from spark_fs.flows.log_rows import load_transformed, open_spool
from spark_fs.flows.log_spool import encode_line
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.synced_versions import find_synced_versions
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.logged_parts import (
    METADATA,
    BatchMetadata,
    LoggedModel,
    LoggedParts,
    LoggingMetadata,
)
from spark_fs.spec.serving_log import (
    GIVEN_KEYS,
    LOG_TIME,
    LOGGED_AS,
    MODEL,
    MODEL_VERSION,
    PASSED,
    PREDICTED,
    REQUEST_ID,
    SYNCED,
    TRAINING_DATASET,
    TRANSFORMED,
)


def log_parts(stores: ProjectStores, view: ViewSpec, parts: LoggedParts, model: LoggedModel) -> Job:
    """Write what a caller logs to the spool, eagerly, without Spark.

    Args:
        stores: Those of the view.
        view: The view, as the catalog has it now.
        parts: What is logged; as many rows of each part.
        model: The training dataset and the model that it is of.

    Returns:
        The job, which counts the rows.

    Raises:
        SettingsError: The parts have different numbers of rows.
        SchemaError: A value is of another type than its column.
    """
    log_columns = LogColumns.of_view(stores.catalog, view)
    metadata: LoggingMetadata | BatchMetadata | None = getattr(parts.logging_data, METADATA, None)
    now = datetime.now(UTC)
    if metadata is not None:
        model = model._replace(training_dataset_version=metadata.training_dataset_version)
        now = metadata.instant
    version = model.training_dataset_version
    transformed = load_transformed(stores, log_columns, {version})[version]
    collector = _RowCollector(log_columns, transformed)
    collector.add_parts(parts)
    shared = {
        LOG_TIME: now,
        TRAINING_DATASET: version,
        MODEL: model.name,
        MODEL_VERSION: model.version,
    }
    is_of_event_time = parts.event_time is not None or isinstance(metadata, BatchMetadata)
    synced = [] if is_of_event_time else [_find_synced(stores, view)]
    types = log_columns.list_types([transformed])
    lines = []
    for row in collector.finish_rows(parts):
        row |= shared
        row[SYNCED] = json.dumps(synced)
        lines.append(encode_line(_convert_row(row, types)))
    header = {"kind": "rows", "training_dataset_versions": [version]}
    if lines:
        open_spool(stores, view).write_file(header, lines, len(lines), now)
    return Job(f"log {view.name}_{view.version}", {"read": len(lines)})


def list_unknown_columns(
    stores: ProjectStores, view: ViewSpec, parts: LoggedParts
) -> dict[str, str]:
    """The columns of frames that the log of a view has not, with their types, as frames tell them.

    Args:
        stores: Those of the view.
        view: The view.
        parts: What a caller logs.
    """
    from spark_fs.base.arrow_types import to_feature_types
    from spark_fs.tables.arrow_frames import is_frame, to_arrow

    log_columns = LogColumns.of_view(stores.catalog, view)
    known = {*log_columns.known_types, *view.labels}
    unknown = {}
    for data in (parts.logging_data, parts.extra_logging_features):
        if data is not None and not is_spark_frame(data) and is_frame(data):
            for name, type_ in to_feature_types(to_arrow(data, {}).schema).items():
                if name not in known and type_ != "void":
                    unknown[name] = type_
    return unknown


@dataclass
class _RowCollector:
    """Rows of the log that are put together of what is given."""

    log_columns: LogColumns
    transformed: Mapping[str, str]

    def __post_init__(self) -> None:
        self.rows: list[Row] = []
        self.kinds: set[str] = set()
        self.left_out: set[str] = set()
        self.vector_names = self.log_columns.name_transformed(self.transformed)
        self.label_names = {label: PREDICTED + label for label in self.log_columns.view.labels}

    def add_parts(self, parts: LoggedParts) -> None:
        """Add everything that was given; what has a part of its own wins over what carries it."""
        columns = self.log_columns
        metadata: Any = getattr(parts.logging_data, METADATA, None)
        if isinstance(metadata, BatchMetadata):
            self._add_batch(metadata)
        elif metadata is not None:
            self._add_metadata(metadata)
        elif parts.logging_data is not None:
            self._add_mixed(parts.logging_data)
        features = dict.fromkeys(columns.features)
        event_time = [columns.event_time] if columns.event_time else []
        self._add(parts.untransformed_features, _to_names(features), "untransformed")
        self._add(parts.transformed_features, self.vector_names, "transformed")
        self._add(parts.predictions, self.label_names)
        self._add(parts.inference_helper_columns, _to_names(columns.helpers))
        self._add(parts.event_time, _to_names(event_time))
        self._add(parts.serving_keys, _to_names(columns.key_types))
        self._add(parts.extra_logging_features, _to_names(columns.extra))
        if parts.request_parameters is not None:
            self._add_passed(_to_rows(parts.request_parameters, ()))

    def finish_rows(self, parts: LoggedParts) -> list[Row]:
        """The rows, with what follows from all of them."""
        identifiers = parts.request_id
        if identifiers is not None and not isinstance(identifiers, str):
            self._merge([{REQUEST_ID: identifier} for identifier in identifiers])
        kind = "both" if len(self.kinds) > 1 else next(iter(self.kinds), "none")
        keys = self.log_columns.key_types
        for row in self.rows:
            row[LOGGED_AS] = kind
            row[GIVEN_KEYS] = ",".join(name for name in keys if row.get(name) is not None)
            row.setdefault(PASSED, "{}")
            if isinstance(identifiers, str):
                row[REQUEST_ID] = identifiers
        if self.left_out:
            listed = ", ".join(sorted(self.left_out))
            warn_user(
                f"The log of feature view {self.log_columns.view} has no columns {listed}, which"
                " are left out: name them in enable_logging(extra_log_columns=...) to keep them."
            )
        return self.rows

    def _add_metadata(self, metadata: LoggingMetadata) -> None:
        """Add what vectors carry that were read with ``logging_data=True``."""
        features = _to_names(self.log_columns.features)
        if metadata.untransformed_features:
            self._add(list(metadata.untransformed_features), features, "untransformed")
        if metadata.transformed_features:
            self._add(list(metadata.transformed_features), self.vector_names, "transformed")
        self._add(list(metadata.serving_keys), _to_names(self.log_columns.key_types))
        self._add_passed([dict(passed or {}) for passed in metadata.request_parameters])

    def _add_batch(self, batch: BatchMetadata) -> None:
        """Add what a batch carries that was read with ``logging_data=True``."""
        features = _to_names(self.log_columns.features)
        self._add(batch.untransformed_features, features, "untransformed")
        self._add(batch.transformed_features, self.vector_names, "transformed")
        self._add(batch.inference_helpers, _to_names(batch.inference_helpers.column_names))
        self._add(batch.identity, _to_names(batch.identity.column_names))

    def _add_mixed(self, data: Any) -> None:
        """Add a frame of columns of every kind; the values of a vector are as it has them."""
        names = {name: name for name in self.log_columns.known_types}
        names |= self.label_names | self.vector_names
        rows = _to_rows(data, list(self.transformed) or list(self.log_columns.features))
        given = set().union(*rows) if rows else set()
        features = self.log_columns.features
        if self.transformed and given >= set(self.transformed):
            self.kinds.add("transformed")
        elif given & set(features):
            self.kinds.add("untransformed")
            names |= _to_names(features)
        self._add_rows(rows, names)

    def _add(self, data: Any, names: Mapping[str, str], kind: str = "") -> None:
        """Add a part whose columns are called by these names; the log has them under others."""
        if data is None:
            return
        if kind:
            self.kinds.add(kind)
        self._add_rows(_to_rows(data, list(names)), names)

    def _add_rows(self, rows: Sequence[Row], names: Mapping[str, str]) -> None:
        renamed = []
        for row in rows:
            renamed.append({names[name]: value for name, value in row.items() if name in names})
            self.left_out.update(name for name in row if name not in names)
        self._merge(renamed)

    def _add_passed(self, rows: Sequence[Row]) -> None:
        self._merge([{PASSED: json.dumps(json_values.to_json(row))} for row in rows])

    def _merge(self, rows: Sequence[Row]) -> None:
        if not self.rows:
            self.rows = [{} for _ in rows]
        if len(rows) == 1 < len(self.rows):
            rows = [rows[0]] * len(self.rows)
        if len(rows) != len(self.rows):
            raise SettingsError(
                f"What is logged has {len(self.rows)} rows in one argument and {len(rows)} in"
                " another: give one row per vector in each."
            )
        for row, more in zip(self.rows, rows, strict=True):
            row.update(more)


def _to_names(names: Any) -> dict[str, str]:
    return {name: name for name in names}


def _to_rows(data: Any, names: Sequence[str]) -> list[Row]:
    """Rows by column of a frame, a list of dicts, or values in the order of these names."""
    if is_spark_frame(data):
        data = data.toArrow()
    if isinstance(data, Mapping):
        return [dict(data)]
    if hasattr(data, "columns") or hasattr(data, "__arrow_c_stream__"):
        return _read_frame(data, names)
    values = to_python(data)
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, list | tuple):
        values = [values]
    if all(isinstance(value, Mapping) for value in values):
        return [dict(value) for value in values]
    if not any(isinstance(value, list | tuple) for value in values):
        values = [[value] for value in values] if len(names) == 1 else [values]
    rows = []
    for value in values:
        if len(value) != len(names):
            raise SettingsError(
                f"A logged row has {len(value)} values, and its columns are {len(names)}:"
                f" {', '.join(names) or 'none'}. Give a value for each, a frame, or dicts."
            )
        rows.append(dict(zip(names, value, strict=True)))
    return rows


def _read_frame(data: Any, names: Sequence[str]) -> list[Row]:
    """The rows of a frame; a series is one column."""
    from spark_fs.tables.arrow_frames import to_arrow

    if not hasattr(data, "columns") and not hasattr(data, "column_names"):  # a series
        column = names[0] if len(names) == 1 else str(getattr(data, "name", ""))
        return [{column: value} for value in data.to_list()]
    rows: list[Row] = to_arrow(data, {}).to_pylist()
    return rows


def _convert_row(row: Row, types: Mapping[str, str]) -> Row:
    """The values of a row as the types of the log have them."""
    converted = {}
    for name, value in row.items():
        try:
            converted[name] = to_canonical(types[name], value)
        except UnfitError as error:
            raise SchemaError(
                f"Column {name.removeprefix(TRANSFORMED)!r} of the log is {types[name]}, and"
                f" {format_value(value)} is logged: give {error}."
            ) from None
    return converted


def _find_synced(stores: ProjectStores, view: ViewSpec) -> Mapping[str, int]:
    """What is online now; nothing where no online store answers, since it is not asked for."""
    try:
        return find_synced_versions(stores, view)
    except SparkFSError:
        return {}
