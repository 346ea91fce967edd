"""A join of Parquet files by threads, shuffled and with shared right sides, beside the join of the same rows in memory."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.skewed_keys import SkewedKeys
from spark_fs.engine.join.stages import JoinStage, MatchRule, join_bucket
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan, ScanFile

LEFT = {"s": "string", "k": "int", "at": "timestamp", "id": "bigint", "note": "string"}
RIGHT = {"rs": "string", "rk": "bigint", "t": "timestamp", "tie": "string", "v": "string"}
RESULT = {"id": "bigint", "note": "string", "v": "string"}
RULE = MatchRule(
    1, (("rs", "string"), ("rk", "bigint")), ("t", "timestamp"), ("tie",), None, None, False, ("v",)
)
STAGE = JoinStage((("s", "string"), ("k", "int")), ("at", "timestamp"), (RULE,), ("id", "note"))
KEYS = [("a", 1), ("b", 1), ("a", 2), (None, 1), ("ä", None), ("", 0)]
LEFT_ROWS = [(*KEYS[i % 6], i % 11, i, None if i % 5 == 0 else f"n{i % 3}") for i in range(40)]
RIGHT_ROWS = [(*KEYS[i % 6], i % 8, f"x{i % 5}", f"v{i}" if i % 7 else None) for i in range(90)]


def to_table(rows: list[Any], types: dict[str, str]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    schema = to_arrow_schema(types)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema)


def write_scan(folder: Path, tables: list[pa.Table], types: dict[str, str]) -> Scan:
    files = []
    for number, table in enumerate(tables):
        path = folder / f"{'_'.join(types)}_{number}.parquet"
        pq.write_table(table, path, row_group_size=7)
        files.append(ScanFile(str(path), path.stat().st_size, table.num_rows, ()))
    return Scan.from_files(files, types)


def sort_by_id(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.select(list(RESULT)).sort_by("id").to_pylist()
    return rows


@pytest.mark.parametrize("is_shuffled", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_files_are_joined_as_rows_in_memory_are(
    tmp_path: Path, is_shuffled: bool, threads: int
) -> None:
    left = to_table(LEFT_ROWS, LEFT)
    right = to_table(RIGHT_ROWS, RIGHT)
    # the last file is of a time when the group had no column v
    old = to_table(RIGHT_ROWS[:20], RIGHT).drop_columns(["v"])
    null = pa.nulls(20, pa.string())
    all_rights = pa.concat_tables([right, old.append_column("v", null)])
    expected = join_bucket(left, {1: all_rights}, STAGE)

    left_scan = write_scan(tmp_path, [left.slice(0, 25), left.slice(25)], LEFT)
    right_scan = write_scan(tmp_path, [right.slice(0, 50), right.slice(50), old], RIGHT)
    runner = LocalRunner(threads)
    relation = ArrowRelation.from_scan(runner, left_scan)
    schema = to_arrow_schema(RESULT)
    if is_shuffled:
        rights = {1: ArrowRelation.from_scan(runner, right_scan)}
        joined = relation.shuffle_join(STAGE, rights, SkewedKeys(3), schema)
    else:
        joined = relation.broadcast_join(STAGE, {1: right_scan}, schema)
    result = joined.select(RESULT).collect()
    assert result.schema == schema
    assert sort_by_id(result) == sort_by_id(expected)
    assert len({row["v"] for row in sort_by_id(result)}) > 5


def test_coded_strings_are_those_of_the_files(tmp_path: Path) -> None:
    right = to_table(RIGHT_ROWS, RIGHT)
    scan = write_scan(tmp_path, [right.slice(0, 50), right.slice(50)], RIGHT)
    coded = ArrowRelation.from_scan(LocalRunner(1), scan.with_coded_strings())
    assert coded.select(RIGHT).collect().to_pylist() == right.to_pylist()


@pytest.mark.parametrize("is_coded", [True, False])
def test_strings_that_a_file_holds_as_dictionaries_are_strings(
    tmp_path: Path, is_coded: bool
) -> None:
    values = ["a", None, "ä", "a"]
    plain = pa.table({"s": values})
    wide = pa.table({"s": pa.array(values).dictionary_encode()})
    narrow = pa.table({"s": wide["s"].cast(pa.dictionary(pa.int8(), pa.string()))})
    scan = write_scan(tmp_path, [plain, wide, narrow], {"s": "string"})
    rows = parquet.read_all(scan.with_coded_strings() if is_coded else scan)
    coded_type = pa.dictionary(pa.int32(), pa.string())
    assert rows.schema.field("s").type == (coded_type if is_coded else pa.string())
    assert rows.column("s").to_pylist() == values * 3
