"""What a look at the log of a table costs, by the length of its history: ``make bench-log``.

Tables of 100 to 10,000 commits are written as Delta writes them: a commit adds a file, each
hundredth compacts the hundred before into one, each tenth has a checkpoint (of these the last of
each thousand are kept, since no look opens the others). Beside our reader, in the same run: the
bare names of the folder, and deltalake's opening of the same table. Medians of the rounds; the
ratio is ours to deltalake's.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from rich.console import Console
from rich.table import Table

from spark_fs.tables.delta import history

BUDGET = 0.1  # seconds for the data files of 10,000 commits
COMPACTED = 100  # commits
CHECKPOINT, KEPT = 10, 1_000
COLUMNS = ("k", "t", "a", "b", "c", "d")
STARTED = 1_700_000_000_000
MAP = pa.map_(pa.string(), pa.string())
SCHEMA = pa.schema(
    [
        ("txn", pa.struct([("appId", pa.string()), ("version", pa.int64())])),
        (
            "add",
            pa.struct(
                [
                    ("path", pa.string()),
                    ("partitionValues", MAP),
                    ("size", pa.int64()),
                    ("modificationTime", pa.int64()),
                    ("dataChange", pa.bool_()),
                    ("stats", pa.string()),
                ]
            ),
        ),
        (
            "metaData",
            pa.struct(
                [
                    ("id", pa.string()),
                    ("format", pa.struct([("provider", pa.string()), ("options", MAP)])),
                    ("schemaString", pa.string()),
                    ("partitionColumns", pa.list_(pa.string())),
                    ("configuration", MAP),
                    ("createdTime", pa.int64()),
                ]
            ),
        ),
        (
            "protocol",
            pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32())]),
        ),
    ]
)


def added(name: str, change: bool = True) -> dict[str, Any]:
    """The action that adds a file, with statistics of six columns."""
    bounds = dict.fromkeys(COLUMNS, 1)
    stats = json.dumps(
        {
            "numRecords": 10,
            "minValues": bounds,
            "maxValues": bounds,
            "nullCount": dict.fromkeys(COLUMNS, 0),
        }
    )
    return {
        "path": name,
        "partitionValues": {},
        "size": 1_000,
        "modificationTime": STARTED,
        "dataChange": change,
        "stats": stats,
    }


def declared() -> list[dict[str, Any]]:
    """What the first commit says of the table."""
    fields = [{"name": name, "type": "long", "nullable": True, "metadata": {}} for name in COLUMNS]
    table = {
        "id": "x",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": STARTED,
    }
    return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": table}]


def write(place: Path, commits: int, compacts: bool) -> int:
    """A log of so many commits; returns how many files its newest version has."""
    log = place / "_delta_log"
    log.mkdir(parents=True)
    live: dict[str, dict[str, Any]] = {}
    for version in range(commits):
        at = STARTED + version
        actions: list[dict[str, Any]] = [
            {"commitInfo": {"timestamp": at, "inCommitTimestamp": at, "operation": "WRITE"}}
        ]
        actions += declared() if not version else []
        actions.append({"txn": {"appId": "spark_fs.watermark", "version": version}})
        if compacts and version % COMPACTED == COMPACTED - 1:
            gone = [name for name in live if name.startswith("one-")]
            actions += [
                {"remove": {"path": name, "dataChange": False, "deletionTimestamp": STARTED}}
                for name in gone
            ]
            live = {name: each for name, each in live.items() if name not in gone}
            name, change = f"many-{version}.parquet", False
        else:
            name, change = f"one-{version}.parquet", True
        live[name] = added(name, change)
        actions.append({"add": live[name]})
        (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, actions)) + "\n")
        (log / f"{version:020d}.crc").write_text(json.dumps({"numFiles": len(live)}))
        if (
            version % CHECKPOINT == 0
            and version
            and (version % KEPT == 0 or version > commits - CHECKPOINT - 1)
        ):
            checkpointed(log, version, live)
    return len(live)


def checkpointed(log: Path, version: int, live: dict[str, dict[str, Any]]) -> None:
    """The checkpoint of a version."""
    rows = [
        *declared(),
        {"txn": {"appId": "spark_fs.watermark", "version": version}},
        *({"add": each} for each in live.values()),
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), log / f"{version:020d}.checkpoint.parquet")
    (log / "_last_checkpoint").write_text(json.dumps({"version": version, "size": len(rows)}))


def timed(act: Callable[[], object], rounds: int) -> float:
    """Milliseconds, the median."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return 1_000 * statistics.median(took)


def measure(commits: int, compacts: bool, rounds: int) -> dict[str, float]:
    """The milliseconds of each kind of look."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "table"
        files = write(place, commits, compacts)
        path, middle = str(place), datetime.fromtimestamp((STARTED + commits // 2) / 1_000, UTC)
        if (
            len(history.list_data_files(path)) != files
            or len(DeltaTable(path).file_uris()) != files
        ):
            raise SystemExit("The readers do not find the files that were written.")
        looks: dict[str, Callable[[], object]] = {
            "names": lambda: os.listdir(place / "_delta_log"),
            "version": lambda: history.get_current_version(path),
            "data files": lambda: history.list_data_files(path),
            "watermark": lambda: history.find_transaction_number(path, "spark_fs.watermark"),
            "no such watermark": lambda: history.find_transaction_number(path, "other"),
            "version at an instant": lambda: history.resolve_table_version(path, middle),
            "deltalake opens": lambda: DeltaTable(path).file_uris(),
        }
        found = {name: timed(look, rounds) for name, look in looks.items()}
    return {
        "commits": commits,
        "files": files,
        **found,
        "ratio": found["data files"] / found["deltalake opens"],
    }


def main() -> None:
    """Measure, print the table and write the figures beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    found = [
        measure(commits, compacts, rounds)
        for compacts in (True, False)
        for commits in (100, 1_000, 10_000)
    ]
    table = Table(*found[0], title="a look at a table's log: milliseconds")
    for row in found:
        table.add_row(
            *(f"{value:,}" if isinstance(value, int) else f"{value:.2f}" for value in row.values())
        )
    Console(width=200).print(table)
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    worst = max(row["data files"] for row in found) / 1_000
    print(f"the slowest look at data files took {worst:.3f} s; the budget is {BUDGET} s")


if __name__ == "__main__":
    main()
