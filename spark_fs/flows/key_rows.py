"""The newest rows of some keys, found in a table's data files without a join.

Files that hold none of the keys by the bounds that the log has are left out. Of the others workers
read the columns of the key and the event time alone, and tell where rows of these keys lie; then
they read those shares of files whole in which the newest row of a key lies.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.hashing import Hashes
from spark_fs.base.types import INTEGERS
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.stages import TypedColumn, get_key_columns, get_micros
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.engine.scan import filters, parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import NO_GROUP, Comparison, Condition
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.ingestion import INGESTED_AT

_MOST_PLACES = 4_000_000  # keys in shares of files that this process is told of, 32 bytes each
_LISTED_VALUES = 1_000  # of more keys than these the bounds alone are compared with a file's
_PLACE_TYPES = {"share": "bigint", "hash": "bigint", "newest": "bigint", "rows": "bigint"}
_BOUNDED_TYPES = (*INTEGERS, "date", "timestamp")  # of which the log's bounds are read
_Share = tuple[int, int, int]


@dataclass(frozen=True)
class KeyRows:
    """Rows* of some keys, and how many there are."""

    relation: ArrowRelation
    row_count: int


@dataclass(frozen=True)
class _WantedKeys:
    """The keys that are looked for.

    time: the event time, where there is one. hashes: of the keys, in order; another key with the
    same hash is found too.
    """

    columns: tuple[TypedColumn, ...]
    time: TypedColumn | None
    hashes: Hashes

    def find_rows(self, table: pa.Table) -> tuple[pa.Table, Hashes]:
        """The rows of a table that have one of the keys, and the hash of each."""
        hashes = shuffle.hash_keys(get_key_columns(table, self.columns))
        is_wanted = shuffle.contain_hashes(self.hashes, hashes)
        return table.filter(pa.array(is_wanted)), hashes[is_wanted]


@dataclass(frozen=True)
class _KeyFinder:
    """Takes numbers of shares, and gives the keys of each with their newest event time."""

    scan: Scan
    shares: tuple[_Share, ...]
    wanted: _WantedKeys

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in iter_numbers(batches):
            table = parquet.read_share(self.scan, *self.shares[number])
            rows, hashes = self.wanted.find_rows(table)
            if not len(hashes):
                continue
            micros = np.zeros(len(hashes), np.int64)
            if self.wanted.time:
                micros = get_micros(rows, self.wanted.time)
            places = pa.table({"hash": hashes.view(np.int64), "micros": micros})
            newest = places.group_by("hash").aggregate([("micros", "max"), ("micros", "count")])
            columns = [newest["hash"], newest["micros_max"], newest["micros_count"]]
            share = pa.chunked_array([pa.repeat(pa.scalar(number), len(newest))])
            yield from pa.table([share, *columns], list(_PLACE_TYPES)).to_batches()


@dataclass(frozen=True)
class _KeyReader:
    """Takes numbers of shares, and gives the rows of the keys."""

    scan: Scan
    shares: tuple[_Share, ...]
    wanted: _WantedKeys

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for number in iter_numbers(batches):
            rows, _ = self.wanted.find_rows(parquet.read_share(self.scan, *self.shares[number]))
            yield rows


def find_newest_rows(
    runner: Runner, group: GroupSpec, files: Sequence[DataFile], keys: pa.Table
) -> KeyRows | None:
    """The rows of keys*, the newest of each among them; eagerly it is told where they lie.

    Args:
        runner: Runs the tasks.
        group: The feature group.
        files: All data files of its table.
        keys: The keys, in the columns of the group's primary key.

    Returns:
        The rows; None where only Spark reads them or compares the keys, and where it could be more
        places in which they lie than this process takes.
    """
    columns = tuple((name, group.get_column_type(name)) for name in group.primary_key)
    held = [file for file in files if may_hold_keys(file, keys, columns)]
    is_scannable = parquet.is_scannable(held, group.types, group.partition_key, None)
    if not is_scannable or None in [shuffle.get_key_kind(type_) for _, type_ in columns]:
        return None
    types = {**group.types, INGESTED_AT: "timestamp"}
    time = (group.event_time, types[group.event_time]) if group.event_time else None
    hashes = np.unique(shuffle.hash_keys(get_key_columns(keys, columns)))
    wanted = _WantedKeys(columns, time, hashes)
    scan = Scan.from_files(parquet.to_scan_files(held), types)
    if len(hashes) * len(scan.list_shares()) > _MOST_PLACES:
        return None
    shares, row_count = _choose_shares(runner, scan, wanted)
    reader = _KeyReader(scan, shares, wanted)
    relation = ArrowRelation(_number_shares(runner, shares), reader, scan.schema)
    return KeyRows(relation, row_count)


def _choose_shares(
    runner: Runner, scan: Scan, wanted: _WantedKeys
) -> tuple[tuple[_Share, ...], int]:
    """The shares in which the newest row of a key lies, eagerly, and how many rows they give."""
    read_columns = dict(wanted.columns)
    if wanted.time:
        read_columns |= dict([wanted.time])
    shares = tuple(scan.list_shares())
    finder = _KeyFinder(Scan.from_files(scan.files, read_columns), shares, wanted)
    places = _number_shares(runner, shares).map_batches(finder, _PLACE_TYPES).collect()
    newest = places.group_by("hash").aggregate([("newest", "max")])
    with_newest = places.join(newest, "hash")
    chosen = with_newest.filter(pc.equal(with_newest["newest"], with_newest["newest_max"]))
    numbers = pc.unique(chosen["share"])
    row_count = pc.sum(places.filter(pc.is_in(places["share"], numbers))["rows"]).as_py() or 0
    return tuple(shares[number] for number in sorted(numbers.to_pylist())), row_count


def _number_shares(runner: Runner, shares: Sequence[_Share]) -> TaskRows:
    """The number of each share*, in a few tasks for each core."""
    return runner.number_tasks(len(shares), min(len(shares), 2 * runner.parallelism))


def may_hold_keys(file: DataFile, keys: pa.Table, columns: Sequence[TypedColumn]) -> bool:
    """Whether a file may hold a row of one of the keys, by what the log says of it."""
    types = dict(columns)
    return all(
        filters.may_match(file, condition, types)
        for name, type_ in columns
        if type_ in _BOUNDED_TYPES
        for condition in _build_conditions(name, keys.column(name))
    )


def _build_conditions(name: str, values: pa.ChunkedArray) -> list[Condition]:
    """What a key's column meets in every row of these keys."""
    distinct = pc.unique(values)
    if len(distinct) <= _LISTED_VALUES:
        return [Comparison(NO_GROUP, name, "in", tuple(distinct.to_pylist()))]
    bounds = pc.min_max(distinct)
    least = Comparison(NO_GROUP, name, ">=", bounds["min"].as_py())
    return [least, Comparison(NO_GROUP, name, "<=", bounds["max"].as_py())]
