"""The newest rows of keys are found in files: the same as pandas finds, by the files that may hold them alone, a share at a time."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_fs.base import arrow_types
from spark_fs.engine.latest import LatestOrder, _reduce_tables
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.flows import key_rows
from spark_fs.flows.key_rows import find_newest_rows, may_hold_keys
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.ingestion import INGESTED_AT

TYPES = {"k": "bigint", "name": "string", "at": "timestamp", "v": "double"}
START = datetime(2024, 1, 1, tzinfo=UTC)


def group(primary_key: tuple[str, ...], event_time: str | None = "at") -> GroupSpec:
    features = tuple(FeatureSpec(name, type_) for name, type_ in TYPES.items())
    return GroupSpec("clicks", 1, primary_key=primary_key, event_time=event_time, features=features)


def write_file(folder: Path, number: int, rows: pd.DataFrame, row_group: int = 50) -> DataFile:
    """A data file, and what a log says of it."""
    schema = arrow_types.to_arrow_schema({**TYPES, INGESTED_AT: "timestamp"})
    path = folder / f"{number}.parquet"
    table = pa.Table.from_pandas(rows.assign(**{INGESTED_AT: START}), schema, preserve_index=False)
    pq.write_table(table, path, row_group_size=row_group)
    bounds = {"k": int(rows["k"].min())}, {"k": int(rows["k"].max())}
    return DataFile(str(path), path.stat().st_size, len(rows), {}, *bounds, True)


def draw_rows(generator: Any, keys: int, days: tuple[int, int], count: int = 300) -> pd.DataFrame:
    ks = generator.integers(0, keys, count)
    instants = [START + timedelta(days=int(day)) for day in generator.integers(*days, count)]
    rows = pd.DataFrame({"k": ks, "name": [f"n{k % 3}" for k in ks], "at": instants})
    return rows.assign(v=generator.random(count)).drop_duplicates(["k", "at"])


@pytest.mark.parametrize("primary_key", [("k",), ("name", "k")])
@pytest.mark.parametrize("event_time", ["at", None])
def test_the_newest_rows_of_keys_are_those_that_pandas_finds(
    tmp_path: Path, primary_key: tuple[str, ...], event_time: str | None
) -> None:
    generator = np.random.default_rng(7)
    frames = [draw_rows(generator, 40, (10 * n, 10 * n + 12)) for n in range(4)]
    files = [write_file(tmp_path, n, rows) for n, rows in enumerate(frames)]
    keys = pd.DataFrame({"k": [3, 17, 39, 1_000]}).assign(
        name=lambda rows: "n" + (rows.k % 3).astype(str)
    )
    wanted_keys = pa.Table.from_pandas(keys[list(primary_key)], preserve_index=False)
    found = find_newest_rows(LocalRunner(2), group(primary_key, event_time), files, wanted_keys)
    assert found
    types = {**TYPES, INGESTED_AT: "timestamp"}
    rows = found.relation.select(types).collect().to_pandas()
    every = pd.concat(frames).merge(keys, on=["k", "name"])
    if event_time is None:
        assert len(rows) == len(every) == found.row_count
        return
    assert len(rows) == found.row_count < len(every)  # of the last files alone
    for frame in (rows, every):
        frame["at"] = frame["at"].astype("datetime64[us, UTC]")
    newest = [
        frame.loc[frame.groupby("k")["at"].idxmax().to_numpy()]
        for frame in (rows.reset_index(drop=True), every.reset_index(drop=True))
    ]
    columns = list(TYPES)
    pd.testing.assert_frame_equal(
        *(frame[columns].sort_values("k").reset_index(drop=True) for frame in newest),
        check_dtype=False,
    )


def test_files_without_the_keys_are_not_opened(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    near = write_file(tmp_path, 0, draw_rows(generator, 10, (0, 5)))
    far = write_file(
        tmp_path, 1, draw_rows(generator, 10, (0, 5)).assign(k=lambda rows: rows.k + 99)
    )
    Path(far.path).unlink()
    found = find_newest_rows(
        LocalRunner(1), group(("k",)), [near, far], pa.table({"k": pa.array([4, 50], pa.int64())})
    )
    assert found
    assert set(found.relation.select(TYPES).collect()["k"].to_pylist()) == {4}
    nothing = find_newest_rows(
        LocalRunner(1), group(("k",)), [near], pa.table({"k": pa.array([77], pa.int64())})
    )
    assert nothing
    assert (nothing.row_count, nothing.relation.select(TYPES).collect().num_rows) == (0, 0)


def test_a_file_that_only_spark_reads_is_left_to_it(tmp_path: Path) -> None:
    file = write_file(tmp_path, 0, draw_rows(np.random.default_rng(1), 10, (0, 5)))
    keys = pa.table({"k": pa.array([1], pa.int64())})
    for given in (file._replace(readable_as_is=False), file._replace(row_count=None)):
        assert find_newest_rows(LocalRunner(1), group(("k",)), [given], keys) is None


def test_many_keys_that_may_lie_in_many_files_are_left_to_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since where each lies in each file is told to one process."""
    generator = np.random.default_rng(1)
    files = [write_file(tmp_path, n, draw_rows(generator, 40, (0, 9))) for n in range(3)]
    monkeypatch.setattr(key_rows, "_MOST_PLACES", 12)
    for count, found in ((4, True), (5, False)):
        keys = pa.table({"k": pa.array(range(count), pa.int64())})
        assert bool(find_newest_rows(LocalRunner(1), group(("k",)), files, keys)) == found


@pytest.mark.parametrize(
    ("type_", "keys", "least", "greatest", "holds"),
    [
        ("bigint", [5, 90], 6, 89, False),
        ("bigint", [5, 90], 6, 90, True),
        ("bigint", list(range(0, 4_000, 2)), 1, 1, True),  # too many to be listed
        ("bigint", list(range(0, 4_000, 2)), 4_001, 5_000, False),
        ("date", [date(2024, 1, 2)], "2024-01-03", "2024-02-01", False),
        ("date", [date(2024, 1, 3)], "2024-01-03", "2024-02-01", True),
        ("string", ["a"], "b", "c", True),  # whose bounds may be cut
        ("double", [0.5], 1.0, 2.0, True),
    ],
)
def test_a_file_is_left_out_by_its_bounds(
    type_: str, keys: list[Any], least: Any, greatest: Any, holds: bool
) -> None:
    file = DataFile("f", 1, 1, {}, {"k": least}, {"k": greatest}, True)
    assert may_hold_keys(file, pa.table({"k": keys}), [("k", type_)]) == holds


def test_a_share_that_is_read_a_few_rows_at_a_time_has_the_same_rows(tmp_path: Path) -> None:
    rows = draw_rows(np.random.default_rng(3), 40, (0, 9))
    file = write_file(tmp_path, 0, rows)
    scan = Scan.from_files(parquet.to_scan_files([file]), TYPES)
    for number in range(3):
        whole = parquet.read_share(scan, 0, number, 3)
        tables = list(parquet.iter_share(scan, 0, number, 3, 17))
        assert max(table.num_rows for table in tables) <= 17
        assert pa.concat_tables(tables).combine_chunks() == whole.combine_chunks()


def test_few_keys_of_many_rows_are_reduced_together_and_the_latest_stay() -> None:
    generator = np.random.default_rng(5)
    order = LatestOrder((("k", "bigint"),), ("at", "bigint"), ())
    tables = [
        pa.table({"k": generator.integers(0, 1_000, 300_000), "at": np.arange(300_000) + start})
        for start in range(0, 3_000_000, 300_000)
    ]
    reduced = list(_reduce_tables(iter(tables), order))
    assert len(reduced) == 1
    wanted = pa.concat_tables(tables).to_pandas().groupby("k")["at"].max()
    assert reduced[0].to_pandas().set_index("k")["at"].to_dict() == wanted.to_dict()
    distinct = [
        pa.table({"k": np.arange(300_000) + start, "at": np.arange(300_000)})
        for start in range(0, 3_000_000, 300_000)
    ]
    pieces = list(_reduce_tables(iter(distinct), order))
    assert sum(piece.num_rows for piece in pieces) == 3_000_000
    assert max(piece.nbytes for piece in pieces) < (40 << 20)


def test_no_rows_are_no_table() -> None:
    order = LatestOrder((("k", "bigint"),), None, ())
    empty = pa.table({"k": pa.array([], pa.int64())})
    assert list(_reduce_tables([empty, empty], order)) == []
