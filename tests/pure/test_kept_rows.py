"""Rows of a caller that are kept as files, or held in memory, as a scan reads them."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.tables import kept_rows

ROWS = pa.table(
    {
        "id": pa.array([3, 1, None], pa.int64()),
        "at": pa.array(
            [datetime(2024, 1, 2, 3, 4, 5, 6, UTC), datetime(1969, 12, 31, tzinfo=UTC), None],
            pa.timestamp("us", "UTC"),
        ),
        "day": [date(2024, 2, 29), date(1, 1, 1), None],
        "text": ["a", None, ""],
        "scores": pa.array([[1.5], [], None], pa.list_(pa.float64())),
        "none": pa.array([None] * 3, pa.int32()),
    }
)
LEAST = {"id": 1, "at": "1969-12-31T00:00:00+00:00", "day": "0001-01-01"}
GREATEST = {"id": 3, "at": "2024-01-02T03:04:05.000006+00:00", "day": "2024-02-29"}


def test_kept_rows_come_back_with_their_types_and_bounds(tmp_path: Path) -> None:
    kept_rows.save_table(ROWS, f"{tmp_path}/spine")
    kept = kept_rows.load_rows(f"{tmp_path}/spine")
    assert kept.schema.equals(ROWS.schema)
    (file,) = kept.files
    assert (file.row_count, file.min_values, file.max_values) == (3, LEAST, GREATEST)
    assert pq.read_table(file.path).equals(ROWS)


def test_files_as_spark_writes_them_have_the_same_types(tmp_path: Path) -> None:
    for number in range(2):
        pq.write_table(
            ROWS, tmp_path / f"part-{number}.parquet", use_deprecated_int96_timestamps=True
        )
    (tmp_path / "_SUCCESS").touch()
    kept = kept_rows.load_rows(str(tmp_path))
    assert kept.schema.equals(ROWS.schema)
    assert [file.row_count for file in kept.files] == [3, 3]
    assert "at" not in kept.files[0].min_values


def test_a_table_in_memory_is_scanned_by_shares() -> None:
    file = kept_rows.hold_table(ROWS, "at")
    assert (file.min_values, file.max_values) == ({"at": LEAST["at"]}, {"at": GREATEST["at"]})
    types = {"id": "bigint", "text": "string"}
    scan = Scan.from_files(parquet.to_scan_files([file]), types)
    shares = [parquet.read_share(scan, 0, i, 2) for i in range(2)]
    assert pa.concat_tables(shares).to_pydict() == {"id": [3, 1, None], "text": ["a", None, ""]}
    assert scan.is_held
    assert scan != Scan.from_files(parquet.to_scan_files([kept_rows.hold_table(ROWS, None)]), types)


@pytest.mark.parametrize("event_time", [None, "at"])
def test_no_rows_have_no_bounds(event_time: str | None) -> None:
    file = kept_rows.hold_table(ROWS.slice(0, 0), event_time)
    assert (file.row_count, file.min_values) == (0, {})
