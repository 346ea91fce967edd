"""Statistics, kept as Arrow files in a folder beside the rows that they are of: one for each commit or split, and the newest state.

Read without a JVM. A file appears whole, under its name, or not at all, and says in which format it
is: a state of another one, or one that is damaged, is as good as none, since it can be made again
of the rows.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import pyarrow as pa
from pyarrow import fs

from spark_fs.base.file_systems import make_folder, open_output
from spark_fs.errors import SparkFSError, get_first_line
from spark_fs.spec.feature_statistics import FeatureCorrelations, FeatureStatistics, Statistics
from spark_fs.spec.record_format import FORMAT_KEY, check_format
from spark_fs.tables.delta.log import resolve_file_system

FORMAT_VERSION = 1  # of these files; those of releases before it was written are of the first
STATE, SUMS = (
    "state",
    "sums",
)  # what the statistics and the associations of the newest commit follow from
_SUFFIX = ".arrow"
_MALFORMED_ERRORS = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    pa.ArrowException,
)  # what reading a file raises that holds something else
T = TypeVar("T")


def get_statistics_folder(path: str) -> str:
    """Where the statistics of a group's table are."""
    return f"{path}_statistics"


def list_names(folder: str) -> list[str]:
    """The statistics of a folder, without the state, in order."""
    system, root = resolve_file_system(folder)
    found = system.get_file_info(fs.FileSelector(root, allow_not_found=True))
    whole = [
        each.base_name.removesuffix(_SUFFIX) for each in found if each.base_name.endswith(_SUFFIX)
    ]
    return sorted(name for name in whole if name not in (STATE, SUMS) and not name.startswith("."))


def list_commits(folder: str) -> list[int]:
    """The commits of which there are statistics."""
    return [int(name) for name in list_names(folder) if name.isdigit()]


def format_commit_name(commit: int) -> str:
    """Under which name the statistics of a commit are kept."""
    return f"{commit:020d}"


def save_statistics(folder: str, name: str, statistics: Statistics) -> None:
    """Keep statistics, in the place of those of the same name."""
    features = statistics.feature_descriptive_statistics
    related = [each.correlations for each in features]
    others = next((each.other_features for each in related if each is not None), ())
    rows = [None if each is None else each.coefficients for each in related]
    table = pa.table(
        {
            "feature": pa.array([each.feature_name for each in features], pa.string()),
            "facts": pa.array([json.dumps(each.to_json()) for each in features], pa.string()),
            "correlations": pa.array(rows, pa.large_list(pa.float64())),
        }
    )
    about = {
        "computed_at": statistics.computed_at.isoformat(),
        "commit": statistics.commit,
        "split": statistics.split,
        "others": others,
    }
    write_table(folder, name, table, about)


def read_correlations(folder: str, name: str) -> tuple[list[str], list[str], Any]:
    """The features of kept statistics, those that they are related to, and by how much (features x others); NaN where that is not known."""
    table = read_table(folder, name)
    if table is None:
        return [], [], np.empty((0, 0))
    others, features = read_metadata(table.schema)["others"], table.column("feature").to_pylist()
    none = np.full(len(others), np.nan)
    rows = [
        each.values.to_numpy() if each.is_valid and len(each.values) else none
        for each in table.column("correlations")
    ]
    return features, others, np.array(rows).reshape(len(features), len(others))


def load_statistics(
    folder: str, name: str, features: Sequence[str] | None = None, correlations: bool = True
) -> Statistics | None:
    """Statistics that were kept, of these features, in the order they were kept in; None where there are none of this name.

    correlations: whether those are wanted, which of thousands of features are millions.
    """
    table = read_table(folder, name)
    if table is None:
        return None
    about = read_metadata(table.schema)
    what = f"The statistics file {folder}/{name}{_SUFFIX}"
    check_format(what, about, FORMAT_VERSION)
    try:
        return _parse_statistics(about, table, features, correlations)
    except _MALFORMED_ERRORS as error:
        raise SparkFSError(
            f"{what} cannot be understood: {error!r}. Remove it, then compute_statistics()."
        ) from error


def _parse_statistics(
    metadata: Mapping[str, Any], table: pa.Table, features: Sequence[str] | None, correlations: bool
) -> Statistics:
    found, others = [], metadata["others"]
    for feature, facts, each in zip(*(table.column(i) for i in range(3)), strict=True):
        if features is None or feature.as_py() in features:
            data: dict[str, Any] = json.loads(facts.as_py())
            if correlations and each.is_valid:
                data["correlations"] = FeatureCorrelations(
                    feature.as_py(), others, each.values.to_numpy()
                )
            found.append(FeatureStatistics.from_json(data))
    return Statistics(
        datetime.fromisoformat(metadata["computed_at"]),
        metadata["commit"],
        tuple(found),
        metadata["split"],
    )


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
    system, root = resolve_file_system(folder)
    table = table.replace_schema_metadata(
        {"about": json.dumps({**metadata, FORMAT_KEY: FORMAT_VERSION})}
    )
    staged = f"{root}/.{name}-{uuid4().hex}{_SUFFIX}"
    try:
        make_folder(system, root)
        with open_output(system, staged) as sink, pa.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)
        system.move(staged, f"{root}/{name}{_SUFFIX}")
    except OSError as error:
        with suppress(OSError):
            system.delete_file(staged)
        raise SparkFSError(
            f"Statistics could not be written to {root}: {error}. Make room or give access, then"
            " try again."
        ) from error


def read_table(folder: str, name: str) -> pa.Table | None:
    """A table that was written; None where there is none of this name."""
    return _read_file(folder, name, lambda file: file.read_all())


def load_state(
    folder: str, name: str, parse: Callable[[Mapping[str, Any], pa.Table], T]
) -> T | None:
    """What ``read`` makes of a state, of what is noted with it and its table; None where it cannot: it is to be made again."""
    try:
        table = _read_file(folder, name, lambda file: file.read_all())
        if table is None or read_metadata(table.schema).get(FORMAT_KEY, 1) != FORMAT_VERSION:
            return None
        return parse(read_metadata(table.schema), table)
    except (SparkFSError, *_MALFORMED_ERRORS):
        return None


def _read_file(folder: str, name: str, parse: Callable[[Any], T]) -> T | None:
    system, root = resolve_file_system(folder)
    try:
        with system.open_input_file(f"{root}/{name}{_SUFFIX}") as source:
            return parse(pa.ipc.open_file(source))
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError) as error:
        raise SparkFSError(
            f"The statistics file {root}/{name}{_SUFFIX} is damaged: {get_first_line(error)}."
            " Remove it, then compute_statistics()."
        ) from error


def remove_statistics(folder: str) -> None:
    """Forget all statistics of a folder."""
    system, root = resolve_file_system(folder)
    if system.get_file_info(root).type != fs.FileType.NotFound:
        system.delete_dir(root)


def read_metadata(schema: pa.Schema) -> dict[str, Any]:
    """What was noted with a table of this schema."""
    found = json.loads((schema.metadata or {}).get(b"about", b"{}"))
    return found if isinstance(found, dict) else {}


def to_arrays(table: pa.Table) -> list[Any]:
    """The lists of numbers in a table's only column, as arrays."""
    return [each.values.to_numpy() for each in table.column(0)]
