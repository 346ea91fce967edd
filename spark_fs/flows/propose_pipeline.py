"""From a look at a source of events to a pipeline: which id, windows and dates fit them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.times import EPOCH, epoch_to_micros
from spark_fs.base.types import is_number_type
from spark_fs.errors import NotFoundError, SchemaError, SettingsError
from spark_fs.flows.look_at_source import SourceLook
from spark_fs.spec.names import MAX_NAME_LENGTH, check_name

ROW_ID = "row_id"  # of events that no column tells apart
_TIME_TYPES = ("timestamp", "date", "bigint", "int")
_ID_TYPES = ("bigint", "int", "smallint", "string")
_ID_WORDS = {"id", "key", "no", "nr", "num", "number"}  # of whole numbers that are no amounts
_LENGTHS = {"1h": 1 / 24, "6h": 0.25, "1d": 1.0, "7d": 7.0, "30d": 30.0, "90d": 90.0}  # days
_DAY = timedelta(days=1)
_PROPOSED_WINDOWS = 2
_EVENTS_IN_WINDOW = 2.0  # of an entity, on average, in the shortest window that is proposed
_PROFILED_COLUMNS = 6  # numbers of which features are proposed
_MAX_PROFILED_NAME = MAX_NAME_LENGTH - len("_mean_90d")
# What the modules that are written call something else.
_TAKEN_NAMES = {"agg", "datetime", "dict", "features", "fs", "known", "query", "source"}


@dataclass(frozen=True)
class PipelineProposal:
    """What a pipeline for a source is made of; names are those of features.

    look: the source. events: the name of the group of events. keys: what the windows are of. time:
    the event time. row_id: what tells one event from another at the same instant, a column or one
    that the source has not, which is computed. label: what is to be predicted of an event, or None.
    numbers: the columns of which window features are proposed. windows: their lengths. start,
    until: whole days (UTC) between which all events that were seen lie. repeated: how many rows
    equal another in every column. example: the keys of one entity.
    """

    look: SourceLook
    events: str
    keys: tuple[str, ...]
    time: str
    row_id: str
    label: str | None
    numbers: tuple[str, ...]
    windows: tuple[str, ...]
    start: datetime
    until: datetime
    repeated: int
    example: dict[str, Any]

    @property
    def is_row_id_computed(self) -> bool:
        """Whether no column of the source tells events apart."""
        return self.row_id not in self.look.names.values()

    @property
    def features(self) -> str:
        """The name of the group of window features."""
        return _cut_name(f"{self.events}_by_{'_'.join(self.keys)}")

    @property
    def serving_view(self) -> str:
        """The name of the view that is served: what is known of an entity now."""
        return _name_serving_view(self.keys)

    @property
    def training_view(self) -> str | None:
        """The name of the view with the label; None where there is none."""
        return _name_training_view(self.label)


def propose_pipeline(
    look: SourceLook, keys: Sequence[str], time: str, label: str | None = None
) -> PipelineProposal:
    """Propose a pipeline for a source.

    Args:
        look: The source.
        keys: The columns that name the entity of an event, such as a shop or a card; by the
            source's names or by those of features.
        time: The column with the instant of an event.
        label: The column that is to be predicted of an event; None: there is none.

    Raises:
        NotFoundError: The source has no such column.
        SchemaError: The event time is of no type of times, or is null in a row, or a key is null in
            one, or is of a type that no key has.
        SettingsError: A column is named twice.
    """
    columns = {name: source for source, name in look.names.items()}
    key_names = tuple(_find_column(look, key) for key in keys)
    time_name = _find_column(look, time)
    label_name = None if label is None else _find_column(look, label)
    _check_distinct([*key_names, time_name, label_name])
    instants = _read_instants(look, columns[time_name])
    _check_keys(look, [columns[key] for key in key_names])
    row_id = _find_row_id(look, (*key_names, time_name))
    first, last = pc.min_max(instants).as_py().values()
    return PipelineProposal(
        look=look,
        events=_name_events(look.path, key_names, label_name),
        keys=key_names,
        time=time_name,
        row_id=row_id,
        label=label_name,
        numbers=_choose_numbers(look, (*key_names, time_name, row_id, label_name)),
        windows=_choose_windows(look, [columns[key] for key in key_names], first, last),
        start=_floor_day(first),
        until=_floor_day(last) + _DAY,
        repeated=0 if row_id in columns else _count_repeated(look.rows),
        example={key: look.rows[columns[key]].drop_null()[-1].as_py() for key in key_names},
    )


def _find_column(look: SourceLook, column: str) -> str:
    """The feature name of a column that was given by either of its names."""
    if column in look.names:
        return look.names[column]
    if column in look.names.values():
        return column
    raise NotFoundError.for_name(
        "Column", column, look.names, f"Name one of the columns of {look.path}."
    )


def _read_instants(look: SourceLook, column: str) -> pa.ChunkedArray:
    """The event times in UTC."""
    type_ = look.types[column]
    values = look.rows[column]
    if type_ not in _TIME_TYPES:
        example = values.drop_null().slice(0, 1).to_pylist()
        raise SchemaError(
            f"Column {column!r} of {look.path} is of type {type_}"
            f"{f' ({example[0]!r})' if example else ''}, which is not a time: write its values as"
            " 2024-01-31 or 2024-01-31T10:00:00Z, or as seconds or milliseconds since 1970."
        )
    if values.null_count:
        raise SchemaError(
            f"{values.null_count:,} rows of {look.path} have no {column!r}, and an event needs its"
            " time: take these rows out, or name another column by --time."
        )
    if type_ in ("timestamp", "date"):
        return values.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    epochs = values.to_pylist()
    micros = [epoch_to_micros(epoch) for epoch in epochs]
    units = {instant // epoch for instant, epoch in zip(micros, epochs, strict=True) if epoch}
    if len(units) > 1:
        raise SchemaError(
            f"Column {column!r} of {look.path} counts seconds in some rows and parts of them in"
            " others: write all of its values in one unit."
        )
    return pa.chunked_array([pa.array(micros, pa.int64()).cast(pa.timestamp("us", "UTC"))])


def _check_distinct(names: Sequence[str | None]) -> None:
    for name in names:
        if name is not None and names.count(name) > 1:
            raise SettingsError(
                f"Column {name!r} is named twice: give a different column for each key, for --time"
                " and for --label."
            )


def _check_keys(look: SourceLook, columns: Sequence[str]) -> None:
    for column in columns:
        if pa.types.is_nested(look.rows[column].type):
            raise SchemaError(
                f"Column {column!r} of {look.path} is of type {look.types[column]}, which cannot"
                " be a key: name another column by --key."
            )
        null_count = look.rows[column].null_count
        if null_count:
            raise SchemaError(
                f"{null_count:,} rows of {look.path} have no {column!r}, which is the key of their"
                " entity: take these rows out, or name another column by --key."
            )


def _find_row_id(look: SourceLook, identity: Sequence[str]) -> str:
    """The column that tells events apart; where none does, a name that no column has.

    A column beside the keys and the time whose values all differ, the one that is called an id
    first. Whole numbers must be called so: amounts of a short file may all differ by chance.
    """
    candidates = []
    ids = {name for column, name in look.names.items() if _is_called_id(column)}
    for column, name in look.names.items():
        if name in identity or look.types[column] not in _ID_TYPES:
            continue
        if look.types[column] != "string" and name not in ids:
            continue
        values = look.rows[column]
        if not values.null_count and pc.count_distinct(values).as_py() == len(values):
            candidates.append(name)
    candidates.sort(key=lambda name: name not in ids)
    if candidates:
        return candidates[0]
    return f"event_{ROW_ID}" if ROW_ID in look.names.values() else ROW_ID


def _is_called_id(column: str) -> bool:
    """Whether a word of a column's name, as in OrderID or order_no, says that it is one."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", column).lower()
    return not _ID_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", words))


def _choose_numbers(look: SourceLook, taken: Sequence[str | None]) -> tuple[str, ...]:
    numbers = []
    for column, name in look.names.items():
        is_short = len(name) <= _MAX_PROFILED_NAME
        if name not in taken and is_short and is_number_type(look.types[column]):
            numbers.append(name)
    return tuple(numbers[:_PROFILED_COLUMNS])


def _choose_windows(
    look: SourceLook, key_columns: Sequence[str], first: datetime, last: datetime
) -> tuple[str, ...]:
    """The shortest lengths in which an entity has some events, on average."""
    days = max((last - first) / _DAY, _LENGTHS["1h"])
    entities = look.rows.group_by(list(key_columns)).aggregate([]).num_rows
    events_a_day = look.rows.num_rows / entities / days
    fitting = [
        length for length, size in _LENGTHS.items() if size * events_a_day >= _EVENTS_IN_WINDOW
    ]
    return tuple(fitting[:_PROPOSED_WINDOWS]) or ("30d", "90d")


def _count_repeated(rows: pa.Table) -> int:
    """How many rows equal an earlier one in every column."""
    hashable = [name for name in rows.column_names if not pa.types.is_nested(rows[name].type)]
    distinct = rows.select(hashable).group_by(hashable).aggregate([]).num_rows
    return rows.num_rows - distinct if len(hashable) == rows.num_columns else 0


def _name_events(path: str, keys: Sequence[str], label: str | None) -> str:
    """The name of the group of events, after the file; nothing else is called so in Python."""
    stem = path.rstrip("/").rpartition("/")[2].partition(".")[0]
    plain = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "events"
    if not plain[0].isalpha():
        plain = f"events_{plain}"
    name = plain[:40].rstrip("_")
    others = {*_TAKEN_NAMES, _name_serving_view(keys), _name_training_view(label)}
    if keyword.iskeyword(name) or name in others:
        name = f"{name}_events"
    return check_name("Feature group", name)


def _name_serving_view(keys: Sequence[str]) -> str:
    return _cut_name(f"{'_'.join(keys)}_now")


def _name_training_view(label: str | None) -> str | None:
    return _cut_name(f"predict_{label}") if label else None


def _cut_name(name: str) -> str:
    return name[:MAX_NAME_LENGTH].rstrip("_")


def _floor_day(instant: datetime) -> datetime:
    return instant.astimezone(UTC) - (instant - EPOCH) % _DAY
