"""Statistics, kept as Arrow files in a folder beside the rows that they are of.

There is one file for each commit or split, and the newest state. They are read without a JVM. A
file appears whole, under its name, or not at all, and says in which format it is: a state of
another one, or one that is damaged, is as good as none, since it can be made again of the rows.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from spark_fs.base.file_systems import resolve_file_system
from spark_fs.errors import SparkFSError, get_first_line
from spark_fs.spec.feature_statistics import FeatureCorrelations, FeatureStatistics, Statistics
from spark_fs.spec.record_format import FORMAT_KEY, check_format
from spark_fs.tables import arrow_files
from spark_fs.tables.arrow_files import SUFFIX

FORMAT_VERSION = 1  # of these files; those of releases before it was written are of the first
# what the statistics and the associations of the newest commit follow from
STATE = "state"
SUMS = "sums"
# what reading a file raises that holds something else
_MALFORMED_ERRORS = (KeyError, IndexError, TypeError, ValueError, pa.ArrowException)
T = TypeVar("T")


def get_statistics_folder(path: str) -> str:
    """Where the statistics of a group's table are."""
    return f"{path}_statistics"


def list_names(folder: str) -> list[str]:
    """The statistics of a folder, without the state, in order."""
    system, root = resolve_file_system(folder)
    names = []
    for entry in system.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        name = entry.base_name.removesuffix(SUFFIX)
        is_staged = name.startswith(".")
        if entry.base_name.endswith(SUFFIX) and name not in (STATE, SUMS) and not is_staged:
            names.append(name)
    return sorted(names)


def list_commits(folder: str) -> list[int]:
    """The commits of which there are statistics."""
    return [int(name) for name in list_names(folder) if name.isdigit()]


def format_commit_name(commit: int) -> str:
    """Under which name the statistics of a commit are kept."""
    return f"{commit:020d}"


def save_statistics(folder: str, name: str, statistics: Statistics) -> None:
    """Keep statistics, in the place of those of the same name."""
    features = statistics.feature_descriptive_statistics
    names = [feature.feature_name for feature in features]
    facts = [json.dumps(feature.to_json()) for feature in features]
    correlations = [feature.correlations for feature in features]
    coefficients = [None if row is None else row.coefficients for row in correlations]
    others = next((row.other_features for row in correlations if row is not None), ())
    table = pa.table(
        {
            "feature": pa.array(names, pa.string()),
            "facts": pa.array(facts, pa.string()),
            "correlations": pa.array(coefficients, pa.large_list(pa.float64())),
        }
    )
    metadata = {
        "computed_at": statistics.computed_at.isoformat(),
        "commit": statistics.commit,
        "split": statistics.split,
        "others": others,
    }
    write_table(folder, name, table, metadata)


def read_correlations(folder: str, name: str) -> tuple[list[str], list[str], Any]:
    """The features of kept statistics, those that they correlate with, and how much.

    The last is an array (features x others); NaN where that is not known.
    """
    table = read_table(folder, name)
    if table is None:
        return [], [], np.empty((0, 0))
    others = read_metadata(table.schema)["others"]
    features = table.column("feature").to_pylist()
    unknown = np.full(len(others), np.nan)
    rows = []
    for row in table.column("correlations"):
        is_known = row.is_valid and len(row.values)
        rows.append(row.values.to_numpy() if is_known else unknown)
    return features, others, np.array(rows).reshape(len(features), len(others))


def load_statistics(
    folder: str, name: str, features: Sequence[str] | None = None, correlations: bool = True
) -> Statistics | None:
    """Statistics that were kept, of these features, in the order they were kept in.

    None where there are none of this name. correlations: whether those are wanted, which of
    thousands of features are millions.
    """
    table = read_table(folder, name)
    if table is None:
        return None
    metadata = read_metadata(table.schema)
    description = f"The statistics file {folder}/{name}{SUFFIX}"
    check_format(description, metadata, FORMAT_VERSION)
    try:
        return _parse_statistics(metadata, table, features, correlations)
    except _MALFORMED_ERRORS as error:
        raise _make_malformed_error(description, error) from error


def _make_malformed_error(description: str, error: Exception) -> SparkFSError:
    return SparkFSError(
        f"{description} cannot be understood: {error!r}. Remove it, then compute_statistics()."
    )


class Figures(NamedTuple):
    """Some figures of kept statistics, by feature; None of a feature for what it does not have."""

    features: list[str]
    counts: list[int]
    nulls: list[int]
    means: list[float | None]


def load_figures(folder: str, name: str) -> Figures | None:
    """A few figures of each feature of statistics that were kept.

    None where there are none of this name. Nothing is parsed, which of thousands of features takes
    longer than to read them.
    """
    table = read_table(folder, name)
    if table is None:
        return None
    description = f"The statistics file {folder}/{name}{SUFFIX}"
    check_format(description, read_metadata(table.schema), FORMAT_VERSION)
    try:
        facts = table.column("facts")
        return Figures(
            table.column("feature").to_pylist(),
            _find_figure(facts, "count", "[0-9]+", pa.int64()),
            _find_figure(facts, "num_null_values", "[0-9]+", pa.int64()),
            _find_figure(facts, "mean", "-?[0-9][0-9.eE+-]*", pa.float64()),
        )
    except _MALFORMED_ERRORS as error:
        raise _make_malformed_error(description, error) from error


def _find_figure(
    facts: pa.ChunkedArray, figure: str, pattern: str, type_: pa.DataType
) -> list[Any]:
    """A figure of each feature, which has it before its histogram; None where it is no number."""
    found = pc.extract_regex(facts, f'"{figure}": (?P<figure>{pattern})')
    return list(pc.struct_field(found, "figure").cast(type_).to_pylist())


def _parse_statistics(
    metadata: Mapping[str, Any], table: pa.Table, features: Sequence[str] | None, correlations: bool
) -> Statistics:
    parsed = []
    others = metadata["others"]
    columns = [table.column(i) for i in range(3)]
    for feature, facts, coefficients in zip(*columns, strict=True):
        if features is None or feature.as_py() in features:
            data: dict[str, Any] = json.loads(facts.as_py())
            if correlations and coefficients.is_valid:
                values = coefficients.values.to_numpy()
                data["correlations"] = FeatureCorrelations(feature.as_py(), others, values)
            parsed.append(FeatureStatistics.from_json(data))
    computed_at = datetime.fromisoformat(metadata["computed_at"])
    return Statistics(computed_at, metadata["commit"], tuple(parsed), metadata["split"])


def write_if_newer(folder: str, name: str, table: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write the state of a commit, unless one of a later commit is there."""
    try:
        before = _read_file(folder, name, lambda file: read_metadata(file.schema).get("commit"))
    except SparkFSError:  # it is damaged, and is made again now
        before = None
    if not isinstance(before, int) or before <= metadata["commit"]:
        write_table(folder, name, table, metadata)


def write_table(folder: str, name: str, table: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write a table with what is noted of it, in the place of the one of the same name."""
    about = json.dumps({**metadata, FORMAT_KEY: FORMAT_VERSION})
    table = table.replace_schema_metadata({"about": about})
    try:
        arrow_files.write_file(folder, name, table)
    except OSError as error:
        raise SparkFSError(
            f"Statistics could not be written to {folder}: {error}. Make room or give access, then"
            " try again."
        ) from error


def read_table(folder: str, name: str) -> pa.Table | None:
    """A table that was written; None where there is none of this name."""
    return _read_file(folder, name, lambda file: file.read_all())


def load_state(
    folder: str, name: str, parse: Callable[[Mapping[str, Any], pa.Table], T]
) -> T | None:
    """What ``parse`` makes of a state, of what is noted with it and its table.

    None where it cannot: it is to be made again.
    """
    try:
        table = read_table(folder, name)
        if table is None:
            return None
        metadata = read_metadata(table.schema)
        if metadata.get(FORMAT_KEY, 1) != FORMAT_VERSION:
            return None
        return parse(metadata, table)
    except (SparkFSError, *_MALFORMED_ERRORS):
        return None


def _read_file(folder: str, name: str, parse: Callable[[Any], T]) -> T | None:
    try:
        return arrow_files.read_file(folder, name, parse)
    except (pa.ArrowException, OSError) as error:
        raise SparkFSError(
            f"The statistics file {folder}/{name}{SUFFIX} is damaged: {get_first_line(error)}."
            " Remove it, then compute_statistics()."
        ) from error


def remove_statistics(folder: str) -> None:
    """Forget all statistics of a folder."""
    arrow_files.remove_folder(folder)


def read_metadata(schema: pa.Schema) -> dict[str, Any]:
    """What was noted with a table of this schema."""
    text = (schema.metadata or {}).get(b"about", b"{}")
    metadata = json.loads(text)
    return metadata if isinstance(metadata, dict) else {}


def to_arrays(table: pa.Table) -> list[Any]:
    """The lists of numbers in a table's only column, as arrays."""
    return [numbers.values.to_numpy() for numbers in table.column(0)]
