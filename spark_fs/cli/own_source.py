"""What the templates of a project of one's own events are filled with."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from spark_fs.base.times import epoch_to_micros
from spark_fs.base.types import to_ddl

if TYPE_CHECKING:
    from spark_fs.flows.propose_pipeline import PipelineProposal

_MICROS = 1_000_000  # of a second
_TEXT_OPTIONS = (
    'schema=SCHEMA, header=True, enforceSchema=False, escape=\'"\', multiLine=True, mode="FAILFAST"'
)
_READERS = {
    "csv": f"spark.read.csv(PATH, {_TEXT_OPTIONS})",
    "tsv": f'spark.read.csv(PATH, sep="\\t", {_TEXT_OPTIONS})',
    "json": 'spark.read.json(PATH, schema=SCHEMA, mode="FAILFAST")',
    "parquet": "spark_fs.read_parquet(spark, PATH)",
    "table": "spark.table(PATH)",
    "jdbc": "spark.read.jdbc(PATH, TABLE, properties=LOGIN)",
}
_TYPED_KINDS = ("parquet", "table", "jdbc")  # whose columns have types of their own
_UNFIT_IN_TEXT = re.compile(r"[\x00-\x1f\x7f\"\\`]")  # in a docstring, and in Markdown
_EVERY_HOUR = ("1h", "6h")  # a shortest window for which a row of each day would be too few


def describe_project(name: str, proposal: PipelineProposal) -> dict[str, Any]:
    """The values of the templates, by their names there.

    Args:
        name: The project's name.
        proposal: What it is made of.
    """
    from spark_fs.flows.look_at_spark_source import find_driver

    look = proposal.look
    features = []
    for column, type_ in look.types.items():
        features.append({"name": look.names[column], "type": write_text(type_)})
    if proposal.is_row_id_computed:
        features.append({"name": proposal.row_id, "type": write_text("bigint")})
    columns = _describe_columns(proposal)
    every = "1h" if proposal.windows[0] in _EVERY_HOUR else "1d"
    pairs = [f"{key}={value}" for key, value in proposal.example.items()]
    return {
        "name": name,
        "events": proposal.events,
        "keys": list(proposal.keys),
        "time": proposal.time,
        "row_id": proposal.row_id,
        "is_row_id_computed": proposal.is_row_id_computed,
        "label": proposal.label,
        "numbers": proposal.numbers,
        "windows": list(proposal.windows),
        "every": every,
        "grid_word": "hour" if every == "1h" else "day",
        "features": features,
        "features_group": proposal.features,
        "serving_view": proposal.serving_view,
        "training_view": proposal.training_view,
        "start": f"{proposal.start:%Y-%m-%d}",
        "until": f"{proposal.until:%Y-%m-%d}",
        "example": " ".join(map(shlex.quote, pairs)),
        "path": write_text(look.path),
        "file_name": _UNFIT_IN_TEXT.sub("_", look.path.rpartition("/")[2]),
        "has_own_types": look.kind in _TYPED_KINDS,
        "table": look.table and write_text(look.table),
        "driver": find_driver(look.path),
        "reader": _READERS[look.kind],
        "columns": columns,
        "is_parquet": look.kind == "parquet",
        "epoch_unit": _find_epoch_unit(proposal),
    }


def write_text(text: str) -> str:
    """A text as code: a literal of Python."""
    return json.dumps(text, ensure_ascii=False)


def _describe_columns(proposal: PipelineProposal) -> list[dict[str, str]]:
    columns = []
    for source, name in proposal.look.names.items():
        type_ = to_ddl(proposal.look.types[source])
        spark_type = type_ if "<" in type_ else type_.upper()  # fields keep their letters
        declared = write_text(f"{_quote_column(source)} {spark_type}")[1:-1]
        columns.append({"declared": declared, "value": _write_value(proposal, source, name)})
    return columns


def _write_value(proposal: PipelineProposal, source: str, name: str) -> str:
    """How a column is selected, as code: as the feature that it is."""
    from spark_fs.flows.look_at_source import becomes_string

    look = proposal.look
    value = f"F.col({write_text(_quote_column(source))})"
    if look.kind in _TYPED_KINDS and becomes_string(look.rows.schema.field(source).type):
        return f'{value}.cast("string").alias({write_text(name)})'
    return value if source == name else f"{value}.alias({write_text(name)})"


def _quote_column(source: str) -> str:
    """The name of a column as SQL reads it."""
    return f"`{source.replace('`', '``')}`"


def _find_epoch_unit(proposal: PipelineProposal) -> int | None:
    """How many of the event time's units a second has; None where it is no number."""
    (column,) = (s for s, name in proposal.look.names.items() if name == proposal.time)
    if proposal.look.types[column] in ("timestamp", "date"):
        return None
    epochs = proposal.look.rows[column].to_pylist()
    epoch = next(filter(None, epochs), 1)  # zero is zero in every unit
    return _MICROS // (epoch_to_micros(epoch) // epoch)
