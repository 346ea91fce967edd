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
from spark_fs.tables.table_log import open_log

BUDGET = 0.1  # seconds for the data files of 10,000 commits
COMPACTED = 100  # commits
CHECKPOINT, KEPT = 10, 1_000
COLUMNS = ("k", "t", "a", "b", "c", "d")
STARTED = 1_700_000_000_000
MAP = pa.map_(pa.string(), pa.string())
TRANSACTION = pa.struct([("appId", pa.string()), ("version", pa.int64())])
ADDED_FILE = pa.struct(
    [
        ("path", pa.string()),
        ("partitionValues", MAP),
        ("size", pa.int64()),
        ("modificationTime", pa.int64()),
        ("dataChange", pa.bool_()),
        ("stats", pa.string()),
    ]
)
TABLE_METADATA = pa.struct(
    [
        ("id", pa.string()),
        ("format", pa.struct([("provider", pa.string()), ("options", MAP)])),
        ("schemaString", pa.string()),
        ("partitionColumns", pa.list_(pa.string())),
        ("configuration", MAP),
        ("createdTime", pa.int64()),
    ]
)
PROTOCOL = pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32())])
SCHEMA = pa.schema(
    [
        ("txn", TRANSACTION),
        ("add", ADDED_FILE),
        ("metaData", TABLE_METADATA),
        ("protocol", PROTOCOL),
    ]
)


def make_added_file(name: str, change: bool = True) -> dict[str, Any]:
    """The action that adds a file, with statistics of six columns."""
    bounds = dict.fromkeys(COLUMNS, 1)
    stats = {
        "numRecords": 10,
        "minValues": bounds,
        "maxValues": bounds,
        "nullCount": dict.fromkeys(COLUMNS, 0),
    }
    return {
        "path": name,
        "partitionValues": {},
        "size": 1_000,
        "modificationTime": STARTED,
        "dataChange": change,
        "stats": json.dumps(stats),
    }


def make_declaration() -> list[dict[str, Any]]:
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


class LogWriter:
    """Writes a log as Delta writes it.

    compacts: whether each hundredth commit makes one file of those of the hundred before.
    """

    def __init__(self, folder: Path, commits: int, compacts: bool) -> None:
        self.folder = folder / "_delta_log"
        self.folder.mkdir(parents=True)
        self.commits = commits
        self.compacts = compacts
        self.live_files: dict[str, dict[str, Any]] = {}

    def write(self) -> int:
        """Write every commit; returns how many files the newest version has."""
        for version in range(self.commits):
            self.write_commit(version)
            if self.has_checkpoint(version):
                self.write_checkpoint(version)
        return len(self.live_files)

    def write_commit(self, version: int) -> None:
        """Write the commit of a version, and its checksum."""
        instant = STARTED + version
        info = {"timestamp": instant, "inCommitTimestamp": instant, "operation": "WRITE"}
        actions: list[dict[str, Any]] = [{"commitInfo": info}]
        if version == 0:
            actions += make_declaration()
        actions.append(make_transaction(version))
        is_compaction = self.compacts and version % COMPACTED == COMPACTED - 1
        if is_compaction:
            actions += self.remove_small_files()
            name = f"many-{version}.parquet"
        else:
            name = f"one-{version}.parquet"
        self.live_files[name] = make_added_file(name, change=not is_compaction)
        actions.append({"add": self.live_files[name]})
        lines = [f"{json.dumps(action)}\n" for action in actions]
        self.write_text(f"{version:020d}.json", "".join(lines))
        checksum = {"numFiles": len(self.live_files)}
        self.write_text(f"{version:020d}.crc", json.dumps(checksum))

    def remove_small_files(self) -> list[dict[str, Any]]:
        """The actions that remove the files of single commits."""
        actions = []
        for name in list(self.live_files):
            if name.startswith("one-"):
                del self.live_files[name]
                removed = {"path": name, "dataChange": False, "deletionTimestamp": STARTED}
                actions.append({"remove": removed})
        return actions

    def has_checkpoint(self, version: int) -> bool:
        """Whether a version has a checkpoint that is kept."""
        if version == 0 or version % CHECKPOINT:
            return False
        return version % KEPT == 0 or version >= self.commits - CHECKPOINT

    def write_checkpoint(self, version: int) -> None:
        """Write the checkpoint of a version."""
        rows = [*make_declaration(), make_transaction(version)]
        for file in self.live_files.values():
            rows.append({"add": file})
        checkpoint = self.folder / f"{version:020d}.checkpoint.parquet"
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), checkpoint)
        last = {"version": version, "size": len(rows)}
        self.write_text("_last_checkpoint", json.dumps(last))

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the log."""
        (self.folder / name).write_text(text)


def make_transaction(version: int) -> dict[str, Any]:
    """The action that raises the watermark."""
    return {"txn": {"appId": "spark_fs.watermark", "version": version}}


def measure_milliseconds(act: Callable[[], object], rounds: int) -> float:
    """The median of the rounds."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return 1_000 * statistics.median(seconds)


def measure(commits: int, compacts: bool, rounds: int) -> dict[str, float]:
    """The milliseconds of each kind of look."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table"
        file_count = LogWriter(table, commits, compacts).write()
        path = str(table)
        our_count = len(history.list_data_files(path))
        if our_count != file_count or len(DeltaTable(path).file_uris()) != file_count:
            raise SystemExit("The readers do not find the files that were written.")
        millis = {}
        for name, look in make_looks(path, commits).items():
            millis[name] = measure_milliseconds(look, rounds)
    ratio = millis["data files"] / millis["deltalake opens"]
    return {"commits": commits, "files": file_count, **millis, "ratio": ratio}


def make_looks(path: str, commits: int) -> dict[str, Callable[[], object]]:
    """What is measured, by its name."""
    middle_millis = STARTED + commits // 2
    middle = datetime.fromtimestamp(middle_millis / 1_000, UTC)
    return {
        "names": lambda: os.listdir(f"{path}/_delta_log"),
        "version": lambda: open_log(path).version,
        "data files": lambda: history.list_data_files(path),
        "watermark": lambda: open_log(path).find_transaction_number("spark_fs.watermark"),
        "no such watermark": lambda: open_log(path).find_transaction_number("other"),
        "version at an instant": lambda: history.resolve_table_version(path, middle),
        "deltalake opens": lambda: DeltaTable(path).file_uris(),
    }


def main() -> None:
    """Measure, print the table and write the figures beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    rows = []
    for compacts in (True, False):
        for commits in (100, 1_000, 10_000):
            rows.append(measure(commits, compacts, rounds))
    table = Table(*rows[0], title="a look at a table's log: milliseconds")
    for row in rows:
        table.add_row(*map(format_figure, row.values()))
    Console(width=200).print(table)
    text = json.dumps(rows, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n")
    worst = max(row["data files"] for row in rows) / 1_000
    print(f"the slowest look at data files took {worst:.3f} s; the budget is {BUDGET} s")


def format_figure(value: float) -> str:
    """A count in full, a measurement to two places."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}"


if __name__ == "__main__":
    main()
