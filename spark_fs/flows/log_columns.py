"""The columns of a view's log, and the rows that files of its spool hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from spark_fs.base import json_values
from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.times import parse_instant
from spark_fs.base.types import is_number_type
from spark_fs.base.values import to_canonical
from spark_fs.catalog.store import Catalog
from spark_fs.errors import SchemaError
from spark_fs.flows.log_spool import get_file_id, read_file
from spark_fs.flows.view_columns import ViewColumns, resolve_view_columns
from spark_fs.online.entry_keys import list_key_types
from spark_fs.spec.feature_group import GRAINS
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.serving_log import (
    GIVEN_KEYS,
    LOG_ID,
    LOG_TIME,
    LOG_TYPES,
    LOGGED_AS,
    PASSED,
    PREDICTED,
    REQUEST_ID,
    SYNCED,
    TRAINING_DATASET,
    TRANSFORMED,
)
from spark_fs.transform.binding import Source

Row = dict[str, Any]


@dataclass(frozen=True)
class LogColumns:
    """What a view's log keeps of a row, and under which names.

    Attributes:
        view: The view.
        columns: Those of the view.
        extra: What ``fv.log`` takes beside them, with their types.
    """

    view: ViewSpec
    columns: ViewColumns
    extra: Mapping[str, str]

    @classmethod
    def of_view(cls, catalog: Catalog, view: ViewSpec) -> LogColumns:
        """The columns of a view's log.

        Args:
            catalog: What knows the view's groups.
            view: The view, as the catalog has it now.
        """
        extra = view.logging.extra_columns if view.logging else {}
        return cls(view, resolve_view_columns(catalog, view), extra)

    @cached_property
    def key_types(self) -> dict[str, str]:
        """The names that an entry uses for keys, with their types."""
        return list_key_types(self.columns.plan)

    @property
    def event_time(self) -> str | None:
        """The event time of the leftmost group."""
        return self.columns.plan.spine.event_time

    @cached_property
    def features(self) -> dict[str, str]:
        """The features before transformations, with their types."""
        return self.columns.features

    @cached_property
    def plain_features(self) -> dict[str, str]:
        """The features that come out of the transformations as they are, with their types."""
        sources = self.columns.build_inference_transformer(None).output_sources
        plain = {}
        for name, type_ in self.features.items():
            if sources.get(name) == Source(None, name):
                plain[name] = type_
        return plain

    @cached_property
    def helpers(self) -> dict[str, str]:
        """The inference helper columns, with their types."""
        schema = self.columns.plan.schema
        return {name: schema[name] for name in self.view.inference_helpers}

    @cached_property
    def predictions(self) -> dict[str, str]:
        """A column for what is predicted of each label; numbers are doubles, as shares are."""
        schema = self.columns.plan.schema
        types = {}
        for label in self.view.labels:
            type_ = schema[label]
            types[PREDICTED + label] = "double" if is_number_type(type_) else type_
        return types

    @cached_property
    def known_types(self) -> dict[str, str]:
        """Every column that does not follow from a training dataset, with its type."""
        types = {**LOG_TYPES, **self.key_types}
        event_time = self.event_time
        if event_time is not None:
            types[event_time] = self.columns.plan.spine.get_column_type(event_time)
        others = {**self.features, **self.helpers, **self.predictions, **self.extra}
        for name, type_ in others.items():
            types.setdefault(name, type_)
        return types

    def name_transformed(self, transformed: Mapping[str, str]) -> dict[str, str]:
        """The column that keeps each value of a transformed vector.

        A feature that comes out as it is is kept once; another whose name is taken has a prefix.

        Args:
            transformed: The names of the values, with their types.
        """
        plain = self.plain_features
        names = {}
        for name, type_ in transformed.items():
            is_plain = plain.get(name) == type_
            is_free = name not in self.known_types and name not in GRAINS
            names[name] = name if is_plain or is_free else TRANSFORMED + name
        return names

    def list_types(self, transformed: Iterable[Mapping[str, str]]) -> dict[str, str]:
        """Every column of the log, with its type.

        Args:
            transformed: The columns after the transformations, as each training dataset gives them.
        """
        types = dict(self.known_types)
        for columns in transformed:
            names = self.name_transformed(columns)
            for name, type_ in columns.items():
                types.setdefault(names[name], type_)
        return types


def read_spool_rows(
    log_columns: LogColumns,
    transformed: Mapping[int | None, Mapping[str, str]],
    files: Sequence[Path],
) -> pa.Table:
    """The rows that files of a spool hold, as the log has them.

    Args:
        log_columns: The columns of the log.
        transformed: The columns after the transformations by training dataset, for those that were
            logged of.
        files: The files.

    Returns:
        A table of all columns of the log.

    Raises:
        SchemaError: The values of a file are not of these columns.
        SparkFSError: A file cannot be read.
    """
    types = log_columns.list_types(transformed.values())
    rows: list[Row] = []
    for file in files:
        header, lines = read_file(file)
        if header["kind"] == "rows":
            found = _read_logged(lines, types)
        else:
            known = transformed.get(header["training_dataset_version"], {})
            found = _read_served(log_columns, known, header, lines)
        try:
            for number, row in enumerate(found):
                row[LOG_ID] = f"{get_file_id(file)}-{number}"
                rows.append(row)
        except (LookupError, TypeError, ValueError) as error:
            raise SchemaError(
                f"The file {file} holds values that the log of feature view {log_columns.view} has"
                f" no columns for ({error}): it may be of an earlier view of that name. Delete it,"
                " or call delete_log() to lose all that was logged."
            ) from None
    schema = to_arrow_schema(types)
    arrays = []
    for column in schema:
        values = [row.get(column.name) for row in rows]
        arrays.append(pa.array(values, column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _read_logged(lines: Sequence[Row], types: Mapping[str, str]) -> Iterator[Row]:
    """The rows that ``fv.log`` wrote, which have the names of columns already."""
    for line in lines:
        yield {name: _decode(types[name], value) for name, value in line.items() if name in types}


def _read_served(
    log_columns: LogColumns,
    transformed: Mapping[str, str],
    header: Mapping[str, Any],
    lines: Sequence[Row],
) -> Iterator[Row]:
    """The rows that a server wrote, one for each vector."""
    is_transformed = header["transformed"]
    vector_types = transformed if is_transformed else log_columns.features
    names = {name: name for name in vector_types}
    if is_transformed:
        names = log_columns.name_transformed(transformed)
    places = []
    for place, name in enumerate(header["columns"]):
        if name in names:
            places.append((place, names[name], vector_types[name]))
    shared = {
        TRAINING_DATASET: header["training_dataset_version"],
        LOGGED_AS: "transformed" if is_transformed else "untransformed",
        SYNCED: json.dumps(header["synced"]),
    }
    key_types = log_columns.key_types
    for line in lines:
        passed = line["passed"] or [None] * len(line["vectors"])
        at = parse_instant(line["at"])
        for entry, own, vector in zip(line["entries"], passed, line["vectors"], strict=True):
            row = {name: _decode(type_, vector[place]) for place, name, type_ in places}
            given = {name: value for name, value in entry.items() if value is not None}
            for name, value in given.items():
                row[name] = _decode(key_types[name], value)
            row |= {**shared, LOG_TIME: at, REQUEST_ID: line["request_id"]}
            row[GIVEN_KEYS] = ",".join(given)
            row[PASSED] = json.dumps(own or {})
            yield row


def _decode(type_: str, value: Any) -> Any:
    """A value as its type has it, of what a file holds."""
    if value is None:
        return None
    return to_canonical(type_, json_values.from_json(type_, value))
