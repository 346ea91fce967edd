"""The rows of a log that hold vectors: their entries, their instants, and what they hold."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.flows.log_columns import LogColumns
from spark_fs.spec.names import GroupRef
from spark_fs.spec.serving_log import (
    GIVEN_KEYS,
    LOG_TIME,
    LOGGED_AS,
    PASSED,
    SYNCED,
    TRAINING_DATASET,
)

Versions = dict[GroupRef, int]


@dataclass(frozen=True)
class ServedRows:
    """The rows of a log that hold vectors, and what of them is looked at one by one.

    Attributes:
        rows: The log.
        instants: As of when each is compared: its event time where one was logged, else when it
            was served.
        served_at: When each was served.
        keys: The names of the keys that the entry of each gave.
        datasets: By which training dataset each was made.
        passed: What was passed for each, by name.
        kinds: What each holds, as ``LoggedAs``.
    """

    rows: pa.Table
    instants: Sequence[datetime]
    served_at: Sequence[datetime]
    keys: Sequence[tuple[str, ...]]
    datasets: Sequence[int | None]
    passed: Sequence[Mapping[str, Any]]
    kinds: Sequence[str]

    @classmethod
    def of_log(cls, log_columns: LogColumns, rows: pa.Table) -> ServedRows:
        """Those of a log.

        Args:
            log_columns: The columns of the log.
            rows: Its rows.
        """
        instants = rows.column(LOG_TIME)
        event_time = log_columns.event_time
        if event_time is not None and log_columns.known_types[event_time] == "timestamp":
            instants = pc.coalesce(rows.column(event_time), instants)
        given = (text or "" for text in rows.column(GIVEN_KEYS).to_pylist())
        passed = (json.loads(text or "{}") for text in rows.column(PASSED).to_pylist())
        return cls(
            rows,
            instants.to_pylist(),
            rows.column(LOG_TIME).to_pylist(),
            [tuple(filter(None, text.split(","))) for text in given],
            rows.column(TRAINING_DATASET).to_pylist(),
            list(passed),
            rows.column(LOGGED_AS).to_pylist(),
        )

    def group_rows(self) -> dict[tuple[int | None, tuple[str, ...], str], list[int]]:
        """The rows of each training dataset, keys and kind, without those that hold no vector."""
        groups: dict[tuple[int | None, tuple[str, ...], str], list[int]] = defaultdict(list)
        for row, keys in enumerate(self.keys):
            kind = self.kinds[row]
            if keys and kind not in (None, "none"):
                groups[self.datasets[row], keys, kind].append(row)
        return groups

    def list_synced(self, row: int) -> list[Versions]:
        """What may have been online when a row was served: one state, or two around a sync."""
        states = []
        for state in json.loads(self.rows.column(SYNCED)[row].as_py() or "[]"):
            versions = {}
            for name, version in state.items():
                group, _, number = name.rpartition("_")
                versions[GroupRef(group, int(number))] = version
            states.append(versions)
        return states
