"""What the methods that write rows take for the sake of code that was written for Hopsworks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import NotOfferedError, SettingsError

# Whoever waits or does not finds the rows written either way.
_WAITING = ("wait_for_job", "wait_for_online_ingestion")
_TAKEN = (
    "spark",
    "start_offline_backfill",
    "start_offline_materialization",
    "online_ingestion_options",
    "offline_backfill_every_hr",
    "kafka_producer_config",
    "internal_kafka",
)
_FORMAT_PREFIXES = ("hoodie.", "delta.", "iceberg.")


def select_write_options(write_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Select the options that are spark_fs's own, with a warning for those of Hopsworks.

    Args:
        write_options: What a caller gives.

    Returns:
        The others than those that Hopsworks has.
    """
    own = {}
    unused = []
    for name, value in (write_options or {}).items():
        if name in _TAKEN or name.startswith(_FORMAT_PREFIXES):
            if not (name.startswith("start_offline") and value is True):
                unused.append(repr(name))
        elif name not in _WAITING:
            own[name] = value
    if unused:
        warn_user(
            f"write_options {', '.join(unused)} change nothing: the rows are committed to the"
            " group's Delta table before the call returns, and come online by sync_online."
        )
    return own


def check_storage(storage: str | None) -> None:
    """Check where rows are to be written; NotOfferedError for the online store alone.

    Args:
        storage: "offline", None, or "online", in any case.
    """
    if storage is None or storage.lower() == "offline":
        return
    if storage.lower() != "online":
        raise SettingsError(f"storage={storage!r} is not known: use 'offline' or None.")
    raise NotOfferedError.for_call(
        "storage='online'",
        "writes rows that the offline store does not have",
        "write them offline, then call sync_online, since online is always the latest of offline",
    )


def warn_of_processes(method: str, n_processes: int | None) -> None:
    """Warn of n_processes, where it is not 1."""
    given = None if n_processes == 1 else n_processes
    warn_of_arguments(
        method, {"n_processes": given}, "the settings engine and spark say what runs beside what"
    )
