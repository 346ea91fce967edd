"""The log of a Delta table is read whole or not at all."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_fs.errors import SparkFSError
from spark_fs.offline import history
from spark_fs.offline.log import Log, damage, file_system


def commit(table: Path, version: int, *actions: dict[str, Any], files: int | None = None) -> None:
    """A commit as Delta writes it, with its checksum."""
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    info = {"commitInfo": {"timestamp": 1_700_000_000_000 + version, "inCommitTimestamp": 1_700_000_000_000 + version, "operation": "WRITE"}}
    (log / f"{version:020d}.json").write_text("\n".join(json.dumps(action) for action in (info, *actions)) + "\n")
    if files is not None:
        (log / f"{version:020d}.crc").write_text(json.dumps({"numFiles": files}))


def add(name: str) -> dict[str, Any]:
    return {"add": {"path": name, "size": 1, "partitionValues": {}, "dataChange": True, "stats": '{"numRecords": 1}'}}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three commits: two files added, one of them replaced."""
    commit(tmp_path, 0, add("a"), files=1)
    commit(tmp_path, 1, add("b"), files=2)
    commit(tmp_path, 2, {"remove": {"path": "a", "dataChange": True}}, add("c"), files=2)
    return tmp_path


def test_a_whole_log_names_its_files(table: Path) -> None:
    assert [each.path for each in history.data_files(str(table))] == [f"{table}/b", f"{table}/c"]
    assert [each.path for each in history.data_files(str(table), 1)] == [f"{table}/a", f"{table}/b"]
    assert damage(str(table)) is None


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda log: (log / f"{1:020d}.json").unlink(), "commit 1 is missing"),
        (lambda log: (log / f"{0:020d}.json").unlink(), "commit 0 is missing"),
        (lambda log: (log / f"{2:020d}.json").unlink(), "commit 2 is missing, and its checksum is there"),
        (lambda log: (log / f"{1:020d}.json").write_text(""), f"commit {1:020d}.json holds no actions"),
        (lambda log: (log / f"{1:020d}.json").write_text("3\n"), "commit 1, .*holds no actions"),
        (lambda log: (log / f"{1:020d}.json").write_text('{"add"'), "commit 1, .*cannot be read"),
        (lambda log: (log / f"{2:020d}.crc").write_text('{"numFiles": 3}'), "version 2 has 2 files by its commits and 3 by its checksum"),
        (lambda log: (log / f"{2:020d}.checkpoint.parquet").write_bytes(b"PAR1"), r"checkpoint .*parquet cannot be read"),
    ],
)
def test_what_is_damaged_is_named(table: Path, do: Any, said: str) -> None:
    do(table / "_delta_log")
    with pytest.raises(SparkFSError, match=rf"The log of the table at {table} is damaged: {said}.* Restore its _delta_log from a backup"):
        history.data_files(str(table))
    assert "is damaged" in str(damage(str(table)))


def test_commits_before_a_checkpoint_may_be_gone(table: Path) -> None:
    log = table / "_delta_log"
    kept = {"path": "b", "size": 1, "partitionValues": [], "stats": '{"numRecords": 1}', "dataChange": False}
    rows = pa.table({"add": [kept, None], "metaData": pa.array([None, {"configuration": []}], pa.struct([("configuration", pa.map_(pa.string(), pa.string()))]))})
    pq.write_table(rows, log / f"{1:020d}.checkpoint.parquet")
    for version in (0, 1):
        (log / f"{version:020d}.json").unlink()
    (log / f"{2:020d}.crc").unlink()
    assert [each.path for each in history.data_files(str(table))] == [f"{table}/b", f"{table}/c"]
    assert sorted(Log(str(table)).commits) == [2]


def test_a_clean_up_or_a_compaction_changes_no_row(table: Path) -> None:
    operations = ("upsert", "delete", "WRITE", "optimize", "append_features", "VACUUM START", "VACUUM END")
    at = history.committed_at(str(table), 0)
    assert [op for op in operations if not history.Commit(0, at, op).changes_rows] == ["optimize", "append_features", "VACUUM START", "VACUUM END"]


def test_a_warehouse_on_s3_is_read_beside_spark_by_its_other_name() -> None:
    system, path = file_system("s3a://bucket/features/cards_1?region=eu-central-1")
    assert (system.type_name, path) == ("s3", "bucket/features/cards_1")
    assert file_system("/tmp/x")[1] == "/tmp/x"
