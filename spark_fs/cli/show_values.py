"""The commands that show values: the first rows of a group, and one feature vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from spark_fs.base import json_values
from spark_fs.cli.completion import complete_group, complete_view
from spark_fs.cli.shared import (
    ConfigOption,
    JsonOption,
    VersionOption,
    app,
    open_store,
    print_json,
    print_table,
)
from spark_fs.errors import SettingsError


@app.command()
def head(
    group: Annotated[str, typer.Argument(help="A feature group.", autocompletion=complete_group)],
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many rows.")] = 5,
    version: VersionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show some rows of a feature group.

    Without Spark. Example: spark-fs head flight_delays -n 3
    """
    feature_group = open_store(config).get_feature_group(group, version)
    if not feature_group.schema:
        _print_records([], f"Feature group {group!r} has no rows yet.", as_json)
        return
    table = feature_group.select_all().limit(rows).read("arrow")
    _print_records(table.to_pylist(), f"Feature group {group!r} has no rows yet.", as_json)


@app.command()
def vector(
    view: Annotated[str, typer.Argument(help="A feature view.", autocompletion=complete_view)],
    keys: Annotated[list[str], typer.Argument(help="The keys of the entity, as in card=a.")],
    version: VersionOption = None,
    training_dataset: Annotated[
        int | None,
        typer.Option(
            "--training-dataset",
            help="The training dataset that its transformations learned of. Default: the only one.",
        ),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Show nulls where a key has no online row.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one feature vector.

    As a serving application gets it, without Spark. Example: spark-fs vector late_arrivals
    id=2013-01-01-UA-1545
    """
    feature_view = open_store(config).get_feature_view(view, version)
    feature_view.init_serving(training_dataset)
    key_types, _ = feature_view.serving_types
    entry = _parse_entry(keys, key_types)
    values = feature_view.get_feature_vector(entry, allow_missing=allow_missing)
    names = feature_view.serving_columns
    if as_json:
        print_json([dict(zip(names, values, strict=True))])
        return
    print_table(("feature", "value"), list(zip(names, map(_format, values), strict=True)), "")


def _parse_entry(keys: Sequence[str], key_types: Mapping[str, str]) -> dict[str, Any]:
    """The values of ``name=value`` texts, each as its type has it; other names stay texts."""
    entry = {}
    for text in keys:
        name, is_pair, value = text.partition("=")
        if not is_pair:
            wanted = " ".join(f"{key}=..." for key in key_types)
            raise SettingsError(f"Key {text!r} has no value: write name=value, as in {wanted}.")
        entry[name] = value
        if name in key_types:
            entry[name] = json_values.from_json(key_types[name], value)
    return entry


def _print_records(records: Sequence[Mapping[str, Any]], if_empty: str, as_json: bool) -> None:
    if as_json:
        print_json(records)
        return
    headings = list(records[0]) if records else []
    rows = [[_format(value) for value in record.values()] for record in records]
    print_table(headings, rows, if_empty)


def _format(value: Any) -> str:
    """A value of a row: an empty string is not a null, and False is no dash."""
    return "NULL" if value is None else repr(value) if value == "" else str(value)
