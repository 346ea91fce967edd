"""What the readers of a table must understand of Delta's protocol, and what this package does.

A table says which features its readers need
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#table-features). To read on without one
of them is to leave rows out, so a table with an unknown feature is refused by its name.
"""

from collections.abc import Mapping
from typing import Any

from spark_fs.errors import SparkFSError

MAX_READER_VERSION = 3  # the greatest; from it on, the features are named one by one
# What is read right: by this package alone, or, where workers would misread the files, by Spark
# (``history.DataFile.readable_as_is``).
SUPPORTED_FEATURES = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
        "variantType",
        "variantType-preview",
        "variantShredding",
        "variantShredding-preview",
    }
)
# Writers' features that take commits out of the log, so that its files end before the table does.
_COMMITS_OUTSIDE_LOG = frozenset(
    {
        "catalogManaged",
        "catalogOwned",
        "catalogOwned-preview",
        "coordinatedCommits",
        "coordinatedCommits-preview",
    }
)


def check_protocol(folder: str, protocol: Mapping[str, Any]) -> None:
    """SparkFSError for a table that asks more of its readers than this package knows."""
    version = protocol.get("minReaderVersion") or 1
    needed = set[str]()
    if version >= MAX_READER_VERSION:
        needed.update(protocol.get("readerFeatures") or ())
    outside_log = _COMMITS_OUTSIDE_LOG & set(protocol.get("writerFeatures") or ())
    unknown = sorted((needed - SUPPORTED_FEATURES) | outside_log)
    if version > MAX_READER_VERSION:
        unknown.append(f"reader version {version} (up to {MAX_READER_VERSION} is known)")
    if unknown:
        raise SparkFSError(
            f"The table at {folder} cannot be read: it needs {', '.join(unknown)} of Delta's"
            " protocol, which this version of spark_fs does not know. Upgrade spark_fs, or take"
            " the feature off the table (ALTER TABLE ... DROP FEATURE) with the tool that gave it."
        )


def map_logical_names(metadata: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, str]:
    """The table's name of each column by the name in files and log; nothing where they agree."""
    configuration = dict(metadata.get("configuration") or {})
    if configuration.get("delta.columnMapping.mode", "none") == "none":
        return {}
    names = {}
    for field in schema.get("fields", ()):
        logical_name = field["name"]
        field_metadata = field.get("metadata", {})
        physical_name = field_metadata.get("delta.columnMapping.physicalName", logical_name)
        names[physical_name] = logical_name
    return names


def has_widened_types(metadata: Mapping[str, Any]) -> bool:
    """Whether a column has another type than in some files, so that only Spark reads them."""
    return '"delta.typeChanges"' in (metadata.get("schemaString") or "")
